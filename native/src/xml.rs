//! Lines of the MTA in XML as it writes them, `<en ts="…" …/>` with no single blank more: the twin of `xml_element.straight`.

use crate::attributes::{Attributes, Told};
use crate::octets::{find, find_any, is_plain};

/// `<en ts="`
const BEGIN: usize = 8;

/// What the line is, and where its time stamp begins; None of a line that begins in another way. Python takes every line that begins so.
pub fn begun(line: &[u8]) -> Option<(Element, usize)> {
    let element = match line.get(..BEGIN)? {
        b"<en ts=\"" => Element::Message,
        b"<co ts=\"" => Element::Connection,
        b"<he ts=\"" => Element::Header,
        _ => return None,
    };
    Some((element, BEGIN))
}

/// What a line is a record of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Element {
    Message,
    Connection,
    Header,
    /// That has to be told by its attributes.
    Any,
}

/// The attributes behind the time stamp; `room`: for decoded values, as long as the line. `plain` becomes false where one of these needs an escape.
pub fn attributes<'a>(line: &'a [u8], room: &'a mut [u8], told: &Told, plain: &mut bool) -> Option<Attributes<'a>> {
    let mut given = Attributes::default();
    let (mut rest, mut room) = (line, room);
    while rest != b"/>" {
        let [b' ', first, second, b'=', b'"', value @ ..] = rest else { return None };
        let mut end = find_any([b'"', b'&'], value)?;
        let text = if value[end] == b'"' {
            &value[..end]
        } else {
            end += find(b'"', &value[end..])?;
            let size = decode(&value[..end], room);
            let (text, left) = std::mem::take(&mut room).split_at_mut(size);
            room = left;
            *plain &= is_plain(text);
            &*text
        };
        given.put([*first, *second], text, told)?;
        rest = &value[end + 1..];
    }
    Some(given)
}

/// A text with its references decoded once, put into `room`, which is as long; its size.
fn decode(text: &[u8], room: &mut [u8]) -> usize {
    let (mut rest, mut size) = (text, 0);
    let mut put = |octets: &[u8]| {
        room[size..size + octets.len()].copy_from_slice(octets);
        size += octets.len();
    };
    while let Some(at) = find(b'&', rest) {
        put(&rest[..at]);
        let (character, length) = reference(&rest[at..]).unwrap_or(('&', 1));
        put(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + length..];
    }
    put(rest);
    size
}

/// The character of the reference that a text begins with, and its length; None where it is none.
fn reference(text: &[u8]) -> Option<(char, usize)> {
    let end = find(b';', &text[..text.len().min(12)])?;
    let character = match &text[1..end] {
        b"lt" => '<',
        b"gt" => '>',
        b"amp" => '&',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x', digits @ ..] => number(digits, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        _ => return None,
    };
    Some((character, end + 1))
}

/// One to eight digits, of a character that there is.
fn number(digits: &[u8], base: u32) -> Option<char> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let code = digits.iter().try_fold(0u64, |code, &digit| Some(code * u64::from(base) + u64::from(char::from(digit).to_digit(base)?)))?;
    char::from_u32(u32::try_from(code).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_decoded_once() {
        for (text, expected) in [
            ("a &lt;b&gt; &amp;lt; &quot;&apos;", "a <b> &lt; \"'"),
            ("&#10;&#x0A;&#xe9;&#x10FFFF;", "\n\né\u{10ffff}"),
            ("&#xD800; &#x110000; &#123456789; &#; &x &", "&#xD800; &#x110000; &#123456789; &#; &x &"),
        ] {
            let mut room = vec![0; text.len()];
            let size = decode(text.as_bytes(), &mut room);
            assert_eq!(std::str::from_utf8(&room[..size]), Ok(expected));
        }
    }
}
