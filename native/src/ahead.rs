//! OTLP payloads that are rendered in the run that gives their lines an id, so that these are read once.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::json;
use crate::otlp::Otlp;
use crate::run::{Frame, Straight};

/// What is rendered. `observed`: when the lines were read, in nanoseconds since 1970.
pub struct Ahead {
    pub otlp: Arc<Otlp>,
    pub observed: u64,
}

/// The payloads of the lines of a run so far. Of each where it ends, and where its id belongs; `usize::MAX` of one that is left out.
#[derive(Default)]
pub struct Taken {
    out: Vec<u8>,
    ends: Vec<u32>,
    ids: Vec<usize>,
    id: usize,
}

impl Taken {
    /// `octets`: of the lines to come. Payloads are some five times as large.
    pub fn new(octets: usize) -> Taken {
        Taken { out: Vec::with_capacity(5 * octets), ..Taken::default() }
    }

    /// Renders a line; `ended` is to follow.
    pub fn take(&mut self, straight: &Straight, frame: &Frame, ahead: &Ahead) {
        self.id = ahead.otlp.write(&mut self.out, straight, frame, ahead.observed, &[b'0'; 32]);
    }

    /// The line has come to its end; it may be left to Python after all.
    pub fn ended(&mut self, rendered: bool) {
        if !rendered {
            self.forget();
            self.id = usize::MAX;
        }
        self.ends.push(u32::try_from(self.out.len()).unwrap_or(u32::MAX));
        self.ids.push(self.id);
    }

    /// A line that did not come to its end is none of the run's.
    pub fn forget(&mut self) {
        self.out.truncate(self.ends.last().map_or(0, |&end| end as usize));
    }

    /// Now it has an id.
    pub fn named(&mut self, number: usize, id: &[u8; 16]) {
        match self.ids.get(number) {
            None | Some(&usize::MAX) => {}
            Some(&at) => json::hex_at(&mut self.out[at..at + 32], id),
        }
    }

    /// `told`: what was rendered; nothing where none was.
    pub fn done(taken: Option<Taken>, told: Option<&Ahead>) -> Option<Payloads> {
        taken.zip(told).map(|(taken, told)| taken.payloads(told.observed))
    }

    fn payloads(mut self, observed: u64) -> Payloads {
        if self.out.len() < self.out.capacity() / 2 {
            self.out.shrink_to_fit(); // many short runs of one piece would each keep room for all of it
        }
        let left = self.ids.iter().enumerate().filter(|(_, &id)| id == usize::MAX).map(|(number, _)| number).collect();
        Payloads { out: self.out, ends: self.ends, left, observed }
    }
}

/// The payloads of all lines of a run but those that are left to Python, which are empty.
#[pyclass(frozen)]
pub struct Payloads {
    out: Vec<u8>,
    ends: Vec<u32>,
    left: Vec<usize>,
    /// When they were read, in nanoseconds since 1970.
    #[pyo3(get)]
    observed: u64,
}

#[pymethods]
impl Payloads {
    /// What `Twin.payloads` gives, with payloads that Python has made in their places.
    fn filled<'py>(&self, py: Python<'py>, made: crate::Made<'py>) -> PyResult<crate::Payloads<'py>> {
        if made.is_empty() {
            let ends: Vec<u8> = self.ends.iter().flat_map(|end| end.to_le_bytes()).collect();
            return Ok((PyBytes::new(py, &self.out), PyBytes::new(py, &ends), self.left.clone()));
        }
        let made: Vec<(usize, &[u8])> =
            made.iter().filter(|(number, _)| *number < self.ends.len()).map(|(number, payload)| (*number, payload.as_bytes())).collect();
        let size = self.out.len() + made.iter().map(|(_, payload)| payload.len()).sum::<usize>();
        let mut ends = Vec::with_capacity(4 * self.ends.len());
        let octets = PyBytes::new_with(py, size, |place| {
            let (mut rest, mut done, mut more) = (place, 0, 0);
            let mut put = |piece: &[u8]| {
                let (place, after) = std::mem::take(&mut rest).split_at_mut(piece.len());
                place.copy_from_slice(piece);
                rest = after;
            };
            let mut waiting = made.iter().peekable();
            for (number, &end) in self.ends.iter().enumerate() {
                if let Some((_, payload)) = waiting.next_if(|(place, _)| *place == number) {
                    put(&self.out[done..end as usize]);
                    put(payload);
                    (done, more) = (end as usize, more + payload.len());
                }
                ends.extend_from_slice(&u32::try_from(end as usize + more).unwrap_or(u32::MAX).to_le_bytes());
            }
            put(&self.out[done..]);
            Ok(())
        })?;
        let left = self.left.iter().copied().filter(|number| made.binary_search_by_key(number, |(place, _)| *place).is_err()).collect();
        Ok((octets, PyBytes::new(py, &ends), left))
    }
}
