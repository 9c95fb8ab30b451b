//! Lines of MTA text in the straight case: the twin of `shipper/formats/mta_straight.py`, which has the rules and the reasons.
//!
//! A line is taken only where this is sure to say what the Python does; for any doubt it is None, and Python reads that line. Everything here
//! is about octets: columns and lengths are only looked at where the octets are ASCII, which `run.rs` makes sure of.

use memchr::memmem;

use crate::octets::{find, find_any, find_piece, places};
use crate::run::Frame;
use crate::tables::{Field, Tables, Told};

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
    /// Whether it is a login that failed.
    pub failed: bool,
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

/// How many events there are: one for each letter of an action, and that of a login that failed.
pub const EVENTS: usize = 27;

impl<'a> Wire<'a> {
    /// The number of the event.
    pub fn event(&self) -> usize {
        if self.failed {
            EVENTS - 1
        } else {
            usize::from(self.code[0] - b'A')
        }
    }

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
    /// LOG_FORMAT 2 writes `<>` for no address.
    fn from(&mut self, sender: &'a [u8], original: &'a [u8]) {
        self.sender = address(sender);
        self.null_sender = self.sender.is_empty();
        self.original_recipient = address(original);
        self.original_recipient_type = b"rfc822";
    }

    /// All three addresses; of a bad command what stands for the recipient.
    pub fn to(&mut self, sender: &'a [u8], original: &'a [u8], recipient: &'a [u8]) {
        self.from(sender, original);
        if self.wire.code[0] == b'B' {
            self.bad_command = recipient;
        } else {
            self.recipient = address(recipient);
        }
    }

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
    let begin = &line[44.min(line.len())..line.len().min(90)];
    let transport = begin.get(1..).and_then(|rest| find_piece(b"TCP|", rest));
    line.len() > 50 && transport.is_some_and(|before| matches!(begin[before], b' ' | b':'))
}

/// `rest`: the line after its time stamp and the blank behind it; `record`: one of which nothing is known, which is lent, as moving it takes time.
pub fn message<'a>(rest: &'a [u8], tables: &Tables, record: &mut Message<'a>) -> Option<()> {
    let rest = head(rest, tables, record)?;
    optional(rest, tables, record)
}

/// Channels, code and size; what stands after their blank.
#[inline]
pub fn head<'a>(rest: &'a [u8], tables: &Tables, record: &mut Message<'a>) -> Option<&'a [u8]> {
    let rest = channels(rest, &mut record.wire, tables.told.as_ref())?;
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
    Some(rest)
}

/// Addresses, and what follows them.
#[inline]
fn optional<'a>(rest: &'a [u8], tables: &Tables, record: &mut Message<'a>) -> Option<()> {
    if let Some(told) = &tables.told {
        if let Some((Item::Text(sender), after)) = item(rest) {
            counted(sender, after, record, told)?;
            return Some(());
        }
    }

    let (sender, original, from) = addresses(rest)?;
    if find_any([b':', b';'], sender).is_some() {
        return None;
    }
    record.from(sender, original);
    if record.wire.code[0] == b'B' {
        bad_command(from, record)?;
        return Some(());
    }
    let (recipient, mut rest) = from.split_at(address_end(from));
    record.recipient = address(recipient);
    if let Some(told) = &tables.told {
        if let Some(rest) = rest.strip_prefix(b" ") {
            by_name(rest, record, told, tables)?;
        }
        return Some(());
    }

    // From here on `rest` is empty, or begins with the blank before the next field.
    if let Some((number, after)) = next(rest).filter(|(number, after)| digits(number, 18).is_some() && after.starts_with(b" /")) {
        record.notary_flags = digits(number, 18);
        rest = after;
    }
    if rest.starts_with(b" /") {
        let (file, after) = next(rest)?;
        let name = &file[memchr::memrchr(b'/', file)? + 1..];
        if name.is_empty() || find(b':', file).is_some() {
            return None;
        }
        queue_file(file, record);
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
        username(user, &mut record.wire);
    }
    let mut ip: &[u8] = b"";
    if let Some((name, after)) = next(rest) {
        let is_name = !name.iter().any(|octet| matches!(octet, b'(' | b')' | b';'));
        if is_name && (name.iter().any(|octet| matches!(octet, b'/' | b'\\')) || digits(name, 18).is_some()) {
            return None; // it may be a queue file, or notary flags
        }
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
        return Some(());
    }
    let status = rest.strip_prefix(b" ")?;
    if find_piece(b" TCP|", status).is_some() {
        return None;
    }
    if status.starts_with(b"dns;") || status.starts_with(b"smtp;") || status.starts_with(b"(TCP|") {
        delivery(status, record)?;
    } else {
        if user.is_empty() && ip.is_empty() || !is_text(status, record.wire.code[0], tables)? {
            return None;
        }
        reply(status, &mut record.wire)?;
    }
    Some(())
}

pub fn connection<'a>(rest: &'a [u8], tables: &Tables, record: &mut Connection<'a>) -> Option<()> {
    let rest = channels(rest, &mut record.wire, tables.told.as_ref())?;
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
    if rest.first().is_some_and(u8::is_ascii_digit) {
        counted_connection(rest, &mut record.wire)?;
        return judge(&mut record.wire, tables);
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
        if is_reply(status) {
            reply(status, &mut record.wire)?;
        } else if action == b'U' {
            let (name, after) = word(status).filter(|(name, _)| !name.is_empty())?;
            let told = tables.told.as_ref().is_some_and(|told| told.fields.contains(&Field::Username));
            if !(name[0] == b'*' || tables.is_account(name) || told || is_reply(after)) {
                return None;
            }
            username(name, &mut record.wire);
            reply(after, &mut record.wire)?;
        } else {
            let (name, after) = first(status);
            if !name.first().is_some_and(u8::is_ascii_uppercase) || name.contains(&b'|') || after.len() < 2 {
                return None;
            }
            reply(status, &mut record.wire)?;
        }
    }
    judge(&mut record.wire, tables)
}

/// Transport, application, user name and diagnostic of LOG_FORMAT 3: `_connection_tail`.
fn counted_connection<'a>(rest: &'a [u8], wire: &mut Wire<'a>) -> Option<()> {
    if !rest.is_ascii() {
        return None;
    }
    let (transport, rest) = text_item(rest)?;
    let (name, rest) = text_item(rest)?;
    let (user, rest) = text_item(rest)?;
    let (status, rest) = text_item(rest)?;
    if !transport.is_empty() {
        ports(transport, wire)?;
    }
    if !name.is_empty() {
        application(name, wire)?;
    }
    if !user.is_empty() {
        username(user, wire);
    }
    if !status.is_empty() {
        reply(status, wire)?;
    }
    rest.is_empty().then_some(())
}

/// Of a login: whether it failed, by the server's reply, else by the words of its texts: `fields.auth_failed`.
pub fn judge(wire: &mut Wire, tables: &Tables) -> Option<()> {
    if wire.code[0] == b'U' {
        wire.failed = match wire.smtp_code {
            Some(code) => code >= 400,
            None if wire.tag.is_ascii() && wire.diagnostic.is_ascii() => tables.says_failed([wire.tag, wire.diagnostic]),
            None => return None,
        };
    }
    Some(())
}

/// The optional fields of a server whose options are known: `_by_name`.
fn by_name<'a>(rest: &'a [u8], record: &mut Message<'a>, told: &Told, tables: &Tables) -> Option<()> {
    if !rest.is_ascii() {
        return None;
    }
    let mut rest = rest;
    let action = record.wire.code[0];
    let (plain, dequeues) = (matches!(action, b'E' | b'D'), matches!(action, b'D' | b'K' | b'Q' | b'R' | b'W' | b'Z'));
    if told.queue_time && dequeues {
        let blank = memchr::memrchr(b' ', rest);
        if let Some(seconds) = digits(&rest[blank.map_or(0, |blank| blank + 1)..], 18) {
            record.queue_seconds = Some(seconds);
            rest = &rest[..blank.unwrap_or(0)];
        }
    }
    for &field in &told.fields[..told.known] {
        if rest.is_empty() {
            return Some(());
        }
        let after = word(rest).map_or(&b""[..], |(_, after)| after);
        if !plain && is_reply(trimmed_start(rest)) && !optional_follows(after, tables)? {
            break;
        }
        if field == Field::Filter && after.starts_with(b"dns;") {
            break; // the name of the host that follows once more
        }
        let id_end = if field == Field::MessageId { message_id_end(rest) } else { 0 };
        let mut end = 0;
        if field == Field::Connection {
            end = system_end(rest, plain, tables)?;
            if end == 0 {
                continue;
            }
            source_system(&rest[..end], &mut record.wire);
        } else if id_end > 0 {
            end = id_end;
            message_id(&rest[..end], record);
        } else if rest[0] != b' ' {
            end = address_end(rest);
            if !takes(record, field, &rest[..end], plain, tables)? {
                continue;
            }
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    left(trimmed_start(rest), dequeues, record)
}

/// Puts a word into its field; false when it cannot be that: `_takes`.
fn takes<'a>(record: &mut Message<'a>, field: Field, word: &'a [u8], plain: bool, tables: &Tables) -> Option<bool> {
    if [&b"dns;"[..], b"TCP|", b"(TCP|", b"smtp;", b"lmtp;"].iter().any(|begin| word.starts_with(begin)) {
        return Some(false);
    }
    match field {
        Field::Application => {
            if !(word.starts_with(b"SMTP") || word.starts_with(b"LMTP")) {
                return Some(false);
            }
            application(word, &mut record.wire)?;
        }
        Field::Notary | Field::QueueTime => {
            let number = digits(word, 18);
            if number.is_none() {
                return Some(false);
            }
            if field == Field::Notary {
                record.notary_flags = number;
            } else {
                record.queue_seconds = number;
            }
        }
        Field::Filename => {
            if !word.contains(&b'/') && !word.contains(&b'\\') {
                return Some(false);
            }
            queue_file(word, record);
        }
        Field::EnvelopeId => {
            if word[0] == b'<' {
                return Some(false);
            }
            record.envelope_id = word;
        }
        Field::Username => username(word, &mut record.wire),
        Field::Sensitivity | Field::Priority => {
            if digits(word, 18).is_none() && !tables.is_word(word) {
                return Some(false);
            }
            if field == Field::Sensitivity {
                record.sensitivity = word;
            } else {
                record.priority = word;
            }
        }
        Field::Intermediate | Field::Initial => {
            if word != b"<>" {
                if !word.contains(&b'@') {
                    return Some(false);
                }
                if field == Field::Intermediate {
                    record.intermediate_address = word;
                } else {
                    record.initial_address = word;
                }
            }
        }
        Field::Filter if plain => record.filter = word,
        _ => return Some(false),
    }
    Some(true)
}

/// What is left: the delivery status, with transport, application and queue time behind it: `_tail`.
pub fn left<'a>(rest: &'a [u8], dequeues: bool, record: &mut Message<'a>) -> Option<()> {
    let mut rest = rest;
    let found = if rest.starts_with(b"TCP|") { Some(0) } else { memmem::rfind(rest, b" TCP|").map(|blank| blank + 1) };
    if let Some(found) = found {
        let (transport, after) = first(&rest[found..]);
        ports(transport, &mut record.wire)?;
        rest = &rest[..found.saturating_sub(1)];
        if let Some((name, after)) = next(after) {
            let seconds = digits(name, 18);
            if seconds.is_some() && after.is_empty() {
                record.queue_seconds = seconds;
            } else {
                application(name, &mut record.wire)?;
                if let Some(after) = after.strip_prefix(b" ") {
                    record.queue_seconds = Some(digits(after, 18)?);
                }
            }
        }
    }
    match digits(rest, 18).filter(|_| dequeues) {
        Some(seconds) => record.queue_seconds = Some(seconds),
        None if rest.is_empty() => {}
        None => diagnostic(rest, record)?,
    }
    Some(())
}

/// `[HOST ]dns;HOST (TCP|…|…|…|…) (banner) smtp;250 2.1.5 …`, each part optional: `fields.diagnostic`.
pub fn diagnostic<'a>(text: &'a [u8], record: &mut Message<'a>) -> Option<()> {
    let mut rest = text;
    if !text.starts_with(b"dns;") {
        if let Some((name, after)) = word(text) {
            if after.starts_with(b"dns;") && !name.iter().any(|octet| matches!(octet, b';' | b'(')) {
                record.remote_mta = name;
                rest = after;
            }
        }
    }
    delivery(rest, record)
}

/// Whether another optional field begins here: `_optional_follows`.
pub fn optional_follows(text: &[u8], tables: &Tables) -> Option<bool> {
    let (name, _) = first(text);
    let begins = matches!(text.first(), Some(b'<' | b'*'));
    Some(begins || tables.is_account(name) || is_queue_file(name) || system_end(text, false, tables)? > 0)
}

/// A path as the queue has them: `_is_queue_file`.
pub fn is_queue_file(name: &[u8]) -> bool {
    let has = |part: &[u8]| memmem::find(name, part).is_some();
    if name.first() == Some(&b'/') {
        return !has(b"://");
    }
    (has(b"queue/") && name[0] != b'(' && !name.contains(&b';') && !has(b"://")) || (name.get(1..3) == Some(b":\\") && has(b"\\queue\\"))
}

/// The index after the source system at the beginning of a text, 0 where there is none: `_source_system_end`. None where only Python can say it.
pub fn system_end(rest: &[u8], plain: bool, tables: &Tables) -> Option<usize> {
    if rest.starts_with(b"(TCP|") {
        return Some(0);
    }
    let ends = |at: usize| matches!(rest.get(at), None | Some(b' '));
    let is_host = |name: &[u8]| {
        (name.contains(&b'.') && !name.iter().any(|octet| matches!(octet, b'@' | b';')) && !name.ends_with(b".")) || tables.is_daemon(name)
    };
    let Some(open) = find(b'(', rest) else {
        let (name, after) = first(rest);
        let last = after.len() < 2 || (digits(first(&after[1..]).0, 18).is_some() && !is_reply(&after[1..]));
        return Some(if last && is_host(name) { name.len() } else { 0 });
    };
    if open > 0 {
        let name = &rest[..open];
        if name[open - 1] != b' ' || name[..open - 1].contains(&b' ') || name.contains(&b';') {
            return Some(0);
        }
        if plain {
            let named = &rest[open + 1..open + find(b')', &rest[open..])?];
            let end = open + named.len() + 2;
            if is_host(named) && !named.iter().any(|octet| matches!(octet, b' ' | b'|' | b'[')) && ends(end) {
                return Some(end);
            }
        }
    }
    let Some(close) = find_piece(b"])", &rest[open..]).map(|at| open + at) else { return Some(0) };
    let Some(bracket) = memchr::memrchr(b'[', &rest[open..close]).map(|at| open + at) else { return Some(0) };
    Some(if is_ip(&rest[bracket + 1..close]) && ends(close + 2) { close + 2 } else { 0 })
}

/// `helo-name (dns-name [ip])`, or a part of it: `fields.source_system`.
pub fn source_system<'a>(text: &'a [u8], wire: &mut Wire<'a>) {
    let Some(open) = find(b'(', text).filter(|_| text.ends_with(b")")) else {
        wire.remote_name = trimmed(trimmed_start(text));
        return;
    };
    wire.remote_name = trimmed(&text[..open]);
    let inner = trimmed(trimmed_start(&text[open + 1..text.len() - 1]));
    if let (Some(bracket), Some(whole)) = (memchr::memrchr(b'[', inner), inner.strip_suffix(b"]")) {
        if is_ip(&whole[bracket + 1..]) {
            wire.remote_dns = trimmed(&inner[..bracket]);
            wire.remote_ip = without_version(&whole[bracket + 1..]);
            return;
        }
    }
    wire.remote_dns = inner;
}

/// An address as the log writes it between brackets: `fields.is_ip`.
fn is_ip(text: &[u8]) -> bool {
    without_version(text).iter().all(|octet| octet.is_ascii_hexdigit() || matches!(octet, b'.' | b':' | b'%'))
}

fn without_version(ip: &[u8]) -> &[u8] {
    ip.strip_prefix(b"IPv6:").unwrap_or(ip)
}

/// `SMTP/initial-host/dns-host/TLS-128-RC4`, or a part of it: `fields.application`. None for another protocol.
pub fn application<'a>(text: &'a [u8], wire: &mut Wire<'a>) -> Option<()> {
    if !wire.application.is_empty() {
        return None; // of two, what the first said of the hosts would stay
    }
    wire.application = text;
    let mut parts = text.split(|&octet| octet == b'/');
    if !matches!(parts.next(), Some(b"SMTP" | b"LMTP")) {
        return None;
    }
    if let Some(last) = parts.clone().next_back().filter(|last| last.starts_with(b"TLS")) {
        wire.tls_cipher = last;
        parts.next_back();
    }
    wire.initial_host = parts.next().unwrap_or_default();
    wire.dns_host = parts.next().unwrap_or_default();
    Some(())
}

/// `/imta/queue/l/ZZ01IWFY9ELGWM00094D.00`: `fields.queue_file`.
pub fn queue_file<'a>(file: &'a [u8], record: &mut Message<'a>) {
    let name = &file[memchr::memrchr(b'/', file).map_or(0, |slash| slash + 1)..];
    record.queue_file = file;
    record.queue_id = name;
    if let [b'Z', turn @ b'A'..=b'Z', id @ ..] = name {
        if !id.is_empty() {
            record.queue_id = id;
            record.attempt = Some(u64::from(91 - turn));
        }
    }
}

/// The index after `<id>` or `<new>,<original>`; 0 when that is not there: `_message_id_end`.
pub fn message_id_end(text: &[u8]) -> usize {
    if text.first() != Some(&b'<') {
        return 0;
    }
    let close = |from: usize| find(b'>', &text[from..]).map(|at| from + at);
    let mut end = close(0);
    if let Some(first) = end.filter(|&end| text[end + 1..].starts_with(b",<")) {
        end = close(first + 2);
    }
    end.filter(|&end| ended(&text[end + 1..])).map_or(0, |end| end + 1)
}

/// `<id>` or `<new>,<original>`: `fields.message_id`.
pub fn message_id<'a>(text: &'a [u8], record: &mut Message<'a>) {
    let [b'<', inner @ .., b'>'] = text else {
        record.message_id = text;
        return;
    };
    match find_piece(b">,<", inner) {
        Some(at) => (record.message_id, record.related_message_id) = (&inner[..at], &inner[at + 3..]),
        None => record.message_id = inner,
    }
}

/// The executing account, or behind an asterisk who has authenticated: `fields.username`.
pub fn username<'a>(user: &'a [u8], wire: &mut Wire<'a>) {
    wire.authenticated |= user[0] == b'*'; // where a lone asterisk came before it
    wire.username = user.strip_prefix(b"*").unwrap_or(user);
}

/// The fields of LOG_FORMAT 3 behind the sender: `_from_counted`, `_counted_by_name`.
fn counted<'a>(sender: &'a [u8], rest: &'a [u8], record: &mut Message<'a>, told: &Told) -> Option<()> {
    // Characters are counted there.
    if !(sender.is_ascii() && rest.is_ascii()) {
        return None;
    }
    let (original, rest) = text_item(rest)?;
    let (recipient, mut rest) = text_item(rest)?;
    record.to(sender, original.strip_prefix(b"rfc822;")?, recipient);
    for &field in &told.fields {
        if rest.is_empty() {
            break;
        }
        let is_number = matches!(field, Field::Notary | Field::Sensitivity | Field::Priority | Field::QueueTime);
        let (item, after) = item(rest)?;
        match item {
            Item::Text(_) if is_number => continue,
            Item::Text(b"") => {}
            Item::Text(text) => match field {
                Field::Filename => queue_file(text, record),
                Field::EnvelopeId => record.envelope_id = text,
                Field::MessageId => message_id(text, record),
                Field::Username => username(text, &mut record.wire),
                Field::Connection => source_system(text, &mut record.wire),
                Field::Intermediate => record.intermediate_address = address(text),
                Field::Initial => record.initial_address = address(text),
                Field::Filter => record.filter = text,
                Field::Reason => record.wire.reason = text,
                Field::Diagnostic => diagnostic(text, record)?,
                Field::Transport => ports(text, &mut record.wire)?,
                Field::Application => application(text, &mut record.wire)?,
                Field::Notary | Field::Sensitivity | Field::Priority | Field::QueueTime => return None,
            },
            Item::Number(text) if is_number && (text == b"0" || text[0] != b'0') => match field {
                Field::Notary => record.notary_flags = digits(text, 10),
                Field::QueueTime => record.queue_seconds = digits(text, 10),
                Field::Sensitivity => record.sensitivity = text,
                _ => record.priority = text,
            },
            Item::Number(_) => return None,
        }
        rest = after;
    }
    rest.is_empty().then_some(())
}

/// What LOG_FORMAT 3 writes: a number, or a text behind the count of its characters.
pub enum Item<'a> {
    Number(&'a [u8]),
    Text(&'a [u8]),
}

/// The item that a text begins with, and what follows its blank: `_counted`.
pub fn item(text: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let end = text.iter().take(10).take_while(|octet| octet.is_ascii_digit()).count();
    let count = digits(&text[..end], 10)?;
    let (item, rest) = if text.get(end) == Some(&b':') {
        let text = &text[end + 1..];
        let size = usize::try_from(count).ok().filter(|&size| size <= text.len())?;
        (Item::Text(&text[..size]), &text[size..])
    } else {
        (Item::Number(&text[..end]), &text[end..])
    };
    match rest {
        [] => Some((item, rest)),
        [b' ', rest @ ..] => Some((item, rest)),
        _ => None,
    }
}

pub fn text_item(text: &[u8]) -> Option<(&[u8], &[u8])> {
    match item(text)? {
        (Item::Text(text), rest) => Some((text, rest)),
        _ => None,
    }
}

pub fn address(text: &[u8]) -> &[u8] {
    if text == b"<>" {
        b""
    } else {
        text
    }
}

/// Whether the two channels and a code begin here: one turn of `_columns`.
fn in_columns(rest: &[u8]) -> bool {
    let Some((destination, code)) = column(rest).and_then(|(_, rest)| column(rest)) else { return false };
    let (code, _) = first(code);
    is_code(code) && !matches!(destination, [b'A'..=b'Z'])
}

/// Node, process, or both, of a server whose options are known, before the channels that begin in `after`: `_before`.
fn before<'a>(name: &'a [u8], after: &'a [u8], wire: &mut Wire<'a>, told: &Told) -> Option<&'a [u8]> {
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    if let Some((second, behind)) = word(after) {
        if second.len() < 12 && process(second, wire) {
            wire.host = name;
            return Some(behind);
        }
    }
    if !(told.node || told.process) {
        return None;
    }
    if !process(name, wire) {
        let other = name.iter().any(|octet| !(octet.is_ascii_hexdigit() || *octet == b'.')); // else a process of another form
        wire.host = (told.node && other).then_some(name)?;
    }
    Some(after)
}

/// `[node] [process] source channel`, and what stands after that.
fn channels<'a>(rest: &'a [u8], wire: &mut Wire<'a>, told: Option<&Told>) -> Option<&'a [u8]> {
    let (name, after) = word(rest)?;
    let mut rest = rest;
    let mut usual = true;
    if let Some(told) = told {
        if !(if name.len() < 12 { after.starts_with(b" ") } else { in_columns(rest) }) {
            rest = before(name, after, wire, told)?;
        }
    } else if process(name, wire) {
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
pub fn process(name: &[u8], wire: &mut Wire) -> bool {
    let (mut numbers, mut count, mut digits) = ([0u64; 3], 0, 0);
    for &octet in name {
        let digit = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'f' => octet - b'a' + 10,
            b'.' if digits > 0 && count < 2 => {
                (count, digits) = (count + 1, 0);
                continue;
            }
            _ => return false,
        };
        digits += 1;
        numbers[count] = numbers[count] << 4 | u64::from(digit);
        if digits > 16 {
            return false;
        }
    }
    if digits == 0 || count == 0 {
        return false;
    }
    let [pid, second, third] = numbers;
    wire.pid = Some(pid);
    (wire.thread, wire.sequence) = if count == 2 { (Some(second), Some(third)) } else { (wire.thread, Some(second)) };
    true
}

/// A word, or none, padded to twelve columns, and what stands after the blank that ends them; a longer one pushes what follows.
fn column(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(begin) = rest.first_chunk() {
        let blanks = places(b' ', begin);
        let end = blanks.trailing_zeros();
        if end <= 12 {
            let padded = (blanks >> end).trailing_ones() > 12 - end;
            return padded.then(|| (&rest[..end as usize], &rest[13..]));
        }
    }
    let end = find(b' ', rest)?;
    let next = end.max(12) + 1;
    (rest.len() > next && rest[end..next].iter().all(|&octet| octet == b' ')).then(|| (&rest[..end], &rest[next..]))
}

/// `sender rfc822;original recipient …` -> sender, original recipient, and what stands from the recipient on.
pub fn addresses(tail: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (sender, rest) = word(tail)?;
    if let Some(rest) = rest.strip_prefix(b"rfc822;") {
        let (original, from) = word(rest)?;
        if find(b'"', &tail[..tail.len() - from.len()]).is_none() {
            return Some((sender, original, from));
        }
    }
    // With quotation marks, inside which blanks are no ends. What begins with a digit could be a counted field.
    if !tail[0].is_ascii_punctuation() && !tail[0].is_ascii_alphabetic() && !tail.starts_with(b" rfc822;") {
        return None;
    }
    let at = find_piece(b" rfc822;", tail)?;
    let rest = &tail[at + 8..];
    let (original, from) = rest.split_at(address_end(rest));
    Some((&tail[..at], original, from.strip_prefix(b" ")?))
}

/// Where the address at the beginning of a text ends: `_address_end`.
pub fn address_end(text: &[u8]) -> usize {
    match find_any([b' ', b'"'], text) {
        Some(end) if text[end] == b'"' => {}
        end => return end.unwrap_or(text.len()),
    }
    let (mut quoted, mut position) = (false, 0);
    while let Some(length) = find(b' ', &text[position..]) {
        let blank = position + length;
        let piece = &text[position..blank];
        let marks = piece.iter().filter(|&&octet| octet == b'"').count();
        if marks > 0 {
            let escaped = memmem::find_iter(piece, b"\\\"").count();
            quoted ^= (marks - escaped) % 2 == 1;
        }
        if !quoted || find(b'"', &text[blank..]).is_none() {
            return blank;
        }
        position = blank + 1;
    }
    text.len()
}

/// What stands for the recipient of a B record: the command, and the reply to it.
pub fn bad_command<'a>(from: &'a [u8], record: &mut Message<'a>) -> Option<()> {
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
    if !is_code(code) {
        return None;
    }
    wire.code = code;
    Some(after)
}

pub fn is_code(text: &[u8]) -> bool {
    (1..=8).contains(&text.len()) && text.iter().all(u8::is_ascii_uppercase)
}

/// `TCP|local ip|local port|remote ip|remote port`, none of which may have a blank.
pub fn ports<'a>(text: &'a [u8], wire: &mut Wire<'a>) -> Option<()> {
    let part = |text: &'a [u8]| find(b'|', text).map(|end| (&text[..end], &text[end + 1..]));
    let (local_ip, rest) = part(text.strip_prefix(b"TCP|")?)?;
    let (local_port, rest) = part(rest)?;
    let (remote_ip, remote_port) = part(rest)?;
    (wire.local_ip, wire.local_port) = (local_ip, Some(digits(local_port, 5)?));
    (wire.remote_ip, wire.remote_port) = (remote_ip, Some(digits(remote_port, 5)?));
    wire.tcp = true;
    Some(())
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
    let end = find(b']', text)?;
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
        let end = find(b')', rest)?;
        // Another transport than a plain one is left to Python, that it has no blank too.
        if find(b' ', &rest[1..end]).is_some() {
            return None;
        }
        ports(&rest[1..end], &mut record.wire)?;
        rest = trimmed_start(&rest[end + 1..]);
    }
    if rest.first() == Some(&b'(') {
        let end = find_piece(b") smtp;", rest)?; // else an LMTP reply, or parentheses to be counted
                                                 // Between two such ends the straight expression takes the first that a whole reply follows, the long way the first.
        if find_piece(b") smtp;", &rest[end + 1..]).is_some() {
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
pub fn reply<'a>(text: &'a [u8], wire: &mut Wire<'a>) -> Option<()> {
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
    if action == b'E' || action == b'D' || find_piece(b" dns;", status).is_some() {
        return Some(false);
    }
    if is_reply(status) {
        return Some(true);
    }
    let open = find(b'(', status);
    let (name, after) = first(status);
    if !name.is_ascii() {
        return None;
    }
    Some(
        (status[0].is_ascii_alphabetic() || is_enhanced(name))
            && after.len() > 1
            && !after[1].is_ascii_digit() // a source system, and then sensitivity or priority
            && open.is_none_or(|open| status[open - 1] != b' ')
            && !tables.is_word(name)
            && !name.starts_with(b"TCP|"),
    )
}

/// Whether a text begins with an SMTP reply: `fields.is_reply`.
pub fn is_reply(text: &[u8]) -> bool {
    matches!(text, [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9', b' ' | b'-', rest @ ..] if rest.first() != Some(&b' '))
}

/// A number of at most so many digits.
pub fn digits(text: &[u8], most: usize) -> Option<u64> {
    if text.is_empty() || text.len() > most {
        return None;
    }
    text.iter().try_fold(0, |value: u64, octet| octet.is_ascii_digit().then(|| value * 10 + u64::from(octet - b'0')))
}

/// What stands before the first blank, and what after it; None without one.
#[inline]
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = find(b' ', text)?;
    Some((&text[..blank], &text[blank + 1..]))
}

/// The first word, and what follows, with its blank.
#[inline]
fn first(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(find(b' ', text).unwrap_or(text.len()))
}

/// The word behind a blank, and what follows, with its blank; None at the end.
fn next(text: &[u8]) -> Option<(&[u8], &[u8])> {
    text.strip_prefix(b" ").map(first)
}

/// `<id>` -> the id, which has neither a blank nor another `<`, and what follows.
fn enclosed(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"<")?;
    let end = find_any([b'>', b'<', b' '], text)?;
    (text[end] == b'>').then_some((&text[..end], &text[end + 1..]))
}

/// Whether a field ends here.
fn ended(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b' '))
}

fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&octet| octet != b' ').map_or(0, |last| last + 1);
    &text[..end]
}

pub fn trimmed_start(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|&&octet| octet == b' ').count()..]
}
