//! Syslog messages of straight records: `shipper/profiles/rfc5424.py`, which has the rules; the parameters are in the order of its `PARAMETERS`.
//!
//! What Python cuts in another way than here is None, and left to it.

use crate::json::number;
use crate::mta::{Connection, Message, Wire};
use crate::run::{Frame, Place};

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
    OriginalRecipient,
    OriginalRecipientType,
    SizeBlocks,
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
    Thread,
    Sequence,
}

/// How many names there are.
pub const NAMES: usize = Name::Sequence as usize + 1;

/// What Python tells of a style.
pub struct Syslog {
    /// By the letter of the action.
    pub events: Vec<Event>,
    /// ` name="`
    pub names: Vec<Vec<u8>>,
    /// The host of lines that name none, as a header has it.
    pub host: Vec<u8>,
    /// `[timeQuality …]`, `[origin …]`
    pub quality: Vec<u8>,
    pub origin: Vec<u8>,
    /// `[mta@32473`, `[conn@32473`
    pub elements: [Vec<u8>; 2],
    /// Octets of a message, 0 for any.
    pub most: usize,
    /// RFC 3164, and that without a host.
    pub old: bool,
    pub local: bool,
    pub months: Vec<Vec<u8>>,
}

/// The structured data of one message: where each parameter ends.
struct Parameters {
    begin: usize,
    ends: [usize; NAMES],
    count: usize,
    clean: bool,
}

impl Parameters {
    fn text(&mut self, out: &mut Vec<u8>, told: &Syslog, name: Name, value: &[u8]) {
        if !value.is_empty() {
            out.extend_from_slice(&told.names[name as usize]);
            escaped(out, value, self.clean, true);
            self.ended(out);
        }
    }

    fn number(&mut self, out: &mut Vec<u8>, told: &Syslog, name: Name, value: Option<u64>) {
        if let Some(value) = value {
            out.extend_from_slice(&told.names[name as usize]);
            number(out, value);
            self.ended(out);
        }
    }

    fn truth(&mut self, out: &mut Vec<u8>, told: &Syslog, name: Name, value: bool) {
        self.number(out, told, name, value.then_some(1));
    }

    fn ended(&mut self, out: &mut Vec<u8>) {
        out.push(b'"');
        self.ends[self.count] = out.len();
        self.count += 1;
    }
}

/// A transaction record, whose id is known. None, and anything in `out`, where Python is to write it.
pub fn message(
    out: &mut Vec<u8>,
    record: &Message,
    frame: &Frame,
    told: &Syslog,
    place: &Place,
    priority: Option<u64>,
    id: &[u8],
) -> Option<()> {
    let wire = &record.wire;
    let event = &told.events[usize::from(wire.code[0] - b'A')];
    let (start, clean) = (out.len(), is_clean(place.raw));
    let begun = header(out, wire, told, event, place, priority)?;
    let mut parameters = (!told.old).then(|| {
        let mut said = element(out, told, 0, wire, id, clean);
        said.text(out, told, Name::Sender, record.sender);
        said.truth(out, told, Name::NullSender, record.null_sender);
        said.text(out, told, Name::Recipient, record.recipient);
        said.text(out, told, Name::SourceChannel, wire.source_channel);
        said.text(out, told, Name::DestinationChannel, record.destination_channel);
        said.text(out, told, Name::Direction, wire.direction);
        ends(out, told, &mut said, wire);
        said.text(out, told, Name::MessageId, record.message_id);
        said.text(out, told, Name::RelatedMessageId, record.related_message_id);
        status(out, told, &mut said, wire);
        said.text(out, told, Name::OriginalRecipient, record.original_recipient);
        said.text(out, told, Name::OriginalRecipientType, record.original_recipient_type);
        said.number(out, told, Name::SizeBlocks, record.size_blocks);
        said.text(out, told, Name::QueueFile, record.queue_file);
        said.number(out, told, Name::Attempt, record.attempt);
        said.text(out, told, Name::EnvelopeId, record.envelope_id);
        names(out, told, &mut said, wire, record.remote_mta);
        said.text(out, told, Name::BadCommand, record.bad_command);
        said.number(out, told, Name::NotaryFlags, record.notary_flags);
        said.number(out, told, Name::QueueSeconds, record.queue_seconds);
        said.text(out, told, Name::IntermediateAddress, record.intermediate_address);
        said.text(out, told, Name::InitialAddress, record.initial_address);
        said.text(out, told, Name::Filter, record.filter);
        said.text(out, told, Name::Priority, record.priority);
        said.text(out, told, Name::Sensitivity, record.sensitivity);
        said.text(out, told, Name::Banner, record.banner);
        said
    });
    let text = if let Some(said) = &mut parameters { element_end(out, told, said, wire) } else { out.len() };
    if frame.raw {
        escaped(out, place.raw, clean, false);
    } else {
        let sender: &[u8] = if record.sender.is_empty() { b"<>" } else { record.sender };
        if record.bad_command.is_empty() {
            summary(out, record.detail(), clean, &[&event.action, b" ", sender, b" -> ", record.recipient]);
        } else {
            summary(out, record.detail(), clean, &[&event.action, b" ", record.bad_command]);
        }
    }
    fitted(out, told, 0, start, begun, parameters.as_ref(), text)
}

/// A connection record, whose id is known. The same.
pub fn connection(
    out: &mut Vec<u8>,
    record: &Connection,
    frame: &Frame,
    told: &Syslog,
    place: &Place,
    priority: Option<u64>,
    id: &[u8],
) -> Option<()> {
    let wire = &record.wire;
    let event = &told.events[usize::from(wire.code[0] - b'A')];
    let (start, clean) = (out.len(), is_clean(place.raw));
    let begun = header(out, wire, told, event, place, priority)?;
    let mut parameters = (!told.old).then(|| {
        let mut said = element(out, told, 1, wire, id, clean);
        said.text(out, told, Name::SourceChannel, wire.source_channel);
        said.text(out, told, Name::Direction, wire.direction);
        ends(out, told, &mut said, wire);
        status(out, told, &mut said, wire);
        names(out, told, &mut said, wire, b"");
        said
    });
    let text = if let Some(said) = &mut parameters { element_end(out, told, said, wire) } else { out.len() };
    if frame.raw {
        escaped(out, place.raw, clean, false);
    } else {
        let mut pieces: [&[u8]; 10] = [b""; 10];
        let mut words = 0;
        for word in [&event.action[..], wire.direction, wire.source_channel, wire.other(), wire.username] {
            if !word.is_empty() {
                pieces[2 * words] = if words > 0 { b" " } else { b"" };
                pieces[2 * words + 1] = word;
                words += 1;
            }
        }
        summary(out, record.detail(), clean, &pieces);
    }
    fitted(out, told, 1, start, begun, parameters.as_ref(), text)
}

/// All before the structured data, or before the text of RFC 3164. Returns where it ends, without `origin`, which a long message loses.
fn header(out: &mut Vec<u8>, wire: &Wire, told: &Syslog, event: &Event, place: &Place, priority: Option<u64>) -> Option<usize> {
    let time = place.time;
    out.push(b'<');
    number(out, priority.unwrap_or(event.priority));
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
            host(out, wire, told)?;
            out.push(b' ');
        }
        out.extend_from_slice(&event.application);
        if let Some(pid) = wire.pid {
            out.push(b'[');
            number(out, pid);
            out.push(b']');
        }
        out.extend_from_slice(b": ");
        return Some(out.len());
    }
    out.extend_from_slice(b">1 ");
    if time.len() <= 32 {
        out.extend_from_slice(time);
    } else {
        out.extend_from_slice(&time[..26]);
        out.extend_from_slice(&time[time.len() - 6..]);
    }
    out.push(b' ');
    host(out, wire, told)?;
    out.push(b' ');
    out.extend_from_slice(&event.application);
    match wire.pid {
        Some(pid) => {
            out.push(b' ');
            number(out, pid);
            out.push(b' ');
        }
        None => out.extend_from_slice(b" - "),
    }
    out.extend_from_slice(&event.id);
    out.extend_from_slice(&told.quality);
    let begun = out.len();
    out.extend_from_slice(&told.origin);
    Some(begun)
}

fn host(out: &mut Vec<u8>, wire: &Wire, told: &Syslog) -> Option<()> {
    if wire.host.is_empty() {
        out.extend_from_slice(&told.host);
    } else if wire.host.is_ascii() && wire.host.len() <= 255 {
        let good = |octet: u8| octet.is_ascii_alphanumeric() || b"._:%-".contains(&octet);
        out.extend(wire.host.iter().map(|&octet| if good(octet) { octet } else { b'_' }));
    } else {
        return None;
    }
    Some(())
}

fn element(out: &mut Vec<u8>, told: &Syslog, kind: usize, wire: &Wire, id: &[u8], clean: bool) -> Parameters {
    out.extend_from_slice(&told.elements[kind]);
    let mut said = Parameters { begin: out.len(), ends: [0; NAMES], count: 0, clean };
    said.text(out, told, Name::Id, id);
    said.text(out, told, Name::Code, wire.code);
    said
}

/// Who is at the other end, and at ours.
fn ends(out: &mut Vec<u8>, told: &Syslog, said: &mut Parameters, wire: &Wire) {
    said.text(out, told, Name::Username, wire.username);
    said.truth(out, told, Name::Authenticated, wire.authenticated);
    said.text(out, told, Name::RemoteIp, wire.remote_ip);
    said.number(out, told, Name::RemotePort, wire.remote_port);
    said.text(out, told, Name::LocalIp, wire.local_ip);
    said.number(out, told, Name::LocalPort, wire.local_port);
}

/// What the other end is called, and how it is spoken to.
fn names(out: &mut Vec<u8>, told: &Syslog, said: &mut Parameters, wire: &Wire, remote_mta: &[u8]) {
    said.text(out, told, Name::Helo, wire.remote_name);
    said.text(out, told, Name::RemoteDns, wire.remote_dns);
    said.text(out, told, Name::RemoteMta, remote_mta);
    said.text(out, told, Name::InitialHost, wire.initial_host);
    said.text(out, told, Name::DnsHost, wire.dns_host);
    said.text(out, told, Name::Application, wire.application);
    said.text(out, told, Name::TlsCipher, wire.tls_cipher);
    said.text(out, told, Name::Transport, if wire.tcp { b"tcp" } else { b"" });
    said.text(out, told, Name::Tag, wire.tag);
}

fn status(out: &mut Vec<u8>, told: &Syslog, said: &mut Parameters, wire: &Wire) {
    said.number(out, told, Name::SmtpCode, wire.smtp_code);
    said.text(out, told, Name::EnhancedStatus, wire.enhanced_status);
    said.text(out, told, Name::Diagnostic, wire.diagnostic);
    said.text(out, told, Name::Reason, wire.reason);
}

/// The last parameters. Returns where the text begins.
fn element_end(out: &mut Vec<u8>, told: &Syslog, said: &mut Parameters, wire: &Wire) -> usize {
    said.number(out, told, Name::Thread, wire.thread);
    said.number(out, told, Name::Sequence, wire.sequence);
    out.extend_from_slice(b"] ");
    out.len()
}

fn summary(out: &mut Vec<u8>, detail: &[u8], clean: bool, pieces: &[&[u8]]) {
    for piece in pieces {
        escaped(out, piece, clean, false);
    }
    if !detail.is_empty() {
        out.extend_from_slice(b": ");
        escaped(out, detail, clean, false);
    }
}

/// Makes a message that is too long as long as it may be: `_fitted` and `_cut`.
fn fitted(
    out: &mut Vec<u8>,
    told: &Syslog,
    kind: usize,
    start: usize,
    begun: usize,
    parameters: Option<&Parameters>,
    text: usize,
) -> Option<()> {
    if told.most == 0 || out.len() - start <= told.most {
        return Some(());
    }
    let Some(said) = parameters else {
        let kept = whole_characters(&out[start..], told.most);
        out.truncate(start + kept);
        return Some(());
    };
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
    let mut from = at(said.begin);
    for &end in &said.ends[..said.count] {
        let parameter = &whole[from..at(end)]; // with the blank before it
        if parameter.len() <= left {
            out.extend_from_slice(parameter);
            left -= parameter.len();
        }
        from = at(end);
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
