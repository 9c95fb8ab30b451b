//! Datagrams that wait at a socket, many with one call of the system: for `shipper/inputs/syslog/datagrams.py`, which has the rules.

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::RawFd;

use nix::sys::socket::{recvmmsg, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

/// Octets between the places of two datagrams, so that their beginnings do not all fall into the same lines of the cache.
const APART: usize = 192;
/// Senders whose names are remembered.
const REMEMBERED: usize = 4096;
/// A datagram of so few octets may be an empty one.
const FEW: usize = 3;

/// An address, and the number of the interface where that is a part of it.
type Sender = (IpAddr, u32);

/// What a read gives: datagrams; their senders; whether one of the datagrams is longer than the limit, or has few octets.
type Read<'py> = (Bound<'py, PyList>, Bound<'py, PyList>, bool);

/// Room for the datagrams of one socket.
#[pyclass]
pub struct Drain {
    room: Vec<u8>,
    size: usize,
    names: HashMap<Sender, Py<PyString>>,
    /// None where senders have no addresses.
    name: Option<Py<PyAny>>,
}

#[pymethods]
impl Drain {
    /// `size`: octets of a datagram that are read; `most`: datagrams of one read; `name`: gives a sender's name, by the octets of its address and
    /// the number of its interface. Memory is used only where datagrams have been.
    #[new]
    fn new(size: usize, most: usize, name: Option<Py<PyAny>>) -> Drain {
        Drain { room: vec![0; (size + APART) * most], size, names: HashMap::new(), name }
    }

    /// Reads so many datagrams at most, and waits for none. Raises OSError where there are none.
    fn read<'py>(&mut self, py: Python<'py>, socket: RawFd, most: usize, limit: usize) -> PyResult<Read<'py>> {
        let (room, size) = (&mut self.room[..], self.size);
        let found = match self.name {
            Some(_) => py.detach(|| received(room, size, socket, most, sender)),
            None => py.detach(|| received(room, size, socket, most, |_: &()| None)),
        };
        let found = found.map_err(std::io::Error::from)?;
        let messages = PyList::empty(py);
        let senders = PyList::empty(py);
        let nobody = PyString::intern(py, "");
        let mut odd = false;
        for (place, (length, sender)) in self.room.chunks_exact(size + APART).zip(found) {
            odd |= length > limit || length <= FEW;
            messages.append(PyBytes::new(py, &place[..length]))?;
            match (sender, &self.name) {
                (Some(sender), Some(name)) => senders.append(named(py, &mut self.names, sender, name)?)?,
                _ => senders.append(&nobody)?,
            }
        }
        Ok((messages, senders, odd))
    }
}

/// A sender's name.
fn named<'a>(py: Python<'_>, names: &'a mut HashMap<Sender, Py<PyString>>, sender: Sender, name: &Py<PyAny>) -> PyResult<&'a Py<PyString>> {
    if !names.contains_key(&sender) {
        let made = match sender.0 {
            IpAddr::V4(address) => name.call1(py, (PyBytes::new(py, &address.octets()), sender.1))?,
            IpAddr::V6(address) => name.call1(py, (PyBytes::new(py, &address.octets()), sender.1))?,
        };
        if names.len() >= REMEMBERED {
            names.clear();
        }
        names.insert(sender, made.extract(py)?);
    }
    Ok(&names[&sender])
}

/// The length and the sender of each datagram that was put into the room.
fn received<S: SockaddrLike + Copy>(
    room: &mut [u8],
    size: usize,
    socket: RawFd,
    most: usize,
    sender: impl Fn(&S) -> Option<Sender>,
) -> nix::Result<Vec<(usize, Option<Sender>)>> {
    let mut places: Vec<[IoSliceMut; 1]> =
        room.chunks_exact_mut(size + APART).take(most).map(|place| [IoSliceMut::new(&mut place[..size])]).collect();
    let mut headers = MultiHeaders::<S>::preallocate(places.len(), None);
    let read = recvmmsg(socket, &mut headers, places.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
    Ok(read.map(|each| (each.bytes, each.address.as_ref().and_then(&sender))).collect())
}

fn sender(address: &SockaddrStorage) -> Option<Sender> {
    if let Some(four) = address.as_sockaddr_in() {
        return Some((IpAddr::V4(four.ip()), 0));
    }
    address.as_sockaddr_in6().map(|six| (IpAddr::V6(six.ip()), six.scope_id()))
}
