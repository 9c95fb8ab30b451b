//! Octets looked at 16 at a time, as any processor does: where one stands, and whether all are of a kind.

use wide::{i8x16, CmpEq, CmpLt};

/// Where in a text this octet stands first. (`memchr` takes as long to begin as this for a line: it is for what is longer.)
#[inline]
pub fn find(octet: u8, text: &[u8]) -> Option<usize> {
    first(text, |octets| equal(octets, octet), |other| other == octet)
}

/// The same for the first of these octets.
#[inline]
pub fn find_any<const COUNT: usize>(some: [u8; COUNT], text: &[u8]) -> Option<usize> {
    let of_them = |octets| some.iter().fold(i8x16::ZERO, |found, &octet| found | equal(octets, octet));
    first(text, of_them, |other| some.contains(&other))
}

/// The same for a piece, which is looked for by its last octet.
#[inline]
pub fn find_piece<const SIZE: usize>(piece: &[u8; SIZE], text: &[u8]) -> Option<usize> {
    let mut from = SIZE - 1;
    while let Some(at) = find(piece[SIZE - 1], text.get(from..)?) {
        from += at + 1;
        if text[..from].ends_with(piece) {
            return Some(from - SIZE);
        }
    }
    None
}

/// A bit for each of sixteen octets, the lowest for the first: whether it is this one.
#[inline(always)]
pub fn places(octet: u8, octets: &[u8; 16]) -> u32 {
    equal(sixteen(octets), octet).move_mask() as u32
}

/// Whether every octet stands for itself inside a JSON string: printable ASCII but `"` and `\`.
pub fn is_plain(text: &[u8]) -> bool {
    none(text, |octets| escaped(octets) | equal(octets, b'"'))
}

/// The same of a line whose texts stand between quotation marks.
pub fn is_plain_quoted(line: &[u8]) -> bool {
    none(line, escaped)
}

/// Those that are no printable ASCII, or `\`; what is no ASCII is negative here.
#[inline(always)]
fn escaped(octets: i8x16) -> i8x16 {
    octets.cmp_lt(i8x16::splat(b' ' as i8)) | equal(octets, b'\\')
}

/// Whether no octet is so; the last sixteen may have been looked at already.
#[inline(always)]
fn none(text: &[u8], is_so: impl Fn(i8x16) -> i8x16) -> bool {
    let Some(last) = text.last_chunk() else {
        let mut octets = [b' '; 16];
        octets[..text.len()].copy_from_slice(text);
        return is_so(sixteen(&octets)).none();
    };
    let look = |found, octets: &[u8; 16]| found | is_so(sixteen(octets));
    look(text.chunks_exact(16).filter_map(|octets| octets.first_chunk()).fold(i8x16::ZERO, look), last).none()
}

/// Where the first octet stands that is so; the last sixteen may have been looked at already.
#[inline(always)]
fn first(text: &[u8], is_so: impl Fn(i8x16) -> i8x16, is_one: impl Fn(u8) -> bool) -> Option<usize> {
    let Some(last) = text.last_chunk() else { return text.iter().position(|&octet| is_one(octet)) };
    let place = |octets: &[u8; 16], start: usize| {
        let places = is_so(sixteen(octets)).move_mask();
        (places != 0).then(|| start + places.trailing_zeros() as usize)
    };
    let whole = text.chunks_exact(16).filter_map(|octets| octets.first_chunk());
    let found = whole.zip((0..).step_by(16)).find_map(|(octets, start)| place(octets, start));
    found.or_else(|| place(last, text.len() - 16))
}

#[inline(always)]
fn equal(octets: i8x16, octet: u8) -> i8x16 {
    octets.cmp_eq(i8x16::splat(octet as i8))
}

#[inline(always)]
fn sixteen(octets: &[u8; 16]) -> i8x16 {
    i8x16::from(octets.map(|octet| octet as i8))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_first_is_found_wherever_it_stands() {
        for size in 0..100 {
            let mut text = vec![b'a'; size];
            assert_eq!(find(b' ', &text), None);
            for at in (0..size).rev() {
                text[at] = b' ';
                assert_eq!(find(b' ', &text), Some(at), "of {size}");
                assert_eq!(find_any([b'"', b' '], &text), Some(at), "of {size}");
            }
        }
    }

    #[test]
    fn a_piece_is_found_where_it_stands_first() {
        for text in ["", "|", "CP|", "TCP|", "a TCP|", "TCP TCP |TCP|TCP|", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa|TCTCP|", "TCP"] {
            assert_eq!(find_piece(b"TCP|", text.as_bytes()), text.find("TCP|"), "{text}");
        }
    }
}
