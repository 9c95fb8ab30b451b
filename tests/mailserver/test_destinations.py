"""What the mail server's settings say of a record: the tables of docs/routing.md, and every combination of what they have."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from shipper.events import FACILITIES, LEVELS, SEVERITIES
from shipper.mailserver.destinations import Destination, destination, family
from shipper.mailserver.options import FACILITIES as SERVICE_FACILITIES
from shipper.mailserver.options import SERVICES
from shipper.mailserver.settings import MailServer
from shipper.record import KINDS, Connection, Debug, Header, Mta, Record, Service, Store, Syslog, Text, Unparsed

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "routing.md").read_text()
NUMBERS = ["unset", "0", "1", "5", "20", "22", "134", "-1", "-22", "-134"]


def table(first: str, *more: str) -> list[list[str]]:
    """The rows of the page's table with these headings."""
    heading = r"\| " + r" \| ".join(map(re.escape, (first, *more))) + r" \|\n\|[-|]+\|\n((?:\|.*\|\n)+)"
    found = re.findall(heading, PAGE)
    assert len(found) == 1, f"{len(found)} tables with {first}, {more}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[0].splitlines()]


def server(**settings: str) -> MailServer:
    return MailServer.of({name.replace("__", "."): value for name, value in settings.items() if value != "unset"})


def told(found: Destination | None, severity: str = "") -> str:
    """`mail.info, files`, as the page has it."""
    assert found is not None
    priority = found.priority(severity)
    word = "" if priority is None else f"{FACILITIES[priority >> 3]}.{SEVERITIES[priority & 7]}"
    assert bool(word) == found.syslog
    return ", ".join([*([word] if word else []), *(["files"] if found.files else [])])


@pytest.mark.parametrize(("value", "syslog", "files"), table("value", "to syslog as", "to log files"))
@pytest.mark.parametrize(
    ("option", "kinds"),
    [("LOG_MESSAGES_SYSLOG", (Mta, Header, Connection)), ("LOG_CONNECTIONS_SYSLOG", (Connection,))],
)
def test_a_value_of_the_mta(option: str, kinds: tuple[type[Record], ...], value: str, syslog: str, files: str) -> None:
    """Of both options; connection records follow the messages where nothing is said of them."""
    expected = ", ".join([*([syslog] if syslog != "-" else []), *(["files"] if files == "yes" else [])])
    for kind in kinds:
        assert told(destination(server(**{option: value}), kind)) == expected


def test_the_page_has_every_number_that_matters() -> None:
    """Unset, 0, 1, severities and facilities, and negative ones."""
    assert {row[0] for row in table("value", "to syslog as", "to log files")} == set(NUMBERS)


@pytest.mark.parametrize(
    ("messages", "connections", "to", "too"), table("LOG_MESSAGES_SYSLOG", "LOG_CONNECTIONS_SYSLOG", "messages", "connections")
)
def test_both_options_together(messages: str, connections: str, to: str, too: str) -> None:
    """As the page has it."""
    both = server(LOG_MESSAGES_SYSLOG=messages, LOG_CONNECTIONS_SYSLOG=connections)
    assert (told(destination(both, Mta)), told(destination(both, Connection))) == (to, too)


@pytest.mark.parametrize(("messages", "connections", "separate"), list(product(NUMBERS, NUMBERS, ["unset", "0", "1"])))
def test_every_combination_is_the_two_options_apart(messages: str, connections: str, separate: str) -> None:
    """Messages never look at LOG_CONNECTIONS_SYSLOG; connections look at LOG_MESSAGES_SYSLOG only where theirs is unset; SEPARATE_CONNECTION_LOG
    moves nothing but the log file's name. Who decides is named."""
    both = server(LOG_MESSAGES_SYSLOG=messages, LOG_CONNECTIONS_SYSLOG=connections, SEPARATE_CONNECTION_LOG=separate)
    alone = server(LOG_MESSAGES_SYSLOG=messages)
    follows = connections == "unset"
    for kind in (Mta, Header):
        assert told(destination(both, kind)) == told(destination(alone, kind))
        assert family(both, kind) == "mail"
    found = destination(both, Connection)
    assert told(found) == told(destination(alone if follows else server(LOG_MESSAGES_SYSLOG=connections), Mta))
    assert found and found.family == ("connection" if separate == "1" else "mail")
    (by,) = found.by
    assert by.name == ("LOG_MESSAGES_SYSLOG" if follows else "LOG_CONNECTIONS_SYSLOG")
    assert (by.place is None) == (follows and messages == "unset")


@pytest.mark.parametrize(("value", "messages", "connections"), table("SEPARATE_CONNECTION_LOG", "messages", "connections"))
def test_whose_log_file(value: str, messages: str, connections: str) -> None:
    """As the page has it."""
    separate = server(SEPARATE_CONNECTION_LOG=value)
    assert (family(separate, Mta), family(separate, Connection)) == (messages, connections)


def test_every_priority_word() -> None:
    """2 to 191, positive and negative, is the facility and severity of syslog(3); what 1 is sent as can be said."""
    for number in range(2, 192):
        for value in (number, -number):
            found = destination(MailServer.of({"LOG_MESSAGES_SYSLOG": value}), Mta)
            word = number if number > 7 else number + 8
            assert found and found.priority("err") == word and found.files == (value > 0) and found.syslog
    for value in (1, -1):
        found = destination(MailServer.of({"LOG_MESSAGES_SYSLOG": value}, mta_priority="local5.notice"), Connection)
        assert found and found.priority("") == 21 * 8 + 5 and found.files == (value > 0)


FACILITY_ROWS = table("syslogfacility", "a Notice goes to syslog as", "a Debug goes to syslog as", "to log files")


@pytest.mark.parametrize("service", [service for service in SERVICES if service not in ("*", "mta")])
@pytest.mark.parametrize(("value", "notice", "debug", "files"), FACILITY_ROWS)
def test_syslogfacility_of_every_service(service: str, value: str, notice: str, debug: str, files: str) -> None:
    """Set: to syslog only, nothing filtered, whatever the loglevel; none and unset: to log files. The other services are as they were."""
    for loglevel in ("unset", "Nolog", "Debug"):
        told_off = server(**{f"logfile__{service}__syslogfacility": value, f"logfile__{service}__loglevel": loglevel})
        for kind in (Service, Store):
            for level, expected in (("Notice", notice), ("Debug", debug)):
                found = destination(told_off, kind, service, level)
                assert found and found.syslog == (expected != "-")
                if found.syslog:
                    assert told(found, LEVELS[level.lower()]) == expected
                else:
                    assert files == "yes" and found.priority("err") is None
        other = destination(told_off, Service, "other", "Error")
        assert other and not other.syslog and other.files and other.by[0].place is None


def test_the_page_has_every_facility_and_service() -> None:
    """Those that the product takes."""
    assert [row[0] for row in FACILITY_ROWS] == ["unset", "none", *SERVICE_FACILITIES]
    assert {"imap", "pop", "http", "admin", "default", "imta", "mmp", "msgtrace"} <= {row[0] for row in SERVICE_ROWS}


@pytest.mark.parametrize(("loglevel", "written"), table("loglevel", "in log files"))
@pytest.mark.parametrize("service", ["imap", "default"])
def test_loglevel_filters_files(service: str, loglevel: str, written: str) -> None:
    """As the page has it; Nolog writes nothing, not even what has no level. Who left it out is named."""
    limited = server(**{f"logfile__{service}__loglevel": loglevel, "logfile__http__logdir": "/x"})
    levels = [level for level in LEVELS if level != "nolog"]
    found = {level: destination(limited, Service, service, level.capitalize()) for level in levels}
    through = [level.capitalize() for level, one in found.items() if one and one.files]
    assert ", ".join(through) == ("" if written == "nothing" else written)
    for one in found.values():
        assert one and not one.syslog
        assert one.by[-1].name == f"logfile.{service}.{'syslogfacility' if one.files else 'loglevel'}"
    without = destination(limited, Service, service, "")
    assert without and without.files == (loglevel != "Nolog")


def test_without_any_option_of_a_service_no_level_is_left_out() -> None:
    """Options of the MTA say nothing of services."""
    for known in (MailServer(), server(LOG_MESSAGES_SYSLOG="22")):
        found = destination(known, Service, "imap", "Debug")
        assert found and found.files and not found.syslog


@pytest.mark.parametrize("service", ["imap", "imta", "default"])
@pytest.mark.parametrize(("active", "settings"), table("messagetrace.activate", "message store operations have the settings of"))
def test_the_message_trace(active: str, settings: str, service: str) -> None:
    """Operations of the store have the log of their process, unless the trace has a log of its own; other records never do."""
    chosen = settings.removeprefix("logfile.").replace("their process", service)
    traced = server(**{"messagetrace.activate": active, f"logfile.{chosen}.syslogfacility": "local2", "logfile.pop.logdir": "/x"})
    found = destination(traced, Store, service, "Information")
    assert found and found.syslog and found.family == chosen == family(traced, Store, service)
    other = destination(traced, Service, service, "Information")
    assert other and other.syslog == (chosen == service) and other.family == service


SERVICE_ROWS = table("records of", "the settings of")


@pytest.mark.parametrize(("service", "settings"), SERVICE_ROWS)
def test_whose_settings_hold(service: str, settings: str) -> None:
    """Each service's own, and never those of `default` for another."""
    name = {"no service at all": "", "any other, as watcher": "watcher"}.get(service, service)
    found = destination(server(**{f"{settings}.syslogfacility": "local6"}), Service, name, "Error")
    assert found and found.syslog and found.by[0].name == f"{settings}.syslogfacility"
    for other in ("imap", "default", "watcher"):
        if f"logfile.{other}" != settings:
            found = destination(server(**{f"logfile.{other}.syslogfacility": "local6"}), Service, name, "Error")
            assert found and not found.syslog
    star = destination(server(**{"logfile.*.syslogfacility": "local6"}), Service, name, "Error")
    assert star and star.syslog


@pytest.mark.parametrize(("kind", "where"), table("kind", "goes to"))
def test_what_no_setting_speaks_of(kind: str, where: str) -> None:
    """Whatever is set."""
    assert where == "every output"
    silent = next(one for one in KINDS if one.kind == kind)
    assert silent in (Debug, Syslog, Text, Unparsed)
    assert destination(server(LOG_MESSAGES_SYSLOG="-22", logfile__dispatcher__syslogfacility="mail"), silent, "dispatcher", "Debug") is None


def test_every_kind_has_a_row_or_a_setting() -> None:
    """No kind of record is forgotten."""
    silent = {row[0] for row in table("kind", "goes to")}
    assert silent | {"mta", "header", "connection", "service", "store"} == {kind.kind for kind in KINDS}
    assert {kind.kind for kind in KINDS if destination(MailServer(), kind) is None} == silent
