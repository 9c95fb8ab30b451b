//! Headers of syslog messages as they nearly always are: the twin of `_STRAIGHT` and of the whole of RFC 5424 in `shipper/formats/syslog.py`, and
//! of what the profiles make of an envelope. For any doubt it is None, and Python reads that message.

use crate::ecs::{key, member, source};
use crate::json::{number, text};
use crate::mta::digits;
use crate::octets::find;
use crate::run::Time;
use crate::structured;

/// Octets of a header of RFC 3164 that is read so; `_HEADER` there.
const LONGEST: usize = 256;
const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The names of facilities and severities, by their numbers.
#[derive(Default)]
pub struct Keywords {
    pub facilities: Vec<Vec<u8>>,
    pub severities: Vec<Vec<u8>>,
}

/// A header. Text that is absent is empty; all of it is printable ASCII without blanks, but for the time of RFC 3164. `told`: whether it has a PRI,
/// and so facility and severity; in a file it need not.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    pub told: bool,
    pub facility: usize,
    pub severity: usize,
    pub version: bool,
    stamp: [u8; 40],
    stamp_size: usize,
    pub host: &'a [u8],
    pub app: &'a [u8],
    pub proc: &'a [u8],
    pub msg: &'a [u8],
    pub peer: &'a [u8],
    /// The structured data, as they stand there.
    pub data: &'a [u8],
    /// Where the text behind the PRI begins, and where the message.
    pub behind: usize,
    pub end: usize,
}

/// (year, month, day) of the last day that a stamp without a year may be of.
pub type Limit = (u64, u64, u64);

impl<'a> Header<'a> {
    pub fn stamp(&self) -> &[u8] {
        &self.stamp[..self.stamp_size]
    }

    /// Reads the header of a message. What follows it is for the caller to look at.
    pub fn read(message: &'a [u8], peer: &'a [u8], limit: Limit) -> Option<Header<'a>> {
        let close = find(b'>', &message[..message.len().min(5)])?;
        let priority = digits(message[..close].strip_prefix(b"<")?, 3).filter(|&priority| priority < 192)? as usize;
        let mut header =
            Header { told: true, facility: priority / 8, severity: priority % 8, peer, behind: close + 1, ..Header::nothing() };
        let rest = &message[close + 1..];
        let left = match rest.strip_prefix(b"1 ") {
            Some(rest) => header.rfc5424(rest)?,
            None => header.rfc3164(rest, limit).filter(|left| message.len() - left.len() <= LONGEST)?,
        };
        header.end = message.len() - left.len();
        Some(header)
    }

    /// Reads the header of a line of a file, with a PRI or without. `words`: what stands in the place of a host or a tag in lines of other programs.
    pub fn of_line(line: &'a [u8], limit: Limit, words: &[Vec<u8>]) -> Option<Header<'a>> {
        if line.first() == Some(&b'<') {
            return Header::read(line, b"", limit);
        }
        let mut header = Header::nothing();
        let left = header.rfc3164(line, limit).filter(|left| line.len() - left.len() <= LONGEST)?;
        header.end = line.len() - left.len();
        let is_word = |name: &[u8]| words.iter().any(|word| word.eq_ignore_ascii_case(name));
        (!(line[0].is_ascii_digit() && (is_word(header.host) || is_word(header.app)))).then_some(header)
    }

    fn nothing() -> Header<'a> {
        Header {
            told: false,
            facility: 0,
            severity: 0,
            version: false,
            stamp: [0; 40],
            stamp_size: 0,
            host: b"",
            app: b"",
            proc: b"",
            msg: b"",
            peer: b"",
            data: b"",
            behind: 0,
            end: 0,
        }
    }

    /// What stands behind the header.
    fn rfc3164(&mut self, rest: &'a [u8], limit: Limit) -> Option<&'a [u8]> {
        let size = if rest.first()?.is_ascii_digit() {
            let size = find(b' ', &rest[..rest.len().min(36)])?;
            is_iso(&rest[..size]).then_some(())?;
            self.stamp[..size].copy_from_slice(&rest[..size]);
            self.stamp_size = size;
            size
        } else {
            self.bsd(rest.get(..15)?, limit)?;
            15
        };
        let (host, rest) = word(rest[size..].strip_prefix(b" ")?)?;
        let is_name = |text: &[u8], more: &[u8]| {
            (1..=255).contains(&text.len()) && is_letter(text[0]) && text.iter().all(|octet| is_letter(*octet) || more.contains(octet))
        };
        if !is_name(host, b".-") || is_no_host(host) {
            return None;
        }
        let colon = find(b':', &rest[..rest.len().min(LONGEST)])?;
        let left = rest[colon + 1..].strip_prefix(b" ")?;
        let tag = &rest[..colon];
        let bracket = find(b'[', tag);
        let name = &tag[..bracket.unwrap_or(tag.len())];
        if !is_name(name, b"/.-") || name[0].is_ascii_digit() {
            return None;
        }
        if let Some(bracket) = bracket {
            let pid = tag[bracket + 1..].strip_suffix(b"]")?;
            ((1..=255).contains(&pid.len()) && pid.iter().all(u8::is_ascii_digit)).then_some(())?;
            self.proc = pid;
        }
        (self.host, self.app) = (host, name);
        (!left.starts_with(b"[ID ") && left.first() != Some(&b' ')).then_some(left)
    }

    /// `Aug 30 16:53:05`, which has no year: the last one in which it is not behind the limit.
    fn bsd(&mut self, stamp: &[u8], limit: Limit) -> Option<()> {
        let [m1, m2, m3, b' ', tens, ones, b' ', clock @ ..] = stamp else { return None };
        let month = MONTHS.iter().position(|name| **name == [*m1, *m2, *m3])? as u64 + 1;
        let tens = if *tens == b' ' { b'0' } else { *tens };
        let day = digits(&[tens, *ones], 2)?;
        is_clock(clock).then_some(())?;
        let mut year = limit.0 - u64::from((month, day) > (limit.1, limit.2));
        while month == 2 && day == 29 && year > 0 && !is_leap(year) {
            year -= 1;
        }
        let put = |place: &mut [u8], value: u64| {
            place.iter_mut().rev().fold(value, |value, digit| {
                *digit = b'0' + (value % 10) as u8;
                value / 10
            });
        };
        self.stamp[..11].copy_from_slice(b"0000-00-00T");
        put(&mut self.stamp[..4], year);
        put(&mut self.stamp[5..7], month);
        put(&mut self.stamp[8..10], day);
        self.stamp[11..19].copy_from_slice(clock);
        self.stamp_size = 19;
        Some(())
    }

    /// What stands behind `<PRI>1 `: a header with a host and a program.
    fn rfc5424(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        self.version = true;
        let (stamp, rest) = word(rest)?;
        if stamp != b"-" {
            // One with a comma, or with another zone than that, is made one like these.
            (stamp.len() > 19 && is_iso(stamp)).then_some(())?;
            let zone = &stamp[stamp.len().saturating_sub(6)..];
            (stamp.ends_with(b"Z") || zone[0] == b'+' || zone[0] == b'-').then_some(())?;
            self.stamp[..stamp.len()].copy_from_slice(stamp);
            self.stamp_size = stamp.len();
        }
        let (host, rest) = word(rest)?;
        let (app, rest) = word(rest)?;
        let (proc, rest) = word(rest)?;
        let (msg, rest) = word(rest)?;
        for name in [host, app, proc, msg] {
            (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(())?;
        }
        if host == b"-" || app == b"-" {
            return None;
        }
        let given = |name: &'a [u8]| if name == b"-" { &b""[..] } else { name };
        (self.host, self.app, self.proc, self.msg) = (host, app, given(proc), given(msg));
        if !rest.starts_with(b"[") {
            return rest.strip_prefix(b"- ");
        }
        let (_, left) = structured::read(rest)?;
        self.data = &rest[..rest.len() - left.len()];
        left.strip_prefix(b" ")
    }

    /// The PID that PROCID is, if it is one: `envelope._number`.
    pub fn pid(&self) -> Option<u64> {
        digits(self.proc, 18)
    }

    /// The stamp as the time of a record: `Clock.iso`, within an hour that begins so and has this offset, or with a zone of its own. Gives the size
    /// of the time, and whether the zone is the record's own; None where only the clock can say it.
    pub fn time(&self, hour: Option<(&[u8; 14], &[u8; 6])>, time: &mut Time) -> Option<(usize, bool)> {
        let stamp = self.stamp();
        let (clock, rest) = (stamp.get(..19)?, &stamp[19..]);
        let number = |from: usize, to: usize| digits(&clock[from..to], 4);
        if number(14, 16)? > 59 || number(17, 19)? > 59 {
            return None;
        }
        let fraction = rest.iter().position(|octet| !(octet.is_ascii_digit() || *octet == b'.')).unwrap_or(rest.len());
        let (fraction, zone) = rest.split_at(fraction);
        let size = clock.len() + fraction.len();
        time[..size].copy_from_slice(&stamp[..size]);
        let zone = match zone {
            [] => {
                let (begin, offset) = hour?;
                if clock[..14] != begin[..] {
                    return None;
                }
                offset
            }
            b"Z" => b"+00:00",
            zone => <&[u8; 6]>::try_from(zone).ok()?,
        };
        let own = stamp.len() > size;
        if own && !(is_date(number(0, 4)?, number(5, 7)?, number(8, 10)?) && number(11, 13)? < 24) {
            return None;
        }
        if own && (digits(&zone[1..3], 2)? > 23 || digits(&zone[4..6], 2)? > 59) {
            return None;
        }
        time[size..size + 6].copy_from_slice(zone);
        Some((size + 6, own))
    }

    /// As `syslog` in native JSON. `plain`: whether nothing in the message needs an escape.
    pub fn native(&self, out: &mut Vec<u8>, names: &Keywords, plain: bool) {
        out.extend_from_slice(b",\"syslog\":{");
        if self.told {
            out.extend_from_slice(b"\"facility\":\"");
            out.extend_from_slice(&names.facilities[self.facility]);
            out.extend_from_slice(b"\",\"severity\":\"");
            out.extend_from_slice(&names.severities[self.severity]);
            out.push(b'"');
        }
        if self.version {
            out.extend_from_slice(b",\"version\":1");
        }
        member(out, b"\"timestamp\":\"", self.stamp(), true);
        member(out, b"\"hostname\":\"", self.host, plain);
        member(out, b"\"app_name\":\"", self.app, plain);
        member(out, b"\"proc_id\":\"", self.proc, plain);
        member(out, b"\"msg_id\":\"", self.msg, plain);
        structured::member(out, self.data, plain);
        member(out, b"\"peer\":\"", self.peer, false);
        out.push(b'}');
    }

    /// As `source` in native JSON.
    pub fn native_source(&self, out: &mut Vec<u8>) {
        if !self.peer.is_empty() {
            out.extend_from_slice(b",\"source\":{\"peer\":\"");
            text(out, self.peer, false);
            out.extend_from_slice(b"\"}");
        }
    }

    /// What `log` of an ECS document has of it. `plain`: as above.
    pub fn log(&self, out: &mut Vec<u8>, names: &Keywords, plain: bool) {
        if !self.peer.is_empty() {
            source(out, self.peer);
        }
        out.extend_from_slice(b",\"syslog\":{");
        if self.told {
            out.extend_from_slice(b"\"priority\":");
            number(out, (self.facility * 8 + self.severity) as u64);
            for (name, keyword, code) in [
                (&b",\"facility\":{\"name\":\""[..], &names.facilities[self.facility], self.facility),
                (&b",\"severity\":{\"name\":\""[..], &names.severities[self.severity], self.severity),
            ] {
                out.extend_from_slice(name);
                out.extend_from_slice(keyword);
                out.extend_from_slice(b"\",\"code\":");
                number(out, code as u64);
                out.push(b'}');
            }
        }
        if self.version {
            out.extend_from_slice(b",\"version\":\"1\"");
        }
        member(out, b"\"hostname\":\"", self.host, plain);
        member(out, b"\"appname\":\"", self.app, plain);
        member(out, b"\"procid\":\"", self.proc, plain);
        member(out, b"\"msgid\":\"", self.msg, plain);
        structured::member(out, self.data, plain);
        out.push(b'}');
    }

    /// As `sunmsg.syslog` of an ECS document.
    pub fn sunmsg(&self, out: &mut Vec<u8>) {
        if self.stamp_size > 0 || !self.peer.is_empty() {
            key(out, b"\"syslog\":{");
            member(out, b"\"timestamp\":\"", self.stamp(), true);
            member(out, b"\"peer\":\"", self.peer, false);
            out.push(b'}');
        }
    }
}

/// `2004-08-30T16:53:05`, a fraction or none, a zone or none.
fn is_iso(stamp: &[u8]) -> bool {
    let Some((clock, rest)) = stamp.split_at_checked(19) else { return false };
    let shape =
        clock[..11].iter().zip(b"0000-00-00T").all(|(octet, like)| if *like == b'0' { octet.is_ascii_digit() } else { octet == like });
    let digits = rest.strip_prefix(b".").map_or(0, |fraction| fraction.iter().take_while(|octet| octet.is_ascii_digit()).count());
    let zone = if rest.first() == Some(&b'.') { &rest[1 + digits..] } else { rest };
    let zoned = match zone {
        [] | b"Z" => true,
        [b'+' | b'-', b'0' | b'1', ones, b':', b'0'..=b'5', last] => ones.is_ascii_digit() && last.is_ascii_digit(),
        _ => false,
    };
    shape && is_clock(&clock[11..]) && zoned && if rest.first() == Some(&b'.') { (1..=9).contains(&digits) } else { true }
}

/// `16:53:05`, whatever the digits.
fn is_clock(clock: &[u8]) -> bool {
    matches!(clock, [a, b, b':', c, d, b':', e, f] if [a, b, c, d, e, f].into_iter().all(u8::is_ascii_digit))
}

/// `[A-Za-z0-9_]`
fn is_letter(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'_'
}

/// What looks like a host behind a stamp, and is none: a year, the date of a record. (`last message repeated` has no tag.)
fn is_no_host(host: &[u8]) -> bool {
    match host {
        [b'1', b'9', a, b] | [b'2', b'0', a, b] => a.is_ascii_digit() && b.is_ascii_digit(),
        [.., b'-', a, b, c, d] => [a, b, c, d].into_iter().all(u8::is_ascii_digit) && (10..=11).contains(&host.len()),
        _ => false,
    }
}

fn is_leap(year: u64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn is_date(year: u64, month: u64, day: u64) -> bool {
    let days = match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = find(b' ', text)?;
    Some((&text[..blank], &text[blank + 1..]))
}
