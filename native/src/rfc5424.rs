//! Syslog messages of straight records: `shipper/profiles/rfc5424.py`, which has the rules; the parameters are in the order of its `PARAMETERS`.
//!
//! What Python cuts in another way than here is None, and left to it.

use crate::json::number;
use crate::messages::Text;
use crate::mta::{Connection, Message, Wire};
use crate::payloads;
use crate::run::{Frame, Line, Place, Straight};
use crate::service::Service;

/// What an action decides in every record that has it.
pub struct Event {
    pub priority: u64,
    /// APP-NAME, or the tag of RFC 3164.
    pub application: Vec<u8>,
    /// MSGID, with the blank behind it.
    pub id: Vec<u8>,
    /// What was done, for the summary.
    pub action: Vec<u8>,
}

/// The parameters, in the order in which Python names and a message has them.
#[derive(Clone, Copy)]
enum Name {
    Id,
    Code,
    Sender,
    NullSender,
    Recipient,
    SourceChannel,
    DestinationChannel,
    Direction,
    Username,
    Authenticated,
    RemoteIp,
    RemotePort,
    LocalIp,
    LocalPort,
    MessageId,
    RelatedMessageId,
    SmtpCode,
    EnhancedStatus,
    Diagnostic,
    Reason,
    AccountState,
    AuthMethod,
    OriginalRecipient,
    OriginalRecipientType,
    SizeBlocks,
    SizeBytes,
    Folder,
    QueueFile,
    Attempt,
    EnvelopeId,
    Helo,
    RemoteDns,
    RemoteMta,
    InitialHost,
    DnsHost,
    Application,
    TlsCipher,
    Transport,
    Tag,
    BadCommand,
    NotaryFlags,
    QueueSeconds,
    IntermediateAddress,
    InitialAddress,
    Filter,
    Priority,
    Sensitivity,
    Banner,
    Service,
    Category,
    Level,
    SessionStart,
    SessionSeconds,
    BytesFromClient,
    BytesToClient,
    Mailboxes,
    Thread,
    Sequence,
}

/// How many names there are.
pub const NAMES: usize = Name::Sequence as usize + 1;

/// The same of services' records.
pub struct Case {
    pub id: Vec<u8>,
    /// ` act="login"`, or nothing.
    pub act: Vec<u8>,
}

/// What Python tells of a style.
pub struct Syslog {
    /// By their number (`Wire::event`).
    pub events: Vec<Event>,
    /// Of services' records, by their case; the MSGID of text; the priorities of both, by severity.
    pub services: Vec<Case>,
    pub text: Vec<u8>,
    pub priorities: Vec<u64>,
    /// ` name="`
    pub names: Vec<Vec<u8>>,
    /// The host of lines that name none, as a header has it.
    pub host: Vec<u8>,
    /// `[timeQuality …]` of the log's zone, and of a time that names its own; `[origin …]`
    pub quality: Vec<u8>,
    pub own_quality: Vec<u8>,
    pub origin: Vec<u8>,
    /// `[mta@32473`, `[conn@32473`, `[svc@32473`, `[log@32473`
    pub elements: [Vec<u8>; 4],
    /// Octets of a message, 0 for any.
    pub most: usize,
    /// RFC 3164, that without a host, and that with the line itself.
    pub old: bool,
    pub local: bool,
    pub raw: bool,
    pub months: Vec<Vec<u8>>,
}

/// What the header of a message says of its record, but for the time.
struct Head<'a> {
    priority: u64,
    host: &'a [u8],
    application: &'a [u8],
    pid: Option<u64>,
    id: &'a [u8],
    quality: &'a [u8],
}

/// The structured data of one message, and where each of its parameters ends.
struct Parameters<'a> {
    out: &'a mut Vec<u8>,
    told: &'a Syslog,
    clean: bool,
    ends: [usize; NAMES + 1],
    count: usize,
}

impl Parameters<'_> {
    #[inline]
    fn text(&mut self, name: Name, value: &[u8]) {
        if !value.is_empty() {
            self.out.extend_from_slice(&self.told.names[name as usize]);
            escaped(self.out, value, self.clean, true);
            self.out.push(b'"');
            self.ended();
        }
    }

    #[inline]
    fn number(&mut self, name: Name, value: Option<u64>) {
        if let Some(value) = value {
            self.out.extend_from_slice(&self.told.names[name as usize]);
            number(self.out, value);
            self.out.push(b'"');
            self.ended();
        }
    }

    fn truth(&mut self, name: Name, value: bool) {
        self.number(name, value.then_some(1));
    }

    fn ended(&mut self) {
        self.ends[self.count] = self.out.len();
        self.count += 1;
    }
}

/// What a message is made with, beside its record. `priority`: None: as the record has it.
struct With<'a> {
    told: &'a Syslog,
    frame: &'a Frame,
    place: &'a Place<'a>,
    priority: Option<u64>,
    id: &'a [u8],
}

impl Syslog {
    /// The message of a record, whose id is known. None, and anything in `out`, where Python is to write it.
    pub fn write(&self, out: &mut Vec<u8>, straight: &Straight, frame: &Frame, priority: Option<u64>, id: &[u8]) -> Option<()> {
        let with = With { told: self, frame, place: &straight.place, priority, id };
        match straight.line {
            Line::Message(record) => message(out, record, &with),
            Line::Connection(record) => connection(out, record, &with),
            Line::Service(record) => service(out, record, &with),
            Line::Text(record) => text(out, record, &with),
        }
    }
}

fn message(out: &mut Vec<u8>, record: &Message, with: &With) -> Option<()> {
    let wire = &record.wire;
    let event = &with.told.events[wire.event()];
    let parameters = |said: &mut Parameters| {
        said.text(Name::Code, wire.code);
        said.text(Name::Sender, record.sender);
        said.truth(Name::NullSender, record.null_sender);
        said.text(Name::Recipient, record.recipient);
        said.text(Name::SourceChannel, wire.source_channel);
        said.text(Name::DestinationChannel, record.destination_channel);
        said.text(Name::Direction, wire.direction);
        ends(said, wire);
        said.text(Name::MessageId, record.message_id);
        said.text(Name::RelatedMessageId, record.related_message_id);
        status(said, wire);
        said.text(Name::OriginalRecipient, record.original_recipient);
        said.text(Name::OriginalRecipientType, record.original_recipient_type);
        said.number(Name::SizeBlocks, record.size_blocks);
        said.text(Name::QueueFile, record.queue_file);
        said.number(Name::Attempt, record.attempt);
        said.text(Name::EnvelopeId, record.envelope_id);
        names(said, wire, record.remote_mta);
        said.text(Name::BadCommand, record.bad_command);
        said.number(Name::NotaryFlags, record.notary_flags);
        said.number(Name::QueueSeconds, record.queue_seconds);
        said.text(Name::IntermediateAddress, record.intermediate_address);
        said.text(Name::InitialAddress, record.initial_address);
        said.text(Name::Filter, record.filter);
        said.text(Name::Priority, record.priority);
        said.text(Name::Sensitivity, record.sensitivity);
        said.text(Name::Banner, record.banner);
        said.number(Name::Thread, wire.thread);
        said.number(Name::Sequence, wire.sequence);
    };
    let text = payloads::message_text(record, &event.action, with.frame, with.place);
    written(out, with, 0, &of_mta(event, wire, with), parameters, &text)
}

fn connection(out: &mut Vec<u8>, record: &Connection, with: &With) -> Option<()> {
    let wire = &record.wire;
    let event = &with.told.events[wire.event()];
    let parameters = |said: &mut Parameters| {
        said.text(Name::Code, wire.code);
        said.text(Name::SourceChannel, wire.source_channel);
        said.text(Name::Direction, wire.direction);
        ends(said, wire);
        status(said, wire);
        names(said, wire, b"");
        said.number(Name::Thread, wire.thread);
        said.number(Name::Sequence, wire.sequence);
    };
    let text = payloads::connection_text(record, &event.action, with.frame, with.place);
    written(out, with, 1, &of_mta(event, wire, with), parameters, &text)
}

fn service(out: &mut Vec<u8>, record: &Service, with: &With) -> Option<()> {
    let told = with.told;
    let case = &told.services[record.case(&with.frame.service)];
    let parameters = |said: &mut Parameters| {
        if !case.act.is_empty() {
            said.out.extend_from_slice(&case.act);
            said.ended();
        }
        said.text(Name::Username, record.user);
        said.text(Name::RemoteIp, record.client_ip);
        said.number(Name::RemotePort, record.client_port);
        said.text(Name::MessageId, record.message_id);
        said.text(Name::Reason, record.reason);
        said.text(Name::AccountState, record.account_state);
        said.text(Name::AuthMethod, record.auth_method);
        said.number(Name::SizeBytes, record.size);
        said.text(Name::Folder, record.folder);
        said.text(Name::Service, record.service);
        said.text(Name::Category, record.category);
        said.text(Name::Level, record.level);
        if let Some(session) = &record.session {
            said.text(Name::SessionStart, &session.start(with.place.time));
            said.number(Name::SessionSeconds, Some(session.seconds));
            if let Some([from_client, to_client, mailboxes]) = session.counts {
                said.number(Name::BytesFromClient, Some(from_client));
                said.number(Name::BytesToClient, Some(to_client));
                said.number(Name::Mailboxes, Some(mailboxes));
            }
        }
    };
    let head = Head {
        priority: with.priority_of(told.priorities[record.severity]),
        host: record.host,
        application: record.process,
        pid: Some(record.pid),
        id: &case.id,
        quality: &told.own_quality,
    };
    written(out, with, 2, &head, parameters, &[with.text_of(record.message)])
}

fn text(out: &mut Vec<u8>, record: &Text, with: &With) -> Option<()> {
    let (told, header) = (with.told, record.header);
    let head = Head {
        priority: with.priority_of(told.priorities[header.severity]),
        host: header.host,
        application: header.app,
        pid: header.pid(),
        id: &told.text,
        quality: if record.own { &told.own_quality } else { &told.quality },
    };
    written(out, with, 3, &head, |_| (), &[with.text_of(record.message)])
}

fn of_mta<'a>(event: &'a Event, wire: &Wire<'a>, with: &With<'a>) -> Head<'a> {
    Head {
        priority: with.priority_of(event.priority),
        host: wire.host,
        application: &event.application,
        pid: wire.pid,
        id: &event.id,
        quality: &with.told.quality,
    }
}

impl<'a> With<'a> {
    /// The priority: that asked for, or the record's, whose facility is that of its header, if it has one.
    fn priority_of(&self, own: u64) -> u64 {
        self.priority
            .unwrap_or_else(|| self.place.header.filter(|header| header.told).map_or(own, |header| header.facility as u64 * 8 + own % 8))
    }

    /// The text of a record that has a message of its own.
    fn text_of(&self, message: &'a [u8]) -> &'a [u8] {
        if self.told.raw && self.frame.raw {
            self.place.raw
        } else {
            message
        }
    }
}

/// A message with these parameters behind the id. `kind`: the number of its element.
#[inline]
fn written(
    out: &mut Vec<u8>,
    with: &With,
    kind: usize,
    head: &Head,
    parameters: impl FnOnce(&mut Parameters),
    text: &[&[u8]],
) -> Option<()> {
    let (told, place) = (with.told, with.place);
    let (start, clean) = (out.len(), is_clean(place.raw));
    header(out, head, told, place.time)?;
    let begun = out.len();
    let mut known = ([0; NAMES + 1], 0);
    if !told.old {
        out.extend_from_slice(&told.origin);
        out.extend_from_slice(&told.elements[kind]);
        let mut said = Parameters { out, told, clean, ends: known.0, count: 0 };
        said.ended(); // where the first one begins
        said.text(Name::Id, with.id);
        parameters(&mut said);
        known = (said.ends, said.count);
        out.extend_from_slice(b"] ");
    }
    let said = out.len();
    for piece in text {
        escaped(out, piece, clean, false);
    }
    if told.most == 0 || out.len() - start <= told.most {
        return Some(());
    }
    fitted(out, told, kind, start, begun, &known.0[..known.1], said)
}

/// All before the structured data, or before the text of RFC 3164.
fn header(out: &mut Vec<u8>, head: &Head, told: &Syslog, time: &[u8]) -> Option<()> {
    out.push(b'<');
    number(out, head.priority);
    if told.old {
        out.push(b'>');
        let month = usize::from(time[5] - b'0') * 10 + usize::from(time[6] - b'0');
        out.extend_from_slice(told.months.get(month.wrapping_sub(1))?);
        out.push(b' ');
        out.push(if time[8] == b'0' { b' ' } else { time[8] });
        out.push(time[9]);
        out.push(b' ');
        out.extend_from_slice(&time[11..19]);
        out.push(b' ');
        if !told.local {
            host(out, head.host, told)?;
            out.push(b' ');
        }
        out.extend(head.application.iter().take(32).map(|&octet| if matches!(octet, b':' | b'[') { b'_' } else { octet }));
        if let Some(pid) = head.pid {
            out.push(b'[');
            number(out, pid);
            out.push(b']');
        }
        out.extend_from_slice(b": ");
        return Some(());
    }
    out.extend_from_slice(b">1 ");
    if time.len() <= 32 {
        out.extend_from_slice(time);
    } else {
        out.extend_from_slice(&time[..26]);
        out.extend_from_slice(&time[time.len() - 6..]);
    }
    out.push(b' ');
    host(out, head.host, told)?;
    out.push(b' ');
    out.extend_from_slice(&head.application[..head.application.len().min(48)]);
    match head.pid {
        Some(pid) => {
            out.push(b' ');
            number(out, pid);
            out.push(b' ');
        }
        None => out.extend_from_slice(b" - "),
    }
    out.extend_from_slice(head.id);
    out.extend_from_slice(head.quality);
    Some(())
}

fn host(out: &mut Vec<u8>, host: &[u8], told: &Syslog) -> Option<()> {
    if host.is_empty() {
        out.extend_from_slice(&told.host);
    } else if host.is_ascii() && host.len() <= 255 {
        let good = |octet: u8| octet.is_ascii_alphanumeric() || b"._:%-".contains(&octet);
        out.extend(host.iter().map(|&octet| if good(octet) { octet } else { b'_' }));
    } else {
        return None;
    }
    Some(())
}

/// Who is at the other end, and at ours.
fn ends(said: &mut Parameters, wire: &Wire) {
    said.text(Name::Username, wire.username);
    said.truth(Name::Authenticated, wire.authenticated);
    said.text(Name::RemoteIp, wire.remote_ip);
    said.number(Name::RemotePort, wire.remote_port);
    said.text(Name::LocalIp, wire.local_ip);
    said.number(Name::LocalPort, wire.local_port);
}

fn status(said: &mut Parameters, wire: &Wire) {
    said.number(Name::SmtpCode, wire.smtp_code);
    said.text(Name::EnhancedStatus, wire.enhanced_status);
    said.text(Name::Diagnostic, wire.diagnostic);
    said.text(Name::Reason, wire.reason);
}

/// What the other end is called, and how it is spoken to.
fn names(said: &mut Parameters, wire: &Wire, remote_mta: &[u8]) {
    said.text(Name::Helo, wire.remote_name);
    said.text(Name::RemoteDns, wire.remote_dns);
    said.text(Name::RemoteMta, remote_mta);
    said.text(Name::InitialHost, wire.initial_host);
    said.text(Name::DnsHost, wire.dns_host);
    said.text(Name::Application, wire.application);
    said.text(Name::TlsCipher, wire.tls_cipher);
    said.text(Name::Transport, if wire.tcp { b"tcp" } else { b"" });
    said.text(Name::Tag, wire.tag);
}

/// Makes a message that is too long as long as it may be: `_fitted` and `_cut`. `ends`: where the first parameter begins, and where each ends, none in
/// RFC 3164; `text`: where that begins.
fn fitted(out: &mut Vec<u8>, told: &Syslog, kind: usize, start: usize, begun: usize, ends: &[usize], text: usize) -> Option<()> {
    if ends.is_empty() {
        let kept = whole_characters(&out[start..], told.most);
        out.truncate(start + kept);
        return Some(());
    }
    let element = &told.elements[kind];
    let room = told.most.checked_sub(begun - start + element.len() + 3)?;
    if room < 128 {
        return None; // the id alone may be too much
    }
    let whole = out.split_off(begun);
    let at = |place: usize| place - begun;
    let for_text = (whole.len() - at(text)).min(room / 2);
    let mut left = room - for_text;
    out.extend_from_slice(element);
    for parameter in ends.windows(2) {
        let parameter = &whole[at(parameter[0])..at(parameter[1])]; // with the blank before it
        if parameter.len() <= left {
            out.extend_from_slice(parameter);
            left -= parameter.len();
        }
    }
    out.extend_from_slice(b"] ");
    let words = &whole[at(text)..];
    out.extend_from_slice(&words[..whole_characters(words, for_text + left)]);
    Some(())
}

/// How many of these octets, at most so many, are whole characters.
fn whole_characters(text: &[u8], most: usize) -> usize {
    let mut end = most.min(text.len());
    while end < text.len() && text[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    end
}

/// Whether every octet of a line stands for itself anywhere in a message.
fn is_clean(text: &[u8]) -> bool {
    text.iter()
        .fold(true, |clean, &octet| clean & ((octet.wrapping_sub(0x20) < 0x5f) & (octet != b'"') & (octet != b'\\') & (octet != b']')))
}

/// A text, which is UTF-8: its control characters as `#ooo`, and, inside of a parameter, a backslash before what ends it. `clean`: it has neither.
fn escaped(out: &mut Vec<u8>, text: &[u8], clean: bool, quoted: bool) {
    if clean || is_clean(text) {
        out.extend_from_slice(text);
        return;
    }
    let mut done = 0;
    let mut at = 0;
    while at < text.len() {
        let (size, code) = match text[at..] {
            [b'"' | b'\\' | b']', ..] if quoted => {
                out.extend_from_slice(&text[done..at]);
                out.push(b'\\');
                done = at;
                at += 1;
                continue;
            }
            [octet @ (0..=0x1f | 0x7f), ..] => (1, octet),
            [0xc2, octet @ 0x80..=0x9f, ..] => (2, octet),
            [0xe2, 0x80, octet @ (0xa8 | 0xa9), ..] => (3, octet),
            _ => {
                at += 1;
                continue;
            }
        };
        out.extend_from_slice(&text[done..at]);
        if size == 3 {
            out.extend_from_slice(if code == 0xa8 { b"#x2028" } else { b"#x2029" });
        } else {
            out.extend_from_slice(&[b'#', b'0' + (code >> 6), b'0' + (code >> 3 & 7), b'0' + (code & 7)]);
        }
        at += size;
        done = at;
    }
    out.extend_from_slice(&text[done..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_begins_a_second_message_and_nothing_ends_a_parameter() {
        let escape = |text: &str, quoted: bool| {
            let mut out = Vec::new();
            escaped(&mut out, text.as_bytes(), is_clean(text.as_bytes()), quoted);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(escape("a\n\r\0\u{7f}\u{85}\u{2028}\u{2029}é", false), "a#012#015#000#177#205#x2028#x2029é");
        assert_eq!(escape("a\"b\\c]d", true), "a\\\"b\\\\c\\]d");
        assert_eq!(escape("a\"b\\c]d", false), "a\"b\\c]d");
    }

    #[test]
    fn a_cut_is_not_through_a_character() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(|most| whole_characters("aéb".as_bytes(), most)), [0, 1, 1, 3, 4, 4]);
    }
}
