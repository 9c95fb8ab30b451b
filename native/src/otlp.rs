//! OTLP payloads of straight records: `shipper/profiles/otlp.py`, which has the rules; the attributes are those of its `ROWS`, in its order.
//!
//! A message of protobuf has its length before it. Lengths are known before anything is written, so that nothing is moved.

use std::collections::HashMap;

use crate::ecs::ip_version;
use crate::header::Header;
use crate::messages::Text;
use crate::mta::{Connection, Message, Wire};
use crate::payloads;
use crate::run::{self, Frame, Line, Straight};
use crate::service::Service;
use crate::structured::{self, Element};

/// What an action decides in every record that has it.
pub struct Event {
    /// Severity and name, as fields of the record.
    pub fields: Vec<u8>,
    /// What was done, for the summary.
    pub action: Vec<u8>,
    /// Whether the outcome is failure.
    pub failed: bool,
    /// Whether the connection that a transaction record names came in.
    pub inbound: bool,
}

/// The attributes, in the order in which Python names them.
#[derive(Clone, Copy)]
enum Name {
    ZoneSource,
    Code,
    Action,
    Modifiers,
    SourceChannel,
    Direction,
    SmtpCode,
    EnhancedStatus,
    Authenticated,
    Transport,
    LocalIp,
    LocalPort,
    Application,
    TlsCipher,
    DestinationChannel,
    NullSender,
    OriginalRecipientType,
    NotaryFlags,
    Attempt,
    Filter,
    Priority,
    Sensitivity,
    Id,
    Pid,
    Thread,
    Sequence,
    Diagnostic,
    Username,
    RemoteIp,
    RemotePort,
    Helo,
    InitialHost,
    DnsHost,
    Tag,
    Reason,
    SizeBlocks,
    Sender,
    OriginalRecipient,
    Recipient,
    QueueFile,
    QueueId,
    EnvelopeId,
    MessageId,
    RelatedMessageId,
    IntermediateAddress,
    InitialAddress,
    QueueSeconds,
    RemoteMta,
    Banner,
    BadCommand,
    Offset,
    SourcePeer,
    Process,
    ServiceType,
    Category,
    AuthMethod,
    AccountState,
    LoginReason,
    SessionStart,
    SessionSeconds,
    BytesFromClient,
    BytesToClient,
    Mailboxes,
    Folder,
    SizeBytes,
    Attributes,
    Facility,
    HeaderSeverity,
    Version,
    Hostname,
    HeaderTag,
    Timestamp,
    ProcId,
    MsgId,
    Data,
    Peer,
    ClientAddress,
    ClientPort,
    ServerAddress,
    ServerPort,
    NetworkType,
    Protocol,
    Sasl,
    Tls,
    DiagnosticType,
    ErrorType,
    Original,
    Deployed,
    Host,
}

/// How many names there are.
pub const NAMES: usize = Name::Host as usize + 1;

/// The same of services' records.
pub struct Case {
    pub fields: Vec<u8>,
    pub failed: bool,
}

/// What Python tells of OTLP.
#[derive(Default)]
pub struct Otlp {
    /// By their number (`Wire::event`).
    pub events: Vec<Event>,
    /// Of services' records, by their case; of text, by its severity.
    pub services: Vec<Case>,
    pub texts: Vec<Vec<u8>>,
    /// The resource's attributes but the host: of the MTA; of others but their name.
    pub resource: Vec<u8>,
    pub namespace: Vec<u8>,
    /// The attributes that the log's name gives.
    pub file: Vec<u8>,
    pub keys: Vec<Key>,
    /// Where the time zone of the log is from; of a time that names its own.
    pub zone_source: Vec<u8>,
    pub own_zone: Vec<u8>,
}

/// What stands in a record before a value: the tag and the length of the attribute, the attribute's name, the tag and length of the value, its
/// tag and length; lengths are yet to be filled in.
pub struct Key {
    begin: [u8; ROOM],
    /// Octets of the name with its tag and length, and the value's tag.
    name: usize,
}

/// Octets for what stands before a value: as many as are copied in one go.
const ROOM: usize = 64;
/// Octets of an attribute's name at most.
pub const LONGEST: usize = ROOM - 8;

impl Otlp {
    /// The payload of a line or message, which has this id (32 digits). Returns where that stands.
    pub fn write(&self, out: &mut Vec<u8>, straight: &Straight, frame: &Frame, observed: u64, id: &[u8]) -> usize {
        let place = &straight.place;
        match straight.line {
            Line::Message(record) => message(out, record, frame, self, place, observed, id),
            Line::Connection(record) => connection(out, record, frame, self, place, observed, id),
            Line::Service(record) => service(out, record, frame, self, place, observed, id),
            Line::Text(record) => text(out, record, frame, self, place, observed, id),
        }
    }

    /// `names`: of attributes, as many as `NAMES`.
    pub fn new(told: Otlp, names: &[String], zone_source: &str) -> Otlp {
        let keys = names.iter().map(|name| Key::new(name.as_bytes())).collect();
        let told = Otlp { keys, ..told };
        let (mut zone, mut own) = (Vec::new(), Vec::new());
        told.text(&mut zone, Name::ZoneSource, zone_source.as_bytes());
        told.text(&mut own, Name::ZoneSource, b"record");
        Otlp { zone_source: zone, own_zone: own, ..told }
    }

    #[inline]
    fn text(&self, out: &mut Vec<u8>, name: Name, value: &[u8]) {
        if !value.is_empty() {
            self.keys[name as usize].text(out, TAG, value);
        }
    }

    #[inline]
    fn number(&self, out: &mut Vec<u8>, name: Name, value: Option<u64>) {
        if let Some(value) = value {
            self.keys[name as usize].number(out, value);
        }
    }

    #[inline]
    fn truth(&self, out: &mut Vec<u8>, name: Name, value: bool) {
        if value {
            self.keys[name as usize].truth(out);
        }
    }
}

/// Of an attribute: in a record, and in a resource.
const TAG: u8 = 0x32;
const RESOURCE_TAG: u8 = 0x0a;

impl Key {
    fn new(name: &[u8]) -> Key {
        let name = &name[..name.len().min(LONGEST)];
        let mut begin = [0; ROOM];
        begin[2] = 0x0a;
        begin[3] = name.len() as u8;
        begin[4..4 + name.len()].copy_from_slice(name);
        begin[4 + name.len()] = 0x12;
        begin[6 + name.len()] = 0x0a;
        Key { begin, name: name.len() + 3 }
    }

    #[inline]
    fn text(&self, out: &mut Vec<u8>, tag: u8, value: &[u8]) {
        let length = self.name + 3 + value.len();
        if length < 128 {
            // All three lengths are one octet.
            let at = out.len();
            out.extend_from_slice(&self.begin);
            let begin = &mut out[at..at + ROOM];
            begin[0] = tag;
            begin[1] = length as u8;
            begin[self.name + 2] = value.len() as u8 + 2;
            begin[self.name + 4] = value.len() as u8;
            out.truncate(at + self.name + 5);
        } else {
            let inner = 1 + size(value.len()) + value.len();
            out.push(tag);
            varint(out, (self.name + size(inner) + inner) as u64);
            out.extend_from_slice(self.name());
            varint(out, inner as u64);
            out.push(0x0a);
            varint(out, value.len() as u64);
        }
        out.extend_from_slice(value);
    }

    #[inline]
    fn number(&self, out: &mut Vec<u8>, value: u64) {
        if value > i64::MAX as u64 {
            self.text(out, TAG, value.to_string().as_bytes());
            return;
        }
        let digits = size(value as usize);
        let at = out.len();
        out.extend_from_slice(&self.begin);
        let begin = &mut out[at..at + ROOM];
        begin[0] = TAG;
        begin[1] = (self.name + 2 + digits) as u8;
        begin[self.name + 2] = 1 + digits as u8;
        begin[self.name + 3] = 0x18;
        out.truncate(at + self.name + 4);
        varint(out, value);
    }

    fn truth(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[TAG, self.name as u8 + 3]);
        out.extend_from_slice(self.name());
        out.extend_from_slice(&[2, 0x10, 1]);
    }

    /// Names and values, as one attribute.
    fn pairs(&self, out: &mut Vec<u8>, pairs: &[(&[u8], Vec<u8>)]) {
        let text = |value: &[u8]| message_size(value.len());
        let pair = |(name, value): &(&[u8], Vec<u8>)| text(name) + message_size(text(value));
        let all = pairs.iter().map(|each| message_size(pair(each))).sum();
        begin(out, TAG, self.name - 1 + message_size(message_size(all)));
        out.extend_from_slice(&self.name()[..self.name - 1]);
        begin(out, 0x12, message_size(all));
        begin(out, 0x32, all);
        for each in pairs {
            begin(out, 0x0a, pair(each));
            begin(out, 0x0a, each.0.len());
            out.extend_from_slice(each.0);
            begin(out, 0x12, text(&each.1));
            begin(out, 0x0a, each.1.len());
            out.extend_from_slice(&each.1);
        }
    }

    /// Elements of structured data, as one attribute.
    fn elements(&self, out: &mut Vec<u8>, elements: &[Element]) {
        let mut all = Vec::new();
        for element in elements {
            let mut inner = Vec::new();
            for (name, value) in &element.parameters {
                pair(&mut inner, 0x0a, name, 0x0a, value);
            }
            pair(&mut all, 0x0a, element.id, 0x32, &inner);
        }
        let name = self.name();
        pair(out, TAG, &name[2..name.len() - 1], 0x32, &all);
    }

    fn name(&self) -> &[u8] {
        &self.begin[2..2 + self.name]
    }
}

/// A name and a value, whose kind this is.
fn pair(out: &mut Vec<u8>, tag: u8, name: &[u8], kind: u8, value: &[u8]) {
    begin(out, tag, message_size(name.len()) + message_size(message_size(value.len())));
    begin(out, 0x0a, name.len());
    out.extend_from_slice(name);
    begin(out, 0x12, message_size(value.len()));
    begin(out, kind, value.len());
    out.extend_from_slice(value);
}

/// A transaction record, whose id is known.
fn message(out: &mut Vec<u8>, record: &Message, frame: &Frame, told: &Otlp, place: &run::Place, observed: u64, id: &[u8]) -> usize {
    let wire = &record.wire;
    let event = &told.events[wire.event()];
    begun(out, None, wire.host(frame), told, place, observed);
    body(out, &payloads::message_text(record, &event.action, frame, place));
    few(out, wire, told);
    told.text(out, Name::DestinationChannel, record.destination_channel);
    told.truth(out, Name::NullSender, record.null_sender);
    told.text(out, Name::OriginalRecipientType, record.original_recipient_type);
    told.number(out, Name::NotaryFlags, record.notary_flags);
    told.number(out, Name::Attempt, record.attempt);
    told.text(out, Name::Filter, record.filter);
    told.text(out, Name::Priority, record.priority);
    told.text(out, Name::Sensitivity, record.sensitivity);
    out.extend_from_slice(&event.fields);
    let at = many(out, wire, told, id);
    told.number(out, Name::SizeBlocks, record.size_blocks);
    told.text(out, Name::Sender, record.sender);
    told.text(out, Name::OriginalRecipient, record.original_recipient);
    told.text(out, Name::Recipient, record.recipient);
    told.text(out, Name::QueueFile, record.queue_file);
    told.text(out, Name::QueueId, record.queue_id);
    told.text(out, Name::EnvelopeId, record.envelope_id);
    told.text(out, Name::MessageId, record.message_id);
    told.text(out, Name::RelatedMessageId, record.related_message_id);
    told.text(out, Name::IntermediateAddress, record.intermediate_address);
    told.text(out, Name::InitialAddress, record.initial_address);
    told.number(out, Name::QueueSeconds, record.queue_seconds);
    told.text(out, Name::RemoteMta, record.remote_mta);
    told.text(out, Name::Banner, record.banner);
    told.text(out, Name::BadCommand, record.bad_command);
    source(out, frame, told, place);
    let inbound = if wire.direction.is_empty() { event.inbound } else { wire.direction == b"in" };
    ends(out, wire, inbound, told);
    said(out, wire, event, told);
    at
}

/// A connection record, whose id is known.
fn connection(out: &mut Vec<u8>, record: &Connection, frame: &Frame, told: &Otlp, place: &run::Place, observed: u64, id: &[u8]) -> usize {
    let wire = &record.wire;
    let event = &told.events[wire.event()];
    begun(out, None, wire.host(frame), told, place, observed);
    body(out, &payloads::connection_text(record, &event.action, frame, place));
    few(out, wire, told);
    out.extend_from_slice(&event.fields);
    let at = many(out, wire, told, id);
    source(out, frame, told, place);
    ends(out, wire, wire.direction != b"out", told);
    said(out, wire, event, told);
    at
}

/// A record of a service, whose id is known.
fn service(out: &mut Vec<u8>, record: &Service, frame: &Frame, told: &Otlp, place: &run::Place, observed: u64, id: &[u8]) -> usize {
    let case = &told.services[record.case(&frame.service)];
    begun(out, Some(record.process), record.host, told, place, observed);
    body(out, &[record.message]);
    out.extend_from_slice(&told.own_zone);
    told.text(out, Name::Process, record.process);
    told.text(out, Name::ServiceType, record.service);
    told.text(out, Name::Category, record.category);
    told.text(out, Name::AuthMethod, record.auth_method);
    told.text(out, Name::AccountState, record.account_state);
    out.extend_from_slice(&case.fields);
    begin(out, 0x1a, record.level.len());
    out.extend_from_slice(record.level);
    told.text(out, Name::Id, id);
    let at = out.len() - id.len();
    told.number(out, Name::Pid, Some(record.pid));
    told.text(out, Name::ClientAddress, record.client_ip);
    told.number(out, Name::ClientPort, record.client_port);
    told.text(out, Name::Username, record.user);
    told.text(out, Name::LoginReason, record.reason);
    if let Some(session) = &record.session {
        told.text(out, Name::SessionStart, &session.start(place.time));
        told.number(out, Name::SessionSeconds, Some(session.seconds));
        if let Some([from_client, to_client, mailboxes]) = session.counts {
            told.number(out, Name::BytesFromClient, Some(from_client));
            told.number(out, Name::BytesToClient, Some(to_client));
            told.number(out, Name::Mailboxes, Some(mailboxes));
        }
    }
    told.text(out, Name::Folder, record.folder);
    told.number(out, Name::SizeBytes, record.size);
    told.text(out, Name::MessageId, record.message_id);
    if !record.attributes.is_empty() {
        told.keys[Name::Attributes as usize].pairs(out, &record.attributes);
    }
    source(out, frame, told, place);
    original(out, frame, told, place);
    told.text(out, Name::NetworkType, ip_version(record.client_ip));
    told.text(out, Name::Protocol, record.protocol(&frame.service));
    if case.failed {
        told.text(out, Name::ErrorType, record.reason);
    }
    at
}

/// A message whose body is text, whose id is known.
fn text(out: &mut Vec<u8>, record: &Text, frame: &Frame, told: &Otlp, place: &run::Place, observed: u64, id: &[u8]) -> usize {
    let header = record.header;
    begun(out, Some(header.app), header.host, told, place, observed);
    body(out, &[record.message]);
    out.extend_from_slice(if record.own { &told.own_zone } else { &told.zone_source });
    told.text(out, Name::Process, header.app);
    out.extend_from_slice(&told.texts[header.severity]);
    told.text(out, Name::Id, id);
    let at = out.len() - id.len();
    told.number(out, Name::Pid, header.pid());
    source(out, frame, told, place);
    original(out, frame, told, place);
    at
}

/// The resource behind its length, and the record's times. `name`: of the service, None of the MTA.
fn begun(out: &mut Vec<u8>, name: Option<&[u8]>, host: &[u8], told: &Otlp, place: &run::Place, observed: u64) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    if let Some(name) = name {
        out.extend_from_slice(&told.namespace);
        told.keys[Name::Deployed as usize].text(out, RESOURCE_TAG, name);
    } else {
        out.extend_from_slice(&told.resource);
    }
    if !host.is_empty() {
        told.keys[Name::Host as usize].text(out, RESOURCE_TAG, host);
    }
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    if let Some(time) = unix_nano(place.time) {
        out.push(0x09);
        out.extend_from_slice(&time.to_le_bytes());
    }
    out.push(0x59);
    out.extend_from_slice(&observed.to_le_bytes());
}

/// The body: a text in pieces.
fn body(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    let length = pieces.iter().map(|piece| piece.len()).sum();
    begin(out, 0x2a, message_size(length));
    begin(out, 0x0a, length);
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// Of what both kinds have, what has few values.
fn few(out: &mut Vec<u8>, wire: &Wire, told: &Otlp) {
    out.extend_from_slice(&told.zone_source);
    told.text(out, Name::Code, wire.code);
    told.text(out, Name::Action, &wire.code[..1]);
    told.text(out, Name::Modifiers, &wire.code[1..]);
    told.text(out, Name::SourceChannel, wire.source_channel);
    told.text(out, Name::Direction, wire.direction);
    told.number(out, Name::SmtpCode, wire.smtp_code);
    told.text(out, Name::EnhancedStatus, wire.enhanced_status);
    told.truth(out, Name::Authenticated, wire.authenticated);
    told.text(out, Name::Transport, if wire.tcp { b"tcp" } else { b"" });
    told.text(out, Name::LocalIp, wire.local_ip);
    told.number(out, Name::LocalPort, wire.local_port);
    told.text(out, Name::Application, wire.application);
    told.text(out, Name::TlsCipher, wire.tls_cipher);
}

/// The others.
fn many(out: &mut Vec<u8>, wire: &Wire, told: &Otlp, id: &[u8]) -> usize {
    told.text(out, Name::Id, id);
    let at = out.len() - id.len();
    told.number(out, Name::Pid, wire.pid);
    told.number(out, Name::Thread, wire.thread);
    told.number(out, Name::Sequence, wire.sequence);
    told.text(out, Name::Diagnostic, wire.diagnostic);
    told.text(out, Name::Username, wire.username);
    told.text(out, Name::RemoteIp, wire.remote_ip);
    told.number(out, Name::RemotePort, wire.remote_port);
    told.text(out, Name::Helo, wire.remote_name);
    told.text(out, Name::InitialHost, wire.initial_host);
    told.text(out, Name::DnsHost, wire.dns_host);
    told.text(out, Name::Tag, wire.tag);
    told.text(out, Name::Reason, wire.reason);
    at
}

fn source(out: &mut Vec<u8>, frame: &Frame, told: &Otlp, place: &run::Place) {
    if !frame.file.is_empty() {
        out.extend_from_slice(&told.file);
        told.number(out, Name::Offset, Some(place.offset));
    } else {
        told.text(out, Name::SourcePeer, &frame.peer);
    }
    if let Some(header) = place.header {
        told.text(out, Name::SourcePeer, header.peer);
        envelope(out, header, frame, told);
    }
}

/// The header that a record came behind.
fn envelope(out: &mut Vec<u8>, header: &Header, frame: &Frame, told: &Otlp) {
    let keywords = &frame.messages.keywords;
    if header.told {
        told.text(out, Name::Facility, &keywords.facilities[header.facility]);
        told.text(out, Name::HeaderSeverity, &keywords.severities[header.severity]);
    }
    told.number(out, Name::Version, header.version.then_some(1));
    told.text(out, Name::Hostname, header.host);
    told.text(out, Name::HeaderTag, header.app);
    told.text(out, Name::Timestamp, header.stamp());
    told.text(out, Name::ProcId, header.proc);
    told.text(out, Name::MsgId, header.msg);
    if let Some((elements, _)) = structured::read(header.data) {
        told.keys[Name::Data as usize].elements(out, &elements);
    }
    told.text(out, Name::Peer, header.peer);
}

/// The line itself, where the body is another text.
fn original(out: &mut Vec<u8>, frame: &Frame, told: &Otlp, place: &run::Place) {
    if frame.raw {
        told.text(out, Name::Original, place.raw);
    }
}

/// The two ends of the connection.
fn ends(out: &mut Vec<u8>, wire: &Wire, inbound: bool, told: &Otlp) {
    let client = (Name::ClientAddress, Name::ClientPort);
    let server = (Name::ServerAddress, Name::ServerPort);
    let (remote, local) = if inbound { (client, server) } else { (server, client) };
    let name = [wire.remote_dns, wire.dns_host, wire.remote_ip].into_iter().find(|name| !name.is_empty());
    told.text(out, remote.0, name.unwrap_or_default());
    told.number(out, remote.1, wire.remote_port);
    told.text(out, local.0, wire.local_ip);
    told.number(out, local.1, wire.local_port);
    let version = ip_version(wire.remote_ip);
    told.text(out, Name::NetworkType, if version.is_empty() { ip_version(wire.local_ip) } else { version });
    told.text(out, Name::Protocol, wire.protocol());
}

/// What several fields say together.
fn said(out: &mut Vec<u8>, wire: &Wire, event: &Event, told: &Otlp) {
    let modifiers = &wire.code[1..];
    told.truth(out, Name::Sasl, modifiers.contains(&b'A'));
    told.truth(out, Name::Tls, modifiers.contains(&b'S') || !wire.tls_cipher.is_empty());
    if wire.diagnostic.starts_with(b"smtp;") {
        told.text(out, Name::DiagnosticType, b"smtp");
    } else if wire.diagnostic.starts_with(b"dns;") {
        told.text(out, Name::DiagnosticType, b"dns");
    }
    if event.failed {
        told.text(out, Name::ErrorType, wire.enhanced_status);
    }
}

/// `1998-01-19T19:16:57.64-08:00` -> nanoseconds since 1970; None where it is not after that, or later than 64 bits can say.
fn unix_nano(time: &[u8]) -> Option<u64> {
    let number = |from: usize, to: usize| time[from..to].iter().fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    // Days from 1 March of year 0, so that the leap day is a year's last.
    let shifted = if month > 2 { year } else { year - 1 };
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * ((month + 9) % 12) + 2) / 5 + day - 1 - 719_468;
    let offset = time.len() - 6;
    let zone = number(offset + 1, offset + 3) * 3600 + number(offset + 4, offset + 6) * 60;
    let zone = if time[offset] == b'-' { -zone } else { zone };
    let seconds = days * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19) - zone;
    let fraction = match time[19] {
        b'.' => number(20, offset) * 10i64.pow(9 - (offset - 20) as u32),
        _ => 0,
    };
    let whole = u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?;
    whole.checked_add(fraction as u64).filter(|&time| time > 0)
}

/// Payloads of one resource, and how many octets their records have with what stands before each.
struct Group<'a> {
    resource: &'a [u8],
    records: Vec<&'a [u8]>,
    octets: usize,
}

/// An `ExportLogsServiceRequest` to be written.
pub struct Request<'a> {
    groups: Vec<Group<'a>>,
    scope: &'a [u8],
    pub size: usize,
}

impl<'a> Request<'a> {
    /// Of these payloads; `scope`: the beginning of each `ScopeLogs`. None where one of them is no payload.
    pub fn new(payloads: &[&'a [u8]], scope: &'a [u8]) -> Option<Request<'a>> {
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<&[u8], usize> = HashMap::new();
        let mut latest = 0;
        for payload in payloads {
            let (length, rest) = payload.split_first_chunk()?;
            let (resource, record) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            if groups.get(latest).is_none_or(|group| group.resource != resource) {
                latest = *known.entry(resource).or_insert(groups.len());
                if latest == groups.len() {
                    groups.push(Group { resource, records: Vec::with_capacity(payloads.len()), octets: 0 });
                }
            }
            let group = groups.get_mut(latest)?;
            group.records.push(record);
            group.octets += message_size(record.len());
        }
        let size = groups.iter().map(|group| message_size(group.size(scope))).sum();
        Some(Request { groups, scope, size })
    }

    /// Into as many octets as it has.
    pub fn write(&self, place: &mut [u8]) {
        let mut out = Place { rest: place };
        for group in &self.groups {
            out.begin(0x0a, group.size(self.scope));
            out.begin(0x0a, group.resource.len());
            out.put(group.resource);
            out.begin(0x12, self.scope.len() + group.octets);
            out.put(self.scope);
            for record in &group.records {
                out.begin(0x12, record.len());
                out.put(record);
            }
        }
    }
}

impl Group<'_> {
    /// Octets of a `ResourceLogs`.
    fn size(&self, scope: &[u8]) -> usize {
        message_size(self.resource.len()) + message_size(scope.len() + self.octets)
    }
}

/// Octets of a message with its tag and its length.
fn message_size(octets: usize) -> usize {
    1 + size(octets) + octets
}

/// What is left of a place to write to.
struct Place<'a> {
    rest: &'a mut [u8],
}

impl Place<'_> {
    #[inline]
    fn put(&mut self, octets: &[u8]) {
        let (here, rest) = std::mem::take(&mut self.rest).split_at_mut(octets.len());
        here.copy_from_slice(octets);
        self.rest = rest;
    }

    fn begin(&mut self, tag: u8, length: usize) {
        let mut begin = [tag; 11];
        let count = size(length);
        for (number, octet) in begin[1..=count].iter_mut().enumerate() {
            *octet = (length >> (7 * number)) as u8 | 128;
        }
        begin[count] &= 127;
        self.put(&begin[..=count]);
    }
}

/// Octets of a number as a varint.
fn size(value: usize) -> usize {
    (70 - (value as u64 | 1).leading_zeros() as usize) / 7
}

/// What stands before a message or a text of so many octets.
fn begin(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    varint(out, length as u64);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_varints() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, u32::MAX as usize, i64::MAX as usize] {
            let mut out = Vec::new();
            varint(&mut out, value as u64);
            assert_eq!(out.len(), size(value), "{value}");
        }
    }

    #[test]
    fn instants() {
        assert_eq!(unix_nano(b"1998-01-19T19:16:57.64-08:00"), Some(885_266_217_640_000_000));
        assert_eq!(unix_nano(b"2000-02-29T23:59:59.123456789+00:00"), Some(951_868_799_123_456_789));
        assert_eq!(unix_nano(b"2000-03-01T05:45:00+05:45"), Some(951_868_800_000_000_000));
        assert_eq!(unix_nano(b"1970-01-01T00:00:00.00+00:00"), None);
        assert_eq!(unix_nano(b"0001-01-01T00:00:00.00+00:00"), None);
        assert_eq!(unix_nano(b"9999-12-31T23:59:59.99+00:00"), None);
    }
}
