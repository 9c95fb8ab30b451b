//! The ECS profile of straight records: `shipper/profiles/ecs.py`, which has the rules. Every part is left out where it says nothing.

use std::net::IpAddr;

use memchr::memmem;

use crate::json::{self, number, room, text};
use crate::mta::{first_of, Connection, Message, Wire};
use crate::run::{Frame, Place};

/// What the event of an action decides, as JSON made by Python.
pub struct Event {
    /// `"event":{…` up to the id.
    pub begin: Vec<u8>,
    pub action: Vec<u8>,
    /// Whether the outcome is failure.
    pub failed: bool,
}

const CREATED: &[u8] = b"\"created\":";

impl Event {
    /// When the record was read. None where that has not the length of the one before.
    pub fn see(&mut self, created: &[u8]) -> Option<()> {
        let start = memmem::find(&self.begin, CREATED)?;
        let length = memchr::memchr2(b',', b'}', &self.begin[start..]).unwrap_or(self.begin.len() - start);
        let place = self.begin.get_mut(start..start + length)?;
        (place.len() == created.len()).then(|| place.copy_from_slice(created))
    }
}

/// What Python tells of this profile.
pub struct Ecs {
    /// By the number of the event, for transaction and connection records.
    pub messages: Vec<Event>,
    pub connections: Vec<Event>,
    /// Of actions whose connection came in.
    pub inbound: [bool; 26],
    /// `"service":…,"observer":…,"ecs":…`
    pub tail: Vec<u8>,
}

/// One end of a connection.
#[derive(Clone, Copy, Default)]
struct End<'a> {
    ip: &'a [u8],
    address: &'a [u8],
    port: Option<u64>,
    domain: &'a [u8],
}

/// What a document has between its event and its log.
struct Ends<'a> {
    local: Option<End<'a>>,
    remote: Option<End<'a>>,
    version: &'static [u8],
    /// `in`, `out`, or nothing.
    direction: &'a [u8],
}

/// A transaction record. Returns where in `out` its id belongs.
pub fn message(out: &mut Vec<u8>, record: &Message, frame: &Frame, ecs: &Ecs, place: &Place) -> usize {
    let (wire, plain) = (&record.wire, place.plain);
    let letter = usize::from(wire.code[0] - b'A');
    let event = &ecs.messages[letter];
    begun(out, place);
    out.extend_from_slice(&event.action);
    out.push(b' ');
    if record.bad_command.is_empty() {
        text(out, if record.sender.is_empty() { b"<>" } else { record.sender }, plain);
        out.extend_from_slice(b" -> ");
        text(out, record.recipient, plain);
    } else {
        text(out, record.bad_command, plain);
    }
    let at = event_part(out, wire, record.detail(), event, frame, place);

    let (sender, recipient) = (record.sender, record.recipient);
    if !(sender.is_empty() && recipient.is_empty() && record.queue_id.is_empty() && record.message_id.is_empty()) {
        key(out, b"\"email\":{");
        if !sender.is_empty() {
            out.extend_from_slice(b"\"from\":{\"address\":[\"");
            text(out, sender, plain);
            out.extend_from_slice(b"\"]},\"sender\":{\"address\":\"");
            text(out, sender, plain);
            out.extend_from_slice(b"\"}");
        }
        if !recipient.is_empty() {
            key(out, b"\"to\":{\"address\":[\"");
            text(out, recipient, plain);
            out.extend_from_slice(b"\"]}");
        }
        member(out, b"\"local_id\":\"", record.queue_id, plain);
        member(out, b"\"message_id\":\"", record.message_id, plain);
        out.push(b'}');
    }
    single(out, b"\"user\":{\"name\":\"", wire.username, plain);
    let found = wire.tcp || !(wire.remote_ip.is_empty() && wire.remote_dns.is_empty() && wire.application.is_empty());
    let usual: &[u8] = if ecs.inbound[letter] { b"in" } else { b"out" };
    let ends = found.then(|| ends_of(wire, if wire.direction.is_empty() { usual } else { wire.direction }));
    if let Some(ends) = &ends {
        ends_part(out, ends, wire, plain);
    }
    tls(out, wire, plain);
    single(out, b"\"file\":{\"path\":\"", record.queue_file, plain);
    let recipient_too: &[u8] = if recipient == sender { b"" } else { recipient };
    let user_too: &[u8] = if wire.username == sender || wire.username == recipient_too { b"" } else { wire.username };
    related(out, [sender, recipient_too, user_too], wire.host(frame), wire, ends.as_ref(), plain);
    begun_sunmsg(out, b"mta", wire, event, frame, ecs, place);
    key(out, b"\"mta\":{");
    channel_and_entry(out, wire, record.destination_channel, plain);
    if record.size_blocks.is_some() {
        number_member(out, b"\"size\":{\"blocks\":", record.size_blocks);
        out.push(b'}');
    }
    if record.null_sender {
        out.extend_from_slice(b",\"null_sender\":true");
    }
    if !(record.original_recipient.is_empty() && record.original_recipient_type.is_empty()) {
        key(out, b"\"recipient\":{");
        member(out, b"\"original\":\"", record.original_recipient, plain);
        member(out, b"\"type\":\"", record.original_recipient_type, plain);
        out.push(b'}');
    }
    number_member(out, b"\"attempt\":", record.attempt);
    said(out, wire, plain);
    number_member(out, b"\"notary_flags\":", record.notary_flags);
    member(out, b"\"envelope_id\":\"", record.envelope_id, plain);
    member(out, b"\"related_message_id\":\"", record.related_message_id, plain);
    member(out, b"\"intermediate_address\":\"", record.intermediate_address, plain);
    member(out, b"\"initial_address\":\"", record.initial_address, plain);
    member(out, b"\"filter\":\"", record.filter, plain);
    member(out, b"\"priority\":\"", record.priority, plain);
    member(out, b"\"sensitivity\":\"", record.sensitivity, plain);
    number_member(out, b"\"queue_seconds\":", record.queue_seconds);
    member(out, b"\"remote_mta\":\"", record.remote_mta, plain);
    out.push(b'}');
    smtp(out, wire, record.banner, record.bad_command, plain);
    member(out, b"\"app\":\"", wire.application, plain);
    if wire.authenticated {
        out.extend_from_slice(b",\"auth\":{\"authenticated\":true}");
    }
    if let Some(header) = place.header {
        header.sunmsg(out);
    }
    out.push(b'}');
    out.extend_from_slice(b"}\n");
    at
}

/// A connection record. Returns the same.
pub fn connection(out: &mut Vec<u8>, record: &Connection, frame: &Frame, ecs: &Ecs, place: &Place) -> usize {
    let (wire, plain) = (&record.wire, place.plain);
    let event = &ecs.connections[wire.event()];
    begun(out, place);
    out.extend_from_slice(&event.action);
    for (number, word) in [wire.direction, wire.source_channel, wire.other(), wire.username].into_iter().enumerate() {
        if !word.is_empty() {
            if number > 0 || !event.action.is_empty() {
                out.push(b' ');
            }
            text(out, word, plain);
        }
    }
    let at = event_part(out, wire, record.detail(), event, frame, place);
    single(out, b"\"user\":{\"name\":\"", wire.username, plain);
    let ends = ends_of(wire, wire.direction);
    ends_part(out, &ends, wire, plain);
    tls(out, wire, plain);
    related(out, [wire.username, b"", b""], wire.host(frame), wire, Some(&ends), plain);
    begun_sunmsg(out, b"connection", wire, event, frame, ecs, place);
    key(out, b"\"mta\":{");
    channel_and_entry(out, wire, b"", plain);
    said(out, wire, plain);
    out.push(b'}');
    smtp(out, wire, b"", b"", plain);
    member(out, b"\"app\":\"", wire.application, plain);
    if wire.authenticated {
        out.extend_from_slice(b",\"auth\":{\"authenticated\":true}");
    }
    if let Some(header) = place.header {
        header.sunmsg(out);
    }
    out.push(b'}');
    out.extend_from_slice(b"}\n");
    at
}

/// What every document begins with.
pub fn begun(out: &mut Vec<u8>, place: &Place) {
    out.extend_from_slice(b"{\"@timestamp\":\"");
    out.extend_from_slice(place.time);
    out.extend_from_slice(b"\",\"message\":\"");
}

/// The end of the message, and the event up to its id. Returns where that belongs.
pub fn event_begun(out: &mut Vec<u8>, event: &Event) -> usize {
    out.extend_from_slice(b"\",");
    out.extend_from_slice(&event.begin);
    out.extend_from_slice(b",\"id\":\"");
    let at = room(out);
    out.push(b'"');
    at
}

/// What stands in `log` behind the level: the place of the line.
pub fn log_place(out: &mut Vec<u8>, frame: &Frame, place: &Place) {
    if !frame.file.is_empty() {
        out.extend_from_slice(b",\"file\":{\"path\":\"");
        out.extend_from_slice(&frame.file);
        out.extend_from_slice(b"\"},\"offset\":");
        number(out, place.offset);
    } else if !frame.peer.is_empty() {
        source(out, &frame.peer);
    }
    if let Some(header) = place.header {
        header.log(out, &frame.messages.keywords, place.plain);
    }
}

/// Where it came from, as a part of `log`.
pub fn source(out: &mut Vec<u8>, peer: &[u8]) {
    out.extend_from_slice(b",\"source\":{\"address\":\"");
    text(out, peer, false);
    out.extend_from_slice(b"\"}");
}

pub fn host_part(out: &mut Vec<u8>, host: &[u8], plain: bool) {
    if !host.is_empty() {
        out.extend_from_slice(b",\"host\":{\"name\":\"");
        text(out, host, plain);
        out.extend_from_slice(b"\",\"hostname\":\"");
        text(out, host, plain);
        out.extend_from_slice(b"\"}");
    }
}

/// The end of the message, and the event. Returns where its id belongs.
fn event_part(out: &mut Vec<u8>, wire: &Wire, detail: &[u8], event: &Event, frame: &Frame, place: &Place) -> usize {
    let plain = place.plain;
    if !detail.is_empty() {
        out.extend_from_slice(b": ");
        text(out, detail, plain);
    }
    let at = event_begun(out, event);
    member(out, b"\"timezone\":\"", &place.time[place.time.len() - 6..], true);
    if frame.raw {
        member(out, b"\"original\":\"", place.raw, false);
    }
    member(out, b"\"code\":\"", wire.code, true);
    member(out, b"\"reason\":\"", first_of([wire.diagnostic, wire.reason]), plain);
    out.push(b'}');
    at
}

/// What stands between `related` and `sunmsg.mta`.
fn begun_sunmsg(out: &mut Vec<u8>, kind: &[u8], wire: &Wire, event: &Event, frame: &Frame, ecs: &Ecs, place: &Place) {
    if event.failed {
        single(out, b"\"error\":{\"code\":\"", wire.enhanced_status, true);
    }
    let known = &frame.tables.events[wire.event()];
    out.extend_from_slice(b",\"log\":{\"level\":\"");
    out.extend_from_slice(&known.severity);
    out.push(b'"');
    log_place(out, frame, place);
    out.push(b'}');
    host_part(out, wire.host(frame), place.plain_host());
    if wire.pid.is_some() || wire.thread.is_some() {
        key(out, b"\"process\":{");
        number_member(out, b"\"pid\":", wire.pid);
        if wire.thread.is_some() {
            number_member(out, b"\"thread\":{\"id\":", wire.thread);
            out.push(b'}');
        }
        out.push(b'}');
    }
    out.push(b',');
    out.extend_from_slice(&ecs.tail);
    out.extend_from_slice(b",\"sunmsg\":{\"kind\":\"");
    out.extend_from_slice(kind);
    out.extend_from_slice(b"\",\"event\":\"");
    out.extend_from_slice(&known.name);
    out.extend_from_slice(b"\",\"time\":{\"zone_source\":\"");
    out.extend_from_slice(&frame.zone_source);
    out.extend_from_slice(b"\"}");
}

fn channel_and_entry(out: &mut Vec<u8>, wire: &Wire, destination: &[u8], plain: bool) {
    if !(wire.source_channel.is_empty() && destination.is_empty()) {
        key(out, b"\"channel\":{");
        member(out, b"\"source\":\"", wire.source_channel, plain);
        member(out, b"\"destination\":\"", destination, plain);
        out.push(b'}');
    }
    let (action, modifiers) = wire.code.split_at(1);
    key(out, b"\"entry\":{\"action\":\"");
    out.extend_from_slice(action);
    out.push(b'"');
    member(out, b"\"modifiers\":\"", modifiers, true);
    if modifiers.contains(&b'A') {
        out.extend_from_slice(b",\"sasl\":true");
    }
    out.push(b'}');
    if wire.sequence.is_some() {
        number_member(out, b"\"process\":{\"counter\":", wire.sequence);
        out.push(b'}');
    }
}

/// What both kinds say between the attempt and the flags.
fn said(out: &mut Vec<u8>, wire: &Wire, plain: bool) {
    if wire.diagnostic.starts_with(b"smtp;") {
        out.extend_from_slice(b",\"diagnostic_type\":\"smtp\"");
    } else if wire.diagnostic.starts_with(b"dns;") {
        out.extend_from_slice(b",\"diagnostic_type\":\"dns\"");
    }
    member(out, b"\"reason\":\"", wire.reason, plain);
    member(out, b"\"tag\":\"", wire.tag, plain);
    member(out, b"\"initial_host\":\"", wire.initial_host, plain);
    member(out, b"\"dns_host\":\"", wire.dns_host, plain);
}

fn tls(out: &mut Vec<u8>, wire: &Wire, plain: bool) {
    if !wire.tls_cipher.is_empty() {
        out.extend_from_slice(b",\"tls\":{\"cipher\":\"");
        text(out, wire.tls_cipher, plain);
        out.extend_from_slice(b"\",\"established\":true}");
    } else if wire.code[1..].contains(&b'S') {
        out.extend_from_slice(b",\"tls\":{\"established\":true}");
    }
}

fn smtp(out: &mut Vec<u8>, wire: &Wire, banner: &[u8], bad_command: &[u8], plain: bool) {
    if wire.smtp_code.is_none()
        && wire.enhanced_status.is_empty()
        && wire.remote_name.is_empty()
        && banner.is_empty()
        && bad_command.is_empty()
    {
        return;
    }
    key(out, b"\"smtp\":{");
    if wire.smtp_code.is_some() {
        number_member(out, b"\"response\":{\"code\":", wire.smtp_code);
        out.push(b'}');
    }
    member(out, b"\"enhanced_code\":\"", wire.enhanced_status, true);
    member(out, b"\"banner\":\"", banner, plain);
    member(out, b"\"helo\":\"", wire.remote_name, plain);
    member(out, b"\"bad_command\":\"", bad_command, plain);
    out.push(b'}');
}

/// The two ends of the connection, and what kind of addresses they have.
fn ends_of<'a>(wire: &Wire<'a>, direction: &'a [u8]) -> Ends<'a> {
    let domain = if wire.remote_dns.is_empty() { wire.dns_host } else { wire.remote_dns };
    let nothing = |ip: &[u8], port: Option<u64>, domain: &[u8]| ip.is_empty() && port.is_none() && domain.is_empty();
    let end = |text: &'a [u8], port: Option<u64>, domain: &'a [u8]| {
        let version = ip_version(text);
        let (ip, address): (&[u8], &[u8]) = if version.is_empty() { (b"", text) } else { (text, b"") };
        (End { ip, address, port, domain }, version)
    };
    let (remote, version) = end(wire.remote_ip, wire.remote_port, domain);
    let (local, local_version) = end(wire.local_ip, wire.local_port, b"");
    Ends {
        local: (!nothing(wire.local_ip, wire.local_port, b"")).then_some(local),
        remote: (!nothing(wire.remote_ip, wire.remote_port, domain)).then_some(remote),
        version: if version.is_empty() { local_version } else { version },
        direction,
    }
}

fn ends_part(out: &mut Vec<u8>, ends: &Ends, wire: &Wire, plain: bool) {
    let outbound = ends.direction == b"out";
    let (source, destination) = if outbound { (&ends.local, &ends.remote) } else { (&ends.remote, &ends.local) };
    let names: [&[u8]; 4] = [b"\"source\":{", b"\"destination\":{", b"\"client\":{", b"\"server\":{"];
    for (name, end) in names.into_iter().zip([source, destination, source, destination]) {
        if let Some(end) = end {
            key(out, name);
            member(out, b"\"ip\":\"", end.ip, plain);
            member(out, b"\"address\":\"", end.address, plain);
            number_member(out, b"\"port\":", end.port);
            member(out, b"\"domain\":\"", end.domain, plain);
            out.push(b'}');
        }
    }
    if ends.direction.is_empty() && ends.version.is_empty() && !wire.tcp && wire.application.is_empty() {
        return;
    }
    key(out, b"\"network\":{");
    member(out, b"\"type\":\"", ends.version, true);
    member(out, b"\"transport\":\"", if wire.tcp { b"tcp" } else { b"" }, true);
    member(out, b"\"protocol\":\"", wire.protocol(), true);
    if !ends.direction.is_empty() {
        member(out, b"\"direction\":\"", if outbound { b"outbound" } else { b"inbound" }, true);
    }
    out.push(b'}');
}

fn related(out: &mut Vec<u8>, users: [&[u8]; 3], host: &[u8], wire: &Wire, ends: Option<&Ends>, plain: bool) {
    let (mut names, mut ips): ([&[u8]; 3], [&[u8]; 2]) = ([host, b"", b""], [b"", b""]);
    let (dns, dns_host) = (wire.remote_dns, wire.dns_host); // the two names that the other end can have
    if let Some(ends) = ends {
        names[1] = if dns == host { b"" } else { dns };
        names[2] = if dns_host == host || dns_host == names[1] { b"" } else { dns_host };
        ips[0] = ends.remote.map_or(b"", |end| end.ip);
        ips[1] = ends.local.map_or(b"", |end| if Some(end.ip) == ends.remote.map(|remote| remote.ip) { b"" } else { end.ip });
    }
    if users.iter().chain(&names).chain(&ips).all(|name| name.is_empty()) {
        return;
    }
    key(out, b"\"related\":{");
    list(out, b"\"user\":[", &users, plain);
    list(out, b"\"hosts\":[", &names, false);
    list(out, b"\"ip\":[", &ips, plain);
    out.push(b'}');
}

pub fn list(out: &mut Vec<u8>, name: &[u8], values: &[&[u8]], plain: bool) {
    if values.iter().all(|value| value.is_empty()) {
        return;
    }
    key(out, name);
    let mut separator: &[u8] = b"\"";
    for value in values.iter().filter(|value| !value.is_empty()) {
        out.extend_from_slice(separator);
        text(out, value, plain);
        separator = b"\",\"";
    }
    out.extend_from_slice(b"\"]");
}

/// An object of one member.
pub fn single(out: &mut Vec<u8>, name: &[u8], value: &[u8], plain: bool) {
    if !value.is_empty() {
        key(out, name);
        text(out, value, plain);
        out.extend_from_slice(b"\"}");
    }
}

/// A member's name as it stands (`"code":"`), with a comma before it where another member is.
#[inline]
pub fn key(out: &mut Vec<u8>, name: &[u8]) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.extend_from_slice(name);
}

/// `json::member`, with that comma.
#[inline]
pub fn member(out: &mut Vec<u8>, name: &[u8], value: &[u8], plain: bool) {
    if !value.is_empty() {
        key(out, b"");
        json::member(out, name, value, plain);
    }
}

/// The same for a number.
#[inline]
pub fn number_member(out: &mut Vec<u8>, name: &[u8], value: Option<u64>) {
    if value.is_some() {
        key(out, b"");
        json::number_member(out, name, value);
    }
}

/// Whether this is `192.0.2.1`, in a third of the time that the library takes.
fn is_ipv4(text: &[u8]) -> bool {
    let (mut dots, mut number, mut digits) = (0, 0, 0);
    for &octet in text {
        match octet {
            b'0'..=b'9' if digits == 0 || number > 0 => (number, digits) = (number * 10 + u32::from(octet - b'0'), digits + 1),
            b'.' if digits > 0 => (dots, number, digits) = (dots + 1, 0, 0),
            _ => return false,
        }
        if number > 255 {
            return false;
        }
    }
    dots == 3 && digits > 0
}

/// `ipv4`, `ipv6`, or nothing for what is no address; `base.ip_version`.
pub fn ip_version(text: &[u8]) -> &'static [u8] {
    if is_ipv4(text) {
        return b"ipv4";
    }
    match std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) {
        Some(IpAddr::V4(_)) => b"ipv4",
        Some(IpAddr::V6(_)) => b"ipv6",
        None => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_the_library_takes_for_them() {
        for text in [
            "192.0.2.1",
            "0.0.0.0",
            "255.255.255.255",
            "256.0.0.1",
            "01.2.3.4",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.",
            ".1.2.3",
            "1..2.3",
            "",
            "1.2.3.4 ",
            "1.2.3.00",
            "1.2.3.1000",
            "2001:db8::1",
            "99999999999.1.1.1",
        ] {
            let expected: &[u8] = match text.parse() {
                Ok(IpAddr::V4(_)) => b"ipv4",
                Ok(IpAddr::V6(_)) => b"ipv6",
                Err(_) => b"",
            };
            assert_eq!(ip_version(text.as_bytes()), expected, "{text}");
        }
    }
}
