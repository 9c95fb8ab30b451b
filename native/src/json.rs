//! JSON text: strings and whole numbers, escaped as msgspec does, and then as `shipper/profiles/base.py` does the ends of lines.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Two hexadecimal digits of each octet, and two decimal ones of each number below 100.
const PAIRS: [[u8; 2]; 256] = pairs(16);
const TENS: [[u8; 2]; 256] = pairs(10);

const fn pairs(base: usize) -> [[u8; 2]; 256] {
    let mut pairs = [[0; 2]; 256];
    let mut number = 0;
    while number < base * base {
        pairs[number] = [HEX[number / base], HEX[number % base]];
        number += 1;
    }
    pairs
}

/// Whether every octet stands for itself inside a JSON string: printable ASCII but `"` and `\`.
pub fn is_plain(text: &[u8]) -> bool {
    all(text, |octet| (octet.wrapping_sub(0x20) < 0x60) & (octet != b'"') & (octet != b'\\'))
}

/// The same of a line whose texts stand between quotation marks.
pub fn is_plain_quoted(line: &[u8]) -> bool {
    all(line, |octet| (octet.wrapping_sub(0x20) < 0x60) & (octet != b'\\'))
}

/// Whether all octets are so; 32 at a time, of which the last may have been looked at already, as the compiler makes few instructions of that.
#[inline(always)]
fn all(text: &[u8], is_so: impl Fn(u8) -> bool) -> bool {
    let whole = |octets: &[u8]| octets.iter().fold(true, |all, &octet| all & is_so(octet));
    match text.last_chunk::<32>() {
        Some(last) => text.chunks_exact(32).all(whole) && whole(last),
        None => whole(text),
    }
}

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
    if is_plain(text) {
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
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let size = value.checked_ilog10().map_or(1, |power| power as usize + 1);
    let mut first = size;
    while first > 1 {
        first -= 2;
        digits[first..first + 2].copy_from_slice(&TENS[(value % 100) as usize]);
        value /= 100;
    }
    if first > 0 {
        digits[0] = TENS[value as usize][1];
    }
    // All of them, as their number is known to the compiler, and then not those that are too many.
    let end = out.len() + size;
    out.extend_from_slice(&digits);
    out.truncate(end);
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
    fn plain_is_what_needs_no_escape() {
        assert!(is_plain(b"19-Jan-1998 ~ {}"));
        for text in [&b"\""[..], b"\\", b"\x1f", "é".as_bytes()] {
            assert!(!is_plain(text));
        }
    }

    #[test]
    fn it_is_seen_wherever_it_stands() {
        for size in 0..100 {
            let mut text = vec![b'a'; size];
            assert!(is_plain(&text) && is_plain_quoted(&text));
            for at in 0..size {
                text[at] = b'\\';
                assert!(!is_plain(&text) && !is_plain_quoted(&text), "{at} of {size}");
                text[at] = b'a';
            }
        }
    }

    #[test]
    fn numbers() {
        let mut out = Vec::new();
        number(&mut out, 0);
        number(&mut out, u64::MAX);
        assert_eq!(out, b"018446744073709551615");
        for value in (0..1100).chain([9_999, 10_000, 65_535, 4_294_967_296]) {
            out.clear();
            number(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }
}
