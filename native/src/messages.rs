//! Syslog messages, one after the other, as far as they are straight: the twin of `Reader.read_messages`.
//!
//! - The header is read by `header.rs`, the body by the twin of its format; any other body is text, where it is sure that no format takes it and
//!   that it has no envelope of its own.
//! - The first message that is not straight ends the run: what Python makes of it can move the clock. So there are no gaps.

use std::collections::HashMap;
use std::ops::Range;
use std::panic::{catch_unwind, AssertUnwindSafe};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::ecs::{self, list};
use crate::header::{Header, Keywords, Limit};
use crate::json::{self, member, number_member, text};
use crate::run::{stamp, Frame, Hour, Place, Run, Stop, Waiting};
use crate::{mta, native, service};

/// Octets of a word that can be the prefix of a line.
const PREFIX: usize = 400;
const MONTHS: &[u8; 36] = b"janfebmaraprmayjunjulaugsepoctnovdec";

/// What Python tells of messages.
#[derive(Default)]
pub struct Told {
    pub keywords: Keywords,
    /// The event of a message whose body is text.
    pub event: Vec<u8>,
    /// ECS: the beginning of that event, by severity.
    pub documents: Vec<ecs::Event>,
    /// `"ecs":…`
    pub tail: Vec<u8>,
}

/// Messages, put together in one text, and the names of their senders. CR, LF and NUL at the end of a message are its framing's, and left out.
#[pyclass(frozen)]
#[derive(Default)]
pub struct Messages {
    text: Vec<u8>,
    /// Where each begins, ends, and the number of its sender.
    places: Vec<(usize, usize, usize)>,
    peers: Vec<Vec<u8>>,
}

#[pymethods]
impl Messages {
    #[new]
    fn new(messages: Vec<Bound<'_, PyBytes>>, peers: Vec<Bound<'_, PyString>>) -> PyResult<Messages> {
        let mut taken = Messages::default();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (message, peer) in messages.iter().zip(&peers) {
            let peer = peer.to_str()?;
            let number = match known.get(peer) {
                Some(number) => *number,
                None => {
                    taken.peers.push(peer.as_bytes().to_vec());
                    known.insert(peer.to_owned(), taken.peers.len() - 1);
                    taken.peers.len() - 1
                }
            };
            taken.add(message.as_bytes(), number);
        }
        Ok(taken)
    }

    fn __len__(&self) -> usize {
        self.len()
    }

    /// Some of them, for Python: the messages, and their senders.
    fn part<'py>(&self, py: Python<'py>, start: usize, end: usize) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
        let names: Vec<_> = self.peers.iter().map(|peer| PyString::new(py, &String::from_utf8_lossy(peer))).collect();
        let places = self.places.get(start..end).unwrap_or_default();
        Ok((
            PyList::new(py, places.iter().map(|&(begin, end, _)| PyBytes::new(py, &self.text[begin..end])))?,
            PyList::new(py, places.iter().map(|&(_, _, peer)| &names[peer]))?,
        ))
    }
}

impl Messages {
    /// Takes one more, of the sender of this number; its octets.
    pub fn add(&mut self, message: &[u8], peer: usize) -> usize {
        let size = message.iter().rposition(|octet| !matches!(octet, b'\r' | b'\n' | 0)).map_or(0, |last| last + 1);
        let begin = self.text.len();
        self.text.extend_from_slice(&message[..size]);
        self.places.push((begin, begin + size, peer));
        size
    }

    /// The same, of senders of these names.
    pub fn from(self, peers: &[String]) -> Messages {
        Messages { peers: peers.iter().map(|peer| peer.as_bytes().to_vec()).collect(), ..self }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

/// What a record is of, in the order in which Python has the formats.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Mta,
    Service,
}

/// What a run leaves behind.
#[derive(Default)]
pub struct Left {
    /// The body that a format took last.
    pub latest: Option<Body>,
    /// Records of kind `syslog`.
    pub texts: usize,
    /// A stamp in the form of MTA text, in the hour that the next message needs to be told.
    pub needs: Vec<u8>,
}

/// Renders messages of these numbers until one is not straight.
pub fn go(run: &mut Run, messages: &Messages, numbers: Range<usize>, hour: Option<&Hour>, limit: Limit, frame: &Frame, left: &mut Left) {
    for &(begin, end, peer) in messages.places.get(numbers).unwrap_or_default() {
        let written = run.out.len();
        let (message, peer) = (&messages.text[begin..end], &messages.peers[peer][..]);
        let done = catch_unwind(AssertUnwindSafe(|| one(run, message, begin, peer, hour, limit, frame, left))).unwrap_or_else(|_| {
            run.panics += 1;
            Err(Stop::Foreign)
        });
        if let Err(stop) = done {
            run.out.truncate(written);
            run.stop = stop;
            return;
        }
        run.lines += 1;
    }
}

#[allow(clippy::too_many_arguments)] // of one caller
fn one(
    run: &mut Run,
    message: &[u8],
    begin: usize,
    peer: &[u8],
    hour: Option<&Hour>,
    limit: Limit,
    frame: &Frame,
    left: &mut Left,
) -> Result<(), Stop> {
    let header = Header::read(message, peer, limit).ok_or(Stop::Foreign)?;
    let body = &message[header.end..];
    let plain = json::is_plain(message);
    if !body.last().is_some_and(u8::is_ascii_graphic) || !(plain || is_text(message)) {
        return Err(Stop::Foreign);
    }
    let start = begin + header.end;
    let named = begin + (header.host.as_ptr() as usize - message.as_ptr() as usize);
    let waiting = Waiting { out: 0, start, end: start + body.len(), second: 0, host: (named, named + header.host.len()) };
    let place = Place { time: b"", offset: 0, raw: message, plain, header: Some(&header) };
    match body[0] {
        b'0'..=b'9' | b' ' => mta_body(run, body, place, waiting, hour, frame, left),
        b'[' => service_body(run, body, place, waiting, frame, left),
        _ if is_foreign(body, &frame.service) => text_body(run, body, place, waiting, begin + header.behind, hour, frame, left),
        _ => Err(Stop::Foreign),
    }
}

/// Whether it is UTF-8, and one line.
fn is_text(message: &[u8]) -> bool {
    memchr::memchr2(b'\n', b'\r', message).is_none() && std::str::from_utf8(message).is_ok()
}

fn mta_body(
    run: &mut Run,
    body: &[u8],
    place: Place,
    mut waiting: Waiting,
    hour: Option<&Hour>,
    frame: &Frame,
    left: &mut Left,
) -> Result<(), Stop> {
    let Some(hour) = hour else {
        left.needs = body[..body.len().min(32)].to_vec();
        return Err(Stop::Hour);
    };
    let mut time = [0; 40];
    let (size, rest) = stamp(body, hour, &mut time).inspect_err(|stop| {
        if *stop == Stop::Hour {
            left.needs = body[..body.len().min(32)].to_vec();
        }
    })?;
    if !body[..body.len().min(mta::COLUMNS)].is_ascii() {
        return Err(Stop::Foreign);
    }
    let place = Place { time: &time[..size], ..place };
    let header = place.header.map_or(&b""[..], |header| header.host);
    if mta::connects(body) {
        let mut record = mta::connection(&body[rest..], &frame.tables).ok_or(Stop::Foreign)?;
        waiting.named(&record.wire, rest);
        if record.wire.host.is_empty() {
            record.wire.host = header;
        }
        waiting.out = match &frame.ecs {
            None => native::connection(&mut run.out, &record, frame, &place),
            Some(ecs) => ecs::connection(&mut run.out, &record, frame, ecs, &place),
        };
        run.kinds[1] += 1;
    } else {
        let mut record = mta::message(&body[rest..], &frame.tables).ok_or(Stop::Foreign)?;
        waiting.named(&record.wire, rest);
        if record.wire.host.is_empty() {
            record.wire.host = header;
        }
        waiting.out = match &frame.ecs {
            None => native::message(&mut run.out, &record, frame, &place),
            Some(ecs) => ecs::message(&mut run.out, &record, frame, ecs, &place),
        };
        run.kinds[0] += 1;
    }
    left.latest = Some(Body::Mta);
    run.rendered(&time[..size], waiting);
    Ok(())
}

fn service_body(run: &mut Run, body: &[u8], place: Place, mut waiting: Waiting, frame: &Frame, left: &mut Left) -> Result<(), Stop> {
    let mut time = [0; 40];
    let size = service::stamp(body, &mut time).ok_or(Stop::Foreign)?;
    if !(place.plain || body.is_ascii()) {
        return Err(Stop::Foreign);
    }
    let place = Place { time: &time[..size], ..place };
    let told = &frame.service;
    let record = service::read(&body[service::STAMP..], told).ok_or(Stop::Foreign)?;
    waiting.host = (waiting.start + service::STAMP, waiting.start + service::STAMP + record.host.len());
    waiting.out = match &frame.ecs {
        None => service::native(&mut run.out, &record, frame, told, &place),
        Some(_) => service::document(&mut run.out, &record, frame, told, &place).ok_or(Stop::Foreign)?,
    };
    run.kinds[if record.is_store() { 3 } else { 2 }] += 1;
    left.latest = Some(Body::Service);
    run.rendered(&time[..size], waiting);
    Ok(())
}

/// Whether no format takes a body, and nothing in it is an envelope.
fn is_foreign(body: &[u8], told: &service::Told) -> bool {
    if !body[0].is_ascii_alphabetic() && body[0] != b'(' {
        return false;
    }
    if let Some(begin) = body.get(..3) {
        let begin = [begin[0], begin[1], begin[2]].map(|letter| letter.to_ascii_lowercase());
        if MONTHS.chunks_exact(3).any(|name| *name == begin) {
            return false;
        }
    }
    let blank = memchr::memchr(b' ', body).unwrap_or(body.len());
    let word = &body[..blank.min(PREFIX)];
    // A prefix ends in `:` or `-` before what can be a record or a header.
    for at in memchr::memchr2_iter(b':', b'-', word) {
        match &body[at + 1..] {
            [b'0'..=b'9' | b'[' | b'<' | b'{' | b'A'..=b'Z', ..] | [b' ', b'0'..=b'9', ..] => return false,
            _ => {}
        }
    }
    // A category and a level may be the line of a service whose header is this one.
    let level = body.get(blank + 1..).and_then(|rest| Some(&rest[..memchr::memchr(b':', &rest[..rest.len().min(33)])?]));
    !level.is_some_and(|level| told.levels.iter().any(|(known, _)| known.eq_ignore_ascii_case(level)))
}

/// A message whose body is text. Its id is made of all but its PRI, which begins at `whole`.
#[allow(clippy::too_many_arguments)] // of one caller
fn text_body(
    run: &mut Run,
    body: &[u8],
    place: Place,
    mut waiting: Waiting,
    whole: usize,
    hour: Option<&Hour>,
    frame: &Frame,
    left: &mut Left,
) -> Result<(), Stop> {
    let header = place.header.ok_or(Stop::Foreign)?;
    let mut time = [0; 48];
    let Some((size, own)) = header.time(hour.map(|hour| (&hour.iso, &hour.offset)), &mut time) else {
        left.needs = of_mta(header.stamp());
        return Err(if left.needs.is_empty() { Stop::Foreign } else { Stop::Hour });
    };
    let place = Place { time: &time[..size], ..place };
    waiting.start = whole;
    let source = if own { &b"record"[..] } else { &frame.zone_source };
    waiting.out = match &frame.ecs {
        None => text_native(&mut run.out, body, header, source, frame, &place),
        Some(_) => text_document(&mut run.out, body, header, source, own, frame, &place),
    };
    left.texts += 1;
    run.rendered(&time[..size], waiting);
    Ok(())
}

/// `2004-08-30T16:53:05`, without a zone, as MTA text has it; nothing for any other.
fn of_mta(stamp: &[u8]) -> Vec<u8> {
    let month = stamp.get(5..7).and_then(|month| mta::digits(month, 2)).unwrap_or(0) as usize;
    if !(1..=12).contains(&month) || stamp.iter().skip(19).any(|octet| !(octet.is_ascii_digit() || *octet == b'.')) {
        return Vec::new();
    }
    [&stamp[8..10], b"-", &MONTHS[3 * month - 3..3 * month], b"-", &stamp[..4], b" ", &stamp[11..19], b".00 "].concat()
}

fn text_native(out: &mut Vec<u8>, body: &[u8], header: &Header, source: &[u8], frame: &Frame, place: &Place) -> usize {
    let told = &frame.messages;
    out.extend_from_slice(b"{\"kind\":\"syslog\",\"time\":\"");
    out.extend_from_slice(place.time);
    out.extend_from_slice(b"\",\"time_zone_source\":\"");
    out.extend_from_slice(source);
    out.extend_from_slice(b"\",\"event\":\"");
    out.extend_from_slice(&told.event);
    out.extend_from_slice(b"\",\"severity\":\"");
    out.extend_from_slice(&told.keywords.severities[header.severity]);
    out.extend_from_slice(b"\",\"id\":\"");
    let at = out.len();
    out.extend_from_slice(&[b'0'; 32]);
    out.push(b'"');
    header.native_source(out);
    member(out, b",\"host\":\"", header.host, false);
    member(out, b",\"process\":\"", header.app, false);
    number_member(out, b",\"pid\":", header.pid());
    header.native(out, &told.keywords);
    if frame.raw {
        member(out, b",\"raw\":\"", place.raw, false);
    }
    member(out, b",\"message\":\"", body, place.plain);
    out.extend_from_slice(b"}\n");
    at
}

fn text_document(out: &mut Vec<u8>, body: &[u8], header: &Header, source: &[u8], own: bool, frame: &Frame, place: &Place) -> usize {
    let told = &frame.messages;
    let event = &told.documents[header.severity];
    out.extend_from_slice(b"{\"@timestamp\":\"");
    out.extend_from_slice(place.time);
    out.extend_from_slice(b"\",\"message\":\"");
    text(out, body, place.plain);
    out.extend_from_slice(b"\",");
    out.extend_from_slice(&event.begin);
    out.extend_from_slice(b",\"id\":\"");
    let at = out.len();
    out.extend_from_slice(&[b'0'; 32]);
    out.push(b'"');
    if !own {
        member(out, b",\"timezone\":\"", &place.time[place.time.len() - 6..], true);
    }
    if frame.raw {
        member(out, b",\"original\":\"", place.raw, false);
    }
    out.extend_from_slice(b"},\"related\":{");
    list(out, b"\"hosts\":[", &[header.host], false);
    out.extend_from_slice(b"},\"log\":{\"level\":\"");
    out.extend_from_slice(&told.keywords.severities[header.severity]);
    out.push(b'"');
    header.log(out, &told.keywords);
    out.extend_from_slice(b"},\"host\":{\"name\":\"");
    text(out, header.host, false);
    out.extend_from_slice(b"\",\"hostname\":\"");
    text(out, header.host, false);
    out.extend_from_slice(b"\"},\"process\":{\"name\":\"");
    text(out, header.app, false);
    out.push(b'"');
    number_member(out, b",\"pid\":", header.pid());
    out.extend_from_slice(b"},\"service\":{\"name\":\"");
    text(out, header.app, false);
    out.extend_from_slice(b"\"},");
    out.extend_from_slice(&told.tail);
    out.extend_from_slice(b",\"sunmsg\":{\"kind\":\"syslog\",\"event\":\"");
    out.extend_from_slice(&told.event);
    out.extend_from_slice(b"\",\"time\":{\"zone_source\":\"");
    out.extend_from_slice(source);
    out.extend_from_slice(b"\"}");
    header.sunmsg(out);
    out.extend_from_slice(b"}}\n");
    at
}
