//! Lines of output that are written where they were made: for `shipper/outfile.py`, which has the rules, and without a copy of them in Python.

use std::fs::{File, OpenOptions};
use std::io::{stdout, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Room for output that is used again.
#[derive(Clone, Default)]
pub struct Room(Arc<Mutex<Vec<Vec<u8>>>>);

impl Room {
    /// Empty room, new one for so many octets.
    pub fn take(&self, size: usize) -> Vec<u8> {
        self.0.lock().ok().and_then(|mut rooms| rooms.pop()).unwrap_or_else(|| Vec::with_capacity(size))
    }

    pub fn give_back(&self, mut room: Vec<u8>) {
        if let Ok(mut rooms) = self.0.lock() {
            room.clear();
            rooms.push(room);
        }
    }
}

/// So many whole lines.
#[pyclass(frozen)]
pub struct Lines {
    octets: Vec<u8>,
    #[pyo3(get)]
    count: usize,
    home: Room,
}

impl Lines {
    pub fn new(octets: Vec<u8>, count: usize, home: Room) -> Lines {
        Lines { octets, count, home }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.octets));
    }
}

#[pymethods]
impl Lines {
    fn __len__(&self) -> usize {
        self.octets.len()
    }

    /// The first octets.
    fn begin<'py>(&self, py: Python<'py>, size: usize) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.octets[..size.min(self.octets.len())])
    }
}

/// A file to whose end lines are written, or standard output.
#[pyclass(frozen)]
pub struct Outlet(File);

#[pymethods]
impl Outlet {
    #[new]
    fn new(path: Option<PathBuf>) -> PyResult<Outlet> {
        let file = match path {
            Some(path) => OpenOptions::new().append(true).open(path)?,
            None => File::from(stdout().as_fd().try_clone_to_owned()?),
        };
        Ok(Outlet(file))
    }

    /// Writes lines from octet `start` on: how many octets the system took, 0 when a signal came between. Raises OSError.
    fn write(&self, py: Python<'_>, lines: &Bound<'_, Lines>, start: usize) -> PyResult<usize> {
        let rest = lines.get().octets.get(start..).unwrap_or_default();
        match py.detach(|| (&self.0).write(rest)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error.raw_os_error().map_or_else(|| error.into(), |number| PyOSError::new_err((number, "not written")))),
            Ok(size) => Ok(size),
        }
    }
}
