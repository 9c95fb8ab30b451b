"""Checksums and frames of the spool by the compiled twin are those that Python makes."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper import compiled
from shipper.lines import Packed, packed
from shipper.segment import written

MODULE = compiled.find().module

pytestmark = pytest.mark.skipif(MODULE is None, reason="the compiled twin is not here")


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_the_same_octets(payloads: list[bytes], seed: int) -> None:
    """Payloads of any kind, empty ones too; lines with and without their ends known."""
    lines = [payload.replace(b"\n", b"") + b"\n" for payload in payloads]
    for made in (payloads, packed(payloads), lines, packed(lines), Packed(b"".join(lines), len(lines))):
        assert b"".join(written(7, made, 1, seed, MODULE)) == b"".join(written(7, list(made), 1, seed))


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_the_same_checksum(octets: bytes, before: int) -> None:
    """Of any kind of octets, and what it goes on from."""
    for made in (octets, bytearray(octets)):
        assert (MODULE.crc32(made), MODULE.crc32(made, before)) == (zlib.crc32(octets), zlib.crc32(octets, before))


def test_ends_that_are_none_are_an_error() -> None:
    """And never read beyond."""
    for ends in (b"\xff\xff\xff\xff", b"\2\0\0\0\1\0\0\0\3\0\0\0", b"\1\0\0\0"):
        with pytest.raises(ValueError, match="end elsewhere"):
            MODULE.sealed(b"abc", ends, 0)
    with pytest.raises(ValueError, match="end elsewhere"):
        MODULE.sealed(b"a\nb", None, 0)
