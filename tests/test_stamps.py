"""Time stamps: every form, every zone, and the hour that comes twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipper.stamps import MONTH_NAMES, Clock, epoch_ns, offset_text, system_zone, zone_text

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Monrovia")
]


def stamp(moment: datetime, fraction: str = "") -> str:
    """A moment as the MTA writes it."""
    return f"{moment.day:02d}-{MONTH_NAMES[moment.month - 1]}-{moment.year:04d} {moment:%H:%M:%S}{fraction}"


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("19-Jan-1998 19:16:57.64", "1998-01-19T19:16:57.64+01:00"),
        ("19-JAN-1998 20:49:04", "1998-01-19T20:49:04+01:00"),
        ("19-jul-1998 20:49:04.1", "1998-07-19T20:49:04.1+02:00"),
        ("1-Jul-1998 20:49:04.12", "1998-07-01T20:49:04.12+02:00"),
        (" 1-Jul-1998 20:49:04.12", "1998-07-01T20:49:04.12+02:00"),
        ("31-Dec-1998 23:59:60.00", "1998-12-31T23:59:60.00+01:00"),
    ],
)
def test_mta_stamps(written: str, iso: str) -> None:
    """Each way in which the MTA writes a time, with the offset its zone had then."""
    assert Clock(BERLIN).mta(written) == iso


BAD = "19-Jan-1998 24:00:00|31-Feb-1998 00:00:00|19-Xxx-1998 00:00:00|19-Jan-98 00:00:00|19-Jan-1998 00:00|19-Jan-1998 00:00:00.|x"
BAD += "|19-Jan-1998 00:00:00.6x|19-Jan-1998 00:60:00|19-Jan-1998T00:00:00|19-Jan-1998 00:00:61|19-Jan-0000 00:00:00|19-Jan-1998 00:00:0०"


@pytest.mark.parametrize("written", ["", *BAD.split("|")])
def test_what_is_no_time_is_none(written: str) -> None:
    """A date that is not in the calendar, or a time that no clock shows, is refused, also right after its neighbour was read."""
    clock = Clock(BERLIN)
    assert clock.mta(written) == ""
    assert clock.mta("19-Jan-1998 00:00:00.64") != ""
    assert clock.mta(written) == ""


@given(st.sampled_from(ZONES), st.lists(st.datetimes(datetime(1970, 1, 2), datetime(2037, 1, 1)), min_size=1, max_size=8), st.data())
def test_a_clock_says_what_the_calendar_says(zone: ZoneInfo, moments: list[datetime], data: st.DataObject) -> None:
    """For stamps in any order, remembered seconds and hours change nothing: text and instant are the zone's own."""
    clock = Clock(zone)
    for moment in moments:
        for near in (moment, moment + timedelta(seconds=data.draw(st.integers(0, 4000)))):
            near = near.replace(microsecond=0)
            folds = {near.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
            iso = clock.mta(stamp(near, ".25"))
            assert iso[:22] == near.isoformat() + ".25"
            assert iso[22:] in {offset_text(int(offset.total_seconds())) for offset in folds if offset is not None}
            if len(folds) == 1 and ":" not in iso[28:]:
                assert epoch_ns(iso) == int(near.replace(tzinfo=zone).timestamp()) * 10**9 + 250_000_000
            assert clock.iso(near.isoformat() + ".25")[0][:22] == iso[:22]


@given(st.integers(0, 3), st.lists(st.integers(1, 1700), min_size=1, max_size=20))
def test_the_repeated_hour_is_told_by_the_order_of_lines(start: int, steps: list[int]) -> None:
    """Through the night when the clock goes back, a log with a line at least every half hour gets every instant right."""
    clock = Clock(BERLIN)
    moment = datetime(1998, 10, 24, 23, 30, tzinfo=UTC) + timedelta(minutes=20 * start)
    for step in steps:
        local = moment.astimezone(BERLIN)
        iso = clock.mta(stamp(local))
        assert datetime.fromisoformat(iso) == moment
        moment += timedelta(seconds=step)


def test_two_processes_writing_in_turn_do_not_turn_the_clock() -> None:
    """A stamp some seconds older than the one before it, in the repeated hour, is still the first of its two instants."""
    clock = Clock(BERLIN)
    assert clock.mta("25-Oct-1998 02:30:05.00").endswith("+02:00")
    assert clock.mta("25-Oct-1998 02:30:01.00").endswith("+02:00")
    assert clock.mta("25-Oct-1998 02:59:59.00").endswith("+02:00")
    assert clock.mta("25-Oct-1998 02:00:00.00").endswith("+01:00")
    assert clock.mta("25-Oct-1998 02:59:58.00").endswith("+02:00")  # written late: two seconds back, not an hour ahead
    assert clock.mta("25-Oct-1998 02:20:00.00").endswith("+01:00")
    assert clock.mta("25-Oct-1998 03:00:00.00").endswith("+01:00")
    assert clock.mta("25-Oct-1998 02:59:59.00").endswith("+01:00")


def test_iso_stamps() -> None:
    """The XML formats' stamps; one that names its zone keeps it."""
    clock = Clock(BERLIN)
    assert clock.iso("1998-01-19T19:16:57.64") == ("1998-01-19T19:16:57.64+01:00", "config")
    assert clock.iso("1998-01-19 19:16:58") == ("1998-01-19T19:16:58+01:00", "config")
    assert clock.iso("1998-01-19T19:16:57.64Z") == ("1998-01-19T19:16:57.64+00:00", "record")
    assert clock.iso("1998-01-19T19:16:57-0700") == ("1998-01-19T19:16:57-07:00", "record")
    for bad in ("", "1998-13-19T19:16:57", "1998-01-19", "1998-01-19T19:16:57x", "1998-01-19T19:16:57.", "1998-02-30T00:00:00"):
        assert clock.iso(bad) == ("", "")


@given(st.lists(st.sampled_from(["2026-03-02T10:00:00", "2026-03-02T10:00:01", "2026-03-02T11:00:00.5"]), max_size=5), st.text(max_size=20))
@example(["2026-03-02T10:00:00", "2026-03-02T10:00:01", "2026-03-02T11:00:00.5"], "?")
def test_what_came_before_makes_no_stamp(before: list[str], text: str) -> None:
    """A text that is no stamp is none after stamps either."""
    clock = Clock(BERLIN)
    for stamp in before:
        clock.iso(stamp)
    assert clock.iso(text) == Clock(BERLIN).iso(text)


def test_service_stamps() -> None:
    """The service logs' stamps carry their zone."""
    clock = Clock(BERLIN)
    assert clock.nslog("02/Jan/1999:13:08:21 -0700") == "1999-01-02T13:08:21-07:00"
    assert clock.nslog("2/JAN/1999:13:08:21 +0000") == "1999-01-02T13:08:21+00:00"
    for bad in ("", "02/Jan/1999:13:08:21", "02/Jan/1999 13:08:21 -0700", "32/Jan/1999:13:08:21 -0700", "02/Jan/1999:13:08:21 -2500"):
        assert clock.nslog(bad) == ""


@given(st.text(max_size=40) | st.from_regex(r"\d\d-[A-Za-z]{3}-\d{4} .{0,20}", fullmatch=True))
def test_no_text_raises(text: str) -> None:
    """Any text at all is a stamp or is not one."""
    clock = Clock(BERLIN)
    for _ in range(2):
        for iso in (clock.mta(text), clock.iso(text)[0], clock.nslog(text)):
            assert iso == "" or epoch_ns(iso) is None or isinstance(epoch_ns(iso), int)


def test_zone_source_is_told() -> None:
    """A zone that the user gave is `config`, the machine's is `system`."""
    assert Clock(BERLIN).source == "config"
    assert Clock().source == "system"


def test_system_zone_follows_tz(monkeypatch: pytest.MonkeyPatch) -> None:
    """`TZ` names the zone; nonsense in it is no reason to fail."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    assert system_zone() == ZoneInfo("Asia/Kolkata")
    monkeypatch.setenv("TZ", "No/Such/Zone")
    assert system_zone().utcoffset(datetime(2000, 1, 1)) is not None


def test_offsets() -> None:
    """Offsets as text, both ways, old local mean times included."""
    assert offset_text(-25200) == "-07:00"
    assert offset_text(3208) == "+00:53:28"
    assert (zone_text("Z"), zone_text("+01"), zone_text("-0330"), zone_text("EST"), zone_text("+1:00")) == (
        "+00:00",
        "+01:00",
        "-03:30",
        "",
        "",
    )
    assert Clock(timezone(timedelta(hours=2))).mta("19-Jan-1998 19:16:57").endswith("+02:00")
