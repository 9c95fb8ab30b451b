//! Datagrams that wait at a socket, many with one call of the system, and in a thread of their own: for `shipper/inputs/syslog/datagrams.py`, which
//! has the rules.
//!
//! The thread never needs the interpreter's lock. It reads from `go` on until a rest brings nothing more, or as long as the queue has room, and says
//! so at the socket of `fileno`: when there is something, when there is a batch, when it reads no more.

use std::collections::{HashMap, VecDeque};
use std::io::{IoSliceMut, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::socket::{recvmmsg, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::messages::Messages;

/// Octets between the places of two datagrams, so that their beginnings do not all fall into the same lines of the cache.
const APART: usize = 192;
/// Senders whose names are remembered.
const REMEMBERED: usize = 4096;
/// Octets of a datagram that may be an empty one: `_FEW` there.
const FEW: usize = 3;
/// Octets of the messages of a batch, beyond which none is added.
const BATCH: usize = 512 << 10;
/// Batches that may wait before the thread reads no more.
const WAITING: usize = 16;

/// An address, and the number of the interface where that is a part of it. None where senders have no addresses.
type Sender = Option<(IpAddr, u32)>;

/// A batch: messages; the names of all their senders; (number, octets) of those that are longer than the limit, or empty.
type Taken = (Messages, Vec<String>, HashMap<usize, usize>);

/// How sockets are read. Octets of a datagram, and datagrams of one call; octets of a message; messages of a batch; the pause when there are none.
#[derive(Clone, Copy)]
struct Bounds {
    size: usize,
    at_once: usize,
    limit: usize,
    most: usize,
    rest: Duration,
    local: bool,
}

/// One batch that was read.
#[derive(Default)]
struct Pack {
    messages: Messages,
    senders: Vec<Sender>,
    known: HashMap<Sender, usize>,
    odd: HashMap<usize, usize>,
}

impl Pack {
    fn add(&mut self, datagram: &[u8], length: usize, sender: Sender) {
        let number = match self.senders.last() {
            Some(last) if *last == sender => self.senders.len() - 1,
            _ => *self.known.entry(sender).or_insert_with(|| {
                self.senders.push(sender);
                self.senders.len() - 1
            }),
        };
        let empty = self.messages.add(datagram, number) == 0 && length <= FEW;
        if empty || length > datagram.len() {
            self.odd.insert(self.messages.len() - 1, length);
        }
    }

    fn is_whole(&self, bounds: &Bounds) -> bool {
        self.messages.len() >= bounds.most || self.messages.text().len() >= BATCH
    }
}

#[derive(Default)]
struct Queue {
    packs: VecDeque<Pack>,
    going: bool,
    ended: bool,
    /// Until it has ended.
    tell: Option<UnixStream>,
}

impl Queue {
    /// Something has changed. When nobody has looked for long, he has enough to look at.
    fn tell(&self) {
        if let Some(mut tell) = self.tell.as_ref() {
            let _ = tell.write(b"!");
        }
    }
}

/// What the thread and the others have together.
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    bounds: Bounds,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was read.
    fn add(&self, room: &Room, read: &[(usize, Sender)]) {
        let bounds = &self.bounds;
        let mut queue = self.queue();
        let before = queue.packs.len();
        let mut tell = before == 0;
        for (place, &(length, sender)) in room.octets.chunks_exact(bounds.size + APART).zip(read) {
            if queue.packs.back().is_none_or(|pack| pack.is_whole(bounds)) {
                queue.packs.push_back(Pack::default());
            }
            if let Some(pack) = queue.packs.back_mut() {
                pack.add(&place[..length.min(bounds.limit)], length, sender);
                tell |= pack.is_whole(bounds);
            }
        }
        if tell {
            queue.tell();
        }
    }

    /// The thread.
    fn run(&self, socket: RawFd) {
        let mut room = Room::new(self.bounds);
        loop {
            let mut queue = self.queue();
            while !queue.ended && (!queue.going || queue.packs.len() > WAITING) {
                queue = self.wait(queue);
            }
            if queue.ended {
                return;
            }
            drop(queue);
            let read = room.read(socket);
            if !read.is_empty() {
                self.add(&room, &read);
            }
            if read.len() == self.bounds.at_once {
                continue;
            }
            let rested = self.changed.wait_timeout_while(self.queue(), self.bounds.rest, |queue| !queue.ended);
            let mut queue = rested.map_or_else(|poisoned| poisoned.into_inner().0, |(queue, _)| queue);
            if read.is_empty() {
                queue.going = false;
                queue.tell();
            }
        }
    }
}

/// Room for the datagrams of one call. Memory is used only where datagrams have been.
struct Room {
    octets: Vec<u8>,
    bounds: Bounds,
    headers: Headers,
}

enum Headers {
    Local(MultiHeaders<()>),
    Distant(MultiHeaders<SockaddrStorage>),
}

impl Room {
    fn new(bounds: Bounds) -> Room {
        let headers = match bounds.local {
            true => Headers::Local(MultiHeaders::preallocate(bounds.at_once, None)),
            false => Headers::Distant(MultiHeaders::preallocate(bounds.at_once, None)),
        };
        Room { octets: vec![0; (bounds.size + APART) * bounds.at_once], bounds, headers }
    }

    /// The length and the sender of each datagram that was waiting.
    fn read(&mut self, socket: RawFd) -> Vec<(usize, Sender)> {
        let read = match &mut self.headers {
            Headers::Local(headers) => received(headers, &mut self.octets, &self.bounds, socket, |_| None),
            Headers::Distant(headers) => received(headers, &mut self.octets, &self.bounds, socket, sender),
        };
        read.unwrap_or_default() // an ICMP answer to something this socket never sent, or no memory: the next read tells
    }
}

fn received<S: SockaddrLike + Copy>(
    headers: &mut MultiHeaders<S>,
    room: &mut [u8],
    bounds: &Bounds,
    socket: RawFd,
    sender: impl Fn(&S) -> Sender,
) -> nix::Result<Vec<(usize, Sender)>> {
    let mut places: Vec<[IoSliceMut; 1]> =
        room.chunks_exact_mut(bounds.size + APART).map(|place| [IoSliceMut::new(&mut place[..bounds.size])]).collect();
    let read = recvmmsg(socket, headers, places.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
    Ok(read.map(|each| (each.bytes, each.address.as_ref().and_then(&sender))).collect())
}

fn sender(address: &SockaddrStorage) -> Sender {
    if let Some(four) = address.as_sockaddr_in() {
        return Some((IpAddr::V4(four.ip()), 0));
    }
    address.as_sockaddr_in6().map(|six| (IpAddr::V6(six.ip()), six.scope_id()))
}

/// What reads one socket.
#[pyclass]
pub struct Drain {
    shared: Arc<Shared>,
    /// Until it has ended.
    heard: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    socket: RawFd,
    names: HashMap<(IpAddr, u32), String>,
    name: Py<PyAny>,
}

#[pymethods]
impl Drain {
    /// `size`: octets of a datagram that are read; `at_once`: datagrams of one call; `limit`: octets of a message; `most`: messages of a batch; `rest`:
    /// seconds of the pause when there are no more; `local`: whether senders have no addresses; `name`: gives a sender's name, by the octets of its
    /// address and the number of its interface.
    #[new]
    #[allow(clippy::too_many_arguments)] // they are named
    #[pyo3(signature = (socket, *, size, at_once, limit, most, rest, local, name))]
    fn new(
        socket: RawFd,
        size: usize,
        at_once: usize,
        limit: usize,
        most: usize,
        rest: f64,
        local: bool,
        name: Py<PyAny>,
    ) -> PyResult<Drain> {
        let (heard, tell) = UnixStream::pair()?;
        heard.set_nonblocking(true)?;
        tell.set_nonblocking(true)?;
        let bounds = Bounds { size, at_once, limit, most, rest: Duration::from_secs_f64(rest), local };
        let queue = Mutex::new(Queue { tell: Some(tell), ..Queue::default() });
        let shared = Shared { queue, changed: Condvar::new(), bounds };
        Ok(Drain { shared: Arc::new(shared), heard: Some(heard), thread: None, socket, names: HashMap::new(), name })
    }

    /// Where the thread says that something has changed.
    fn fileno(&self) -> RawFd {
        self.heard.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// There are datagrams: the thread reads them, until no more come. Raises OSError where the system gives no thread; nothing is read then.
    fn go(&mut self) -> PyResult<()> {
        if self.thread.is_none() {
            let (shared, socket) = (self.shared.clone(), self.socket);
            self.thread = Some(thread::Builder::new().name("syslog".to_owned()).spawn(move || shared.run(socket))?);
        }
        self.shared.queue().going = true;
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Hears all that the thread has said so far at the socket of `fileno`. Who does that asks for the `state` after it: it is not said again.
    fn hear(&mut self) {
        let mut told = [0; 64];
        while self.heard.as_mut().is_some_and(|heard| heard.read(&mut told).is_ok_and(|size| size == told.len())) {}
    }

    /// Whether the thread reads; messages that wait, and their octets; whether these are a batch.
    fn state(&self) -> (bool, usize, usize, bool) {
        let queue = self.shared.queue();
        let messages = queue.packs.iter().map(|pack| pack.messages.len()).sum();
        let octets = queue.packs.iter().map(|pack| pack.messages.text().len()).sum();
        (queue.going, messages, octets, queue.packs.front().is_some_and(|pack| pack.is_whole(&self.shared.bounds)))
    }

    /// Reads once what is there, without the thread; how many.
    fn read(&mut self, py: Python<'_>) -> usize {
        let (shared, socket) = (&self.shared, self.socket);
        py.detach(|| {
            let mut room = Room::new(shared.bounds);
            let read = room.read(socket);
            shared.add(&room, &read);
            read.len()
        })
    }

    /// The batch that has waited longest. The thread has room for another one then.
    fn take(&mut self, py: Python<'_>) -> PyResult<Option<Taken>> {
        let pack = self.shared.queue().packs.pop_front();
        self.shared.changed.notify_all();
        pack.map(|pack| self.named(py, pack)).transpose()
    }

    /// Ends the thread. What it has read still waits.
    fn stop(&mut self, py: Python<'_>) {
        py.detach(|| self.end());
    }
}

impl Drain {
    fn named(&mut self, py: Python<'_>, pack: Pack) -> PyResult<Taken> {
        let mut names = Vec::with_capacity(pack.senders.len());
        for sender in pack.senders {
            names.push(sender.map_or(Ok(String::new()), |sender| self.name_of(py, sender))?);
        }
        Ok((pack.messages.from(&names), names, pack.odd))
    }

    fn name_of(&mut self, py: Python<'_>, sender: (IpAddr, u32)) -> PyResult<String> {
        if let Some(name) = self.names.get(&sender) {
            return Ok(name.clone());
        }
        let name: String = match sender.0 {
            IpAddr::V4(address) => self.name.call1(py, (PyBytes::new(py, &address.octets()), sender.1))?,
            IpAddr::V6(address) => self.name.call1(py, (PyBytes::new(py, &address.octets()), sender.1))?,
        }
        .extract(py)?;
        if self.names.len() >= REMEMBERED {
            self.names.clear();
        }
        self.names.insert(sender, name.clone());
        Ok(name)
    }

    fn end(&mut self) {
        let mut queue = self.shared.queue();
        (queue.going, queue.ended) = (false, true);
        (queue.tell, self.heard) = (None, None);
        drop(queue);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.end();
    }
}
