//! Runs that are begun before it is their turn, by threads that need nothing of Python: for `shipper/fused.py`, which says of what.
//!
//! What such a run depends on is told with it, all but the count of identical lines: that comes in when it is its turn.

use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, sync_channel, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread::Builder;

use memchr::memchr_iter;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::outlet::Room;
use crate::run::{Form, Frame, Hour, Run, Stop};

/// Lines of output are some three times as long.
const TIMES: usize = 4;
/// A run of so many lines was worth it.
const LONG: usize = 64;
/// In place of an hour that is not known; where such a run ends Python tells another, and reads nothing.
const NO_STAMP: [u8; 15] = [b' '; 15];

/// Runs of one block, each with where it begins and the hour it is of.
type Runs = VecDeque<(usize, Option<Hour>, Run)>;

struct Job {
    frame: Arc<Frame>,
    data: PyBackedBytes,
    offset: u64,
    hours: Vec<Option<Hour>>,
    room: Room,
    done: SyncSender<(PyBackedBytes, Runs)>,
}

impl Job {
    fn work(self) {
        let runs = catch_unwind(AssertUnwindSafe(|| self.runs()));
        let _ = self.done.send((self.data, runs.unwrap_or_default())); // nobody waits for it any more
    }

    /// Goes through the block as Python is expected to: where the hour ends with the one that fits, and after as many lines as Python then reads.
    fn runs(&self) -> Runs {
        let data = &self.data[..];
        let mut runs = Runs::new();
        let (mut position, mut known, mut stretch) = (0, 0, 1);
        while position <= data.len() {
            let room = if position == 0 { TIMES * data.len() } else { 0 }; // each of many short runs takes what it needs
            let mut run = Run::new(self.room.take(room));
            for number in 0..self.hours.len() {
                let hour = &self.hours[(known + number) % self.hours.len()];
                run.read(data, position, self.offset, hour.as_ref(), false, &self.frame);
                if run.lines > 0 {
                    known = (known + number) % self.hours.len();
                    break;
                }
            }
            let (next, lines, stop) = (run.next, run.lines, run.stop);
            if lines == 0 {
                self.room.give_back(run.out);
                break;
            }
            let hour = self.hours[known];
            runs.push_back((position, hour, run));
            position = next;
            let for_python = match stop {
                Stop::Foreign => true,
                Stop::Hour => hour.is_some_and(|hour| hour.form != Form::Text && hour.stamp != NO_STAMP),
                Stop::End => false,
            };
            if lines >= LONG {
                stretch = 1;
            }
            if for_python {
                position = memchr_iter(b'\n', &data[position..]).nth(stretch - 1).map_or(data.len(), |length| position + length) + 1;
                stretch *= 2;
            }
        }
        runs
    }
}

/// Threads that do such runs. They end when this does.
#[pyclass(frozen)]
pub struct Threads {
    jobs: Mutex<Sender<Job>>,
    room: Room,
}

#[pymethods]
impl Threads {
    #[new]
    fn new(count: usize) -> PyResult<Threads> {
        let (jobs, waiting) = channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..count {
            let waiting = Arc::clone(&waiting);
            let next = move || waiting.lock().ok().and_then(|jobs| jobs.recv().ok());
            Builder::new().name("shipper-lines".into()).spawn(move || std::iter::from_fn(next).for_each(Job::work))?;
        }
        Ok(Threads { jobs: Mutex::new(jobs), room: Room::default() })
    }
}

impl Threads {
    /// Begins runs at the first line of `data`, in these hours. None where that cannot be.
    pub fn begin(&self, frame: Arc<Frame>, data: Bound<PyBytes>, offset: u64, hours: Vec<Option<Hour>>) -> Option<Begun> {
        if frame.ahead.is_some() {
            return None;
        }
        let (done, runs) = sync_channel(1);
        let job = Job { frame, data: data.into(), offset, hours, room: self.room.clone(), done };
        self.jobs.lock().ok()?.send(job).ok()?;
        Some(Begun { offset, taken: AtomicUsize::new(0), state: Mutex::new(State::Waiting(runs)), room: self.room.clone() })
    }
}

enum State {
    Waiting(Receiver<(PyBackedBytes, Runs)>),
    Done(PyBackedBytes, Runs),
}

/// Runs of a block that were begun.
#[pyclass(frozen)]
pub struct Begun {
    offset: u64,
    taken: AtomicUsize,
    state: Mutex<State>,
    pub room: Room,
}

#[pymethods]
impl Begun {
    /// Lines of runs that were not in vain.
    #[getter]
    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Begun {
    /// The run that begins there, when all are done; None where there is none of these lines, of this hour.
    pub fn take(&self, py: Python<'_>, data: &[u8], start: usize, offset: u64, hour: Option<&Hour>) -> Option<Run> {
        if self.offset != offset {
            return None;
        }
        py.detach(|| {
            let mut state = self.state.lock().ok()?;
            if let State::Waiting(runs) = &*state {
                let (read, runs) = runs.recv().ok()?;
                *state = State::Done(read, runs);
            }
            let State::Done(read, runs) = &mut *state else { return None };
            if !std::ptr::eq(&read[..], data) {
                return None;
            }
            while runs.front().is_some_and(|(begin, _, _)| *begin < start) {
                runs.pop_front();
            }
            runs.front().filter(|(begin, of, _)| *begin == start && of.as_ref() == hour)?;
            let (_, _, run) = runs.pop_front()?;
            self.taken.fetch_add(run.lines, Ordering::Relaxed);
            Some(run)
        })
    }
}
