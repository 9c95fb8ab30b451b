//! The native profile of straight records: `shipper/profiles/native.py`, with the fields in the order of `shipper/record.py`.

use crate::json::{member, number, number_member, room};
use crate::mta::{Connection, Message, Wire};
use crate::run::{Frame, Place};

/// A transaction record. Returns where in `out` its id belongs.
pub fn message(out: &mut Vec<u8>, record: &Message, frame: &Frame, place: &Place) -> usize {
    let plain = place.plain;
    let at = of_mta(out, b"mta", &record.wire, frame, place);
    wire(out, &record.wire, plain);
    member(out, b",\"destination_channel\":\"", record.destination_channel, plain);
    number_member(out, b",\"size_blocks\":", record.size_blocks);
    member(out, b",\"sender\":\"", record.sender, plain);
    if record.null_sender {
        out.extend_from_slice(b",\"null_sender\":true");
    }
    member(out, b",\"original_recipient\":\"", record.original_recipient, plain);
    member(out, b",\"original_recipient_type\":\"", record.original_recipient_type, plain);
    member(out, b",\"recipient\":\"", record.recipient, plain);
    number_member(out, b",\"notary_flags\":", record.notary_flags);
    member(out, b",\"queue_file\":\"", record.queue_file, plain);
    member(out, b",\"queue_id\":\"", record.queue_id, plain);
    number_member(out, b",\"attempt\":", record.attempt);
    member(out, b",\"envelope_id\":\"", record.envelope_id, plain);
    member(out, b",\"message_id\":\"", record.message_id, plain);
    member(out, b",\"related_message_id\":\"", record.related_message_id, plain);
    member(out, b",\"intermediate_address\":\"", record.intermediate_address, plain);
    member(out, b",\"initial_address\":\"", record.initial_address, plain);
    member(out, b",\"filter\":\"", record.filter, plain);
    member(out, b",\"priority\":\"", record.priority, plain);
    member(out, b",\"sensitivity\":\"", record.sensitivity, plain);
    number_member(out, b",\"queue_seconds\":", record.queue_seconds);
    member(out, b",\"remote_mta\":\"", record.remote_mta, plain);
    member(out, b",\"banner\":\"", record.banner, plain);
    member(out, b",\"bad_command\":\"", record.bad_command, plain);
    out.extend_from_slice(b"}\n");
    at
}

/// A connection record. Returns the same.
pub fn connection(out: &mut Vec<u8>, record: &Connection, frame: &Frame, place: &Place) -> usize {
    let plain = place.plain;
    let at = of_mta(out, b"connection", &record.wire, frame, place);
    wire(out, &record.wire, plain);
    out.extend_from_slice(b"}\n");
    at
}

/// What records of all kinds have, but for their place. `begin` has the first three texts in it, where it was made before; those, and the kind, are
/// inside of JSON strings.
#[derive(Default)]
pub struct Common<'a> {
    pub kind: &'a [u8],
    pub begin: Option<&'a Begin>,
    pub zone_source: &'a [u8],
    pub event: &'a [u8],
    pub severity: &'a [u8],
    pub host: &'a [u8],
    pub process: &'a [u8],
    /// Whether these two need no escape.
    pub plain: bool,
    pub pid: Option<u64>,
    pub thread: Option<u64>,
    pub sequence: Option<u64>,
}

/// What stands between the time of a record and its offset.
pub struct Begin {
    text: Vec<u8>,
    /// Where the id belongs.
    id: usize,
}

impl Begin {
    /// All of these are inside of JSON strings; `file`: of the log, if it has a name.
    pub fn new(zone_source: &[u8], event: &[u8], severity: &[u8], file: &[u8]) -> Begin {
        let mut text = Vec::new();
        let id = between(&mut text, zone_source, event, severity, file);
        Begin { text, id }
    }
}

/// What every record begins with. Returns where its id belongs.
pub fn begun(out: &mut Vec<u8>, record: &Common, frame: &Frame, place: &Place) -> usize {
    out.extend_from_slice(b"{\"kind\":\"");
    out.extend_from_slice(record.kind);
    out.extend_from_slice(b"\",\"time\":\"");
    out.extend_from_slice(place.time);
    let at = match record.begin {
        Some(begin) => {
            out.extend_from_slice(&begin.text);
            out.len() - begin.text.len() + begin.id
        }
        None => between(out, record.zone_source, record.event, record.severity, &frame.file),
    };
    if !frame.file.is_empty() {
        number(out, place.offset);
        out.push(b'}');
    } else if !frame.peer.is_empty() {
        member(out, b",\"source\":{\"peer\":\"", &frame.peer, false);
        out.push(b'}');
    }
    if let Some(header) = place.header {
        header.native_source(out);
    }
    member(out, b",\"host\":\"", record.host, record.plain);
    member(out, b",\"process\":\"", record.process, record.plain);
    number_member(out, b",\"pid\":", record.pid);
    number_member(out, b",\"thread\":", record.thread);
    number_member(out, b",\"sequence\":", record.sequence);
    if let Some(header) = place.header {
        header.native(out, &frame.messages.keywords, place.plain);
    }
    if frame.raw {
        member(out, b",\"raw\":\"", place.raw, false);
    }
    at
}

/// The same as `Begin`. Returns where the id belongs.
fn between(out: &mut Vec<u8>, zone_source: &[u8], event: &[u8], severity: &[u8], file: &[u8]) -> usize {
    out.extend_from_slice(b"\",\"time_zone_source\":\"");
    out.extend_from_slice(zone_source);
    out.extend_from_slice(b"\",\"event\":\"");
    out.extend_from_slice(event);
    out.extend_from_slice(b"\",\"severity\":\"");
    out.extend_from_slice(severity);
    out.extend_from_slice(b"\",\"id\":\"");
    let at = room(out);
    out.push(b'"');
    if !file.is_empty() {
        out.extend_from_slice(b",\"source\":{\"file\":\"");
        out.extend_from_slice(file);
        out.extend_from_slice(b"\",\"offset\":");
    }
    at
}

/// The same of a record of the MTA.
fn of_mta(out: &mut Vec<u8>, kind: &[u8], wire: &Wire, frame: &Frame, place: &Place) -> usize {
    let common = Common {
        kind,
        begin: Some(&frame.begins[wire.event()]),
        host: wire.host(frame),
        plain: place.plain_host(),
        pid: wire.pid,
        thread: wire.thread,
        sequence: wire.sequence,
        ..Common::default()
    };
    begun(out, &common, frame, place)
}

/// What message and connection records share.
fn wire(out: &mut Vec<u8>, wire: &Wire, plain: bool) {
    let code = wire.code;
    member(out, b",\"code\":\"", code, true);
    member(out, b",\"action\":\"", &code[..1], true);
    member(out, b",\"modifiers\":\"", &code[1..], true);
    member(out, b",\"source_channel\":\"", wire.source_channel, plain);
    member(out, b",\"direction\":\"", wire.direction, true);
    member(out, b",\"diagnostic\":\"", wire.diagnostic, plain);
    number_member(out, b",\"smtp_code\":", wire.smtp_code);
    member(out, b",\"enhanced_status\":\"", wire.enhanced_status, true);
    member(out, b",\"username\":\"", wire.username, plain);
    if wire.authenticated {
        out.extend_from_slice(b",\"authenticated\":true");
    }
    if wire.tcp {
        out.extend_from_slice(b",\"transport\":\"tcp\"");
    }
    member(out, b",\"local_ip\":\"", wire.local_ip, plain);
    number_member(out, b",\"local_port\":", wire.local_port);
    member(out, b",\"remote_ip\":\"", wire.remote_ip, plain);
    number_member(out, b",\"remote_port\":", wire.remote_port);
    member(out, b",\"remote_name\":\"", wire.remote_name, plain);
    member(out, b",\"remote_dns\":\"", wire.remote_dns, plain);
    member(out, b",\"application\":\"", wire.application, plain);
    member(out, b",\"initial_host\":\"", wire.initial_host, plain);
    member(out, b",\"dns_host\":\"", wire.dns_host, plain);
    member(out, b",\"tls_cipher\":\"", wire.tls_cipher, plain);
    member(out, b",\"tag\":\"", wire.tag, plain);
    member(out, b",\"reason\":\"", wire.reason, plain);
}
