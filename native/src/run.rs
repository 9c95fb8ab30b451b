//! Lines of one log, one after the other: those that are straight are rendered, the others are left as gaps, for Python to fill.
//!
//! - A line whose stamp is not in the hour that Python has told, or that has none, ends the run: only Python's clock knows what comes next.
//! - A line with a good stamp that is not straight is a gap: it can neither move the clock nor change the format, so the run goes on, and
//!   Python reads all gaps of the run together. Ids are given when that is done, as they go by the order of the lines.
//! - A panic makes its line a gap too, and is counted. It is our bug, and never the log's end.

use std::panic::{catch_unwind, AssertUnwindSafe};

use memchr::{memchr, memchr_iter};

use crate::ahead::{Ahead, Taken};
use crate::ecs::Ecs;
use crate::header::Header;
use crate::identity::{self, Counts};
use crate::tables::Tables;
use crate::xml::Element;
use crate::{attributes, ecs, json, messages, mta, native, object, octets, service, shapes, xml};

/// What is the same for all lines of a log. The texts are inside of JSON strings, but for `peer` and `host`.
pub struct Frame {
    pub tables: Tables,
    /// Of records of the MTA, by the number of their event.
    pub begins: Vec<native::Begin>,
    pub attributes: attributes::Told,
    pub zone_source: Vec<u8>,
    pub file: Vec<u8>,
    /// Where lines come from that are of no file.
    pub peer: Vec<u8>,
    pub host: Vec<u8>,
    pub raw: bool,
    /// Whether nothing is written of a record but its id and its kind.
    pub bare: bool,
    /// Whether a run keeps what `Run::each` has.
    pub each: bool,
    /// None for the native profile.
    pub ecs: Option<Ecs>,
    /// What is rendered beside the lines.
    pub ahead: Option<Ahead>,
    pub service: service::Told,
    pub messages: messages::Told,
}

/// One line: its time as ISO 8601, its offset in the log, itself with any CR; `plain` when no text in it needs an escape.
pub struct Place<'a> {
    pub time: &'a [u8],
    pub offset: u64,
    pub raw: &'a [u8],
    pub plain: bool,
    /// Of a message that came by syslog.
    pub header: Option<&'a Header<'a>>,
}

impl Place<'_> {
    /// Whether the host needs no escape either: one behind a header is in the line, else it can be the log's.
    pub fn plain_host(&self) -> bool {
        self.plain && self.header.is_some()
    }
}

/// How lines of the MTA are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Xml,
    Json,
    /// MTA text, or a service log's lines, behind a syslog header.
    Enveloped,
}

/// An hour that has one offset from UTC: its stamps in MTA text up to the hour's colon, the same in ISO 8601, and the offset. `form`: of the lines
/// that may be straight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    pub form: Form,
    pub stamp: [u8; 15],
    pub iso: [u8; 14],
    pub offset: [u8; 6],
}

/// A line that is left to Python: its number in the run, where it stands, and where its record belongs in the output.
pub struct Gap {
    pub number: usize,
    pub start: usize,
    pub end: usize,
    out: usize,
}

/// Why a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    End,
    Hour,
    Foreign,
}

/// A line that waits for its id: where in the output that belongs, and where its content stands.
pub struct Waiting {
    pub out: usize,
    pub start: usize,
    pub end: usize,
    pub second: usize,
    /// Where the host stands, when the line names it.
    pub host: (usize, usize),
}

impl Waiting {
    /// The host that the id has in it. `host`: of all lines that name none.
    fn name<'a>(&self, data: &'a [u8], host: &'a [u8]) -> &'a [u8] {
        if self.host == (0, 0) {
            host
        } else {
            &data[self.host.0..self.host.1]
        }
    }

    /// Puts the id where it belongs.
    fn show(&self, out: &mut [u8], id: &[u8; 16]) {
        if self.out < NOWHERE {
            json::hex_at(&mut out[self.out..self.out + 32], id);
        }
    }
}

/// One run, from its first line to where it stopped.
pub struct Run {
    pub out: Vec<u8>,
    pub gaps: Vec<Gap>,
    pub stop: Stop,
    /// Where the next line begins; one more than there are octets when the run came to their end.
    pub next: usize,
    pub lines: usize,
    /// Ends of lines in the output, once it has ids: what was rendered, counted once more. And up to where.
    pub ends: usize,
    counted: usize,
    /// Records rendered: of transactions, connections, services, the message store, and syslog messages that are text.
    pub kinds: [usize; 5],
    pub panics: usize,
    /// The smallest and the largest time of the lines rendered, as text.
    pub first: Vec<u8>,
    pub last: Vec<u8>,
    /// Of all lines, once they are settled.
    pub ids: Vec<[u8; 16]>,
    waiting: Vec<Waiting>,
    pub seconds: Vec<[u8; 19]>,
    /// Of each line the number of its kind and its time, where that is asked for; of a gap nothing.
    pub each: Vec<(u8, String)>,
    keeps_each: bool,
    clock: service::Clock,
    /// Of the first line of a service log, also where that is a gap: which lines a run goes through is the same in every profile.
    zone: Option<[u8; 6]>,
    /// Whether lines are read for what they leave behind, and an empty line is written for each.
    quiet: bool,
    /// What is rendered beside the lines.
    pub ahead: Option<Taken>,
}

/// The kind of a line that is left to Python.
const UNKNOWN: u8 = 255;

const STAMP: usize = 20;

impl Run {
    pub fn new(out: Vec<u8>) -> Run {
        Run {
            out,
            gaps: Vec::new(),
            stop: Stop::End,
            next: 0,
            lines: 0,
            ends: 0,
            counted: 0,
            kinds: [0; 5],
            panics: 0,
            first: Vec::new(),
            last: Vec::new(),
            ids: Vec::new(),
            waiting: Vec::new(),
            seconds: Vec::new(),
            each: Vec::new(),
            keeps_each: false,
            clock: service::Clock::default(),
            zone: None,
            quiet: false,
            ahead: None,
        }
    }

    /// Reads on from `start`, and gives the lines their digests. `offset`: of the first octet of `data`, in the log; `hour`: None of service logs;
    /// `quiet`: only for what the lines leave behind.
    pub fn read(&mut self, data: &[u8], start: usize, offset: u64, hour: Option<&Hour>, quiet: bool, frame: &Frame) {
        match hour {
            Some(hour) => self.go(data, start, offset, hour, quiet, frame),
            None => self.go_service(data, start, offset, frame),
        }
        self.hash(data, &frame.host);
    }

    /// Reads on from `start`, lines of the MTA.
    pub fn go(&mut self, data: &[u8], start: usize, offset: u64, hour: &Hour, quiet: bool, frame: &Frame) {
        (self.keeps_each, self.quiet) = (frame.each, quiet);
        self.ahead = self.ahead.take().filter(|_| !quiet);
        self.guarded(data, start, &frame.host, |run, line, start| run.render(line, start, offset + start as u64, hour, frame));
    }

    /// The same for service logs, whose stamps name their zone; one zone a run.
    pub fn go_service(&mut self, data: &[u8], start: usize, offset: u64, frame: &Frame) {
        self.keeps_each = frame.each;
        self.guarded(data, start, &frame.host, |run, line, start| run.render_service(line, start, offset + start as u64, frame));
    }

    /// Gives each line to `render` until that says where to stop.
    fn guarded(&mut self, data: &[u8], start: usize, host: &[u8], render: impl Fn(&mut Run, &[u8], usize) -> Result<bool, Stop>) {
        (self.next, self.stop) = (start, Stop::End);
        while self.next <= data.len() {
            let begin = self.next;
            let end = memchr(b'\n', &data[begin..]).map_or(data.len(), |length| begin + length);
            let written = self.out.len();
            let waiting = self.waiting.len();
            let done = catch_unwind(AssertUnwindSafe(|| render(self, &data[begin..end], begin))).unwrap_or_else(|_| {
                self.panics += 1;
                Ok(false)
            });
            match done {
                Ok(true) => {}
                Ok(false) => {
                    self.out.truncate(written);
                    self.waiting.truncate(waiting);
                    if self.keeps_each {
                        self.each.truncate(waiting);
                        self.each.push((UNKNOWN, String::new()));
                    }
                    self.gaps.push(Gap { number: self.lines, start: begin, end, out: written });
                    self.waiting.push(Waiting { out: GAP, start: 0, end: 0, second: 0, host: (0, 0) });
                }
                Err(stop) => {
                    self.stop = stop;
                    return;
                }
            }
            if let Some(ahead) = &mut self.ahead {
                ahead.ended(matches!(done, Ok(true)));
            }
            self.lines += 1;
            self.next = end + 1;
            if self.waiting.len() == self.ids.len() + identity::TOGETHER {
                self.hash(data, host); // while both are in the processor's cache
            }
        }
    }

    /// One line: true when it is rendered, false when it is a gap.
    fn render(&mut self, raw: &[u8], start: usize, offset: u64, hour: &Hour, frame: &Frame) -> Result<bool, Stop> {
        Ok(straight(raw, offset, hour, frame, |straight| self.take(straight, start, frame))? == Some(true))
    }

    /// One line of a service log.
    fn render_service(&mut self, raw: &[u8], start: usize, offset: u64, frame: &Frame) -> Result<bool, Stop> {
        let time = self.clock.time(raw).ok_or(Stop::Foreign)?;
        let zone = time.last_chunk().copied();
        if self.zone.is_none() {
            self.zone = zone;
        }
        if self.zone != zone {
            return Err(Stop::Hour);
        }
        Ok(straight_service(raw, offset, &time, frame, |straight| self.take(straight, start, frame)) == Some(true))
    }

    /// Renders a line that begins there; false when only Python can.
    #[inline]
    pub fn take(&mut self, straight: &Straight, start: usize, frame: &Frame) -> bool {
        let out = if self.quiet { Some(quiet(&mut self.out)) } else { straight.render(&mut self.out, frame) };
        let Some(out) = out else { return false };
        if let (Some(taken), Some(ahead)) = (&mut self.ahead, &frame.ahead) {
            taken.take(straight, frame, ahead);
        }
        self.kinds[straight.line.kind()] += 1;
        if self.keeps_each {
            self.each.push((straight.line.kind() as u8, String::from_utf8_lossy(straight.place.time).into_owned()));
        }
        let at = |(begin, end): (usize, usize)| if end > 0 { (start + begin, start + end) } else { (0, 0) };
        let (begin, end) = at(straight.content);
        self.rendered(straight.place.time, Waiting { out, start: begin, end, second: 0, host: at(straight.host) });
        true
    }

    /// A line is rendered: it waits for its id.
    fn rendered(&mut self, time: &[u8], mut waiting: Waiting) {
        if self.seconds.last().is_none_or(|second| second[..] != time[..19]) {
            let mut second = [0; 19];
            second.copy_from_slice(&time[..19]);
            self.seconds.push(second);
        }
        if self.last[..] < *time {
            self.last.clear();
            self.last.extend_from_slice(time);
            if self.first.is_empty() {
                self.first.extend_from_slice(time);
            }
        } else if self.first[..] > *time {
            self.first.clear();
            self.first.extend_from_slice(time);
        }
        waiting.second = self.seconds.len() - 1;
        self.waiting.push(waiting);
    }

    /// Gives all lines but gaps, from where that was done before, the ids that they have when no identical line came before.
    pub fn hash(&mut self, data: &[u8], host: &[u8]) {
        let first = self.ids.len();
        let (mut hosted, mut ends) = (Vec::new(), Vec::new());
        for portion in self.waiting[first..].chunks(identity::TOGETHER) {
            // With a host, one text for all: to get memory for each of them takes longer than to copy it.
            hosted.clear();
            ends.clear();
            for line in portion {
                let name = line.name(data, host);
                if !name.is_empty() {
                    hosted.extend_from_slice(&data[line.start..line.end]);
                    hosted.push(0);
                    hosted.extend_from_slice(name);
                }
                ends.push(hosted.len());
            }
            let mut begin = 0;
            let content = |(line, &end): (&Waiting, &usize)| match std::mem::replace(&mut begin, end) {
                begin if begin == end => &data[line.start..line.end],
                begin => &hosted[begin..end],
            };
            let contents: Vec<&[u8]> = portion.iter().zip(&ends).map(content).collect();
            identity::digests(&contents, &mut self.ids);
        }
        for (line, id) in self.waiting.iter().zip(&self.ids).skip(first) {
            line.show(&mut self.out, id);
        }
        self.ends += memchr_iter(b'\n', &self.out[self.counted..]).count();
        self.counted = self.out.len();
    }

    /// Counts identical lines, after `hash`, for the ids of those that have one before them. `gaps`: of each gap the second and the content;
    /// returns their ids.
    pub fn settle(&mut self, data: &[u8], gaps: &[(Vec<u8>, Vec<u8>)], counts: &mut Counts, host: &[u8]) -> Vec<[u8; 16]> {
        let mut filled = gaps.iter();
        let mut given = Vec::with_capacity(gaps.len());
        for (number, (line, id)) in self.waiting.iter().zip(&mut self.ids).enumerate() {
            if line.out == GAP {
                let Some((second, content)) = filled.next() else { continue };
                *id = counts.id(second, identity::digest(content), || content);
                given.push(*id);
                continue;
            }
            let whole = || match line.name(data, host) {
                b"" => data[line.start..line.end].to_vec(),
                name => [&data[line.start..line.end], b"\0", name].concat(),
            };
            let counted = counts.id(&self.seconds[line.second], *id, whole);
            if counted != *id {
                *id = counted;
                line.show(&mut self.out, id);
            }
            if let Some(ahead) = &mut self.ahead {
                ahead.named(number, id);
            }
        }
        given
    }

    /// The output with the rendered records of the gaps, one line each, where they belong: as many octets as both have together.
    pub fn fill(&self, records: &[u8], whole: &mut [u8]) {
        let mut rest = whole;
        let mut put = |piece: &[u8]| {
            let (place, after) = std::mem::take(&mut rest).split_at_mut(piece.len());
            place.copy_from_slice(piece);
            rest = after;
        };
        let (mut done, mut left) = (0, records);
        for gap in &self.gaps {
            let end = memchr(b'\n', left).map_or(left.len(), |end| end + 1);
            put(&self.out[done..gap.out]);
            put(&left[..end]);
            (done, left) = (gap.out, &left[end..]);
        }
        put(&self.out[done..]);
    }
}

/// Where the id of a line belongs that is not written, and of one that is left to Python.
const NOWHERE: usize = usize::MAX - 1;
const GAP: usize = usize::MAX;

/// An empty line, in place of one that nobody wants.
fn quiet(out: &mut Vec<u8>) -> usize {
    out.push(b'\n');
    NOWHERE
}

/// A line with room for an id, and behind it the kind in quotation marks. Returns where the id belongs.
fn bare(out: &mut Vec<u8>, line: Line) -> usize {
    const KINDS: [&[u8]; 5] = [b"\"mta\"\n", b"\"connection\"\n", b"\"service\"\n", b"\"store\"\n", b"\"syslog\"\n"];
    let at = json::room(out);
    out.extend_from_slice(KINDS[line.kind()]);
    at
}

/// Room for a time.
pub type Time = [u8; 48];

/// A straight line, or message. In it stand, from octet to octet: the content, of which its id is made; the host, if it names one, else (0, 0).
pub struct Straight<'a> {
    pub line: Line<'a>,
    pub place: Place<'a>,
    pub content: (usize, usize),
    pub host: (usize, usize),
}

/// What it is. (A record is some hundred octets: it is lent, as moving it takes time.)
#[derive(Clone, Copy)]
pub enum Line<'a> {
    Message(&'a mta::Message<'a>),
    Connection(&'a mta::Connection<'a>),
    Service(&'a service::Service<'a>),
    Text(&'a messages::Text<'a>),
}

impl Line<'_> {
    /// The number of its kind, in the order of `Run::kinds`.
    fn kind(self) -> usize {
        match self {
            Line::Message(_) => 0,
            Line::Connection(_) => 1,
            Line::Service(record) => 2 + usize::from(record.is_store()),
            Line::Text(_) => 4,
        }
    }
}

impl Straight<'_> {
    /// As a line of output. Returns where its id belongs; None, and anything in `out`, where only Python can write it.
    #[inline]
    fn render(&self, out: &mut Vec<u8>, frame: &Frame) -> Option<usize> {
        let place = &self.place;
        Some(match (self.line, &frame.ecs) {
            _ if frame.bare => bare(out, self.line),
            (Line::Message(record), None) => native::message(out, record, frame, place),
            (Line::Message(record), Some(ecs)) => ecs::message(out, record, frame, ecs, place),
            (Line::Connection(record), None) => native::connection(out, record, frame, place),
            (Line::Connection(record), Some(ecs)) => ecs::connection(out, record, frame, ecs, place),
            (Line::Service(record), None) => service::native(out, record, frame, &frame.service, place),
            (Line::Service(record), Some(_)) => service::document(out, record, frame, &frame.service, place)?,
            (Line::Text(record), None) => messages::native(out, record, frame, place),
            (Line::Text(record), Some(_)) => messages::document(out, record, frame, place),
        })
    }
}

/// Reads one line of the MTA, and gives it to `then`. None when it is not straight.
#[inline]
pub fn straight<T>(raw: &[u8], offset: u64, hour: &Hour, frame: &Frame, then: impl FnOnce(&Straight) -> T) -> Result<Option<T>, Stop> {
    let line = without_cr(raw);
    match hour.form {
        Form::Text => of_text(raw, line, offset, hour, frame, then),
        Form::Xml | Form::Json => of_attributes(raw, line, offset, hour, frame, then),
        Form::Enveloped => messages::enveloped(raw, line, offset, hour, frame, then),
    }
}

fn of_text<T>(
    raw: &[u8],
    line: &[u8],
    offset: u64,
    hour: &Hour,
    frame: &Frame,
    then: impl FnOnce(&Straight) -> T,
) -> Result<Option<T>, Stop> {
    let mut time = [0; 48];
    let (size, rest) = stamp(line, hour, &mut time)?;
    let plain = octets::is_plain(raw);
    if !line.last().is_some_and(u8::is_ascii_graphic)
        || !(plain || line[..line.len().min(mta::COLUMNS)].is_ascii() && std::str::from_utf8(raw).is_ok())
    {
        return Ok(None);
    }
    let place = Place { time: &time[..size], offset, raw, plain, header: None };
    Ok(of_mta(line, rest, b"", frame, |found, host| then(&Straight { line: found, place, content: (0, line.len()), host })))
}

/// Reads a record of MTA text, which goes on behind its stamp at `rest`, and gives it to `then` with where its node stands; of one that names none,
/// with this host and (0, 0).
pub fn of_mta<'a, T>(
    line: &'a [u8],
    rest: usize,
    host: &'a [u8],
    frame: &Frame,
    then: impl FnOnce(Line, (usize, usize)) -> T,
) -> Option<T> {
    let named = |wire: &mut mta::Wire<'a>| {
        if wire.host.is_empty() {
            wire.host = host;
            (0, 0)
        } else {
            (rest, rest + wire.host.len())
        }
    };
    if mta::connects(line) {
        let mut record = mta::Connection::default();
        mta::connection(&line[rest..], &frame.tables, &mut record)?;
        let host = named(&mut record.wire);
        Some(then(Line::Connection(&record), host))
    } else {
        let mut record = mta::Message::default();
        if mta::message(&line[rest..], &frame.tables, &mut record).is_none() {
            if frame.tables.told.is_some() {
                return None;
            }
            record = mta::Message::default();
            shapes::message(&line[rest..], &frame.tables, &mut record)?;
        }
        let host = named(&mut record.wire);
        Some(then(Line::Message(&record), host))
    }
}

fn of_attributes<T>(
    raw: &[u8],
    line: &[u8],
    offset: u64,
    hour: &Hour,
    frame: &Frame,
    then: impl FnOnce(&Straight) -> T,
) -> Result<Option<T>, Stop> {
    let (json, told) = (hour.form == Form::Json, &frame.attributes);
    let begun = if json { object::begun(line) } else { xml::begun(line) };
    let (element, at) = begun.ok_or(Stop::Foreign)?;
    let mut time = [0; 48];
    let (size, end) = iso_stamp(&line[at..], hour, &mut time)?;
    let mut plain = octets::is_plain_quoted(raw);
    let is_text = plain || (std::str::from_utf8(raw).is_ok() && !(json && raw.iter().any(|octet| *octet < b' ')));
    let escapes = memchr(if json { b'\\' } else { b'&' }, line).is_some();
    let mut room = if escapes { vec![0; line.len()] } else { Vec::new() };
    let rest = &line[at + end..];
    let given = match hour.form {
        _ if !is_text => None,
        Form::Json => object::attributes(rest, element != Element::Any, &mut room, told, &mut plain),
        _ => xml::attributes(rest, &mut room, told, &mut plain),
    };
    let heads = element == Element::Any && given.as_ref().is_some_and(attributes::Attributes::heads) && object::has_text(line);
    let done = given.and_then(|given| {
        let place = Place { time: &time[..size], offset, raw, plain, header: None };
        let then = |found, wire: &mta::Wire| {
            // A name that was decoded does not stand in the line.
            let host = (wire.host.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
            let host = if wire.host.is_empty() { (0, 0) } else { (host, host.checked_add(wire.host.len())?) };
            (host.1 <= line.len()).then(|| then(&Straight { line: found, place, content: (0, line.len()), host }))
        };
        if element == Element::Connection || (element == Element::Any && given.connect(told)) {
            let mut record = attributes::connection(&given, told)?;
            mta::judge(&mut record.wire, &frame.tables)?;
            then(Line::Connection(&record), &record.wire)
        } else {
            let record = attributes::message(&given, told)?;
            then(Line::Message(&record), &record.wire)
        }
    });
    if done.is_none() && json && !heads && !object::is_certain(line, element) {
        return Err(Stop::Foreign);
    }
    Ok(done)
}

/// The same as `straight` of a line of a service log that has this time.
pub fn straight_service<T>(raw: &[u8], offset: u64, time: &[u8], frame: &Frame, then: impl FnOnce(&Straight) -> T) -> Option<T> {
    let line = without_cr(raw);
    let plain = octets::is_plain(raw);
    if !line.last().is_some_and(u8::is_ascii_graphic) || !(plain || raw.is_ascii()) {
        return None;
    }
    let place = Place { time, offset, raw, plain, header: None };
    let record = service::read(&line[service::STAMP..], &frame.service)?;
    let host = (service::STAMP, service::STAMP + record.host.len());
    Some(then(&Straight { line: Line::Service(&record), place, content: (0, line.len()), host }))
}

/// `2014-06-02T22:02:13.94"`: the size of the time with its offset, which is put into `time`, and where the line goes on after the quotation mark.
fn iso_stamp(text: &[u8], hour: &Hour, time: &mut Time) -> Result<(usize, usize), Stop> {
    let known = text.get(..19).ok_or(Stop::Foreign)?;
    if known[..14] != hour.iso {
        return Err(Stop::Hour);
    }
    if !is_sixty(known[14], known[15]) || known[16] != b':' || !is_sixty(known[17], known[18]) {
        return Err(Stop::Foreign);
    }
    let mut end = known.len();
    if text.get(end) == Some(&b'.') {
        end += 1 + text[end + 1..].iter().take(10).take_while(|octet| octet.is_ascii_digit()).count();
    }
    if !(end == 19 || (21..=29).contains(&end)) || text.get(end) != Some(&b'"') {
        return Err(Stop::Foreign);
    }
    time[..end].copy_from_slice(&text[..end]);
    time[end..end + 6].copy_from_slice(&hour.offset);
    Ok((end + 6, end + 1))
}

fn is_sixty(tens: u8, ones: u8) -> bool {
    (b'0'..=b'5').contains(&tens) && ones.is_ascii_digit()
}

fn without_cr(raw: &[u8]) -> &[u8] {
    match raw {
        [.., b'\r'] => &raw[..raw.iter().rposition(|&octet| octet != b'\r').map_or(0, |last| last + 1)],
        _ => raw,
    }
}

/// The stamp of a line as ISO 8601, put into `time`: its size, and where the rest of the line begins.
pub fn stamp(line: &[u8], hour: &Hour, time: &mut Time) -> Result<(usize, usize), Stop> {
    let known = line.get(..STAMP).ok_or(Stop::Foreign)?;
    if known[2] != b'-' || known[6] != b'-' {
        return Err(Stop::Foreign);
    }
    if known[..15] != hour.stamp {
        return Err(Stop::Hour);
    }
    if !is_sixty(known[15], known[16]) || known[17] != b':' || !is_sixty(known[18], known[19]) {
        return Err(Stop::Foreign);
    }
    let mut end = STAMP;
    if line.get(end) == Some(&b'.') {
        end += 1;
        end += line[end..].iter().take(10).take_while(|octet| octet.is_ascii_digit()).count();
        // The Python takes a stamp of the usual length for whole, whatever is in it.
        if end == STAMP + 1 || end > STAMP + 10 || (end != 23 && line.get(23) == Some(&b' ')) {
            return Err(Stop::Foreign);
        }
    }
    if line.get(end) != Some(&b' ') {
        return Err(Stop::Foreign);
    }
    time[..14].copy_from_slice(&hour.iso);
    let size = 14 + end - 15;
    time[14..size].copy_from_slice(&line[15..end]);
    time[size..size + 6].copy_from_slice(&hour.offset);
    Ok((size + 6, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_makes_its_line_a_gap_and_leaves_nothing_of_it() {
        let data = b"one\nbad\nthree";
        let mut run = Run::new(Vec::new());
        run.guarded(data, 0, b"", |run, line, start| {
            run.out.extend_from_slice(line);
            assert!(line != b"bad");
            run.out.push(b'\n');
            run.waiting.push(Waiting { out: 0, start, end: start, second: 0, host: (0, 0) });
            Ok(true)
        });
        assert_eq!((run.panics, run.lines, run.next), (1, 3, data.len() + 1));
        assert_eq!(run.gaps.len(), 1);
        assert_eq!((run.gaps[0].number, run.gaps[0].start, run.gaps[0].end), (1, 4, 7));
        let mut whole = [0; 17];
        run.fill(b"filled\n", &mut whole);
        assert_eq!(&whole, b"one\nfilled\nthree\n");
    }

    #[test]
    fn a_stamp_of_another_hour_stops() {
        let hour = Hour { form: Form::Text, stamp: *b"19-Jan-1998 19:", iso: *b"1998-01-19T19:", offset: *b"-05:00" };
        let mut time = [0; 48];
        let (size, rest) = stamp(b"19-Jan-1998 19:16:57.64 l", &hour, &mut time).unwrap();
        assert_eq!((&time[..size], rest), (&b"1998-01-19T19:16:57.64-05:00"[..], 24));
        let (size, rest) = stamp(b"19-Jan-1998 19:16:57 l", &hour, &mut time).unwrap();
        assert_eq!((&time[..size], rest), (&b"1998-01-19T19:16:57-05:00"[..], 21));
        assert_eq!(stamp(b"19-Jan-1998 20:16:57.64 l", &hour, &mut time), Err(Stop::Hour));
        for line in [
            "",
            "19-Jan-1998 19:16:57",
            "19-Jan-1998 19:16:57.",
            "19-Jan-1998 19:16:60.64 l",
            "19-Jan-1998 19:16:57.6  l",
            "19-Jan-1998 19:16:57. l",
        ] {
            assert_eq!(stamp(line.as_bytes(), &hour, &mut time), Err(Stop::Foreign), "{line}");
        }
    }
}
