"""Settings that take each other's effect away: each rule at its border, on either side."""

from __future__ import annotations

import pytest

from shipper.mailserver.contradictions import contradictions
from shipper.mailserver.settings import MailServer

NONE = ""
IMAP = "logfile.imap."


@pytest.mark.parametrize(
    ("options", "said"),
    (
        ({}, NONE),
        ({"LOG_MESSAGES_SYSLOG": 0}, NONE),
        ({"LOG_MESSAGES_SYSLOG": 22}, NONE),
        ({"LOG_MESSAGES_SYSLOG": 134}, NONE),
        ({"LOG_MESSAGES_SYSLOG": 1}, "the guide says 1 for 'on'"),
        ({"LOG_CONNECTIONS_SYSLOG": 1}, "the guide says 1 for 'on'"),
        ({"LOG_MESSAGES_SYSLOG": 2}, "no facility: records go out as user.crit"),
        ({"LOG_MESSAGES_SYSLOG": 7}, "no facility: records go out as user.debug"),
        ({"LOG_MESSAGES_SYSLOG": 8}, NONE),
        ({"LOG_MESSAGES_SYSLOG": 95}, NONE),
        ({"LOG_MESSAGES_SYSLOG": 96}, "'ntp' is a facility"),
        ({"LOG_MESSAGES_SYSLOG": 127}, "'clock' is a facility"),
        ({"LOG_MESSAGES_SYSLOG": 128}, NONE),
        ({"LOG_MESSAGES_SYSLOG": -22}, "no mail.log is written"),
        ({"LOG_CONNECTIONS_SYSLOG": -22}, NONE),
        ({"LOG_CONNECTIONS_SYSLOG": -8, "SEPARATE_CONNECTION_LOG": 1}, "connection.log stays empty: LOG_CONNECTIONS_SYSLOG"),
        ({"LOG_CONNECTIONS_SYSLOG": -22, "SEPARATE_CONNECTION_LOG": 0}, NONE),
        ({"LOG_CONNECTIONS_SYSLOG": 22, "SEPARATE_CONNECTION_LOG": 1}, NONE),
        ({"LOG_CONNECTIONS_SYSLOG": 22, "LOG_CONNECTION": 1}, "LOG_CONNECTIONS_SYSLOG has no effect"),
        ({"SEPARATE_CONNECTION_LOG": 1, "LOG_CONNECTION": 97}, "SEPARATE_CONNECTION_LOG has no effect"),
        ({"SEPARATE_CONNECTION_LOG": 1, "LOG_CONNECTION": 2}, NONE),
        ({"SEPARATE_CONNECTION_LOG": 1, "LOG_CONNECTION": 4}, NONE),
        ({"SEPARATE_CONNECTION_LOG": 1, "LOG_CONNECTION": 128}, NONE),
        ({"SEPARATE_CONNECTION_LOG": 1, "LOG_CONNECTION": -1}, NONE),
        ({"SEPARATE_CONNECTION_LOG": 0, "LOG_CONNECTION": 0}, NONE),
        ({IMAP + "syslogfacility": "local3"}, NONE),
        ({IMAP + "syslogfacility": "local3", "logfile.pop.loglevel": "Debug"}, NONE),
        ({IMAP + "syslogfacility": "none", IMAP + "loglevel": "Debug"}, NONE),
        ({IMAP + "syslogfacility": "local3", IMAP + "loglevel": "Debug"}, "loglevel of 'imap' has no effect"),
        ({"imap.logfile.syslogfacility": "mail", IMAP + "logdir": "x", IMAP + "maxlogfiles": 3}, "logdir, maxlogfiles of 'imap' have no effect"),
        ({"logfile.*.syslogfacility": "mail", IMAP + "loglevel": "Debug"}, "loglevel of 'imap' has no effect"),
        ({IMAP + "maxlogfilesize": 20 << 20}, NONE),
        ({IMAP + "maxlogfilesize": (20 << 20) + 1}, "maxlogfilesize of 'imap' is more than maxlogsize"),
        ({IMAP + "maxlogsize": (2 << 20) - 1}, "maxlogfilesize of 'imap' is more than maxlogsize"),
        ({IMAP + "rollovertime": 604800}, NONE),
        ({IMAP + "rollovertime": 604801}, "rollovertime of 'imap' is more than expirytime"),
        ({IMAP + "expirytime": 864000}, NONE),
        ({IMAP + "expirytime": 864001}, "expirytime of 'imap' is never reached: 10 files of 86400 seconds are 864000"),
        ({IMAP + "expirytime": 864001, IMAP + "maxlogfiles": 11}, NONE),
        ({IMAP + "maxlogsize": (20 << 20) + 1}, "maxlogsize of 'imap' is never reached: 10 files of 2097152 bytes are 20971520"),
        ({IMAP + "maxlogfiles": 3}, NONE),
        ({"local.msgtrace.active": "no"}, NONE),
        ({"local.msgtrace.active": "msgtrace"}, "'msgtrace' logs less"),
        ({"local.msgtrace.active": "msgtrace", "msgtrace.logfile.loglevel": "Debug"}, NONE),
        ({"local.msgtrace.active": "yes", IMAP + "loglevel": "Information"}, "'pop' logs less"),
        ({"local.msgtrace.active": "yes", "logfile.*.loglevel": "Information"}, NONE),
        ({"local.msgtrace.active": "yes", "logfile.*.syslogfacility": "mail"}, NONE),
    ),
)  # fmt: skip
def test_what_is_said(options: dict[str, int | str], said: str) -> None:
    """One warning or none, at a place."""
    warnings = contradictions(MailServer.of(options))
    assert len(warnings) == bool(said), [warning.message for warning in warnings]
    for warning in warnings:
        assert said in warning.message and warning.warning and warning.number == "C155" and str(warning.place) == "by hand"


@pytest.mark.parametrize(
    ("channels", "said"),
    (
        ({}, False),
        ({"l": "logging", "tcp_local": "nologging"}, False),
        ({"": "logging", "l": "nologging"}, False),
        ({"l": "nologging"}, True),
    ),
)
def test_no_channel_logs(channels: dict[str, str], said: bool) -> None:
    """Said where imta.cnf is known and nothing in it logs, once, and only beside an option that shows that logs are wanted."""
    warnings = contradictions(MailServer.of({"LOG_MESSAGES_SYSLOG": 22, "LOG_MESSAGE_ID": 1}, channels))
    assert len(warnings) == said
    assert not contradictions(MailServer.of({"LOG_MESSAGES_SYSLOG": 0}, channels))
