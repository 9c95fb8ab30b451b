//! Lines and messages rendered for an output whose records are not lines: a payload for each straight one, and none for one that Python has to
//! render.
//!
//! They went through a run before, which gave them their ids.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use memchr::memchr;

use crate::json;
use crate::messages::{Clock, Messages};
use crate::mta::{Connection, Message};
use crate::otlp::Otlp;
use crate::rfc5424::Syslog;
use crate::run::{straight, straight_service, Frame, Hour, Place, Straight};
use crate::service;

/// What renders them.
pub enum Writer {
    Otlp(Arc<Otlp>),
    Syslog(Box<Syslog>),
}

/// What a payload says beside its record. `observed`: when that was read, in nanoseconds since 1970; `priority`: for syslog, None: as the record has it.
pub struct Given<'a> {
    pub id: &'a [u8; 16],
    pub observed: u64,
    pub priority: Option<u64>,
}

impl Writer {
    /// A payload; None, and anything in `out`, where it is left to Python.
    pub fn write(&self, out: &mut Vec<u8>, straight: &Straight, frame: &Frame, given: &Given) -> Option<()> {
        let mut id = [0; 32];
        json::hex_at(&mut id, given.id);
        match self {
            Writer::Otlp(told) => {
                told.write(out, straight, frame, given.observed, &id);
                Some(())
            }
            Writer::Syslog(told) => told.write(out, straight, frame, given.priority, &id),
        }
    }
}

/// What to read again.
pub enum Source<'a> {
    /// Lines of the MTA, or (without an hour) of a service log; `next`: where the next one begins; `offset`: of `data` in the log.
    Lines { data: &'a [u8], next: usize, offset: u64, hour: Option<&'a Hour> },
    /// Messages that came by syslog, from the one of this number on.
    Messages { messages: &'a Messages, next: usize, clock: Clock<'a> },
}

impl Source<'_> {
    /// Puts the payloads of the next ones, which have these ids, into `out`, one after the other. Returns where each ends, as numbers of four octets,
    /// and which are left to Python: of these nothing is there. `priorities`: of each for syslog, or none: as the record has it; `made`: payloads
    /// that Python has made before, each with its number, which grow.
    #[allow(clippy::too_many_arguments)]
    pub fn rendered(
        &mut self,
        out: &mut Vec<u8>,
        writer: &Writer,
        frame: &Frame,
        ids: &[[u8; 16]],
        observed: u64,
        priorities: Option<&[Option<u64>]>,
        made: &[(usize, &[u8])],
    ) -> (Vec<u8>, Vec<usize>) {
        let (mut ends, mut left) = (Vec::with_capacity(4 * ids.len()), Vec::new());
        let mut made = made.iter().peekable();
        for (number, id) in ids.iter().enumerate() {
            if let Some((_, payload)) = made.next_if(|(place, _)| *place == number) {
                self.pass();
                out.extend_from_slice(payload);
            } else {
                let written = out.len();
                let priority = priorities.and_then(|all| all.get(number).copied().flatten());
                let given = Given { id, observed, priority };
                let done = catch_unwind(AssertUnwindSafe(|| self.render(out, writer, frame, &given)));
                if done.ok().flatten().is_none() {
                    out.truncate(written);
                    left.push(number);
                }
            }
            ends.extend_from_slice(&u32::try_from(out.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        (ends, left)
    }

    /// Passes over the next one.
    fn pass(&mut self) {
        match self {
            Source::Lines { data, next, .. } => {
                *next += data.get(*next..).map_or(0, |rest| memchr(b'\n', rest).unwrap_or(rest.len()) + 1);
            }
            Source::Messages { next, .. } => *next += 1,
        }
    }

    /// Puts the payload of the next line or message into `out`; None, and anything in `out`, where that is left to Python.
    fn render(&mut self, out: &mut Vec<u8>, writer: &Writer, frame: &Frame, given: &Given) -> Option<()> {
        match self {
            Source::Lines { data, next, offset, hour } => {
                let begin = *next;
                let rest = data.get(begin..)?;
                let line = &rest[..memchr(b'\n', rest).unwrap_or(rest.len())];
                *next = begin + line.len() + 1;
                let offset = *offset + begin as u64;
                let mut then = |straight: &Straight| writer.write(out, straight, frame, given);
                match hour {
                    Some(hour) => straight(line, offset, hour, frame, &mut then).ok()??,
                    None => straight_service(line, offset, &service::stamp(line)?, frame, &mut then)?,
                }
            }
            Source::Messages { messages, next, clock } => {
                *next += 1;
                messages.read(*next - 1, *clock, frame, |straight, _| writer.write(out, straight, frame, given)).ok()
            }
        }
    }
}

/// The text of a transaction record, in pieces: the line itself, where that is kept, else `base.summary`.
pub fn message_text<'a>(record: &Message<'a>, action: &'a [u8], frame: &Frame, place: &Place<'a>) -> [&'a [u8]; 7] {
    let [colon, detail] = detail(record.detail());
    let sender: &[u8] = if record.sender.is_empty() { b"<>" } else { record.sender };
    if frame.raw {
        [place.raw, b"", b"", b"", b"", b"", b""]
    } else if record.bad_command.is_empty() {
        [action, b" ", sender, b" -> ", record.recipient, colon, detail]
    } else {
        [action, b" ", record.bad_command, colon, detail, b"", b""]
    }
}

/// The same of a connection record.
pub fn connection_text<'a>(record: &Connection<'a>, action: &'a [u8], frame: &Frame, place: &Place<'a>) -> [&'a [u8]; 12] {
    let mut pieces: [&[u8]; 12] = [b""; 12];
    if frame.raw {
        pieces[0] = place.raw;
        return pieces;
    }
    let wire = &record.wire;
    let mut words = 0;
    for word in [action, wire.direction, wire.source_channel, wire.other(), wire.username] {
        if !word.is_empty() {
            pieces[2 * words] = if words > 0 { b" " } else { b"" };
            pieces[2 * words + 1] = word;
            words += 1;
        }
    }
    [pieces[10], pieces[11]] = detail(record.detail());
    pieces
}

fn detail(text: &[u8]) -> [&[u8]; 2] {
    [if text.is_empty() { b"" } else { b": " }, text]
}
