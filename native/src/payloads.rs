//! Lines rendered for an output whose records are not lines: a payload for each straight line, and none for one that Python has to render.
//!
//! The lines went through a run before, which gave them their ids.

use std::panic::{catch_unwind, AssertUnwindSafe};

use memchr::memchr;

use crate::otlp::Otlp;
use crate::rfc5424::Syslog;
use crate::run::{straight, Frame, Hour, Line};
use crate::{json, otlp, rfc5424};

/// What renders them.
pub enum Writer {
    Otlp(Otlp),
    Syslog(Syslog),
}

/// Lines that a run has been through. `next`: where the next one begins; `offset`: of `data` in the log; `observed`: when they were read, in
/// nanoseconds since 1970.
pub struct Lines<'a> {
    pub data: &'a [u8],
    pub next: usize,
    pub offset: u64,
    pub hour: &'a Hour,
    pub frame: &'a Frame,
    pub writer: &'a Writer,
    pub observed: u64,
}

impl Lines<'_> {
    /// Puts the payloads of the next lines, which have these ids, into `out`, one after the other. Returns where each ends; None for one that is
    /// left to Python. `priorities`: of each line for syslog, or none: as the record has it.
    pub fn rendered(&mut self, out: &mut Vec<u8>, ids: &[[u8; 16]], priorities: Option<&[Option<u64>]>) -> Vec<Option<usize>> {
        let mut ends = Vec::with_capacity(ids.len());
        for (number, id) in ids.iter().enumerate() {
            let begin = self.next;
            if begin > self.data.len() {
                ends.push(None);
                continue;
            }
            let end = memchr(b'\n', &self.data[begin..]).map_or(self.data.len(), |length| begin + length);
            self.next = end + 1;
            let written = out.len();
            let priority = priorities.and_then(|all| all.get(number).copied().flatten());
            match catch_unwind(AssertUnwindSafe(|| self.render(out, begin, end, priority, id))) {
                Ok(Some(())) => ends.push(Some(out.len())),
                _ => {
                    out.truncate(written);
                    ends.push(None);
                }
            }
        }
        ends
    }

    /// One line; None, and anything in `out`, where it is left to Python.
    fn render(&self, out: &mut Vec<u8>, begin: usize, end: usize, priority: Option<u64>, id: &[u8; 16]) -> Option<()> {
        let mut digits = [0; 32];
        json::hex_at(&mut digits, id);
        let frame = self.frame;
        straight(&self.data[begin..end], self.offset + begin as u64, self.hour, frame, |line, place, _, _| match (self.writer, line) {
            (Writer::Otlp(told), Line::Message(record)) => {
                otlp::message(out, record, frame, told, place, self.observed, &digits);
                Some(())
            }
            (Writer::Otlp(told), Line::Connection(record)) => {
                otlp::connection(out, record, frame, told, place, self.observed, &digits);
                Some(())
            }
            (Writer::Syslog(told), Line::Message(record)) => rfc5424::message(out, record, frame, told, place, priority, &digits),
            (Writer::Syslog(told), Line::Connection(record)) => rfc5424::connection(out, record, frame, told, place, priority, &digits),
        })
        .ok()
        .flatten()?
    }
}
