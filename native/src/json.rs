//! JSON text: strings and whole numbers, escaped as msgspec does, and then as `shipper/profiles/base.py` does the ends of lines.

use crate::octets;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Two hexadecimal digits of each octet.
const PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut number = 0;
    while number < 256 {
        pairs[number] = [HEX[number / 16], HEX[number % 16]];
        number += 1;
    }
    pairs
};

/// The inside of a string; `plain` when the caller knows it to be.
#[inline]
pub fn text(out: &mut Vec<u8>, text: &[u8], plain: bool) {
    if plain {
        out.extend_from_slice(text);
    } else {
        escaped(out, text);
    }
}

/// The inside of a string, which is UTF-8.
pub fn escaped(out: &mut Vec<u8>, text: &[u8]) {
    if octets::is_plain(text) {
        out.extend_from_slice(text);
        return;
    }
    let mut done = 0;
    let mut at = 0;
    while at < text.len() {
        let octet = text[at];
        let (size, escape): (usize, &[u8]) = match octet {
            b'"' => (1, b"\\\""),
            b'\\' => (1, b"\\\\"),
            8 => (1, b"\\b"),
            9 => (1, b"\\t"),
            10 => (1, b"\\n"),
            12 => (1, b"\\f"),
            13 => (1, b"\\r"),
            0..=0x1f => (1, b""),
            0xc2 if text[at..].starts_with(b"\xc2\x85") => (2, b"\\u0085"),
            0xe2 if text[at..].starts_with(b"\xe2\x80\xa8") => (3, b"\\u2028"),
            0xe2 if text[at..].starts_with(b"\xe2\x80\xa9") => (3, b"\\u2029"),
            _ => {
                at += 1;
                continue;
            }
        };
        out.extend_from_slice(&text[done..at]);
        if escape.is_empty() {
            out.extend_from_slice(b"\\u00");
            hex(out, &[octet]);
        } else {
            out.extend_from_slice(escape);
        }
        at += size;
        done = at;
    }
    out.extend_from_slice(&text[done..]);
}

/// Two hexadecimal digits for each octet.
pub fn hex(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend(octets.iter().flat_map(|&octet| PAIRS[usize::from(octet)]));
}

/// The same, over what stands there.
pub fn hex_at(place: &mut [u8], octets: &[u8]) {
    for (digits, octet) in place.chunks_exact_mut(2).zip(octets) {
        digits.copy_from_slice(&PAIRS[usize::from(*octet)]);
    }
}

/// Room for an id. Returns where that belongs.
#[inline]
pub fn room(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[b'0'; 32]);
    at
}

/// A number in decimal.
#[inline]
pub fn number(out: &mut Vec<u8>, value: u64) {
    if value < EIGHT {
        let digits = eight(value);
        let blank = (digits.trailing_zeros() / 8).min(7);
        // Eight octets, as that is known to the compiler, and then not those that are too many.
        let end = out.len() + 8 - blank as usize;
        out.extend_from_slice(&((digits | ZEROS) >> (8 * blank)).to_le_bytes());
        out.truncate(end);
    } else {
        number_of_more(out, value);
    }
}

/// The first number of nine digits.
const EIGHT: u64 = 100_000_000;
const ZEROS: u64 = 0x3030_3030_3030_3030;

fn number_of_more(out: &mut Vec<u8>, value: u64) {
    number(out, value / EIGHT);
    out.extend_from_slice(&(eight(value % EIGHT) | ZEROS).to_le_bytes());
}

/// The eight digits of a number, the first in the lowest octet: halved into fours, twos and ones, side by side, where a product stands for each quotient.
fn eight(value: u64) -> u64 {
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - 10 * tens) << 8)
}

/// `name` as it stands (`,"code":"`), the value, and the quotation mark behind it; nothing where there is no value.
#[inline]
pub fn member(out: &mut Vec<u8>, name: &[u8], value: &[u8], plain: bool) {
    if !value.is_empty() {
        out.extend_from_slice(name);
        text(out, value, plain);
        out.push(b'"');
    }
}

/// The same for a number.
#[inline]
pub fn number_member(out: &mut Vec<u8>, name: &[u8], value: Option<u64>) {
    if let Some(value) = value {
        out.extend_from_slice(name);
        number(out, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_json_and_readers_of_lines_cannot_have() {
        let mut out = Vec::new();
        escaped(&mut out, "a\"b\\\u{1}\t\u{1f}\u{85}\u{2028}\u{2029}é\u{7f}".as_bytes());
        assert_eq!(out, "a\\\"b\\\\\\u0001\\t\\u001f\\u0085\\u2028\\u2029é\u{7f}".as_bytes());
    }

    #[test]
    fn numbers() {
        let mut out = Vec::new();
        number(&mut out, 0);
        number(&mut out, u64::MAX);
        assert_eq!(out, b"018446744073709551615");
        for value in
            (0..20_000).chain((0..EIGHT).step_by(9_973)).chain([99_999_999, EIGHT, EIGHT * EIGHT - 1, EIGHT * EIGHT, 4_294_967_296])
        {
            out.clear();
            number(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }
}
