//! Runs that are begun before it is their turn, by threads that need nothing of Python: for `shipper/fused.py`, which says of what.
//!
//! What such a run depends on is told with it, all but the count of identical lines: that comes in when it is its turn.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::{channel, sync_channel, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread::Builder;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::run::{Frame, Hour, Run};

/// Room for output that is used again.
type Room = Arc<Mutex<Vec<Vec<u8>>>>;

/// Lines of output are some three times as long.
const TIMES: usize = 4;

struct Job {
    frame: Arc<Frame>,
    data: PyBackedBytes,
    offset: u64,
    hour: Option<Hour>,
    room: Vec<u8>,
    done: SyncSender<(PyBackedBytes, Option<Run>)>,
}

impl Job {
    fn work(self) {
        let (frame, data) = (&self.frame, &self.data[..]);
        let run = catch_unwind(AssertUnwindSafe(|| {
            let mut run = Run::new(self.room);
            run.read(data, 0, self.offset, self.hour.as_ref(), false, frame);
            run
        }));
        let _ = self.done.send((self.data, run.ok())); // nobody waits for it any more
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
    /// Begins a run at the first line of `data`. None where that cannot be.
    pub fn begin(&self, frame: Arc<Frame>, data: Bound<PyBytes>, offset: u64, hour: Option<Hour>) -> Option<Begun> {
        if frame.ahead.is_some() {
            return None;
        }
        let (done, run) = sync_channel(1);
        let room = self.room.lock().ok()?.pop().unwrap_or_else(|| Vec::with_capacity(TIMES * data.as_bytes().len()));
        let job = Job { frame, data: data.into(), offset, hour, room, done };
        let told = (offset, job.hour);
        self.jobs.lock().ok()?.send(job).ok()?;
        Some(Begun { told, run: Mutex::new(run), room: Arc::clone(&self.room) })
    }
}

/// A run that was begun.
#[pyclass(frozen)]
pub struct Begun {
    told: (u64, Option<Hour>),
    run: Mutex<Receiver<(PyBackedBytes, Option<Run>)>>,
    room: Room,
}

impl Begun {
    /// The run, when it is done; None where it is not that of these lines, of this hour, or failed.
    pub fn take(&self, py: Python<'_>, data: &[u8], offset: u64, hour: Option<&Hour>) -> Option<Run> {
        if (self.told.0, self.told.1.as_ref()) != (offset, hour) {
            return None;
        }
        let (read, run) = py.detach(|| self.run.lock().ok()?.recv().ok())?;
        run.filter(|_| std::ptr::eq(&read[..], data))
    }

    /// Takes the room of a run that is no longer used.
    pub fn give_back(&self, mut room: Vec<u8>) {
        if let Ok(mut rooms) = self.room.lock() {
            room.clear();
            rooms.push(room);
        }
    }
}
