"""Sizes, durations and zones as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from shipper.config.units import Duration, Size, TimeZone, duration, duration_text, size, size_text


class Section(BaseModel):
    size: Size = 0
    wait: Duration = 0.0
    zone: TimeZone = "UTC"


@pytest.mark.parametrize(
    ("text", "octets"),
    [("10", 10), (10, 10), ("010", 10), ("10B", 10), ("64K", 65536), ("64 KiB", 65536), ("64kb", 65536), ("10MB", 10485760), ("1.5 G", 1610612736),
     ("2TiB", 2 << 40), (" 1 m ", 1 << 20), ("0", 0)],
)  # fmt: skip
def test_sizes(text: object, octets: int) -> None:
    """With any unit, case and blank."""
    assert Section.model_validate({"size": text}).size == octets


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), (5, 5), (0.5, 0.5), ("5s", 5), ("500ms", 0.5), ("10m", 600), ("1h", 3600), ("1h30m", 5400), ("1 h 30 m", 5400), ("1d", 86400),
     ("2W", 1209600),
     ("1.5h", 5400), ("010", 10)],
)  # fmt: skip
def test_durations(text: object, seconds: float) -> None:
    """With any unit, or several."""
    assert Section.model_validate({"wait": text}).wait == seconds


@pytest.mark.parametrize("name", ["size", "wait"])
@pytest.mark.parametrize(
    "text", ["", "-1", -1, "x", "1x", "1 2", True, None, "1:30", "0x10", "1e3", "٣", "1.5", "1,5K", [], "9" * 30, "inf", "nan"]
)
def test_what_is_none(name: str, text: object) -> None:
    """Refused, without a word of the text; only seconds have parts."""
    if (name, text) == ("wait", "1.5"):
        return
    with pytest.raises(ValidationError) as caught:
        Section.model_validate({name: text})
    message = caught.value.errors()[0]["msg"]
    assert message.startswith("must be a ") and message.endswith(")")


@given(st.integers(0, 1 << 60))
def test_sizes_come_back(octets: int) -> None:
    """What is shown is read as the same."""
    assert size(size_text(octets)) == octets


@given(st.integers(0, 10**12))
def test_durations_come_back(milliseconds: int) -> None:
    """To the millisecond."""
    assert duration(duration_text(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=1e-6)


def test_zones() -> None:
    """By their names, with the nearest one for another."""
    assert Section(zone="Europe/Berlin").zone == "Europe/Berlin"
    for name, near in (("berlin", "Europe/Berlin"), ("Europe/Berlni", "Europe/Berlin"), ("utc", "UTC"), ("New York", "America/New_York")):
        with pytest.raises(ValidationError) as caught:
            Section(zone=name)
        assert near in caught.value.errors()[0]["ctx"]["near"]
    for name in ("", "../x", "/etc/passwd", "a\0b"):
        with pytest.raises(ValidationError):
            Section(zone=name)
