//! Messages out of a piece of a connection, as far as nothing is wrong with one: the twin of `shipper/inputs/syslog/framer.py`, which has the rules.

use memchr::memchr2;

/// Octet counts up to this are believed: `MAX_COUNT` there.
const MAX_COUNT: usize = 1 << 20;
/// Digits of a count.
const DIGITS: usize = 20;

fn is_framing(octet: u8) -> bool {
    matches!(octet, b'\r' | b'\n' | 0)
}

/// Where messages begin and end, without their framing, and where the last of them is over. `count`: the octets of the first, whose count was
/// read before; 0: none was.
pub fn framed(octets: &[u8], limit: usize, mut count: usize) -> (Vec<(usize, usize)>, usize) {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let mut begin = at;
        if count == 0 {
            begin += octets[at..].iter().take_while(|octet| is_framing(**octet)).count();
            let Some(first) = octets.get(begin) else { break };
            if first.is_ascii_digit() {
                let Some((number, size)) = counted(&octets[begin..]).filter(|(number, _)| *number <= MAX_COUNT.max(8 * limit)) else {
                    break;
                };
                (count, begin) = (number, begin + size);
            }
        }
        let (end, next) = if count > 0 {
            (begin + count, begin + count)
        } else {
            let Some(size) = memchr2(b'\n', 0, &octets[begin..]) else { break };
            (begin + size, begin + size + 1)
        };
        if end > octets.len() || end - begin > limit {
            break;
        }
        let size = octets[begin..end].iter().rposition(|octet| !is_framing(*octet)).map_or(0, |last| last + 1);
        if size == 0 {
            break;
        }
        found.push((begin, begin + size));
        (at, count) = (next, 0);
    }
    (found, at)
}

/// `11 ` -> 11, and the octets of that; None for what may be no count, or one that is not whole.
fn counted(octets: &[u8]) -> Option<(usize, usize)> {
    let size = octets.iter().take(DIGITS + 1).take_while(|octet| octet.is_ascii_digit()).count();
    let number = std::str::from_utf8(&octets[..size]).ok()?.parse().ok().filter(|number| *number > 0)?;
    (size <= DIGITS && octets.get(size) == Some(&b' ')).then_some((number, size + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(octets: &[u8], limit: usize, count: usize) -> (Vec<&[u8]>, usize) {
        let (found, at) = framed(octets, limit, count);
        (found.into_iter().map(|(begin, end)| &octets[begin..end]).collect(), at)
    }

    #[test]
    fn each_framing_is_seen_from_its_beginning() {
        let (found, at) = cut(b"4 <1>a<2>b\r\n\n<3>c\0<4>d\n<5>e", 99, 0);
        assert_eq!(found, [&b"<1>a"[..], b"<2>b", b"<3>c", b"<4>d"]);
        assert_eq!(at, 23);
    }

    #[test]
    fn what_is_not_whole_or_not_right_is_left() {
        for octets in ["", "\n", "<1>", "4 <1>", "4", "0 <1>\n", "99999999 a\n", "123456789012345678901 a\n", "4x\n", "<1>abc\n", "2 \n\n"]
        {
            assert_eq!(cut(octets.as_bytes(), 5, 0), (vec![], 0), "{octets}");
        }
        assert_eq!(cut(b"abcd<1>\n", 5, 4), (vec![&b"abcd"[..], b"<1>"], 8));
        assert_eq!(cut(b"abc", 5, 4), (vec![], 0));
    }
}
