//! Records of attributes, as XML and JSON have them: the twin of `shipper/formats/mta_attributes.py`, which has the rules and the reasons.
//!
//! What has no field of its own is not straight: an attribute that is not known, or comes twice, a value that cannot be read, two hosts at the other
//! end.

use crate::mta::{self, digits, Connection, Message, Wire};
use crate::octets::{find, find_piece};

/// The attributes, in the order in which Python names them.
#[derive(Clone, Copy)]
pub enum Name {
    Ts,
    No,
    Pi,
    Sc,
    Dc,
    Dr,
    Ac,
    Sz,
    So,
    Od,
    De,
    Rf,
    Fi,
    Ei,
    Mi,
    Us,
    Ss,
    Se,
    Pr,
    In,
    Ia,
    Fl,
    Re,
    Di,
    Rm,
    Tr,
    Ap,
    Qt,
    Va,
}

/// How many names there are.
pub const NAMES: usize = Name::Va as usize + 1;
/// Of those that Python does not name.
const UNKNOWN: u8 = u8::MAX;

/// What Python tells of attributes.
pub struct Told {
    /// The number of a name, by its two letters.
    numbers: [[u8; 26]; 26],
    /// Those of messages, and of connections, a bit for each.
    messages: u32,
    connections: u32,
    /// By the letter of an action, whether it is a connection's.
    connects: [bool; 26],
}

impl Default for Told {
    fn default() -> Told {
        Told { numbers: [[UNKNOWN; 26]; 26], messages: 0, connections: 0, connects: [false; 26] }
    }
}

impl Told {
    /// `names`: as many as `NAMES`, of two letters; `messages`, `connections`: which of them such an element has; `actions`: letters of connection
    /// records.
    pub fn new(names: &[String], messages: &[String], connections: &[String], actions: &str) -> Option<Told> {
        let mut told = Told::default();
        for (number, name) in names.iter().enumerate() {
            let &[first @ b'a'..=b'z', second @ b'a'..=b'z'] = name.as_bytes() else { return None };
            told.numbers[usize::from(first - b'a')][usize::from(second - b'a')] = number as u8;
        }
        let bits = |some: &[String]| names.iter().enumerate().filter(|(_, name)| some.contains(name)).map(|(number, _)| 1 << number).sum();
        (told.messages, told.connections) = (bits(messages), bits(connections));
        told.connects = std::array::from_fn(|letter| actions.as_bytes().contains(&(b'A' + letter as u8)));
        (names.len() == NAMES).then_some(told)
    }

    fn number(&self, name: [u8; 2]) -> Option<usize> {
        let [first @ b'a'..=b'z', second @ b'a'..=b'z'] = name else { return None };
        Some(usize::from(self.numbers[usize::from(first - b'a')][usize::from(second - b'a')])).filter(|&number| number < NAMES)
    }
}

/// The attributes of one line but its time stamp.
#[derive(Default)]
pub struct Attributes<'a> {
    values: [&'a [u8]; NAMES],
    /// A bit for each that is there.
    given: u32,
}

impl<'a> Attributes<'a> {
    /// Takes one more; None where it is not known, or has come before.
    pub fn put(&mut self, name: [u8; 2], value: &'a [u8], told: &Told) -> Option<()> {
        let number = told.number(name)?;
        let bit = 1 << number;
        if self.given & bit != 0 || number == Name::Ts as usize {
            return None;
        }
        self.given |= bit;
        self.values[number] = value;
        Some(())
    }

    fn get(&self, name: Name) -> &'a [u8] {
        self.values[name as usize]
    }

    fn has(&self, name: Name) -> bool {
        self.given & (1 << name as u32) != 0
    }

    /// Whether it can be a header line's and nothing else: `mta_json._flat`.
    pub fn heads(&self) -> bool {
        self.has(Name::Va) && self.get(Name::Ac).is_empty()
    }

    /// Whether an object that says no more of itself is a connection's: `mta_json._flat`.
    pub fn connect(&self, told: &Told) -> bool {
        let addressed = [Name::Dc, Name::So, Name::Od, Name::De].into_iter().any(|name| self.has(name));
        let connects =
            self.get(Name::Ac).first().is_some_and(|action| action.is_ascii_uppercase() && told.connects[usize::from(action - b'A')]);
        !self.get(Name::Dr).is_empty() || (connects && !addressed)
    }
}

/// The record of an `en` element.
pub fn message<'a>(given: &Attributes<'a>, told: &Told) -> Option<Message<'a>> {
    if given.given & !told.messages != 0 {
        return None;
    }
    let mut record = Message {
        destination_channel: given.get(Name::Dc),
        size_blocks: number(given.get(Name::Sz), 18)?,
        notary_flags: number(given.get(Name::Rf), 18)?,
        envelope_id: given.get(Name::Ei),
        intermediate_address: given.get(Name::In),
        initial_address: given.get(Name::Ia),
        filter: given.get(Name::Fl),
        priority: given.get(Name::Pr),
        sensitivity: given.get(Name::Se),
        queue_seconds: number(given.get(Name::Qt), 15)?,
        ..Message::default()
    };
    begin(given, &mut record.wire)?;
    record.sender = mta::address(given.get(Name::So));
    record.null_sender = record.sender.is_empty() && given.has(Name::So);
    let mut original = given.get(Name::Od);
    if let Some(semicolon) = find(b';', original) {
        let kind = &original[..semicolon];
        if !kind.is_ascii() {
            return None;
        }
        let letters = kind.iter().filter(|octet| octet.is_ascii_alphanumeric()).count();
        if letters > 0 && letters == kind.iter().filter(|&&octet| octet != b'-').count() {
            (record.original_recipient_type, original) = (kind, &original[semicolon + 1..]);
        }
    }
    record.original_recipient = mta::address(original);
    let recipient = mta::address(given.get(Name::De));
    if record.wire.code[0] == b'B' {
        record.bad_command = recipient;
    } else {
        record.recipient = recipient;
    }
    if given.has(Name::Fi) && !given.get(Name::Fi).is_empty() {
        mta::queue_file(given.get(Name::Fi), &mut record);
    }
    match given.get(Name::Mi) {
        text @ [b'<', .., b'>'] => mta::message_id(text, &mut record),
        text => record.message_id = text,
    }
    if !given.get(Name::Di).is_empty() {
        let (dns, ip) = (record.wire.remote_dns, record.wire.remote_ip);
        mta::diagnostic(given.get(Name::Di), &mut record)?;
        end(&mut record.wire, dns, ip)?;
    }
    let named = given.get(Name::Rm);
    if !named.is_empty() {
        if find_piece(b"dns;", named).is_some() || !(record.remote_mta.is_empty() || record.remote_mta == named) {
            return None;
        }
        record.remote_mta = named;
    }
    transport(given.get(Name::Tr), &mut record.wire)?;
    Some(record)
}

/// The record of a `co` element.
pub fn connection<'a>(given: &Attributes<'a>, told: &Told) -> Option<Connection<'a>> {
    if given.given & !told.connections != 0 {
        return None;
    }
    let mut record = Connection::default();
    let wire = &mut record.wire;
    begin(given, wire)?;
    wire.tag = given.get(Name::Mi);
    if !given.get(Name::Di).is_empty() {
        mta::reply(given.get(Name::Di), wire)?;
    }
    transport(given.get(Name::Tr), wire)?;
    Some(record)
}

/// What both have, up to the source system.
fn begin<'a>(given: &Attributes<'a>, wire: &mut Wire<'a>) -> Option<()> {
    wire.code = given.get(Name::Ac);
    let process = given.get(Name::Pi);
    if !mta::is_code(wire.code) || !(process.is_empty() || mta::process(process, wire)) {
        return None;
    }
    wire.host = given.get(Name::No);
    wire.source_channel = given.get(Name::Sc);
    wire.reason = given.get(Name::Re);
    wire.direction = match given.get(Name::Dr) {
        b"" => b"",
        b"+" => b"in",
        b"-" => b"out",
        _ => return None,
    };
    if !given.get(Name::Us).is_empty() {
        mta::username(given.get(Name::Us), wire);
    }
    if !given.get(Name::Ap).is_empty() {
        mta::application(given.get(Name::Ap), wire)?;
    }
    if !given.get(Name::Ss).is_empty() {
        mta::source_system(given.get(Name::Ss), wire);
    }
    Some(())
}

/// The transport, where the status has not named that one already.
fn transport<'a>(text: &'a [u8], wire: &mut Wire<'a>) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    let text = match text {
        [b'(', inner @ .., b')'] => inner,
        _ => text,
    };
    if !wire.tcp {
        let (dns, ip) = (wire.remote_dns, wire.remote_ip);
        mta::ports(text, wire)?;
        return end(wire, dns, ip);
    }
    let mut other = Wire::default();
    mta::ports(text, &mut other)?;
    let ends = |wire: &Wire<'a>| (wire.local_ip, wire.local_port, wire.remote_ip, wire.remote_port);
    (ends(&other) == ends(wire)).then_some(())
}

/// Whether the other end is still the one with this name and address, where they were known before.
fn end<'a>(wire: &mut Wire<'a>, dns: &'a [u8], ip: &'a [u8]) -> Option<()> {
    if wire.remote_dns.is_empty() {
        wire.remote_dns = dns; // `dns;` alone names no host
    }
    ((dns.is_empty() || wire.remote_dns == dns) && (ip.is_empty() || wire.remote_ip == ip)).then_some(())
}

/// A number of at most so many digits, or none.
fn number(text: &[u8], most: usize) -> Option<Option<u64>> {
    if text.is_empty() {
        Some(None)
    } else {
        digits(text, most).map(Some)
    }
}
