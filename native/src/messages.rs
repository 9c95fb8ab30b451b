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
use crate::json::{member, number_member, text};
use crate::native::{begun, Common};
use crate::run::{of_mta, stamp, Frame, Hour, Line, Place, Run, Stop, Straight};
use crate::{mta, octets, service};

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
    /// See `Header::of_line`.
    pub words: Vec<Vec<u8>>,
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

    /// The names of their senders.
    fn senders(&self) -> Vec<String> {
        self.peers.iter().map(|peer| String::from_utf8_lossy(peer).into_owned()).collect()
    }

    /// Whether this stands in one of them.
    fn hold(&self, piece: &[u8]) -> bool {
        memchr::memmem::find(&self.text, piece).is_some()
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

    /// How many those of these numbers have together.
    pub fn octets(&self, numbers: Range<usize>) -> usize {
        self.places.get(numbers).unwrap_or_default().iter().map(|(begin, end, _)| end - begin).sum()
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
    pub needs: Needs,
}

/// A message whose body is text. `own`: whether its stamp names the zone.
pub struct Text<'a> {
    pub header: &'a Header<'a>,
    pub message: &'a [u8],
    pub own: bool,
}

/// A stamp in the form of MTA text, in the hour that the next message needs to be told: of bodies, or of headers. Nothing in either where it is not
/// straight.
#[derive(Default)]
pub struct Needs {
    pub body: Vec<u8>,
    pub header: Vec<u8>,
}

/// What messages are read by, beside their log's frame: the hours that the clocks of bodies and of headers are in, None where it cannot be told.
#[derive(Clone, Copy)]
pub struct Clock<'a> {
    pub body: Option<&'a Hour>,
    pub header: Option<&'a Hour>,
    pub limit: Limit,
}

/// Renders messages of these numbers until one is not straight.
pub fn go(run: &mut Run, messages: &Messages, numbers: Range<usize>, clock: Clock, frame: &Frame, left: &mut Left) {
    for number in numbers.start..numbers.end.min(messages.places.len()) {
        let written = run.out.len();
        let done = catch_unwind(AssertUnwindSafe(|| {
            messages.read(number, clock, frame, |straight, begin| {
                let body = match straight.line {
                    Line::Message(_) | Line::Connection(_) => Some(Body::Mta),
                    Line::Service(_) => Some(Body::Service),
                    Line::Text(_) => left.latest,
                };
                run.take(straight, begin, frame).then(|| left.latest = body)
            })
        }));
        let done = done.unwrap_or_else(|_| {
            run.panics += 1;
            Err(Needs::default())
        });
        if let Some(ahead) = &mut run.ahead {
            if done.is_ok() {
                ahead.ended(true);
            } else {
                ahead.forget();
            }
        }
        if let Err(needs) = done {
            run.out.truncate(written);
            left.needs = needs;
            return;
        }
        run.lines += 1;
    }
}

impl Messages {
    /// Reads the message of this number, and gives it to `then` with where it begins. Err where an hour is to be told first, or it is not straight.
    pub fn read<T>(
        &self,
        number: usize,
        clock: Clock,
        frame: &Frame,
        then: impl FnOnce(&Straight, usize) -> Option<T>,
    ) -> Result<T, Needs> {
        let &(begin, end, peer) = self.places.get(number).ok_or_else(Needs::default)?;
        let message = &self.text[begin..end];
        let header = Header::read(message, &self.peers[peer], clock.limit).ok_or_else(Needs::default)?;
        let hours = (clock.body, clock.header);
        straight(message, (message, 0), &header, hours, frame, |straight| then(straight, begin))?.ok_or_else(Needs::default)
    }
}

/// One line of a log that stands behind a syslog header, and whose body has a stamp of its own, MTA text of this hour. None when it is not straight,
/// which Python can see without that its clock moves.
pub fn enveloped<T>(
    raw: &[u8],
    line: &[u8],
    offset: u64,
    hour: &Hour,
    frame: &Frame,
    then: impl FnOnce(&Straight) -> T,
) -> Result<Option<T>, Stop> {
    let date = |from: usize, to: usize| mta::digits(&hour.iso[from..to], 4).unwrap_or_default();
    let header = Header::of_line(line, (date(0, 4), date(5, 7), date(8, 10)), &frame.messages.words).ok_or(Stop::Foreign)?;
    let body = &line[header.end..];
    let mut time = [0; 48];
    match body.first() {
        Some(b'0'..=b'9') => _ = stamp(body, hour, &mut time)?,
        Some(b'[') => {
            let iso = service::stamp(body).ok_or(Stop::Foreign)?;
            time[..iso.len()].copy_from_slice(&iso);
            // One zone a run, and where the header has no year one day.
            if iso[19..] != hour.offset || !(line[header.behind].is_ascii_digit() || time[..10] == hour.iso[..10]) {
                return Err(Stop::Hour);
            }
        }
        _ => return Err(Stop::Foreign),
    }
    // A stamp without a year has that of the record, if both are of one day.
    if !(line[header.behind].is_ascii_digit() || header.stamp()[..10] == time[..10]) {
        return Ok(None);
    }
    Ok(straight(line, (raw, offset), &header, (Some(hour), None), frame, then).ok())
}

/// A message with this header. `raw`: as it stands in its log, and where; `hours`: of bodies and of headers.
fn straight<T>(
    message: &[u8],
    (raw, offset): (&[u8], u64),
    header: &Header,
    hours: (Option<&Hour>, Option<&Hour>),
    frame: &Frame,
    then: impl FnOnce(&Straight) -> T,
) -> Result<T, Needs> {
    let start = header.end;
    let body = &message[start..];
    let plain = octets::is_plain(message);
    if !body.last().is_some_and(u8::is_ascii_graphic) || !(plain || is_text(message)) {
        return Err(Needs::default());
    }
    let mut time = [0; 48];
    let named = header.host.as_ptr() as usize - message.as_ptr() as usize;
    let named = (named, named + header.host.len());
    let given = |line: Line, time: &[u8], content: usize, host: (usize, usize)| {
        let place = Place { time, offset, raw, plain, header: Some(header) };
        then(&Straight { line, place, content: (content, message.len()), host })
    };
    match body[0] {
        b'0'..=b'9' | b' ' => {
            let needs = || Needs { body: body[..body.len().min(32)].to_vec(), ..Needs::default() };
            let (size, rest) = match stamp(body, hours.0.ok_or_else(needs)?, &mut time) {
                Ok(found) if body[..body.len().min(mta::COLUMNS)].is_ascii() => found,
                Err(Stop::Hour) => return Err(needs()),
                _ => return Err(Needs::default()),
            };
            let done = of_mta(body, rest, header.host, frame, |line, (begin, end)| {
                given(line, &time[..size], start, if end > 0 { (start + begin, start + end) } else { named })
            });
            done.ok_or_else(Needs::default)
        }
        b'[' if plain || body.is_ascii() => {
            let time = service::stamp(body).ok_or_else(Needs::default)?;
            let record = service::read(&body[service::STAMP..], &frame.service).ok_or_else(Needs::default)?;
            let host = start + service::STAMP;
            Ok(given(Line::Service(&record), &time, start, (host, host + record.host.len())))
        }
        b'[' => Err(Needs::default()),
        _ if is_foreign(body, &frame.service) => match header.time(hours.1.map(|hour| (&hour.iso, &hour.offset)), &mut time) {
            // Its id is made of all but its PRI.
            Some((size, own)) => Ok(given(Line::Text(&Text { header, message: body, own }), &time[..size], header.behind, named)),
            None => Err(Needs { header: as_mta(header.stamp()), ..Needs::default() }),
        },
        _ => Err(Needs::default()),
    }
}

/// Whether it is UTF-8, and one line.
fn is_text(message: &[u8]) -> bool {
    memchr::memchr2(b'\n', b'\r', message).is_none() && std::str::from_utf8(message).is_ok()
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
    level.is_none_or(|level| told.levels.find(level, <[u8]>::eq_ignore_ascii_case).is_none())
}

/// `2004-08-30T16:53:05`, without a zone, as MTA text has it; nothing for any other.
fn as_mta(stamp: &[u8]) -> Vec<u8> {
    let month = stamp.get(5..7).and_then(|month| mta::digits(month, 2)).unwrap_or(0) as usize;
    if !(1..=12).contains(&month) || stamp.iter().skip(19).any(|octet| !(octet.is_ascii_digit() || *octet == b'.')) {
        return Vec::new();
    }
    [&stamp[8..10], b"-", &MONTHS[3 * month - 3..3 * month], b"-", &stamp[..4], b" ", &stamp[11..19], b".00 "].concat()
}

/// Where the zone of its time is from.
fn zone_source<'a>(record: &Text, frame: &'a Frame) -> &'a [u8] {
    if record.own {
        b"record"
    } else {
        &frame.zone_source
    }
}

/// A text in native JSON. Returns where in `out` its id belongs.
pub fn native(out: &mut Vec<u8>, record: &Text, frame: &Frame, place: &Place) -> usize {
    let (told, header) = (&frame.messages, record.header);
    let common = Common {
        kind: b"syslog",
        zone_source: zone_source(record, frame),
        event: &told.event,
        severity: &told.keywords.severities[header.severity],
        host: header.host,
        process: header.app,
        plain: place.plain,
        pid: header.pid(),
        ..Common::default()
    };
    let at = begun(out, &common, frame, place);
    member(out, b",\"message\":\"", record.message, place.plain);
    out.extend_from_slice(b"}\n");
    at
}

/// As an ECS document. Returns the same.
pub fn document(out: &mut Vec<u8>, record: &Text, frame: &Frame, place: &Place) -> usize {
    let (told, header, source) = (&frame.messages, record.header, zone_source(record, frame));
    let event = &told.documents[header.severity];
    ecs::begun(out, place);
    text(out, record.message, place.plain);
    let at = ecs::event_begun(out, event);
    if !record.own {
        member(out, b",\"timezone\":\"", &place.time[place.time.len() - 6..], true);
    }
    if frame.raw {
        member(out, b",\"original\":\"", place.raw, false);
    }
    out.extend_from_slice(b"},\"related\":{");
    list(out, b"\"hosts\":[", &[header.host], place.plain);
    out.extend_from_slice(b"},\"log\":{\"level\":\"");
    out.extend_from_slice(&told.keywords.severities[header.severity]);
    out.push(b'"');
    ecs::log_place(out, frame, place);
    out.push(b'}');
    ecs::host_part(out, header.host, place.plain);
    out.extend_from_slice(b",\"process\":{\"name\":\"");
    text(out, header.app, place.plain);
    out.push(b'"');
    number_member(out, b",\"pid\":", header.pid());
    out.extend_from_slice(b"},\"service\":{\"name\":\"");
    text(out, header.app, place.plain);
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
