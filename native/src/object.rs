//! Lines of the MTA in JSON as it writes them, `{"en":{"ts":"…",…}}` or `{"ts":"…",…}` with no blank: the straight case of
//! `shipper/formats/mta_json.py`.

use memchr::{memchr2, memmem};

use crate::attributes::{Attributes, Told};
use crate::octets::{find_any, is_plain};
use crate::xml::Element;

/// The same as of XML (`xml::begun`). A flat object may still be another format's.
pub fn begun(line: &[u8]) -> Option<(Element, usize)> {
    const NESTED: usize = 13;
    const FLAT: usize = 7;
    if line.starts_with(b"{\"ts\":\"") {
        return Some((Element::Any, FLAT));
    }
    let element = match line.get(..NESTED)? {
        b"{\"en\":{\"ts\":\"" => Element::Message,
        b"{\"co\":{\"ts\":\"" => Element::Connection,
        b"{\"he\":{\"ts\":\"" => Element::Header,
        _ => return None,
    };
    Some((element, NESTED))
}

/// Whether Python takes a line that begins so whatever else is in it, with this time stamp.
pub fn is_certain(line: &[u8], element: Element) -> bool {
    let once = |text: &[u8]| memmem::find_iter(line, text).take(2).count() == 1;
    let code = || {
        let after = memmem::find(line, b"\"ac\":\"").and_then(|at| line.get(at + 6));
        once(b"\"ac\"") && after.is_some_and(|&octet| octet != b'"') && memchr2(b'{', b'[', &line[1..]).is_none()
    };
    once(b"\"ts\"") && memmem::find(line, b"\\u").is_none() && (element != Element::Any || code())
}

/// Whether the text of a header line, which is one of its attributes, is no number.
pub fn has_text(line: &[u8]) -> bool {
    memmem::find(line, b"\"va\":\"").is_some()
}

/// The same as of XML (`xml::attributes`).
pub fn attributes<'a>(line: &'a [u8], nested: bool, room: &'a mut [u8], told: &Told, plain: &mut bool) -> Option<Attributes<'a>> {
    let mut given = Attributes::default();
    let (mut rest, mut room) = (line, room);
    let end: &[u8] = if nested { b"}}" } else { b"}" };
    while rest != end {
        let [b',', b'"', first, second, b'"', b':', value @ ..] = rest else { return None };
        let text = if let [b'"', value @ ..] = value {
            let mut end = find_any([b'"', b'\\'], value)?;
            let text = if value[end] == b'"' {
                &value[..end]
            } else {
                let size;
                (end, size) = decode(value, room)?;
                let (text, left) = std::mem::take(&mut room).split_at_mut(size);
                room = left;
                *plain &= is_plain(text);
                &*text
            };
            rest = &value[end + 1..];
            text
        } else {
            let digits = value.iter().take_while(|octet| octet.is_ascii_digit()).count();
            if !(1..=18).contains(&digits) || (value[0] == b'0' && digits > 1) || !matches!(value.get(digits), Some(b',' | b'}')) {
                return None;
            }
            rest = &value[digits..];
            &value[..digits]
        };
        given.put([*first, *second], text, told)?;
    }
    Some(given)
}

/// A string up to its quotation mark, its escapes decoded into `room`; where that mark stands, and the size. None of half a surrogate pair, and of
/// whole ones.
fn decode(text: &[u8], room: &mut [u8]) -> Option<(usize, usize)> {
    let (mut at, mut size) = (0, 0);
    let mut put = |octets: &[u8]| {
        room[size..size + octets.len()].copy_from_slice(octets);
        size += octets.len();
    };
    loop {
        let length = find_any([b'"', b'\\'], &text[at..])?;
        put(&text[at..at + length]);
        at += length;
        if text[at] == b'"' {
            return Some((at, size));
        }
        let octet = match text.get(at + 1)? {
            b'u' => {
                let digits = text.get(at + 2..at + 6)?;
                let code = digits.iter().try_fold(0, |code, &digit| Some(code * 16 + char::from(digit).to_digit(16)?))?;
                put(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
                at += 6;
                continue;
            }
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            octet @ (b'"' | b'\\' | b'/') => *octet,
            _ => return None,
        };
        put(&[octet]);
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        let mut room = [0; 64];
        let (end, size) = decode(br#"a\"b\\\/\n\u00e9" x"#, &mut room).unwrap();
        assert_eq!((end, std::str::from_utf8(&room[..size])), (16, Ok("a\"b\\/\né")));
        for text in [&br#"\ud800""#[..], br#"\x""#, br#"\u00""#, br#"\"#, b"a"] {
            assert_eq!(decode(text, &mut room), None);
        }
    }
}
