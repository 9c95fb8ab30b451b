//! Structured data of RFC 5424 as it nearly always is: the twin of `_structured_data` in `shipper/formats/syslog.py`, where nothing is escaped, empty,
//! or there twice. For any doubt it is None, and Python reads that message.

use crate::json::text;
use crate::octets::find_any;

/// `[id name="value" name="value"]`
pub struct Element<'a> {
    pub id: &'a [u8],
    pub parameters: Vec<(&'a [u8], &'a [u8])>,
}

/// The elements that a text begins with, and what follows them.
pub fn read(mut text: &[u8]) -> Option<(Vec<Element<'_>>, &[u8])> {
    let mut elements: Vec<Element> = Vec::new();
    while let Some(rest) = text.strip_prefix(b"[") {
        let (id, mut rest) = name(rest)?;
        let mut parameters: Vec<(&[u8], &[u8])> = Vec::new();
        while let Some(after) = rest.strip_prefix(b" ") {
            let (name, after) = name(after)?;
            let after = after.strip_prefix(b"=\"")?;
            let (value, after) = after.split_at(find_any([b'"', b'\\'], after)?);
            rest = after.strip_prefix(b"\"")?;
            (!value.is_empty() && parameters.iter().all(|(other, _)| *other != name)).then_some(())?;
            parameters.push((name, value));
        }
        // By `origin` Python knows our own messages.
        (!parameters.is_empty() && id != b"origin" && elements.iter().all(|other| other.id != id)).then_some(())?;
        elements.push(Element { id, parameters });
        text = rest.strip_prefix(b"]")?;
    }
    (!elements.is_empty()).then_some((elements, text))
}

/// A name, and what follows it.
fn name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let size = text.iter().take_while(|octet| octet.is_ascii_graphic() && !matches!(octet, b'=' | b']' | b'"')).count();
    (size > 0).then(|| text.split_at(size))
}

/// As a member of a JSON object that has others; nothing where there is none.
pub fn member(out: &mut Vec<u8>, data: &[u8], plain: bool) {
    let Some((elements, _)) = read(data) else { return };
    let mut separator: &[u8] = b",\"structured_data\":{\"";
    for element in elements {
        out.extend_from_slice(separator);
        text(out, element.id, plain);
        separator = b"\":{\"";
        for (name, value) in element.parameters {
            out.extend_from_slice(separator);
            text(out, name, plain);
            out.extend_from_slice(b"\":\"");
            text(out, value, plain);
            separator = b"\",\"";
        }
        separator = b"\"},\"";
    }
    out.extend_from_slice(b"\"}}");
}
