//! Lines rendered for an output whose records are not lines: a payload for each straight line, and none for one that Python has to render.
//!
//! The lines went through a run before, which gave them their ids.

use std::panic::{catch_unwind, AssertUnwindSafe};

use memchr::memchr;

use crate::otlp::Otlp;
use crate::rfc5424::Syslog;
use crate::run::{straight, Frame, Hour, Line, Straight};
use crate::{json, otlp, rfc5424};

/// What renders them.
pub enum Writer {
    Otlp(Otlp),
    Syslog(Syslog),
}

/// What is the same for all lines of one call: when they were read, in nanoseconds since 1970, and of each line its id.
pub struct Told<'a> {
    pub observed: u64,
    pub ids: &'a [[u8; 16]],
    /// Of each line its syslog priority, or none: as the record has it.
    pub priorities: Option<&'a [Option<u64>]>,
}

/// The payloads of as many lines of `data` from `start` on as there are ids, one after the other, and where each ends; None for one that is
/// left to Python. `offset`: of `data` in the log.
pub fn rendered(
    data: &[u8],
    start: usize,
    offset: u64,
    hour: &Hour,
    frame: &Frame,
    writer: &Writer,
    told: &Told,
) -> (Vec<u8>, Vec<Option<usize>>) {
    let mut out = Vec::new();
    let mut ends = Vec::with_capacity(told.ids.len());
    let mut begin = start;
    for (number, id) in told.ids.iter().enumerate() {
        if begin > data.len() {
            ends.push(None);
            continue;
        }
        let end = memchr(b'\n', &data[begin..]).map_or(data.len(), |length| begin + length);
        let written = out.len();
        let priority = told.priorities.and_then(|priorities| priorities.get(number).copied().flatten());
        let done = catch_unwind(AssertUnwindSafe(|| {
            let mut digits = [0; 32];
            json::hex_at(&mut digits, id);
            let mut time = [0; 40];
            let Straight { line, place, .. } = straight(&data[begin..end], offset + begin as u64, hour, frame, &mut time).ok().flatten()?;
            match (writer, line) {
                (Writer::Otlp(told_of), Line::Message(record)) => {
                    otlp::message(&mut out, &record, frame, told_of, &place, told.observed, &digits);
                }
                (Writer::Otlp(told_of), Line::Connection(record)) => {
                    otlp::connection(&mut out, &record, frame, told_of, &place, told.observed, &digits);
                }
                (Writer::Syslog(told_of), Line::Message(record)) => {
                    rfc5424::message(&mut out, &record, frame, told_of, &place, priority, &digits)?;
                }
                (Writer::Syslog(told_of), Line::Connection(record)) => {
                    rfc5424::connection(&mut out, &record, frame, told_of, &place, priority, &digits)?;
                }
            }
            Some(())
        }));
        match done {
            Ok(Some(())) => ends.push(Some(out.len())),
            _ => {
                out.truncate(written);
                ends.push(None);
            }
        }
        begin = end + 1;
    }
    (out, ends)
}
