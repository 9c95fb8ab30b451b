//! Ids of records, and the count of identical lines that they need: the twin of `shipper/identity.py`, which has the rules.
//!
//! A line is remembered by its digest, not by its text: that is its id, when it is the first of its kind.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use blake2b_simd::many::{hash_many, HashManyJob};
use blake2b_simd::Params;

pub type Id = [u8; 16];

/// Lines that are hashed together: their blocks take turns in the processor.
pub const TOGETHER: usize = 64;

/// A digest is random already; mixed with a secret, so that no sender can choose lines that fall into one place.
#[derive(Clone)]
pub struct Mixing(u64);

pub struct Mixed(u64, u64);

impl BuildHasher for Mixing {
    type Hasher = Mixed;
    fn build_hasher(&self) -> Mixed {
        Mixed(self.0, 0)
    }
}

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.1
    }
    fn write(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.write_u64(u64::from(octet));
        }
    }
    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.1 ^ number ^ self.0) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        self.1 = (product >> 64) as u64 ^ product as u64;
    }
    fn write_u128(&mut self, number: u128) {
        self.write_u64(number as u64);
    }
}

type Table = HashMap<u128, u32, Mixing>;

/// Counts the identical lines of one log, by second.
pub struct Counts {
    seconds: Vec<(Vec<u8>, Table)>, // the last one is that of the line before
    seconds_kept: usize,
    lines_kept: usize,
    mixing: Mixing,
}

impl Counts {
    pub fn new(seconds_kept: usize, lines_kept: usize) -> Counts {
        let mixing = Mixing(RandomState::new().hash_one(0u8) | 1);
        Counts { seconds: vec![(Vec::new(), HashMap::with_hasher(mixing.clone()))], seconds_kept, lines_kept, mixing }
    }

    /// The id of the next line of the log, which has this digest; `content` is asked for where an identical line came before.
    pub fn id<T: AsRef<[u8]>>(&mut self, second: &[u8], digest: Id, content: impl FnOnce() -> T) -> Id {
        match self.count(second, u128::from_le_bytes(digest)) {
            0 => digest,
            before => {
                let mut state = params().to_state();
                state.update(content().as_ref()).update(b"\0\0").update(before.to_string().as_bytes());
                id_of(state.finalize().as_bytes())
            }
        }
    }

    /// What the next ids depend on, as octets; the same for logs that will go on alike.
    pub fn state(&self) -> Vec<u8> {
        let mut state = Vec::new();
        for (second, table) in &self.seconds {
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_unstable();
            state.extend_from_slice(second);
            state.extend_from_slice(&(entries.len() as u64).to_le_bytes());
            for (digest, count) in entries {
                state.extend_from_slice(&digest.to_le_bytes());
                state.extend_from_slice(&count.to_le_bytes());
            }
        }
        state
    }

    /// How many identical lines came before, in the same second.
    fn count(&mut self, second: &[u8], digest: u128) -> u32 {
        if !second.is_empty() && self.seconds.last().is_none_or(|(latest, _)| latest != second) {
            self.turn(second);
        }
        let Some((_, table)) = self.seconds.last_mut() else { return 0 };
        if let Some(count) = table.get_mut(&digest) {
            *count += 1;
            return *count - 1;
        }
        if table.len() >= self.lines_kept {
            table.clear();
        }
        table.insert(digest, 1);
        0
    }

    /// Another second; that not seen for longest is forgotten, and its table used again.
    fn turn(&mut self, second: &[u8]) {
        let entry = match self.seconds.iter().position(|(known, _)| known == second) {
            Some(place) => self.seconds.remove(place),
            None if self.seconds.len() >= self.seconds_kept => {
                let (mut name, mut table) = self.seconds.remove(0);
                name.clear();
                name.extend_from_slice(second);
                table.clear();
                (name, table)
            }
            None => (second.to_vec(), HashMap::with_hasher(self.mixing.clone())),
        };
        self.seconds.push(entry);
    }
}

/// The digests of contents, added to `ids`; some dozens at a time are best.
pub fn digests(contents: &[&[u8]], ids: &mut Vec<Id>) {
    let params = params();
    let mut jobs: Vec<HashManyJob> = contents.iter().map(|content| HashManyJob::new(&params, content)).collect();
    hash_many(jobs.iter_mut());
    ids.extend(jobs.iter().map(|job| id_of(job.to_hash().as_bytes())));
}

/// The digest of one.
pub fn digest(content: &[u8]) -> Id {
    id_of(params().hash(content).as_bytes())
}

fn params() -> Params {
    let mut params = Params::new();
    params.hash_length(16);
    params
}

fn id_of(hash: &[u8]) -> Id {
    let mut id = [0; 16];
    id.copy_from_slice(hash);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(counts: &mut Counts, lines: &[(&str, &str)]) -> Vec<Id> {
        lines.iter().map(|(second, content)| counts.id(second.as_bytes(), digest(content.as_bytes()), || content)).collect()
    }

    #[test]
    fn identical_lines_of_one_second_differ_and_those_of_another_do_not() {
        let mut counts = Counts::new(8, 100);
        let found = ids(&mut counts, &[("1", "a"), ("1", "a"), ("1", "b"), ("2", "a"), ("1", "a")]);
        assert_ne!(found[0], found[1]);
        assert_ne!(found[0], found[2]);
        assert_eq!(found[0], found[3]);
        assert_ne!(found[1], found[4]);
    }

    #[test]
    fn a_second_not_seen_for_long_is_forgotten() {
        let mut counts = Counts::new(2, 100);
        let found = ids(&mut counts, &[("1", "a"), ("2", "a"), ("3", "a"), ("1", "a")]);
        assert_eq!(found[0], found[3]);
    }

    #[test]
    fn digests_together_are_those_of_each() {
        let contents: Vec<String> = (0..130).map(|n| "x".repeat(n * n)).collect();
        let mut together = Vec::new();
        digests(&contents.iter().map(|content| content.as_bytes()).collect::<Vec<_>>(), &mut together);
        assert_eq!(together, contents.iter().map(|content| digest(content.as_bytes())).collect::<Vec<_>>());
    }

    #[test]
    fn portions_make_no_difference() {
        let lines: Vec<(String, String)> = (0..300).map(|n| ((n / 40).to_string(), (n % 7).to_string())).collect();
        let lines: Vec<(&str, &str)> = lines.iter().map(|(second, content)| (second.as_str(), content.as_str())).collect();
        let (mut whole, mut cut) = (Counts::new(8, 100), Counts::new(8, 100));
        let all = ids(&mut whole, &lines);
        let parts: Vec<Id> = lines.chunks(11).flat_map(|part| ids(&mut cut, part)).collect();
        assert_eq!(all, parts);
        assert_eq!(whole.state(), cut.state());
    }
}
