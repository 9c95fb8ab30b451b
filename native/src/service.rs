//! Lines of the service logs in the straight case: the twin of `shipper/formats/service.py` and of what the profiles make of its records.
//!
//! Only ASCII, with single blanks between the pieces and a process whose log is known; for any doubt it is None, and Python reads that line.

use memchr::{memmem, memrchr};

use crate::ecs::{self, ip_version, key};
use crate::json::{self, number, text};
use crate::mta::digits;
use crate::native::{begun, Begin, Common};
use crate::octets::{find, find_piece};
use crate::run::{Frame, Place};

/// The events in the order in which Python tells them. The last three are of the message store.
pub const EVENTS: usize = 7;
const LOGIN: usize = 0;
const BADLOGIN: usize = 1;
const CLOSE: usize = 2;
const MESSAGE: usize = 3;
const APPEND: usize = 4;
const FETCH: usize = 5;
const EXPUNGE: usize = 6;

/// What Python tells of service logs.
#[derive(Default)]
pub struct Told {
    /// process -> service, which needs no escape
    pub processes: Names<Vec<u8>>,
    /// how a process is called -> service, where it is none of these
    pub prefixes: Vec<(Vec<u8>, Vec<u8>)>,
    /// level in lower case -> number of its severity; another one has that of `info`
    pub levels: Names<usize>,
    pub severities: Vec<Vec<u8>>,
    pub info: usize,
    pub events: Vec<Vec<u8>>,
    /// Native: by event and severity.
    pub begins: Vec<Begin>,
    pub mechanisms: Vec<Vec<u8>>,
    pub reasons: Vec<Vec<u8>>,
    /// ECS: by event, severity, and whether there is a user.
    pub documents: Vec<ecs::Event>,
    /// `"observer":…,"ecs":…`
    pub tail: Vec<u8>,
    /// service -> protocol
    pub protocols: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Names, and what is known of each, by their first letter in either case.
#[derive(Default)]
pub struct Names<T>([Vec<(Vec<u8>, T)>; 32]);

impl<T> Names<T> {
    pub fn new(known: impl IntoIterator<Item = (String, T)>) -> Names<T> {
        let mut names = Names(std::array::from_fn(|_| Vec::new()));
        for (name, what) in known {
            names.0[Names::<T>::place(name.as_bytes())].push((name.into_bytes(), what));
        }
        names
    }

    /// What is known of the first that is the `same`.
    pub fn find(&self, name: &[u8], same: impl Fn(&[u8], &[u8]) -> bool) -> Option<&T> {
        self.0[Names::<T>::place(name)].iter().find(|(known, _)| same(known, name)).map(|(_, what)| what)
    }

    fn place(name: &[u8]) -> usize {
        usize::from(name.first().unwrap_or(&0) % 32)
    }
}

/// A record. Text that is absent is empty.
#[derive(Default)]
pub struct Service<'a> {
    pub host: &'a [u8],
    pub process: &'a [u8],
    pub pid: u64,
    pub service: &'a [u8],
    pub category: &'a [u8],
    pub level: &'a [u8],
    pub severity: usize,
    event: usize,
    pub message: &'a [u8],
    pub client_ip: &'a [u8],
    pub client_port: Option<u64>,
    pub user: &'a [u8],
    pub auth_method: &'a [u8],
    pub reason: &'a [u8],
    pub account_state: &'a [u8],
    pub session: Option<Session>,
    pub folder: &'a [u8],
    pub size: Option<u64>,
    pub message_id: &'a [u8],
    pub attributes: Vec<(&'a [u8], Vec<u8>)>,
}

pub struct Session {
    start: [u8; 19],
    pub seconds: u64,
    /// Octets from the client and to it, and mailboxes.
    pub counts: Option<[u64; 3]>,
}

impl Session {
    /// When it began, in the zone of the record's time.
    pub fn start(&self, time: &[u8]) -> [u8; 25] {
        let mut start = [0; 25];
        start[..19].copy_from_slice(&self.start);
        start[19..].copy_from_slice(&time[time.len() - 6..]);
        start
    }
}

const MONTHS: [&[u8; 3]; 12] = [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
/// `[30/Aug/2004:16:53:05 -0700] `
pub const STAMP: usize = 29;

/// A stamp as ISO 8601, with the offset.
pub type Iso = [u8; 25];

/// The stamp of the line before: most have the same as that.
#[derive(Default)]
pub struct Clock {
    known: Option<([u8; STAMP], Iso)>,
}

impl Clock {
    /// The same as `stamp`.
    #[inline]
    pub fn time(&mut self, line: &[u8]) -> Option<Iso> {
        let begin = line.first_chunk()?;
        if let Some((_, iso)) = self.known.filter(|(known, _)| known == begin) {
            return Some(iso);
        }
        let iso = stamp(line)?;
        self.known = Some((*begin, iso));
        Some(iso)
    }
}

/// The usual stamp at the beginning of a line, as ISO 8601; None when it is another, or no time of the calendar.
pub fn stamp(line: &[u8]) -> Option<Iso> {
    let stamp = line.get(..STAMP)?;
    let [b'[', d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4, b':', clock @ .., b' ', sign @ (b'+' | b'-'), h1, h2, n1, n2, b']', b' '] =
        stamp
    else {
        return None;
    };
    let name = [*m1, *m2, *m3].map(|letter| letter.to_ascii_lowercase());
    let month = MONTHS.iter().position(|known| **known == name)? + 1;
    let [c1, c2, b':', c3, c4, b':', c5, c6] = clock else { return None };
    let (year, day) = (digits(&[*y1, *y2, *y3, *y4], 4)?, digits(&[*d1, *d2], 2)?);
    if !is_date(year, month as u64, day)
        || digits(&[*c1, *c2], 2)? > 23
        || digits(&[*c3, *c4], 2)? > 59
        || digits(&[*c5, *c6], 2)? > 59
        || digits(&[*h1, *h2], 2)? > 23
        || digits(&[*n1, *n2], 2)? > 59
    {
        return None;
    }
    let (tens, ones) = (b'0' + (month / 10) as u8, b'0' + (month % 10) as u8);
    Some([
        *y1, *y2, *y3, *y4, b'-', tens, ones, b'-', *d1, *d2, b'T', *c1, *c2, b':', *c3, *c4, b':', *c5, *c6, *sign, *h1, *h2, b':', *n1,
        *n2,
    ])
}

fn is_date(year: u64, month: u64, day: u64) -> bool {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

/// The record of an ASCII line; `rest` is what stands after its stamp.
pub fn read<'a>(rest: &'a [u8], told: &'a Told) -> Option<Service<'a>> {
    let (host, rest) = word(rest)?;
    let bracket = find(b'[', rest)?;
    let process = &rest[..bracket];
    let rest = &rest[bracket + 1..];
    let close = find(b']', rest)?;
    let pid = digits(&rest[..close], 10)?;
    let (category, rest) = word(rest[close + 1..].strip_prefix(b": ")?)?;
    let colon = find(b':', rest)?;
    let level = &rest[..colon];
    let message = rest[colon + 1..].strip_prefix(b" ")?;
    if host.is_empty() || host.len() > 255 || !host.iter().all(u8::is_ascii_graphic) || !is_word(category) || !is_word(level) {
        return None;
    }
    let service = match told.processes.find(process, |known, name| known == name) {
        Some(service) => service,
        None => &told.prefixes.iter().find(|(known, _)| process.starts_with(known))?.1,
    };
    if process.len() > 64 || process.contains(&b'-') || !process.iter().all(is_of_word) {
        return None;
    }
    let severity = told.levels.find(level, <[u8]>::eq_ignore_ascii_case).copied().unwrap_or(told.info);
    let mut record = Service { host, process, pid, service, category, level, severity, message, event: MESSAGE, ..Service::default() };
    let done = match message {
        [b' ', ..] | [] => None,
        [b'l', b'o', b'g', b'i', b'n', ..] => login(&mut record, told),
        [b'b', b'a', b'd', b'l', b'o', ..] => badlogin(&mut record, told),
        [b'c', b'l', b'o', b's', b'e', ..] => closed(&mut record),
        [b'a', b'p', b'p', b'e', b'n', ..] => operation(&mut record, b"append:", APPEND),
        [b'f', b'e', b't', b'c', b'h', ..] => operation(&mut record, b"fetch:", FETCH),
        [b'e', b'x', b'p', b'u', b'n', ..] => operation(&mut record, b"expunge:", EXPUNGE),
        [b'L', b'o', b'g', b' ', b'c', ..] => None,
        _ => other(&mut record),
    };
    done.map(|()| record)
}

/// `login [address] user mechanism`
fn login<'a>(record: &mut Service<'a>, told: &Told) -> Option<()> {
    let left = peer(record, b"login [")?;
    let (user, mut mechanism) = user_of(left);
    let mut user = user;
    if mechanism.contains(&b' ') {
        let last = memrchr(b' ', left)?;
        if told.mechanisms.iter().any(|known| known.eq_ignore_ascii_case(&left[last + 1..])) {
            (user, mechanism) = (&left[..last], &left[last + 1..]);
        } else {
            mechanism = first(mechanism);
        }
    }
    (record.event, record.user, record.auth_method) = (LOGIN, user, mechanism);
    Some(())
}

/// `badlogin: [address] mechanism user reason`
fn badlogin<'a>(record: &mut Service<'a>, told: &Told) -> Option<()> {
    let text = peer(record, b"badlogin: [")?;
    let mechanism = first(text);
    let mut left = text.get(mechanism.len() + 1..).unwrap_or_default();
    let mut state: &[u8] = b"";
    if left.ends_with(b")") {
        if let Some(open) = memmem::rfind(left, b" (") {
            let before = &left[..open];
            if before.len() >= 16 && before[before.len() - 16..].eq_ignore_ascii_case(b"account disabled") {
                (left, state) = (before, &left[open + 2..left.len() - 1]);
            }
        }
    }
    record.event = BADLOGIN;
    record.auth_method = mechanism;
    record.account_state = state;
    for known in &told.reasons {
        let Some(at) = left.len().checked_sub(known.len()) else { continue };
        if left[at..].eq_ignore_ascii_case(known) && (at == 0 || left[at - 1] == b' ') {
            record.reason = &left[at..];
            let user = &left[..at.saturating_sub(1)];
            record.user = match user {
                [b'"', inner @ .., b'"'] => inner,
                _ => user,
            };
            return Some(());
        }
    }
    (record.user, record.reason) = user_of(left);
    Some(())
}

/// `close [address] user yyyy/m/d h:mm:ss h:mm:ss`, and three numbers or none.
fn closed(record: &mut Service) -> Option<()> {
    let left = peer(record, b"close [")?;
    let user = first(left);
    let mut pieces = left.get(user.len() + 1..)?.split(|&octet| octet == b' ');
    let mut date = pieces.next()?.split(|&octet| octet == b'/');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    if year.len() != 4 || date.next().is_some() {
        return None;
    }
    let (month, day) = (digits(month, 2)?, digits(day, 2)?);
    if !is_date(digits(year, 4)?, month, day) {
        return None;
    }
    let (clock, length) = (pieces.next()?, pieces.next()?);
    let (hour, minute, second) = time_of(clock, 2)?;
    if hour > 23 {
        return None;
    }
    let two = |value: u64| [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
    let mut start = *b"0000-00-00T00:00:00";
    start[..4].copy_from_slice(year);
    for (place, value) in [(5, month), (8, day), (11, hour), (14, minute), (17, second)] {
        start[place..place + 2].copy_from_slice(&two(value));
    }
    let (hours, minutes, seconds) = time_of(length, 9)?;
    let counts = match pieces.next() {
        None => None,
        Some(first) => Some([digits(first, 18)?, digits(pieces.next()?, 18)?, digits(pieces.next()?, 18)?]),
    };
    if pieces.next().is_some() {
        return None;
    }
    record.event = CLOSE;
    record.user = if user == b"[unauthenticated]" { b"" } else { user };
    record.session = Some(Session { start, seconds: hours * 3600 + minutes * 60 + seconds, counts });
    Some(())
}

/// `append:user:folder:size:<id>`, `fetch:user:folder:<id>`, `expunge:folder:<id>`
fn operation<'a>(record: &mut Service<'a>, verb: &[u8], event: usize) -> Option<()> {
    let left = record.message.strip_prefix(verb)?;
    let mut at = memrchr(b'<', left)?.checked_sub(1)?;
    while left[at] != b':' {
        at = memrchr(b'<', &left[..at])?.checked_sub(1)?;
    }
    record.message_id = left[at + 2..].strip_suffix(b">")?;
    let mut folder = &left[..at];
    if event == APPEND {
        if let Some(colon) = memrchr(b':', folder).filter(|&colon| colon > 0) {
            if let Some(size) = digits(&folder[colon + 1..], 18) {
                record.size = Some(size);
                folder = &folder[..colon];
            }
        }
    }
    if event != EXPUNGE {
        // The folder after the first colon, or where its path begins.
        let colon = find(b':', folder);
        let after = colon.map_or(0, |colon| colon + 1);
        let is_path = folder[after..].starts_with(b"user/") || folder[after..].starts_with(b"shared/");
        let path = if is_path { None } else { find_piece(b":user/", &folder[after..]).map(|path| after + path) };
        if let Some(colon) = path.or(colon) {
            record.user = &folder[..colon];
            folder = &folder[colon + 1..];
        }
    }
    record.folder = folder;
    record.event = event;
    Some(())
}

/// Any other message, with `key=value|key=value` or without.
fn other<'a>(record: &mut Service<'a>) -> Option<()> {
    let message = record.message;
    let bracket = find(b'[', &message[..message.len().min(256)]);
    if message.starts_with(b"(id ") {
        return None;
    }
    if let Some(bracket) = bracket.filter(|&bracket| !message[..bracket].contains(&b' ')) {
        // `user[address] created message <id>`
        let rest = address(record, &message[bracket + 1..])?;
        if !record.client_ip.is_empty() {
            record.user = &message[..bracket];
            if let Some(id) = rest.strip_prefix(b"created message <") {
                record.message_id = id.strip_suffix(b">").unwrap_or(id);
            }
        }
        return Some(());
    }
    if find(b'=', message).is_none() {
        return Some(());
    }
    let mut found: Vec<(&[u8], Vec<u8>)> = Vec::new();
    let mut latest = 0;
    for piece in message.split(|&octet| octet == b'|') {
        let equals = find(b'=', piece).unwrap_or(0);
        if equals == 0 {
            let Some((_, value)) = found.get_mut(latest) else { return Some(()) };
            value.push(b'|');
            value.extend_from_slice(piece);
            continue;
        }
        let (name, value) = (&piece[..equals], &piece[equals + 1..]);
        if found.is_empty() && name.contains(&b' ') {
            return Some(());
        }
        match found.iter().position(|(known, _)| *known == name) {
            Some(place) => {
                latest = place;
                found[place].1.push(b'|');
                found[place].1.extend_from_slice(value);
            }
            None => {
                latest = found.len();
                found.push((name, value.to_vec()));
            }
        }
        if found.len() > 64 {
            return None; // a look through all of them for each is no longer cheap
        }
    }
    found.retain(|(_, value)| !value.is_empty());
    record.attributes = found;
    Some(())
}

/// The address in the bracket that the message begins with; returns what stands after it and its blank.
fn peer<'a>(record: &mut Service<'a>, begin: &[u8]) -> Option<&'a [u8]> {
    let text = record.message.strip_prefix(begin)?;
    address(record, text)
}

/// The same for the address at the beginning of a text.
fn address<'a>(record: &mut Service<'a>, text: &'a [u8]) -> Option<&'a [u8]> {
    let end = find(b']', &text[..text.len().min(80)])?;
    let address = &text[..end];
    if address.first() == Some(&b'[') {
        return None;
    }
    let colon = memrchr(b':', address).unwrap_or(0);
    let port = digits(address.get(colon + 1..).unwrap_or_default(), 5);
    if port.is_some() && !ip_version(&address[..colon]).is_empty() {
        (record.client_ip, record.client_port) = (&address[..colon], port);
    } else if !ip_version(address).is_empty() {
        record.client_ip = address;
    }
    Some(text.get(end + 2..).unwrap_or_default())
}

/// (user, what stands after it): one word, unless it has quotation marks.
fn user_of(text: &[u8]) -> (&[u8], &[u8]) {
    if text.first() == Some(&b'"') {
        if let Some(end) = text.get(1..).and_then(|inner| find_piece(b"\" ", inner)) {
            return (&text[1..1 + end], &text[end + 3..]);
        }
    }
    let user = first(text);
    (user, text.get(user.len() + 1..).unwrap_or_default())
}

/// `h:mm:ss`, the hours with at most so many digits.
fn time_of(text: &[u8], most: usize) -> Option<(u64, u64, u64)> {
    let colon = text.len().checked_sub(6)?;
    let [b':', minutes @ .., b':', s1, s2] = &text[colon..] else { return None };
    let (minutes, seconds) = (digits(minutes, 2)?, digits(&[*s1, *s2], 2)?);
    (minutes < 60 && seconds < 60).then_some(())?;
    Some((digits(&text[..colon], most)?, minutes, seconds))
}

fn is_word(text: &[u8]) -> bool {
    text.len() <= 32 && text.first().is_some_and(u8::is_ascii_alphabetic) && text.iter().all(is_of_word)
}

fn is_of_word(octet: &u8) -> bool {
    OF_WORD[usize::from(*octet)]
}

/// Of each octet, whether it is a letter, a digit, `_` or `-`.
const OF_WORD: [bool; 256] = {
    let mut of_word = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        of_word[octet] = (octet as u8).is_ascii_alphanumeric() || octet == b'_' as usize || octet == b'-' as usize;
        octet += 1;
    }
    of_word
};

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = find(b' ', text)?;
    Some((&text[..blank], &text[blank + 1..]))
}

fn first(text: &[u8]) -> &[u8] {
    &text[..find(b' ', text).unwrap_or(text.len())]
}

impl Service<'_> {
    pub fn is_store(&self) -> bool {
        self.event >= APPEND
    }

    /// The number of what its event, its severity, and whether there is a user decide together.
    pub fn case(&self, told: &Told) -> usize {
        (self.event * told.severities.len() + self.severity) * 2 + usize::from(!self.user.is_empty())
    }

    /// The protocol of its client, if it has one.
    pub fn protocol<'a>(&self, told: &'a Told) -> &'a [u8] {
        let spoken = told.protocols.iter().find(|(service, _)| !self.client_ip.is_empty() && service == self.service);
        spoken.map_or(&b""[..], |(_, protocol)| protocol)
    }
}

/// As native JSON. Returns where in `out` its id belongs.
pub fn native(out: &mut Vec<u8>, record: &Service, frame: &Frame, told: &Told, place: &Place) -> usize {
    use json::{member, number_member};
    let plain = place.plain;
    let common = Common {
        kind: if record.is_store() { b"store" } else { b"service" },
        begin: Some(&told.begins[record.event * told.severities.len() + record.severity]),
        host: record.host,
        process: record.process,
        plain,
        pid: Some(record.pid),
        ..Common::default()
    };
    let at = begun(out, &common, frame, place);
    member(out, b",\"service\":\"", record.service, true);
    member(out, b",\"category\":\"", record.category, true);
    member(out, b",\"level\":\"", record.level, true);
    member(out, b",\"message\":\"", record.message, plain);
    member(out, b",\"client_ip\":\"", record.client_ip, plain);
    number_member(out, b",\"client_port\":", record.client_port);
    member(out, b",\"user\":\"", record.user, plain);
    member(out, b",\"auth_method\":\"", record.auth_method, plain);
    member(out, b",\"reason\":\"", record.reason, plain);
    member(out, b",\"account_state\":\"", record.account_state, plain);
    if let Some(session) = &record.session {
        member(out, b",\"session_start\":\"", &session.start(place.time), true);
        number_member(out, b",\"session_seconds\":", Some(session.seconds));
        if let Some([from_client, to_client, mailboxes]) = session.counts {
            number_member(out, b",\"bytes_from_client\":", Some(from_client));
            number_member(out, b",\"bytes_to_client\":", Some(to_client));
            number_member(out, b",\"mailboxes\":", Some(mailboxes));
        }
    }
    member(out, b",\"folder\":\"", record.folder, plain);
    number_member(out, b",\"size_bytes\":", record.size);
    member(out, b",\"message_id\":\"", record.message_id, plain);
    if !record.attributes.is_empty() {
        out.extend_from_slice(b",\"attributes\":");
        attributes(out, record, plain);
    }
    out.extend_from_slice(b"}\n");
    at
}

fn attributes(out: &mut Vec<u8>, record: &Service, plain: bool) {
    out.push(b'{');
    for (name, value) in &record.attributes {
        key(out, b"\"");
        text(out, name, plain);
        out.extend_from_slice(b"\":\"");
        text(out, value, plain);
        out.push(b'"');
    }
    out.push(b'}');
}

/// As an ECS document. Returns the same; None for a session that is too long for a number of nanoseconds.
pub fn document(out: &mut Vec<u8>, record: &Service, frame: &Frame, told: &Told, place: &Place) -> Option<usize> {
    use ecs::{host_part, list, log_place, member, number_member, single};
    let plain = place.plain;
    let duration =
        record.session.as_ref().map(|session| session.seconds.checked_mul(1_000_000_000).filter(|&time| time <= i64::MAX as u64));
    if duration == Some(None) {
        return None;
    }
    let event = &told.documents[record.case(told)];
    ecs::begun(out, place);
    text(out, record.message, plain);
    let at = ecs::event_begun(out, event);
    if frame.raw {
        member(out, b"\"original\":\"", place.raw, false);
    }
    member(out, b"\"reason\":\"", record.reason, plain);
    if let Some(session) = &record.session {
        member(out, b"\"start\":\"", &session.start(place.time), true);
    }
    number_member(out, b"\"duration\":", duration.flatten());
    out.push(b'}');
    single(out, b"\"email\":{\"message_id\":\"", record.message_id, plain);
    single(out, b"\"user\":{\"name\":\"", record.user, plain);
    let counts = record.session.as_ref().and_then(|session| session.counts);
    let client = !record.client_ip.is_empty();
    let end = |out: &mut Vec<u8>, name: &[u8], octets: Option<u64>| {
        if client || octets.is_some() {
            key(out, name);
            member(out, b"\"ip\":\"", record.client_ip, plain);
            number_member(out, b"\"port\":", record.client_port);
            number_member(out, b"\"bytes\":", octets);
            out.push(b'}');
        }
    };
    end(out, b"\"source\":{", counts.map(|[received, _, _]| received));
    if let Some([_, sent, _]) = counts {
        key(out, b"\"destination\":{");
        number_member(out, b"\"bytes\":", Some(sent));
        out.push(b'}');
    }
    end(out, b"\"client\":{", None);
    let version = if client { ip_version(record.client_ip) } else { b"" };
    if client || counts.is_some() {
        key(out, b"\"network\":{");
        member(out, b"\"type\":\"", version, true);
        member(out, b"\"protocol\":\"", record.protocol(told), true);
        number_member(out, b"\"bytes\":", counts.map(|[received, sent, _]| received + sent));
        out.push(b'}');
    }
    key(out, b"\"related\":{");
    list(out, b"\"user\":[", &[record.user], plain);
    list(out, b"\"hosts\":[", &[record.host], plain);
    list(out, b"\"ip\":[", &[record.client_ip], plain);
    out.push(b'}');
    if event.failed {
        single(out, b"\"error\":{\"message\":\"", record.reason, plain);
    }
    key(out, b"\"log\":{");
    member(out, b"\"level\":\"", record.level, true);
    member(out, b"\"logger\":\"", record.category, true);
    log_place(out, frame, place);
    out.push(b'}');
    host_part(out, record.host, plain);
    out.extend_from_slice(b",\"process\":{\"name\":\"");
    text(out, record.process, plain);
    out.extend_from_slice(b"\",\"pid\":");
    number(out, record.pid);
    out.extend_from_slice(b"},\"service\":{\"name\":\"");
    text(out, record.process, plain);
    out.extend_from_slice(b"\",\"type\":\"");
    text(out, record.service, true);
    out.extend_from_slice(b"\"},");
    out.extend_from_slice(&told.tail);
    out.extend_from_slice(if record.is_store() { b",\"sunmsg\":{\"kind\":\"store\"" } else { b",\"sunmsg\":{\"kind\":\"service\"" });
    out.extend_from_slice(b",\"event\":\"");
    out.extend_from_slice(&told.events[record.event]);
    out.extend_from_slice(b"\",\"time\":{\"zone_source\":\"record\"}");
    if !(record.auth_method.is_empty() && record.account_state.is_empty()) {
        key(out, b"\"auth\":{");
        member(out, b"\"method\":\"", record.auth_method, plain);
        member(out, b"\"account_state\":\"", record.account_state, plain);
        out.push(b'}');
    }
    if let Some([_, _, mailboxes]) = counts {
        key(out, b"\"session\":{\"mailboxes\":");
        number(out, mailboxes);
        out.push(b'}');
    }
    if !record.folder.is_empty() || record.size.is_some() {
        key(out, b"\"store\":{");
        member(out, b"\"folder\":\"", record.folder, plain);
        number_member(out, b"\"size\":", record.size);
        out.push(b'}');
    }
    if !record.attributes.is_empty() {
        key(out, b"\"service\":{\"attributes\":");
        attributes(out, record, plain);
        out.push(b'}');
    }
    if let Some(header) = place.header {
        header.sunmsg(out);
    }
    out.extend_from_slice(b"}}\n");
    Some(at)
}
