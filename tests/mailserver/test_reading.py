"""The mail server's own files: every shape they have is read, with its place; whatever is wrong or odd is said there."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shipper.config.load import Loaded, load
from shipper.config.problems import text
from shipper.errors import ERRORS, Place, Problem
from shipper.generate import settings_of
from shipper.generate.settings import write_config
from shipper.knowledge.logfile_options import OPTIONS as EXPLAINED_LOGFILE
from shipper.knowledge.mta_options import OPTIONS as EXPLAINED_MTA
from shipper.mailserver import configutil, dispatcher, optionfile
from shipper.mailserver.lines import Assignment, physical
from shipper.mailserver.options import LOGFILE, MTA, canonical
from shipper.mailserver.reading import Named, read
from shipper.mailserver.settings import MailServer, Setting, priority_of

BAD = Path(__file__).parent / "bad"
KINDS = ("tailor", "option_file", "channels", "dispatcher", "configutil")


def shown(problems: list[Problem] | tuple[Problem, ...], loaded: Loaded | MailServer) -> str:
    return "\n".join(text(problem, loaded.sources) for problem in problems)


@pytest.mark.parametrize("case", sorted(path.parent.name for path in BAD.glob("*/shipper.yaml")))
def test_what_is_wrong_or_odd_is_said_at_its_place(case: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The messages about each directory of bad/, word for word: file, line and column are those of the server's own file."""
    monkeypatch.chdir(BAD / case)
    Path("shipper.yaml").chmod(0o644)
    loaded = load("shipper.yaml", {})
    messages = shown(loaded.problems, loaded)
    assert "canary" not in messages
    expected = Path("expected.txt")
    if request.config.getoption("--bless", False):
        expected.write_text(messages)
    assert messages == expected.read_text()
    assert (loaded.config is None) == bool(loaded.errors)


def server(folder: Path, **files: str) -> MailServer:
    """What these files say; `tailor`, `option_file` … are their texts."""
    for kind, content in files.items():
        (folder / kind).write_text(content, encoding="utf-8", newline="")
    return read({kind: Named(str(folder / kind)) for kind in files})


def good(folder: Path, **files: str) -> MailServer:
    found = server(folder, **files)
    assert not found.problems and not found.warnings, shown((*found.problems, *found.warnings), found)
    return found


@pytest.mark.parametrize(
    ("kind", "line", "name", "value"),
    (
        ("option_file", "LOG_MESSAGES_SYSLOG=22", "LOG_MESSAGES_SYSLOG", 22),
        ("option_file", "log_messages_syslog = 8%26", "LOG_MESSAGES_SYSLOG", 22),
        ("option_file", "  Log_Messages_Syslog=\\\n  0x16", "LOG_MESSAGES_SYSLOG", 22),
        ("option_file", "LOG_CONNECTIONS_SYSLOG=-22\nLOG_CONNECTION=2", "LOG_CONNECTIONS_SYSLOG", -22),
        ("option_file", "LOG_MESSAGES_SYSLOG=134\r\nLOG_CONNECTION=3\r\n", "LOG_CONNECTION", 3),
        ("option_file", "MISSING_RECIPIENT_POLICY=2", "MISSING_RECIPIENT_POLICY", 2),
        ("option_file", "ALIAS_URL0=ldap:///$V?*?sub?$R", "ALIAS_URL0", "ldap:///$V?*?sub?$R"),
        ("configutil", "logfile.imap.loglevel = Debug", "logfile.imap.loglevel", "debug"),
        ("configutil", 'logfile.imap.loglevel: "Debug"', "logfile.imap.loglevel", "debug"),
        ("configutil", "logfile.imap.loglevel='NoLog'", "logfile.imap.loglevel", "nolog"),
        ("configutil", "Logfile.IMAP.LogLevel=Information", "logfile.imap.loglevel", "information"),
        ("configutil", "role.imap.logfile.loglevel = Notice", "logfile.imap.loglevel", "notice"),
        ("configutil", "imap.logfile.syslogfacility = LOCAL3", "logfile.imap.syslogfacility", "local3"),
        ("configutil", "role.mta.logfile.loglevel = Error", "logfile.imta.loglevel", "error"),
        ("configutil", "base.logfile.maxlogfiles = 3", "logfile.default.maxlogfiles", 3),
        ("configutil", "messagetrace.logfile.maxlogfiles = 3", "logfile.msgtrace.maxlogfiles", 3),
        ("configutil", "messagetrace.activate = transactlog", "local.msgtrace.active", "transactlog"),
        ("configutil", "role.mta.log_messages_syslog = 22", "LOG_MESSAGES_SYSLOG", 22),
        ("configutil", "instance.imap.logfile.loglevel = Notice", "logfile.imap.loglevel", "notice"),
        ("configutil", "mta.LOG_CONNECTION = 163", "LOG_CONNECTION", 163),
        ("configutil", "/opt/SUNWmsgsr/sbin/configutil -o logfile.pop.loglevel -v Debug", "logfile.pop.loglevel", "debug"),
        ("configutil", "./configutil -l -o logfile.pop.loglevel -v 'Debug'", "logfile.pop.loglevel", "debug"),
        ("configutil", "msconfig set pop.logfile.loglevel debug", "logfile.pop.loglevel", "debug"),
        ("configutil", "msconfig> set pop.logfile.loglevel debug", "logfile.pop.loglevel", "debug"),
        ("configutil", "$ configutil -o logfile.pop.loglevel -v Debug", "logfile.pop.loglevel", "debug"),
        ("configutil", "% ./msconfig set pop.logfile.loglevel debug", "logfile.pop.loglevel", "debug"),
        ("configutil", "logfile.imap.logdir;lang-de = /var/log/imap", "logfile.imap.logdir", "/var/log/imap"),
        ("configutil", "dispatcher.debug = -1", "dispatcher.debug", -1),
        ("configutil", "local.hostname = mail.example.com", "local.hostname", "mail.example.com"),
        ("dispatcher", "DEBUG=-1", "dispatcher.debug", -1),
        ("dispatcher", "! all\n# of\n; them\nDebug = 16%1004\n[SERVICE=SMTP]\nPORT=25", "dispatcher.debug", 0x1004),
        ("dispatcher", "[SERVICE=SMTP]\nPARAMETER=CHANNEL=tcp_local\n", "dispatcher.service:smtp.parameter", "CHANNEL=tcp_local"),
    ),
)  # fmt: skip
def test_each_spelling(tmp_path: Path, kind: str, line: str, name: str, value: int | str) -> None:
    """One name for a setting, whichever file and version it is from; the value has its type; the place is that of the name."""
    found = good(tmp_path, **{kind: line})
    assert found.settings[name].value == value
    setting = found.option(name)
    assert setting.place is not None and setting.place.file == str(tmp_path / kind)
    start = setting.place.column - 1
    written = physical(line)[setting.place.line - 1][start : start + setting.place.length]
    assert canonical(written.partition(";")[0]).rpartition(".")[2].lower() == name.rpartition(".")[2].lower()
    assert found.is_set(name) and found.number(name) == (value if isinstance(value, int) else 0)


def test_a_setting_that_is_made_at_a_prompt_is_not_passed_over(tmp_path: Path) -> None:
    """Where it is not written as it should be, it is reported like any other line; a prompt without one is nothing."""
    file = tmp_path / "dump.txt"
    file.write_text(
        "msconfig> show\n$ ls\nmsconfig# set role.imap.logfile.syslogfacility=local3\n$ configutil -v local3 -o logfile.imap.syslogfacility\n"
    )
    server = read({"configutil": Named(str(file))})
    assert [(one.number, one.place.line) for one in server.warnings] == [("C156", 3), ("C156", 4)]


@pytest.mark.parametrize("kind", KINDS)
def test_time_is_linear(tmp_path: Path, kind: str) -> None:
    """A quarter of a megabyte of one continued line, of names that are nearly right, of blanks, or in one word takes no time to speak of."""
    many = 1 << 18
    for content in (
        "a\\\n" * (many // 3),
        "LOG_PROCES=1\n" * (many // 13),
        "a" + " " * many + "b",
        "LOG_" + "x" * many + "=1",
        "=" * many,
        "\n" * many,
    ):
        began = time.process_time()
        server(tmp_path, **{kind: content})
        assert time.process_time() - began < 5


def test_defaults_are_those_of_the_product() -> None:
    """10 files, 2 MB each, 20 MB in all, 5 MB free, 1 day, 7 days, Notice; to files; nothing to syslog."""
    none = MailServer()
    of = {option: none.logfile("imap", option) for option in LOGFILE}
    assert {option: setting.value for option, setting in of.items()} == {
        "logdir": "", "loglevel": "notice", "maxlogfiles": 10, "maxlogfilesize": 2 * 1024 * 1024, "maxlogsize": 20 * 1024 * 1024,
        "minfreediskspace": 5 * 1024 * 1024, "rollovertime": 86_400, "expirytime": 7 * 86_400, "syslogfacility": "none",
    }  # fmt: skip
    assert all(setting.place is None for setting in of.values())
    assert none.option("LOG_MESSAGES_SYSLOG") == none.option("LOG_CONNECTIONS_SYSLOG") == Setting("LOG_MESSAGES_SYSLOG", 0)
    assert none.number("LOG_DIAGNOSTICS") == 1 and none.number("BLOCK_SIZE") == 1024 and none.mta_priority == 22
    assert none.logging("tcp_local") == Setting("nologging", 0) and not none.services and none.fields is None
    assert none.dispatcher_debug.value == 0 and none.logheader("tcp_local").value == 0


def test_the_tables_of_explain_say_the_same() -> None:
    """`shipper explain` knows every setting that is read here, with the same default."""
    for name, kind in MTA.items():
        told = EXPLAINED_MTA[name].default
        assert told.split()[0] == str(kind.default) or name == "LOG_CONNECTIONS_SYSLOG", (name, told)
    for name, kind in LOGFILE.items():
        told = EXPLAINED_LOGFILE[name].default
        assert name == "logdir" or told.partition(":")[0].split()[0].lower() == str(kind.default), (name, told)


def test_the_page_has_every_option_of_a_log_file() -> None:
    """docs/mailserver.md: a row for each, with its default."""
    page = (Path(__file__).parents[2] / "docs" / "mailserver.md").read_text()
    for name, kind in LOGFILE.items():
        assert f"| `{name}` | {kind.default}".rstrip().lower() in page.lower(), name


def test_a_server_by_hand() -> None:
    """What other tests make: any spelling, typed, equal by value; a value that cannot be is refused."""
    made = MailServer.of({"mta.log_messages_syslog": 22, "logfile.*.loglevel": "Error", "pop.logfile.loglevel": "DEBUG"}, {"l": "logging"})
    assert made == MailServer.of(
        {"LOG_MESSAGES_SYSLOG": "22", "logfile.*.loglevel": "error", "logfile.pop.loglevel": "Debug"}, {"l": "logging"}
    )
    assert made != MailServer.of({"LOG_MESSAGES_SYSLOG": 22})
    assert made.option("LOG_CONNECTIONS_SYSLOG").name == "LOG_MESSAGES_SYSLOG" and not made.is_set("LOG_CONNECTIONS_SYSLOG")
    assert made.logfile("ImapProxy", "loglevel").value == "error" and made.logfile("pop", "loglevel").value == "debug"
    assert made.services == ("*", "pop") and str(made.logging("l")) == "logging=logging (by hand)"
    assert MailServer.of(mta_priority="local0.notice").mta_priority == 133
    for settings_, channels in (({"LOG_MESSAGES_SYSLOG": "x"}, "mail.info"), ({}, "mail.infos"), ({"imap.logfile.loglevel": "x"}, "22")):
        with pytest.raises(ValueError, match="="):
            MailServer.of(settings_, mta_priority=channels)


@pytest.mark.parametrize(
    ("written", "number"), (("mail.info", 22), ("22", 22), (" Local7.Debug ", 191), ("192", None), ("mail", None), ("", None))
)
def test_priorities(written: str, number: int | None) -> None:
    """In words or as the number."""
    assert priority_of(written) == number


CNF = """\
! rules
.  $U%$H$D@tcp_local-daemon
! no empty line: a comment is none

defaults notices 1 2 4 7 LOGGING logheader 1

l defragment
! in a block, too
host.example.com

tcp_local smtp mx \\
! not this logging
  nologging maxjobs 7 logheader 3 pool "logging \\" here"
nologging

nodefaults

defaults maxjobs 7

tcp_intranet smtp
tcp_intranet-daemon

defaults logging

tcp_auth smtp nologging logging
"""


def test_channels(tmp_path: Path) -> None:
    """`defaults` for the channels below, on top of each other, up to `nodefaults`; a channel's own keyword first; only its first line counts."""
    (tmp_path / "more.rules").write_text("x $U@l\n")
    found = server(tmp_path, channels=CNF.replace("! rules", "<more.rules"))
    assert {name: setting.value for name, setting in found.channels.items()} == {
        "l": 1, "tcp_local": 0, "tcp_intranet": 0, "tcp_auth": 1, "": 1,
    }  # fmt: skip
    assert [found.logheader(name).value for name in ("l", "tcp_local", "tcp_intranet")] == [1, 3, 0]
    places = {name: setting.place and (setting.place.line, setting.place.column) for name, setting in found.channels.items()}
    assert places == {"l": (5, 26), "tcp_local": (13, 3), "tcp_intranet": None, "tcp_auth": (25, 25), "": (23, 10)}
    assert found.logging("tcp_unheard_of").value == 1
    assert [problem.number for problem in found.warnings] == ["C155"]  # nologging logging


def test_defaults_are_added_up(tmp_path: Path) -> None:
    """A `defaults` that does not speak of logging leaves what one before it said."""
    found = good(tmp_path, channels="\ndefaults logging logheader 3\n\ndefaults maxjobs 7\n\nl\nhost\n")
    assert found.logging("l").value == 1 and found.logheader("l").value == 3


def test_files_that_name_files_without_end(tmp_path: Path) -> None:
    """Are an error, not a hang."""
    for number in range(12):
        (tmp_path / f"{number}").write_text(f"\nc{number}\nhost\n\n<{number + 1}\n")
    found = server(tmp_path, channels="<0\n")
    assert [problem.message for problem in found.problems] == ["files name files more than 8 deep"]
    assert "c6" in found.channels


def test_an_option_file_decides_on_fields_by_what_is_not_in_it(tmp_path: Path) -> None:
    """It was read, and so the defaults are known; with LOG_FORMAT above 3 text is of another time."""
    assert server(tmp_path, option_file="! nothing\n").fields == ("diagnostic",)
    assert server(tmp_path, option_file="LOG_PROCESS=1\nLOG_FORMAT=4\n").fields is None
    assert MailServer.of({"LOG_MESSAGES_SYSLOG": 22}).fields is None
    assert MailServer.of({"LOG_NODE": 1}).fields == ("node", "diagnostic")


def test_values_that_are_the_same_twice_are_no_contradiction(tmp_path: Path) -> None:
    """Written by two hands, or in a file and a dump; a mark of the octets' order in front is no part of a name."""
    found = good(tmp_path, option_file="\ufeffLOG_PROCESS=1\nlog_process = 8%1\n", configutil="mta.log_process = 1\n")
    assert found.number("LOG_PROCESS") == 1 and found.number("LOG_MESSAGE_ID") == 0


def test_all_bits_of_the_dispatcher() -> None:
    """-1 is a mask of 32 bits."""
    assert MailServer.of({"dispatcher.debug": -1}).dispatcher_debug.value == 0xFFFFFFFF
    assert MailServer.of({"dispatcher.debug": "16%1004"}).dispatcher_debug.value == 0x1004


def test_on_by_themselves_when_the_format_is_xml() -> None:
    """From LOG_FORMAT=4 on, unless they are set."""
    xml = MailServer.of({"LOG_FORMAT": 4, "LOG_PROCESS": 0})
    assert xml.number("LOG_MESSAGE_ID") == 1 and xml.number("LOG_PROCESS") == 0 and xml.number("LOG_NODE") == 0
    assert MailServer.of({"LOG_FORMAT": 3}).number("LOG_MESSAGE_ID") == 0


def test_a_continued_line_that_looks_like_a_comment(tmp_path: Path) -> None:
    """Blanks before the mark keep it from being one, where a line goes on; in the first column it is one."""
    found = good(tmp_path, option_file="DELIVERY_OPTIONS=a,\\\n #b,\\\n#c,\\\n d\n  ! none\n")
    assert found.settings["DELIVERY_OPTIONS"].value == "a,#b,d"


def test_channels_of_the_unified_configuration(tmp_path: Path) -> None:
    """An option without a value is on; that of `defaults` holds for those that say nothing."""
    found = good(
        tmp_path,
        configutil="role.channel:defaults.logging (novalue)\nrole.channel:tcp_local.nologging\nchannel:l.logging = 0\n"
        "role.channel:l.logheader = 3\nrole.channel:hold.official_host_name = hold-daemon\nmsconfig> show channel:*\n\n# done\n",
    )
    assert [found.logging(name).value for name in ("tcp_local", "l", "hold")] == [0, 0, 1]
    assert found.logheader("l").value == 3


class TestTailor:
    """The tailor file names the others."""

    def test_with_prefixes(self, tmp_path: Path) -> None:
        """`IMTA_TABLE:` stands for that setting; what our configuration names wins."""
        (tmp_path / "table").mkdir()
        (tmp_path / "table" / "my.dat").write_text("LOG_PROCESS=1\n")
        (tmp_path / "table" / "dispatcher.cnf").write_text("DEBUG=1\n")
        (tmp_path / "table" / "imta.cnf").write_text("\nl\nhost\n")
        written = f"imta_table={tmp_path}/table/\nIMTA_OPTION_FILE=IMTA_TABLE:my.dat\nIMTA_CONFIG_FILE=imta_table:imta.cnf\n"
        found = good(tmp_path, tailor=written)
        assert found.number("LOG_PROCESS") == found.dispatcher_debug.value == 1 and found.logging("l").value == 0
        assert found.fields == ("process", "diagnostic")
        assert good(tmp_path, tailor=written, channels="\nl logging\nhost\n").logging("l").value == 1

    def test_of_a_file_that_is_gone(self, tmp_path: Path) -> None:
        """Where IMTA_TABLE is there, nothing is looked for elsewhere: the place is that of the name in the tailor file."""
        (tmp_path / "table").mkdir()
        (tmp_path / "gone.dat").write_text("LOG_PROCESS=1\n")
        found = server(tmp_path, tailor=f"IMTA_TABLE={tmp_path}/table/\nIMTA_OPTION_FILE=IMTA_TABLE:gone.dat\n")
        assert not found.is_set("LOG_PROCESS")
        assert [str(problem.place) for problem in found.problems] == [f"{tmp_path}/tailor:2:18"]

    def test_of_a_directory_that_was_copied(self, tmp_path: Path) -> None:
        """Where IMTA_TABLE is not on this machine, its files are beside the tailor file."""
        (tmp_path / "option.dat").write_text("LOG_PROCESS=1\n")
        (tmp_path / "imta.cnf").write_text("<IMTA_TABLE:rules\n\nl logging\nhost\n")
        (tmp_path / "rules").write_text("a $U@l\n")
        found = good(tmp_path, tailor="IMTA_TABLE=/nowhere/config/\nIMTA_OPTION_FILE=/nowhere/config/option.dat\n")
        assert found.number("LOG_PROCESS") == found.logging("l").value == 1


@pytest.mark.parametrize("options", ("", "LOG_FORMAT=4", "LOG_MESSAGES_SYSLOG=22", "LOG_CONNECTION=255,LOG_NODE=1,SEPARATE_CONNECTION_LOG=1",
                                     "logfile.*.maxlogfiles=3,imap.logfile.maxlogfilesize=100000,local.msgtrace.active=msgtrace"))  # fmt: skip
def test_what_generate_writes_is_read(tmp_path: Path, options: str) -> None:
    """All files of `generate`, by their tailor file and its dump: no word of complaint, and the settings are those that were played."""
    played = settings_of(None, options, None)
    write_config(played, tmp_path, "UTC")
    found = read({"tailor": Named(str(tmp_path / "imta_tailor")), "configutil": Named(str(tmp_path / "configutil.txt"))})
    assert not found.problems and not found.warnings, shown((*found.problems, *found.warnings), found)
    assert len(found.files) == 5
    assert all(found.number(name) == value for name, value in played.mta.items())
    assert found.logfile("imap", "maxlogfilesize").value == played.service("imap").file_size
    assert found.fields == (played.fields if played.log_format < 4 else None)
    assert found.logging("tcp_local").value == 1 and found.dispatcher_debug.value == 4097


# Laws

LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "",
                "!",
                "#x",
                "LOG_PROCESS=1",
                "LOG_MESSAGES_SYSLOG=22\\",
                "=",
                "\\",
                "[SERVICE=X]",
                "[",
                "l logging",
                "defaults logheader",
                "<",
                "<x",
                "nodefaults",
                '"',
                "logfile.imap.loglevel = Notice",
                "a.b",
                "a: b",
                "set a b",
                "configutil -o a -v",
                "IMTA_TABLE=IMTA_TABLE:",
                "IMTA_OPTION_FILE=IMTA_TABLE:x",
                "IMTA_CONFIG_FILE=\0",
                "DEBUG=-1",
                "role.channel:l.logging",
                "msconfig> ",
                "\ufeff",
                "  x",
                "mta.=1",
                "role.=1",
                "logfile..=2",
                "channel:=3",
                "logfile.imap.maxlogsize = 9" + "9" * 30,
            ]
        ),
        st.text(st.characters(codec="utf-8"), max_size=30),
    ),
    max_size=10,
).map("\n".join)


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(KINDS, LINES)))
@example(dict.fromkeys(KINDS, "\r\r\n"))
@example({**dict.fromkeys(KINDS, ""), "channels": "<channels\n\n<channels"})
def test_no_text_raises_anything(texts: dict[str, str]) -> None:
    """Whatever stands in the files: settings, and problems that are each inside their file."""
    with tempfile.TemporaryDirectory() as folder:
        found = server(Path(folder), **texts)
        assert isinstance(found.fields, tuple | None)
        for problem in (*found.problems, *found.warnings):
            assert problem.number in ERRORS and problem.message
            if problem.place.line:
                line = found.sources[problem.place.file][problem.place.line - 1]
                assert 1 <= problem.place.column <= len(line) + 1 and problem.place.length >= 1, problem
            assert text(problem, found.sources).startswith(("error[", "warning["))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
@example(b"\xff\xfeL\x00")
def test_no_octets_raise_anything(octets: bytes) -> None:
    """Nor whatever octets."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x").write_bytes(octets)
        for kind in KINDS:
            read({kind: Named(f"{folder}/x")})


@settings(max_examples=200, deadline=None)
@given(st.sampled_from((optionfile.read, dispatcher.read, configutil.read)), LINES)
def test_every_line_is_a_setting_or_a_comment_or_a_problem(reader: object, content: str) -> None:
    """Nothing is passed over: without what was read, what was complained about, and comments, only what continues a line is left."""
    assert callable(reader)
    if content.lstrip("\ufeff \t\r\n").startswith("<?xml") or "\\" in content:
        return
    found, problems = reader("x", content)
    told = {one.place.line for one in found} | {problem.place.line for problem in problems}
    for number, line in enumerate(physical(content), 1):
        silent = not line.strip() or line.lstrip()[0] in "!#;"
        no_value = reader is configutil.read and line.rstrip().endswith(("=", ":", "-v", '""', "''"))
        section = reader is dispatcher.read and line.lstrip().startswith("[")
        prompt = reader is configutil.read and line.lstrip().startswith(("msconfig", "$", "%"))
        assert (number in told) or silent or no_value or section or prompt, line


NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True)
VALUES = (
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30)
    .map(str.strip)
    .filter(lambda value: not value.endswith("\\"))
)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_an_option_file_that_is_written_is_read_as_the_same(options: dict[str, str]) -> None:
    """Values without line ends, blanks around them, or a backslash at their end."""
    assert optionfile.parse("".join(f"{name}={value}\n" for name, value in options.items())) == (options, [])


# The configuration

YAML = """
mailserver:
  option_file: {option_file}
  settings: {{LOG_USERNAME: 1, imap.logfile.loglevel: debug}}
inputs:
  mta: {{type: file, paths: ["app.log*"]}}
  other: {{type: file, paths: ["other.log*"], fields: [node]}}
outputs:
  archive: {{type: jsonl, path: "-"}}
"""


def configured(folder: Path, option_file: str = "config/option.dat", **environment: str) -> Loaded:
    (folder / "shipper.yaml").write_text(YAML.format(option_file=option_file))
    return load(folder / "shipper.yaml", environment)


def test_a_configuration_carries_the_settings(tmp_path: Path) -> None:
    """From the files and by hand, which wins; relative paths begin at the YAML file; inputs without fields take those of the option file."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "option.dat").write_text("LOG_USERNAME=0\nLOG_PROCESS=1\n")
    loaded = configured(tmp_path, "${CONFIG}/option.dat", CONFIG="config")
    assert loaded.config and not loaded.problems, shown(loaded.problems, loaded)
    found = loaded.config.server
    assert found.number("LOG_USERNAME") == 1 and found.replaced["LOG_USERNAME"].value == 0
    assert found.option("LOG_USERNAME").place == Place(str(tmp_path / "shipper.yaml"), 4, 14, 12)
    assert found.logfile("imap", "loglevel").value == "debug"
    assert loaded.config.fields_of(loaded.config.inputs["mta"]) == ("process", "username", "diagnostic")
    assert loaded.config.fields_of(loaded.config.inputs["other"]) == ("node",)


def test_a_changed_file_is_another_configuration(tmp_path: Path) -> None:
    """The server's files are read whenever the configuration is; a comment is no change of what is set, but one of the digest."""
    (tmp_path / "config").mkdir()
    file = tmp_path / "config" / "option.dat"
    digests, servers = [], []
    for content in ("LOG_PROCESS=1\n", "! a comment\nLOG_PROCESS=1\n", "LOG_PROCESS=0\n"):
        file.write_text(content)
        loaded = configured(tmp_path)
        assert loaded.config
        digests.append(loaded.digest)
        servers.append(loaded.config.server)
    assert len(set(digests)) == 3
    assert servers[0] == servers[1] != servers[2]


def test_without_environment_missing_files_are_no_errors(tmp_path: Path) -> None:
    """`check --no-env` looks at a configuration where the mail server is not."""
    (tmp_path / "shipper.yaml").write_text(YAML.format(option_file="gone.dat"))
    assert [problem.number for problem in load(tmp_path / "shipper.yaml", {}).problems] == ["C114"]
    assert not load(tmp_path / "shipper.yaml", {}, lenient=True).problems


def test_a_bad_value_that_is_replaced_by_hand_is_no_error(tmp_path: Path) -> None:
    """Who cannot change the server's file, or knows better what its version takes, says it in our configuration."""
    (tmp_path / "dump").write_text("logfile.imap.maxlogfiles = -1\n")
    place = Place("shipper.yaml", 1, 1)
    found = read({"configutil": Named(str(tmp_path / "dump"))}, [Assignment("imap.logfile.maxlogfiles", "1000", place, place)])
    assert found.logfile("imap", "maxlogfiles").value == 1000
    assert not found.problems and [warning.notes for warning in found.warnings] == [("what stands at shipper.yaml:1:1 is taken instead",)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_directory_that_this_user_may_not_enter_is_not_taken_for_another_machine_s(tmp_path: Path) -> None:
    """What the tailor file names there is a problem; it is not looked for beside it, and no default holds for it silently."""
    (tmp_path / "closed/config").mkdir(parents=True)
    tailor = tmp_path / "imta_tailor"
    (tmp_path / "option.dat").write_text("LOG_MESSAGES_SYSLOG=22\n")
    (tmp_path / "closed").chmod(0)
    for named in ("", "IMTA_OPTION_FILE=IMTA_TABLE:option.dat\n"):
        tailor.write_text(f"IMTA_TABLE={tmp_path}/closed/config/\n{named}")
        server = read({"tailor": Named(str(tailor))})
        assert any("option.dat': permission denied" in problem.message for problem in server.problems)
    (tmp_path / "closed").chmod(0o700)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """The service, which reads these files again on HUP, must not hang on one."""
    os.mkfifo(tmp_path / "pipe")
    found = configured(tmp_path, "pipe")
    assert [problem.message for problem in found.problems] == [f"cannot read '{tmp_path}/pipe': not a file"]


def test_settings_by_hand_twice(tmp_path: Path) -> None:
    """In two spellings: the last holds, with a warning that names the other."""
    place = Place("shipper.yaml", 1, 1)
    own = [Assignment("logfile.pop.loglevel", "error", place, place), Assignment("pop.logfile.loglevel", "debug", place, place)]
    found = read({}, own)
    assert found.logfile("pop", "loglevel").value == "debug"
    assert [warning.number for warning in found.warnings] == ["C155"]
