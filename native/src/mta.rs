//! Lines of MTA text in the straight case: the twin of `shipper/formats/mta_straight.py`, which has the rules and the reasons.
//!
//! A line is taken only where this is sure to say what the Python does; for any doubt it is None, and Python reads that line. Everything here
//! is about octets: columns and lengths are only looked at where the octets are ASCII, which `run.rs` makes sure of.

use memchr::{memchr, memmem};

use crate::run::Frame;
use crate::tables::Tables;

/// What message and connection records share. Text that is absent is empty.
#[derive(Default)]
pub struct Wire<'a> {
    pub pid: Option<u64>,
    pub thread: Option<u64>,
    /// The node, where the line names it.
    pub host: &'a [u8],
    pub sequence: Option<u64>,
    pub code: &'a [u8],
    pub source_channel: &'a [u8],
    /// `in`, `out`, or nothing where the line does not say it.
    pub direction: &'a [u8],
    pub diagnostic: &'a [u8],
    pub smtp_code: Option<u64>,
    pub enhanced_status: &'a [u8],
    pub username: &'a [u8],
    pub authenticated: bool,
    pub tcp: bool,
    pub local_ip: &'a [u8],
    pub local_port: Option<u64>,
    pub remote_ip: &'a [u8],
    pub remote_port: Option<u64>,
    pub remote_name: &'a [u8],
    pub remote_dns: &'a [u8],
    pub application: &'a [u8],
    pub initial_host: &'a [u8],
    pub dns_host: &'a [u8],
    pub tls_cipher: &'a [u8],
    pub tag: &'a [u8],
    pub reason: &'a [u8],
}

impl<'a> Wire<'a> {
    /// What a summary says of the other end.
    pub fn other(&self) -> &'a [u8] {
        first_of([self.remote_ip, self.remote_dns, self.dns_host, self.initial_host])
    }

    /// The protocol that the application speaks.
    pub fn protocol(&self) -> &'static [u8] {
        match self.application {
            [b'S', b'M', b'T', b'P', ..] => b"smtp",
            [b'L', b'M', b'T', b'P', ..] => b"lmtp",
            _ => b"",
        }
    }

    /// The host of the record: the node, else that of all lines.
    pub fn host<'b>(&'b self, frame: &'b Frame) -> &'b [u8] {
        if self.host.is_empty() {
            &frame.host
        } else {
            self.host
        }
    }
}

/// A transaction record.
#[derive(Default)]
pub struct Message<'a> {
    pub wire: Wire<'a>,
    pub destination_channel: &'a [u8],
    pub size_blocks: Option<u64>,
    pub sender: &'a [u8],
    pub null_sender: bool,
    pub original_recipient: &'a [u8],
    pub original_recipient_type: &'a [u8],
    pub recipient: &'a [u8],
    pub notary_flags: Option<u64>,
    pub queue_file: &'a [u8],
    pub queue_id: &'a [u8],
    pub attempt: Option<u64>,
    pub envelope_id: &'a [u8],
    pub message_id: &'a [u8],
    pub related_message_id: &'a [u8],
    pub intermediate_address: &'a [u8],
    pub initial_address: &'a [u8],
    pub filter: &'a [u8],
    pub priority: &'a [u8],
    pub sensitivity: &'a [u8],
    pub queue_seconds: Option<u64>,
    pub remote_mta: &'a [u8],
    pub banner: &'a [u8],
    pub bad_command: &'a [u8],
}

impl<'a> Message<'a> {
    /// What a summary says of the outcome.
    pub fn detail(&self) -> &'a [u8] {
        first_of([self.wire.diagnostic, self.wire.reason])
    }
}

/// A connection record.
#[derive(Default)]
pub struct Connection<'a> {
    pub wire: Wire<'a>,
}

impl<'a> Connection<'a> {
    /// The same.
    pub fn detail(&self) -> &'a [u8] {
        first_of([self.wire.diagnostic, self.wire.tag, self.wire.reason])
    }
}

/// The first text that is none of nothing.
pub fn first_of<const COUNT: usize>(texts: [&[u8]; COUNT]) -> &[u8] {
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

/// What is read by columns ends before this one; so far a line must be ASCII.
pub const COLUMNS: usize = 128;

/// Whether a line is a connection record's, or else a message's.
pub fn connects(line: &[u8]) -> bool {
    line.len() > 50 && memmem::find(&line[45..line.len().min(90)], b" TCP|").is_some()
}

/// `rest`: the line after its time stamp and the blank behind it.
pub fn message<'a>(rest: &'a [u8], tables: &Tables) -> Option<Message<'a>> {
    let mut record = Message::default();
    let rest = channels(rest, &mut record.wire)?;
    let (destination, rest) = column(rest)?;
    if let [single] = destination {
        if single.is_ascii_uppercase() || *single == b'+' || *single == b'-' {
            return None;
        }
    }
    record.destination_channel = destination;
    let rest = code(rest, &mut record.wire)?;
    let (size, rest) = word(rest)?;
    record.size_blocks = Some(digits(size, 18)?);

    let (sender, original, from) = addresses(rest)?;
    if sender.iter().any(|octet| matches!(octet, b':' | b';')) || sender == b"<>" || original == b"<>" {
        return None;
    }
    record.sender = sender;
    record.null_sender = sender.is_empty();
    record.original_recipient = original;
    record.original_recipient_type = b"rfc822";
    if record.wire.code[0] == b'B' {
        bad_command(from, &mut record)?;
        return Some(record);
    }
    let (recipient, mut rest) = from.split_at(address_end(from));
    if recipient == b"<>" {
        return None;
    }
    record.recipient = recipient;

    // From here on `rest` is empty, or begins with the blank before the next field.
    if let Some((number, after)) = next(rest).filter(|(number, after)| digits(number, 18).is_some() && after.starts_with(b" /")) {
        record.notary_flags = digits(number, 18);
        rest = after;
    }
    if rest.starts_with(b" /") {
        let (file, after) = next(rest)?;
        let name = &file[memchr::memrchr(b'/', file)? + 1..];
        if name.is_empty() || file.contains(&b':') {
            return None;
        }
        record.queue_file = file;
        record.queue_id = name;
        if let [b'Z', turn @ b'A'..=b'Z', id @ ..] = name {
            if !id.is_empty() {
                record.queue_id = id;
                record.attempt = Some(u64::from(91 - turn));
            }
        }
        rest = after;
    }
    if rest.starts_with(b" <") {
        let (id, after) = enclosed(&rest[1..])?;
        let mut related: &[u8] = b"";
        rest = after;
        if rest.first() == Some(&b',') {
            (related, rest) = enclosed(&rest[1..])?;
        }
        if !ended(rest) {
            return None;
        }
        if !id.is_empty() {
            record.message_id = id;
            record.related_message_id = related;
        }
    }
    let mut user: &[u8] = b"";
    let blanks = rest.iter().take_while(|&&octet| octet == b' ').count();
    if blanks > 0 {
        let (name, after) = first(&rest[blanks..]);
        if (name[0] == b'*' && name.len() > 1) || tables.is_account(name) {
            user = name;
            rest = after;
        } else if blanks > 1 {
            return None;
        }
    }
    if !user.is_empty() {
        record.wire.authenticated = user[0] == b'*';
        record.wire.username = user.strip_prefix(b"*").unwrap_or(user);
    }
    let mut ip: &[u8] = b"";
    if let Some((name, after)) = next(rest) {
        let is_name = !name.iter().any(|octet| matches!(octet, b'(' | b')' | b';'));
        if is_name && !name.is_empty() && after.is_empty() {
            if !name.contains(&b'.') || name.contains(&b'@') || name.ends_with(b".") || tables.is_account(name) {
                return None; // one last word, that may be a user's name
            }
            record.wire.remote_name = name;
            rest = after;
        } else if is_name && after.starts_with(b" (") {
            let Some((dns, address, after)) = system(&after[2..]) else {
                return None; // a status text with a parenthesis
            };
            if tables.is_account(name) {
                return None;
            }
            record.wire.remote_name = name;
            record.wire.remote_dns = dns;
            record.wire.remote_ip = address;
            ip = address;
            rest = after;
        }
    }
    if rest.is_empty() {
        return Some(record);
    }
    let status = rest.strip_prefix(b" ")?;
    if memmem::find(status, b" TCP|").is_some() {
        return None;
    }
    if status.starts_with(b"dns;") || status.starts_with(b"smtp;") || status.starts_with(b"(TCP|") {
        delivery(status, &mut record)?;
    } else {
        if user.is_empty() && ip.is_empty() || !is_text(status, record.wire.code[0], tables)? {
            return None;
        }
        reply(status, &mut record.wire)?;
    }
    Some(record)
}

pub fn connection<'a>(rest: &'a [u8], tables: &Tables) -> Option<Connection<'a>> {
    let mut record = Connection::default();
    let rest = channels(rest, &mut record.wire)?;
    let (direction, rest) = column(rest)?;
    match direction {
        b"+" => record.wire.direction = b"in",
        b"-" => record.wire.direction = b"out",
        _ => return None,
    }
    let rest = code(rest, &mut record.wire)?;
    let action = record.wire.code[0];
    if tables.is_message(action) {
        return None;
    }
    let (transport, rest) = word(rest)?;
    ports(transport, &mut record.wire)?;
    let (application, rest) = first(rest);
    record.wire.application = application;
    let mut parts = application.split(|&octet| octet == b'/');
    if parts.next() != Some(b"SMTP") {
        return None;
    }
    let parts: [&[u8]; 4] = [parts.next(), parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    let slashes = application.iter().filter(|&&octet| octet == b'/').count();
    let is_tls = |part: &[u8]| part.starts_with(b"TLS");
    let hosts = !parts[0].is_empty() && !parts[1].is_empty() && !is_tls(parts[0]) && !is_tls(parts[1]);
    match slashes {
        0 => {}
        1 if is_tls(parts[0]) => record.wire.tls_cipher = parts[0],
        2 if hosts => (record.wire.initial_host, record.wire.dns_host) = (parts[0], parts[1]),
        3 if hosts && is_tls(parts[2]) => {
            (record.wire.initial_host, record.wire.dns_host, record.wire.tls_cipher) = (parts[0], parts[1], parts[2]);
        }
        _ => return None,
    }
    if let Some(status) = rest.strip_prefix(b" ") {
        let (name, after) = first(status);
        let is_text = name.first().is_some_and(u8::is_ascii_uppercase) && !name.contains(&b'|') && after.len() > 1;
        if action == b'U' || !(is_text || is_reply(status)) {
            return None;
        }
        reply(status, &mut record.wire)?;
    }
    Some(record)
}

/// `[node] [process] source channel`, and what stands after that.
fn channels<'a>(rest: &'a [u8], wire: &mut Wire<'a>) -> Option<&'a [u8]> {
    let (name, after) = word(rest)?;
    let mut rest = rest;
    let mut usual = true;
    if process(name, wire) {
        rest = after;
        usual = name.len() < 12;
    } else if let Some((second, after)) = word(after) {
        if second.len() < 12 && !name.is_empty() && name.iter().all(u8::is_ascii_graphic) && process(second, wire) {
            wire.host = name;
            rest = after;
        }
    }
    let (source, after) = column(rest)?;
    // Where the process is as long as a column it could be one, if the channel does not stand in its own.
    if source.is_empty() || !(usual || source.len() <= 12) {
        return None;
    }
    wire.source_channel = source;
    Some(after)
}

/// Takes `pid.thread.sequence` or `pid.sequence`, in hexadecimal, if it is that.
fn process(name: &[u8], wire: &mut Wire) -> bool {
    let mut parts = name.split(|&octet| octet == b'.').map(hexadecimal);
    match [parts.next(), parts.next(), parts.next(), parts.next()] {
        [Some(Some(pid)), Some(Some(sequence)), None, None] => (wire.pid, wire.sequence) = (Some(pid), Some(sequence)),
        [Some(Some(pid)), Some(Some(thread)), Some(Some(sequence)), None] => {
            (wire.pid, wire.thread, wire.sequence) = (Some(pid), Some(thread), Some(sequence));
        }
        _ => return false,
    }
    true
}

/// A word, or none, padded to twelve columns, and what stands after the blank that ends them; a longer one pushes what follows.
fn column(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b' ', rest)?;
    let next = end.max(12) + 1;
    (rest.len() > next && rest[end..next].iter().all(|&octet| octet == b' ')).then(|| (&rest[..end], &rest[next..]))
}

/// `sender rfc822;original recipient …` -> sender, original recipient, and what stands from the recipient on.
fn addresses(tail: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (sender, rest) = word(tail)?;
    if let Some(rest) = rest.strip_prefix(b"rfc822;") {
        let (original, from) = word(rest)?;
        if !sender.contains(&b'"') && !original.contains(&b'"') {
            return Some((sender, original, from));
        }
    }
    // With quotation marks, inside which blanks are no ends. What begins with a digit could be a counted field.
    if !tail[0].is_ascii_punctuation() && !tail[0].is_ascii_alphabetic() {
        return None;
    }
    let at = memmem::find(tail, b" rfc822;")?;
    let rest = &tail[at + 8..];
    let (original, from) = rest.split_at(address_end(rest));
    Some((&tail[..at], original, from.strip_prefix(b" ")?))
}

/// Where the address at the beginning of a text ends: `_address_end`.
fn address_end(text: &[u8]) -> usize {
    let (mut quoted, mut position) = (false, 0);
    while let Some(length) = memchr(b' ', &text[position..]) {
        let blank = position + length;
        let piece = &text[position..blank];
        let marks = piece.iter().filter(|&&octet| octet == b'"').count();
        if marks > 0 {
            let escaped = memmem::find_iter(piece, b"\\\"").count();
            quoted ^= (marks - escaped) % 2 == 1;
        }
        if !quoted || memchr(b'"', &text[blank..]).is_none() {
            return blank;
        }
        position = blank + 1;
    }
    text.len()
}

/// What stands for the recipient of a B record: the command, and the reply to it.
fn bad_command<'a>(from: &'a [u8], record: &mut Message<'a>) -> Option<()> {
    let text = trimmed_start(from);
    for blank in memchr::memchr_iter(b' ', text) {
        if is_reply(&text[blank + 1..]) {
            record.bad_command = trimmed(&text[..blank]);
            return reply(&text[blank + 1..], &mut record.wire);
        }
    }
    record.bad_command = text;
    Some(())
}

/// The entry code, and what stands after its blank.
fn code<'a>(rest: &'a [u8], wire: &mut Wire<'a>) -> Option<&'a [u8]> {
    let (code, after) = word(rest)?;
    if !(1..=8).contains(&code.len()) || !code.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    wire.code = code;
    Some(after)
}

/// `TCP|local ip|local port|remote ip|remote port`, none of which may have a blank.
fn ports<'a>(text: &'a [u8], wire: &mut Wire<'a>) -> Option<()> {
    let mut parts = text.strip_prefix(b"TCP|")?.split(|&octet| octet == b'|');
    wire.local_ip = parts.next()?;
    wire.local_port = Some(digits(parts.next()?, 5)?);
    wire.remote_ip = parts.next()?;
    wire.remote_port = Some(digits(parts.next()?, 5)?);
    wire.tcp = true;
    parts.next().is_none().then_some(())
}

/// `dns [ip])` or `[ip])`: what stands in the parentheses of a source system, and what follows.
fn system(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (mut dns, mut text): (&[u8], &[u8]) = (b"", text);
    if text.first()? != &b'[' {
        (dns, text) = word(text)?;
        if dns.is_empty() || dns.iter().any(|octet| matches!(octet, b'(' | b')' | b'[' | b']')) {
            return None;
        }
    }
    let text = text.strip_prefix(b"[")?;
    let end = memchr(b']', text)?;
    let after = text[end + 1..].strip_prefix(b")")?;
    let ip = &text[..end];
    (ended(after) && ip.iter().all(|octet| octet.is_ascii_hexdigit() || matches!(octet, b'.' | b':'))).then_some((dns, ip, after))
}

/// The delivery status of the other side: `dns;HOST (TCP|…|…|…|…) (banner) smtp;250 2.1.5 …`, `fields.diagnostic`.
fn delivery<'a>(status: &'a [u8], record: &mut Message<'a>) -> Option<()> {
    let mut rest = status;
    if let Some(text) = rest.strip_prefix(b"dns;") {
        let (host, after) = first(text);
        record.wire.remote_dns = host;
        rest = trimmed_start(after);
    }
    if rest.starts_with(b"(TCP|") {
        let end = memchr(b')', rest)?;
        // Another transport than a plain one is left to Python, that it has no blank too.
        if rest[1..end].contains(&b' ') {
            return None;
        }
        ports(&rest[1..end], &mut record.wire)?;
        rest = trimmed_start(&rest[end + 1..]);
    }
    if rest.first() == Some(&b'(') {
        let end = memmem::find(rest, b") smtp;")?; // else an LMTP reply, or parentheses to be counted
                                                   // Between two such ends the straight expression takes the first that a whole reply follows, the long way the first.
        if memmem::find(&rest[end + 1..], b") smtp;").is_some() {
            return None;
        }
        record.banner = &rest[1..end];
        rest = trimmed_start(&rest[end + 1..]);
    }
    if rest.is_empty() {
        return Some(());
    }
    reply(rest, &mut record.wire)
}

/// `smtp;250 2.1.5 Ok` or any other text: `fields.status`.
fn reply<'a>(text: &'a [u8], wire: &mut Wire<'a>) -> Option<()> {
    wire.diagnostic = text;
    let reply = match text {
        [b's' | b'l', b'm', b't', b'p', b';', rest @ ..] => trimmed_start(rest),
        _ => text,
    };
    let begin = &reply[..reply.len().min(15)];
    if !begin.is_ascii() {
        return None;
    }
    let word = match begin {
        [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] if matches!(rest.first(), None | Some(b' ' | b'-')) => {
            wire.smtp_code = Some(u64::from(a - b'0') * 100 + u64::from(b - b'0') * 10 + u64::from(c - b'0'));
            trimmed_start(rest.get(1..).unwrap_or_default())
        }
        _ => &begin[..begin.len().min(12)],
    };
    let (mut word, _) = first(word);
    while let [before @ .., b':' | b',' | b';'] = word {
        word = before;
    }
    if is_enhanced(word) {
        wire.enhanced_status = word;
    }
    Some(())
}

/// `2.1.5`
fn is_enhanced(word: &[u8]) -> bool {
    let mut parts = word.split(|&octet| octet == b'.');
    let (class, subject, detail) = (parts.next(), parts.next(), parts.next());
    let short = |part: Option<&[u8]>| part.is_some_and(|part| digits(part, 3).is_some());
    matches!(class, Some(b"2" | b"4" | b"5")) && short(subject) && short(detail) && parts.next().is_none()
}

/// Whether what is left of a line is a status text and nothing else: `_is_text`. None where only Python can say it.
fn is_text(status: &[u8], action: u8, tables: &Tables) -> Option<bool> {
    if action == b'E' || action == b'D' || memmem::find(status, b" dns;").is_some() {
        return Some(false);
    }
    if is_reply(status) {
        return Some(true);
    }
    let open = memchr(b'(', status);
    let (name, after) = first(status);
    if !name.is_ascii() {
        return None;
    }
    Some(
        status[0].is_ascii_uppercase()
            && !after.is_empty()
            && open.is_none_or(|open| status[open - 1] != b' ')
            && !tables.is_word(name)
            && !name.starts_with(b"TCP|"),
    )
}

/// Whether a text begins with an SMTP reply: `fields.is_reply`.
fn is_reply(text: &[u8]) -> bool {
    matches!(text, [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9', b' ' | b'-', rest @ ..] if rest.first() != Some(&b' '))
}

/// A number of at most so many digits.
pub fn digits(text: &[u8], most: usize) -> Option<u64> {
    if text.is_empty() || text.len() > most {
        return None;
    }
    text.iter().try_fold(0, |value: u64, octet| octet.is_ascii_digit().then(|| value * 10 + u64::from(octet - b'0')))
}

/// A number of one to sixteen digits, in lower case.
fn hexadecimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    text.iter().try_fold(0, |value: u64, octet| match octet {
        b'0'..=b'9' => Some(value << 4 | u64::from(octet - b'0')),
        b'a'..=b'f' => Some(value << 4 | u64::from(octet - b'a' + 10)),
        _ => None,
    })
}

/// What stands before the first blank, and what after it; None without one.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = memchr(b' ', text)?;
    Some((&text[..blank], &text[blank + 1..]))
}

/// The first word, and what follows, with its blank.
fn first(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr(b' ', text).unwrap_or(text.len()))
}

/// The word behind a blank, and what follows, with its blank; None at the end.
fn next(text: &[u8]) -> Option<(&[u8], &[u8])> {
    text.strip_prefix(b" ").map(first)
}

/// `<id>` -> the id, which has neither a blank nor another `<`, and what follows.
fn enclosed(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"<")?;
    let end = memchr(b'>', text)?;
    let id = &text[..end];
    (!id.iter().any(|octet| matches!(octet, b'<' | b' '))).then_some((id, &text[end + 1..]))
}

/// Whether a field ends here.
fn ended(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b' '))
}

fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&octet| octet != b' ').map_or(0, |last| last + 1);
    &text[..end]
}

fn trimmed_start(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|&&octet| octet == b' ').count()..]
}
