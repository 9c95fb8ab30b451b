//! The compiled twin of shipper's straight case: octets of a log in, JSON lines out, without a Python object for a line.
//!
//! Python is the definition of what is read and written; `shipper/compiled.py` imports this crate and has the rules of their dealings.

mod ahead;
mod attributes;
mod begun;
mod drain;
mod ecs;
mod framer;
mod header;
mod identity;
mod json;
mod messages;
mod mta;
mod native;
mod object;
mod octets;
mod otlp;
mod outlet;
mod payloads;
mod rfc5424;
mod run;
mod service;
mod shapes;
mod spool;
mod structured;
mod tables;
mod xml;

use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::begun::{Begun, Threads};
use crate::ecs::Ecs;
use crate::identity::Counts;
use crate::messages::{Body, Clock, Left, Messages};
use crate::outlet::{Lines, Outlet, Room};
use crate::run::{Form, Frame, Hour, Run, Stop};
use crate::tables::{Event, Tables};

/// Of the calls below; it stands in `shipper/compiled.py` too, and one more with each change of them.
const INTERFACE: u32 = 38;

/// What a run gives: (output, None while it has gaps; the gaps as (number, start, end); whether it stopped for another hour or zone; where the
/// next line begins; lines; of each kind how many records; panics; smallest time; largest time).
type Ran<'py> = (Option<Output<'py>>, Vec<(usize, usize, usize)>, bool, usize, usize, [usize; 4], usize, String, String);

/// Of ECS, for each event in a transaction and in a connection record: (the event up to its id, as JSON; what is done; whether that failed);
/// the letters of records whose connection came in; what every document has before `sunmsg`.
type EcsTold = (Vec<(String, String, bool)>, Vec<(String, String, bool)>, String, String);

/// Of service logs: (process, service); (beginning of a process, service); (level, number of its severity); severities; names of events; mechanisms; reasons of bad logins; ECS
/// events as above, by event, severity and user; what every document has before `sunmsg`; (service, protocol).
type ServiceTold = (
    Vec<(String, String)>,
    Vec<(String, String)>,
    Vec<(String, usize)>,
    Vec<String>,
    Vec<String>,
    Vec<String>,
    Vec<String>,
    Vec<(String, String, bool)>,
    String,
    Vec<(String, String)>,
);

/// Of attributes in XML and JSON: their names; those of messages, of connections; the letters of connection records.
type AttributesTold = (Vec<String>, Vec<String>, Vec<String>, String);

/// Of OTLP, for each event: (severity and name, as fields; what is done; whether that failed; whether its connection came in).
type OtlpEvents = Vec<(Vec<u8>, String, bool, bool)>;

/// Of syslog, for each event: (priority; application; id of the message; what is done).
type SyslogEvents = Vec<(u64, String, String, String)>;

/// Of the records of services, by their case, and of syslog messages that are text, by severity: of OTLP (severity and name, as fields; whether it
/// failed), of syslog (id of the message; what is done).
type OtlpCases = (Vec<(Vec<u8>, bool)>, Vec<Vec<u8>>);
type SyslogCases = (Vec<(String, String)>, String);

/// Of an hour that lines are in: how they begin, the hour as ISO 8601, its offset. Lines of MTA text begin with the hour up to its colon, of XML with `<`,
/// of JSON with `{`; those behind a syslog header with `>` and that hour.
type HourTold<'a> = Option<(&'a str, &'a str, &'a str)>;

/// What renders lines for an output whose records are not lines.
#[pyclass(frozen)]
struct Writer(payloads::Writer);

#[pymethods]
impl Writer {
    /// `resource`: of the MTA, its attributes but the host, and of others but their name too; `file`: the attributes of the log's name; `names`: of the
    /// others.
    #[staticmethod]
    #[pyo3(signature = (*, events, cases, resource, file, names, zone_source))]
    fn otlp(
        events: OtlpEvents,
        cases: OtlpCases,
        resource: (Vec<u8>, Vec<u8>),
        file: Vec<u8>,
        names: Vec<String>,
        zone_source: &str,
    ) -> PyResult<Writer> {
        let (services, texts) = cases;
        let names_fit = names.len() == otlp::NAMES && names.iter().all(|name| name.len() <= otlp::LONGEST);
        if events.len() != mta::EVENTS || !names_fit || services.len() != service::EVENTS * 16 || texts.len() != 8 {
            return Err(PyValueError::new_err("tables of another size"));
        }
        let events = events
            .into_iter()
            .map(|(fields, action, failed, inbound)| otlp::Event { fields, action: action.into_bytes(), failed, inbound })
            .collect();
        let services = services.into_iter().map(|(fields, failed)| otlp::Case { fields, failed }).collect();
        let (resource, namespace) = resource;
        let told = otlp::Otlp { events, services, texts, resource, namespace, file, ..otlp::Otlp::default() };
        Ok(Writer(payloads::Writer::Otlp(Arc::new(otlp::Otlp::new(told, &names, zone_source)))))
    }

    /// `head`: what stands before the structured data, and there of all messages: (host; quality of the log's zone, and of a time that names its own;
    /// origin); `priorities`: by severity; `elements`: the ids of the structured data of transactions, connections, services, texts; `most`: octets of
    /// a message, 0 for any; `form`: (RFC 3164; that without the host; that with the line itself); `months`: their names there.
    #[staticmethod]
    #[pyo3(signature = (*, events, cases, names, head, priorities, elements, most, form, months))]
    #[allow(clippy::too_many_arguments)] // they are named
    fn syslog(
        events: SyslogEvents,
        cases: SyslogCases,
        names: Vec<String>,
        head: (String, String, String, String),
        priorities: Vec<u64>,
        elements: (String, String, String, String),
        most: usize,
        form: (bool, bool, bool),
        months: Vec<String>,
    ) -> PyResult<Writer> {
        let cases_fit = cases.0.len() == service::EVENTS * 16 && priorities.len() == 8;
        if events.len() != mta::EVENTS || names.len() != rfc5424::NAMES || months.len() != 12 || !cases_fit {
            return Err(PyValueError::new_err("tables of another size"));
        }
        let events = events
            .into_iter()
            .map(|(priority, application, id, action)| rfc5424::Event {
                priority,
                application: application.into_bytes(),
                id: id.into_bytes(),
                action: action.into_bytes(),
            })
            .collect();
        Ok(Writer(payloads::Writer::Syslog(Box::new(rfc5424::Syslog {
            events,
            services: cases.0.into_iter().map(|(id, act)| rfc5424::Case { id: id.into_bytes(), act: act.into_bytes() }).collect(),
            text: cases.1.into_bytes(),
            priorities,
            names: names.iter().map(|name| format!(" {name}=\"").into_bytes()).collect(),
            host: head.0.into_bytes(),
            quality: head.1.into_bytes(),
            own_quality: head.2.into_bytes(),
            origin: head.3.into_bytes(),
            elements: [elements.0, elements.1, elements.2, elements.3].map(|element| format!("[{element}").into_bytes()),
            most,
            old: form.0,
            local: form.1,
            raw: form.2,
            months: months.into_iter().map(String::into_bytes).collect(),
        }))))
    }
}

/// Of syslog messages: facilities, severities; the event of one whose body is text; its ECS events by severity; what its document has before
/// `sunmsg`.
type MessagesTold = (Vec<String>, Vec<String>, String, Vec<(String, String, bool)>, String, Vec<String>);

/// Payloads one behind the other; where each ends; those that are left to Python, which are empty.
type Payloads<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Vec<usize>);

/// Payloads that Python has made, each with its number, which grow.
type Made<'py> = Vec<(usize, Bound<'py, PyBytes>)>;

/// The same of messages: of their bodies, and of their headers.
type HoursTold<'a> = (HourTold<'a>, HourTold<'a>);

/// What a run of messages gives: (messages; where it stopped for another hour of bodies, or of headers, a stamp in that; the number of the format that
/// took the last body, of none -1; of each kind how many records, `syslog` at the end; panics).
type RanMessages = (usize, (String, String), i8, [usize; 5], usize);

/// Lines of output, as the twin was told to give them.
#[derive(IntoPyObject)]
enum Output<'py> {
    Octets(Bound<'py, PyBytes>),
    Lines(Bound<'py, Lines>),
}

/// A run whose gaps Python is about to fill, and the octets it read. `home`: of the room for its output.
struct Open {
    run: Run,
    home: Room,
    data: Py<PyBytes>,
    settled: bool,
}

/// Renders one log. What its lines leave behind for the next ones is the count of identical lines; all else is told with each call.
#[pyclass]
struct Twin {
    frame: Arc<Frame>,
    counts: Counts,
    open: Option<Open>,
    /// Runs of this block that were begun before.
    begun: Option<Py<Begun>>,
    room: Room,
    /// Whether output is given as `Lines`.
    lines: bool,
    /// Lines of messages, until they are asked for.
    kept: Vec<u8>,
    seconds: Vec<[u8; 19]>,
    each: Vec<(u8, String)>,
    ids: Vec<[u8; 16]>,
    ahead: Option<ahead::Payloads>,
}

#[pymethods]
impl Twin {
    /// `events`: name and severity of each (`Wire::event`); `messages`: the letters of transaction records; `bare`: whether
    /// nothing is written of a line of a log but its id and its kind; `lines`: whether output is given as `Lines`; `ecs`: None for the native profile.
    #[new]
    #[pyo3(signature = (*, events, messages, accounts, words, failures, daemons, fields, attributes, zone_source, file, peer, host, raw, seconds_kept, lines_kept, bare, each, lines, ecs, service, syslog))]
    #[allow(clippy::too_many_arguments)] // they are named
    fn new(
        events: Vec<(String, String)>,
        messages: &str,
        accounts: Vec<String>,
        words: (Vec<String>, Vec<String>),
        failures: Vec<String>,
        daemons: Vec<String>,
        fields: Option<Vec<String>>,
        attributes: AttributesTold,
        zone_source: &str,
        file: &str,
        peer: String,
        host: String,
        raw: bool,
        seconds_kept: usize,
        lines_kept: usize,
        bare: bool,
        each: bool,
        lines: bool,
        ecs: Option<EcsTold>,
        service: ServiceTold,
        syslog: MessagesTold,
    ) -> PyResult<Twin> {
        let parts = ecs.iter().all(|(messages, connections, _, _)| messages.len() == mta::EVENTS && connections.len() == mta::EVENTS);
        let (processes, prefixes, levels, severities, names, mechanisms, reasons, documents, tail, protocols) = service;
        let (facilities, keywords, event, texts, text_tail, level_words) = syslog;
        let texts_fit = facilities.len() == 24 && keywords.len() == 8 && (ecs.is_none() || texts.len() == 8);
        let documents_fit = ecs.is_none() || documents.len() == names.len() * severities.len() * 2;
        let services_fit = processes.iter().chain(&prefixes).all(|(_, service)| octets::is_plain(service.as_bytes()));
        let levels_fit = levels.iter().all(|(_, severity)| *severity < severities.len());
        let Some(info) = severities.iter().position(|severity| severity == "info") else {
            return Err(PyValueError::new_err("no severity 'info'"));
        };
        if events.len() != mta::EVENTS
            || !parts
            || names.len() != service::EVENTS
            || !documents_fit
            || !levels_fit
            || !services_fit
            || !texts_fit
        {
            return Err(PyValueError::new_err("tables of another size"));
        }
        let octets = |texts: Vec<String>| texts.into_iter().map(String::into_bytes).collect::<Vec<_>>();
        let pairs = |texts: Vec<(String, String)>| texts.into_iter().map(|(a, b)| (a.into_bytes(), b.into_bytes())).collect::<Vec<_>>();
        let mut told = service::Told {
            processes: service::Names::new(processes.into_iter().map(|(process, service)| (process, service.into_bytes()))),
            prefixes: pairs(prefixes),
            levels: service::Names::new(levels),
            severities: octets(severities),
            info,
            begins: Vec::new(),
            events: octets(names),
            mechanisms: octets(mechanisms),
            reasons: octets(reasons),
            documents: documents.into_iter().map(part).collect(),
            tail: tail.into_bytes(),
            protocols: pairs(protocols),
        };
        let quoted = |text: &str| {
            let mut out = Vec::new();
            json::escaped(&mut out, text.as_bytes());
            out
        };
        let Some(attributes) = attributes::Told::new(&attributes.0, &attributes.1, &attributes.2, &attributes.3) else {
            return Err(PyValueError::new_err("attributes of another form"));
        };
        let (zone_source, file) = (quoted(zone_source), quoted(file));
        let events: Vec<_> = events.iter().map(|(name, severity)| Event { name: quoted(name), severity: quoted(severity) }).collect();
        let begins = events.iter().map(|event| native::Begin::new(&zone_source, &event.name, &event.severity, &file)).collect();
        let begin = |event: &[u8], severity: &[u8]| native::Begin::new(b"record", event, severity, &file);
        told.begins = told.events.iter().flat_map(|event| told.severities.iter().map(|severity| begin(event, severity))).collect();
        Ok(Twin {
            frame: Arc::new(Frame {
                tables: Tables::new(events, messages, accounts, words, failures, daemons, fields),
                attributes,
                begins,
                zone_source,
                file,
                peer: peer.into_bytes(),
                host: host.into_bytes(),
                raw,
                bare,
                each,
                ahead: None,
                ecs: ecs.map(|(messages, connections, inbound, tail)| Ecs {
                    messages: messages.into_iter().map(part).collect(),
                    connections: connections.into_iter().map(part).collect(),
                    inbound: std::array::from_fn(|letter| inbound.as_bytes().contains(&(b'A' + letter as u8))),
                    tail: tail.into_bytes(),
                }),
                service: told,
                messages: messages::Told {
                    keywords: header::Keywords { facilities: octets(facilities), severities: octets(keywords) },
                    event: event.into_bytes(),
                    documents: texts.into_iter().map(part).collect(),
                    tail: text_tail.into_bytes(),
                    words: octets(level_words),
                },
            }),
            counts: Counts::new(seconds_kept, lines_kept),
            open: None,
            begun: None,
            room: Room::default(),
            lines,
            kept: Vec::new(),
            seconds: Vec::new(),
            each: Vec::new(),
            ids: Vec::new(),
            ahead: None,
        })
    }

    /// Reads lines of `data` from octet `start` on, as far as they are the MTA's and of this hour. `offset`: of `data` in the log; `quiet`: an
    /// empty line is written for each.
    fn run<'py>(
        &mut self,
        py: Python<'py>,
        data: Bound<'py, PyBytes>,
        start: usize,
        offset: u64,
        hour: HourTold,
        quiet: bool,
    ) -> PyResult<Ran<'py>> {
        let Some(hour) = hour_of(hour)? else { return Err(PyValueError::new_err("no hour")) };
        self.ran(py, data, start, offset, Some(hour), quiet)
    }

    /// The same for lines of service logs.
    fn run_service<'py>(&mut self, py: Python<'py>, data: Bound<'py, PyBytes>, start: usize, offset: u64) -> PyResult<Ran<'py>> {
        self.ran(py, data, start, offset, None, false)
    }

    /// Has a thread begin such runs, from the first octet of `data` on, before it is their turn; `hours`: that they may be of, none of
    /// service logs.
    #[pyo3(signature = (threads, data, offset, hours))]
    fn begin(
        &self,
        threads: &Bound<Threads>,
        data: Bound<PyBytes>,
        offset: u64,
        hours: Vec<(String, String, String)>,
    ) -> PyResult<Option<Begun>> {
        let mut hours = hours.iter().map(|(begin, iso, offset)| hour_of(Some((begin, iso, offset)))).collect::<PyResult<Vec<_>>>()?;
        if hours.is_empty() {
            hours.push(None);
        }
        Ok(threads.get().begin(Arc::clone(&self.frame), data, offset, hours))
    }

    /// The next runs are those that were begun, each that is of the same lines and the same hour.
    fn take(&mut self, begun: Option<Py<Begun>>) {
        self.begun = begun;
    }

    /// Reads the messages of these numbers, as far as they are straight; their lines are kept for `written`. `hours`: that the clocks are in,
    /// None where it cannot be told; `limit`: (year, month, day) of the last day of a stamp without a year.
    fn run_messages(
        &mut self,
        py: Python<'_>,
        messages: Bound<'_, Messages>,
        start: usize,
        end: usize,
        hours: HoursTold,
        limit: (u64, u64, u64),
    ) -> PyResult<RanMessages> {
        let hours = (hour_of(hours.0)?, hour_of(hours.1)?);
        let messages = messages.get();
        let buffer = std::mem::take(&mut self.kept);
        let (frame, counts) = (&self.frame, &mut self.counts);
        let (mut run, left) = py.detach(|| {
            caught(|| {
                let (mut run, mut left) = (Run::new(buffer), Left::default());
                run.ahead = frame.ahead.is_some().then(|| ahead::Taken::new(messages.octets(start..end)));
                messages::go(&mut run, messages, start..end, clock_of(&hours, limit), frame, &mut left);
                run.hash(messages.text(), &frame.host);
                run.settle(messages.text(), &[], counts, &frame.host);
                (run, left)
            })
        })?;
        self.ahead = ahead::Taken::done(run.ahead.take(), frame.ahead.as_ref());
        (self.kept, self.ids) = (run.out, run.ids);
        let latest = left.latest.map_or(-1, |body| if body == Body::Mta { 0 } else { 1 });
        let text = |stamp: &[u8]| String::from_utf8_lossy(stamp).into_owned();
        Ok((run.lines, (text(&left.needs.body), text(&left.needs.header)), latest, run.kinds, run.panics))
    }

    /// Lines that Python has rendered, behind those that are kept.
    fn put(&mut self, lines: &[u8]) {
        self.kept.extend_from_slice(lines);
    }

    /// The lines that are kept, which they are no longer.
    fn written<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let lines = PyBytes::new(py, &self.kept);
        self.kept.clear();
        lines
    }

    /// The ids of lines that Python has read, each given as (second of its record, content). They are the gaps of the last run, where that
    /// has any: its own lines get their ids then too.
    fn assign(&mut self, py: Python<'_>, lines: Vec<(String, Vec<u8>)>) -> PyResult<Vec<String>> {
        let lines: Vec<(Vec<u8>, Vec<u8>)> = lines.into_iter().map(|(second, content)| (second.into_bytes(), content)).collect();
        let (frame, counts) = (&self.frame, &mut self.counts);
        let ids = match &mut self.open {
            Some(open) if !open.settled => {
                if lines.len() != open.run.gaps.len() {
                    return Err(PyValueError::new_err("these are not the gaps of the run"));
                }
                open.settled = true;
                let (data, run) = (open.data.bind(py).as_bytes(), &mut open.run);
                let ids = py.detach(|| caught(|| run.settle(data, &lines, counts, &frame.host)))?;
                self.ids = std::mem::take(&mut run.ids);
                self.ahead = ahead::Taken::done(run.ahead.take(), frame.ahead.as_ref());
                ids
            }
            _ => caught(|| lines.iter().map(|(second, content)| counts.id(second, identity::digest(content), || content)).collect())?,
        };
        Ok(ids.iter().map(|id| id.iter().map(|octet| format!("{octet:02x}")).collect()).collect())
    }

    /// The output of the last run, with the rendered records of its gaps in it.
    fn filled<'py>(&mut self, py: Python<'py>, records: Bound<'py, PyBytes>) -> PyResult<Output<'py>> {
        let open =
            self.open.take().filter(|open| open.settled).ok_or_else(|| PyValueError::new_err("there are no gaps that have their ids"))?;
        let (records, run) = (records.as_bytes(), &open.run);
        if records.iter().filter(|&&octet| octet == b'\n').count() != run.gaps.len() || records.last() != Some(&b'\n') {
            return Err(PyValueError::new_err("these are not the lines of the gaps"));
        }
        let size = run.out.len() + records.len();
        let whole = if self.lines {
            let whole = py.detach(|| {
                caught(|| {
                    let mut whole = open.home.take(size);
                    whole.resize(size, 0);
                    run.fill(records, &mut whole);
                    whole
                })
            })?;
            Output::Lines(Bound::new(py, Lines::new(whole, run.ends + run.gaps.len(), open.home.clone()))?)
        } else {
            Output::Octets(PyBytes::new_with(py, size, |place| py.detach(|| caught(|| run.fill(records, place))))?)
        };
        open.home.give_back(open.run.out);
        Ok(whole)
    }

    /// The seconds of the lines that the last run rendered, in their order; one may come again.
    fn seconds(&self) -> Vec<String> {
        self.seconds.iter().map(|second| String::from_utf8_lossy(second).into_owned()).collect()
    }

    /// Of each line of the last run: the number of its kind, 255 of a gap; and its time, "" of a gap. Nothing where that was not asked for.
    fn each<'py>(&self, py: Python<'py>) -> (Bound<'py, PyBytes>, Vec<&str>) {
        let kinds: Vec<u8> = self.each.iter().map(|(kind, _)| *kind).collect();
        (PyBytes::new(py, &kinds), self.each.iter().map(|(_, time)| time.as_str()).collect())
    }

    /// The ids of all lines of the last run, sixteen octets each; of one with gaps when these have theirs.
    fn ids<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.ids.as_flattened())
    }

    /// Renders lines that a run has been through, with these ids, from octet `start` of `data` on: a payload of each but those that are left to
    /// Python. `hour`: None of service logs; `observed`: when they were read, in nanoseconds since 1970; `priorities`: of each line, None: as
    /// the record has it.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (writer, data, start, offset, hour, ids, observed, priorities, made))]
    fn payloads<'py>(
        &mut self,
        py: Python<'py>,
        writer: Bound<'py, Writer>,
        data: Bound<'py, PyBytes>,
        start: usize,
        offset: u64,
        hour: HourTold,
        ids: &[u8],
        observed: u64,
        priorities: Option<Vec<Option<u64>>>,
        made: Made<'py>,
    ) -> PyResult<Payloads<'py>> {
        let hour = hour_of(hour)?;
        let source = payloads::Source::Lines { data: data.as_bytes(), next: start, offset, hour: hour.as_ref() };
        self.rendered(py, source, &writer, ids, observed, priorities, &made)
    }

    /// The same of syslog messages, from the one of this number on.
    #[allow(clippy::too_many_arguments)]
    #[pyo3(signature = (writer, messages, start, hours, limit, ids, observed, priorities, made))]
    fn message_payloads<'py>(
        &mut self,
        py: Python<'py>,
        writer: Bound<'py, Writer>,
        messages: Bound<'py, Messages>,
        start: usize,
        hours: HoursTold,
        limit: (u64, u64, u64),
        ids: &[u8],
        observed: u64,
        priorities: Option<Vec<Option<u64>>>,
        made: Made<'py>,
    ) -> PyResult<Payloads<'py>> {
        let hours = (hour_of(hours.0)?, hour_of(hours.1)?);
        let source = payloads::Source::Messages { messages: messages.get(), next: start, clock: clock_of(&hours, limit) };
        self.rendered(py, source, &writer, ids, observed, priorities, &made)
    }

    /// Of the lines of runs from now on `writer`, which is one of OTLP, renders payloads as well. `observed`: when they were read.
    fn look_ahead(&mut self, writer: &Writer, observed: u64) -> PyResult<()> {
        let payloads::Writer::Otlp(otlp) = &writer.0 else { return Err(PyValueError::new_err("not of OTLP")) };
        self.told()?.ahead = Some(ahead::Ahead { otlp: otlp.clone(), observed });
        Ok(())
    }

    /// The payloads of the last run, once; of one with gaps when these have their ids.
    fn ahead(&mut self) -> Option<ahead::Payloads> {
        self.ahead.take()
    }

    /// From now on ECS documents say that they were read then. `created`: that member of their `event`, as JSON.
    fn see(&mut self, created: &[u8]) -> PyResult<()> {
        let frame = self.told()?;
        let ecs = frame.ecs.iter_mut().flat_map(|ecs| ecs.messages.iter_mut().chain(&mut ecs.connections));
        let documents = ecs.chain(&mut frame.service.documents).chain(&mut frame.messages.documents);
        let fit = documents.map(|document| document.see(created)).all(|fits| fits.is_some());
        fit.then_some(()).ok_or_else(|| PyValueError::new_err("a time of another length"))
    }

    /// What the next ids depend on, for a digest.
    fn state<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.counts.state())
    }
}

impl Twin {
    /// The payloads of a source.
    #[allow(clippy::too_many_arguments)]
    fn rendered<'py>(
        &mut self,
        py: Python<'py>,
        mut source: payloads::Source,
        writer: &Bound<'py, Writer>,
        ids: &[u8],
        observed: u64,
        priorities: Option<Vec<Option<u64>>>,
        made: &Made<'py>,
    ) -> PyResult<Payloads<'py>> {
        let (frame, writer) = (&self.frame, &writer.get().0);
        let ids: Vec<[u8; 16]> = ids.chunks(16).filter_map(|id| id.try_into().ok()).collect();
        if priorities.as_ref().is_some_and(|priorities| priorities.len() != ids.len()) {
            return Err(PyValueError::new_err("not as many as lines"));
        }
        let made: Vec<(usize, &[u8])> = made.iter().map(|(number, payload)| (*number, payload.as_bytes())).collect();
        let mut out = self.room.take(0);
        let priorities = priorities.as_deref();
        let (ends, left) = py.detach(|| caught(|| source.rendered(&mut out, writer, frame, &ids, observed, priorities, &made)))?;
        let payloads = PyBytes::new(py, &out);
        self.room.give_back(out);
        Ok((payloads, PyBytes::new(py, &ends), left))
    }
}

fn part((begin, action, failed): (String, String, bool)) -> ecs::Event {
    let mut quoted = Vec::new();
    json::escaped(&mut quoted, action.as_bytes());
    ecs::Event { begin: begin.into_bytes(), action: quoted, failed }
}

impl Twin {
    /// What it was told, to be told something else.
    fn told(&mut self) -> PyResult<&mut Frame> {
        Arc::get_mut(&mut self.frame).ok_or_else(|| PyRuntimeError::new_err("lines are being read"))
    }

    /// One run of either kind, without the interpreter's lock.
    fn ran<'py>(
        &mut self,
        py: Python<'py>,
        data: Bound<'py, PyBytes>,
        start: usize,
        offset: u64,
        hour: Option<Hour>,
        quiet: bool,
    ) -> PyResult<Ran<'py>> {
        if self.open.is_some() {
            return Err(PyValueError::new_err("the run before has gaps"));
        }
        let octets = data.as_bytes();
        if start > octets.len() {
            return Err(PyValueError::new_err("there is no line"));
        }
        let begun = self.begun.as_ref().filter(|_| !quiet).map(Py::get);
        let ready = begun.and_then(|begun| begun.take(py, octets, start, offset, hour.as_ref()));
        let home = begun.filter(|_| ready.is_some()).map_or(&self.room, |begun| &begun.room).clone();
        let (frame, counts) = (&self.frame, &mut self.counts);
        let mut run = py.detach(|| {
            caught(|| {
                let mut run = ready.unwrap_or_else(|| {
                    let mut run = Run::new(home.take(0));
                    run.ahead = frame.ahead.is_some().then(|| ahead::Taken::new(octets.len() - start));
                    run.read(octets, start, offset, hour.as_ref(), quiet, frame);
                    run
                });
                if run.gaps.is_empty() {
                    run.settle(octets, &[], counts, &frame.host);
                }
                run
            })
        })?;
        let gaps = run.gaps.iter().map(|gap| (gap.number, gap.start, gap.end)).collect();
        let time = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        let [mta, connections, services, stores, _] = run.kinds;
        let kinds = [mta, connections, services, stores];
        let mut ran: Ran = (None, gaps, run.stop == Stop::Hour, run.next, run.lines, kinds, run.panics, time(&run.first), time(&run.last));
        self.seconds.clone_from(&run.seconds);
        self.each = std::mem::take(&mut run.each);
        if run.gaps.is_empty() {
            self.ahead = ahead::Taken::done(run.ahead.take(), frame.ahead.as_ref());
            self.ids = run.ids;
            if self.lines {
                ran.0 = Some(Output::Lines(Bound::new(py, Lines::new(run.out, run.ends, home))?));
            } else {
                ran.0 = Some(Output::Octets(PyBytes::new(py, &run.out)));
                home.give_back(run.out);
            }
        } else {
            self.open = Some(Open { run, home, data: data.unbind(), settled: false });
        }
        Ok(ran)
    }
}

/// A panic outside of any line is an exception like others.
fn caught<T>(work: impl FnOnce() -> T) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| PyRuntimeError::new_err("the compiled twin gave up"))
}

fn hour_of(told: HourTold) -> PyResult<Option<Hour>> {
    let Some((begin, iso, offset)) = told else { return Ok(None) };
    let (form, stamp) = match begin {
        "<" => (Form::Xml, [0; 15]),
        "{" => (Form::Json, [0; 15]),
        _ => match begin.strip_prefix('>') {
            Some(begin) => (Form::Enveloped, exactly(begin)?),
            None => (Form::Text, exactly(begin)?),
        },
    };
    Ok(Some(Hour { form, stamp, iso: exactly(iso)?, offset: exactly(offset)? }))
}

fn clock_of(hours: &(Option<Hour>, Option<Hour>), limit: header::Limit) -> Clock<'_> {
    Clock { body: hours.0.as_ref(), header: hours.1.as_ref(), limit }
}

fn exactly<const SIZE: usize>(text: &str) -> PyResult<[u8; SIZE]> {
    text.as_bytes().try_into().map_err(|_| PyValueError::new_err("an hour of another form"))
}

/// How many lines end in these octets. (Python's own `count` takes as long as half of the parsing.)
#[pyfunction]
fn line_ends(octets: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', octets).count()
}

/// Messages of a connection, as far as nothing is wrong with them, and where they end. `count`: see `framer::framed`.
#[pyfunction]
fn framed<'py>(py: Python<'py>, octets: &[u8], limit: usize, count: usize) -> PyResult<(Bound<'py, PyList>, usize)> {
    let (found, at) = caught(|| framer::framed(octets, limit, count))?;
    Ok((PyList::new(py, found.into_iter().map(|(begin, end)| PyBytes::new(py, &octets[begin..end])))?, at))
}

/// An `ExportLogsServiceRequest` of OTLP payloads, given as several times (octets in which they stand one behind the other; where each ends, in
/// numbers of four octets); None where one of them is no payload. `scope`: the beginning of each `ScopeLogs`.
#[pyfunction]
fn otlp_request<'py>(
    py: Python<'py>,
    parts: Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>,
    scope: &[u8],
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let parts: Vec<(&[u8], &[u8])> = parts.iter().map(|(octets, ends)| (octets.as_bytes(), ends.as_bytes())).collect();
    let request = py.detach(|| {
        caught(|| {
            let mut payloads = Vec::with_capacity(parts.iter().map(|(_, ends)| ends.len() / 4).sum());
            for (octets, ends) in &parts {
                let mut start = 0;
                for end in spool::numbers(ends) {
                    payloads.push(octets.get(start..end as usize)?);
                    start = end as usize;
                }
            }
            otlp::Request::new(&payloads, scope)
        })
    })?;
    let Some(request) = request else { return Ok(None) };
    PyBytes::new_with(py, request.size, |place| py.detach(|| caught(|| request.write(place)))).map(Some)
}

#[pymodule]
fn shipper_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    set_hook(Box::new(|_| {})); // what happens to a line is in the account, and not on the terminal
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add("INTERFACE", INTERFACE)?;
    module.add_function(wrap_pyfunction!(line_ends, module)?)?;
    module.add_function(wrap_pyfunction!(framed, module)?)?;
    module.add_function(wrap_pyfunction!(otlp_request, module)?)?;
    module.add_function(wrap_pyfunction!(spool::crc32, module)?)?;
    module.add_function(wrap_pyfunction!(spool::sealed, module)?)?;
    module.add_class::<Writer>()?;
    module.add_class::<ahead::Payloads>()?;
    module.add_class::<Messages>()?;
    module.add_class::<Outlet>()?;
    module.add_class::<drain::Drain>()?;
    module.add_class::<Threads>()?;
    module.add_class::<Twin>()
}
