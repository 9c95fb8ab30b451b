//! Checksums of the spool: of octets, and of a frame (`shipper/segment.py`), where each payload has one that follows from that before it.

use std::borrow::Cow;

use memchr::memchr_iter;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// `zlib.crc32`, in a tenth of the time.
#[pyfunction]
#[pyo3(signature = (octets, start=0, /))]
pub fn crc32(py: Python<'_>, octets: Cow<'_, [u8]>, start: u32) -> u32 {
    py.detach(|| {
        let mut hasher = crc32fast::Hasher::new_with_initial(start);
        hasher.update(&octets);
        hasher.finalize()
    })
}

/// Where each payload ends, and then the checksum of all up to there, as numbers of four octets. `ends`: the first half of that; without it the
/// payloads are lines, each with its LF.
#[pyfunction]
#[pyo3(signature = (octets, ends, seed))]
pub fn sealed<'py>(py: Python<'py>, octets: &[u8], ends: Option<&[u8]>, seed: u32) -> PyResult<Bound<'py, PyBytes>> {
    let table = py.detach(|| {
        let ends = match ends {
            Some(table) => numbers(table).collect(),
            None => memchr_iter(b'\n', octets).map(|place| u32::try_from(place + 1).unwrap_or(u32::MAX)).collect(),
        };
        checked(octets, ends, seed)
    });
    table.map(|table| PyBytes::new(py, &table)).ok_or_else(|| PyValueError::new_err("payloads that end elsewhere"))
}

/// Numbers of four octets.
pub fn numbers(table: &[u8]) -> impl Iterator<Item = u32> + '_ {
    table.chunks_exact(4).map(|number| number.try_into().map_or(u32::MAX, u32::from_le_bytes))
}

/// None where these are not the ends of payloads.
fn checked(octets: &[u8], ends: Vec<u32>, seed: u32) -> Option<Vec<u8>> {
    let mut table: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
    table.reserve(4 * ends.len());
    let (mut start, mut check) = (0, seed);
    for end in ends {
        let end = end as usize;
        let mut hasher = crc32fast::Hasher::new_with_initial(check);
        hasher.update(octets.get(start..end)?);
        check = hasher.finalize();
        table.extend_from_slice(&check.to_le_bytes());
        start = end;
    }
    (start == octets.len()).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_checksum_follows_from_that_before() {
        let numbers = |table: &[u8]| table.chunks(4).map(|four| u32::from_le_bytes(four.try_into().unwrap())).collect::<Vec<_>>();
        let table = checked(b"12345", vec![4, 4, 5], 0).unwrap();
        assert_eq!(numbers(&table), [4, 4, 5, crc32fast::hash(b"1234"), crc32fast::hash(b"1234"), crc32fast::hash(b"12345")]);
        assert_eq!(checked(b"12345", vec![4], 0), None);
        assert_eq!(checked(b"12345", vec![4, 3, 5], 0), None);
        assert_eq!(checked(b"12345", vec![6], 0), None);
    }
}
