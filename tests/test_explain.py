"""Explaining words: everything that the manual's chapter names is known, ambiguity is shown, and no text whatever breaks it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper import events
from shipper.errors import ERRORS
from shipper.explain import as_data, as_text, explain, nearest, overview
from shipper.knowledge import SUBJECTS, debug_masks, enhanced, smtp
from shipper.profiles import PROFILES
from shipper.record import KINDS, Connection, Mta

WORDS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="EDJKQRVWZBOCXYIUASLP0123456789abcdefxyz.-<>=|_:;/ ", max_size=30),
    st.sampled_from([word for subject in SUBJECTS for word in subject.words()]).flatmap(
        lambda word: st.text(max_size=8).map(lambda ending: f"{word}={ending}")
    ),
)

ENTRY_CODES = "B BA BS BSA D DA DS DSA E EA ES ESA J K Q R W Z C O U X Y I".split()
"""Table 21-2."""

OPTIONS = """
    LOG_MESSAGES_SYSLOG LOG_MESSAGE_ID LOG_FILENAME LOG_CONNECTION SEPARATE_CONNECTION_LOG LOG_PROCESS LOG_USERNAME LOG_NOTARY LOG_NODE
    LOG_FORMAT BLOCK_SIZE MAX_B_ENTRIES LOG_BANNER LOG_TRANSPORTINFO LOG_INTERMEDIATE LOG_FILTER LOG_REASON LOG_DIAGNOSTICS LOG_REMOTE_MTA
    LOG_QUEUE_TIME LOG_SENSITIVITY LOG_PRIORITY LOG_ENVELOPE_ID LOG_HEADER LOG_CONNECTIONS_SYSLOG LOG_SNDOPR SNDOPR_PRIORITY
    IMTA_OPTION_FILE IMTA_DISPATCHER_DEBUG DEBUG STACKSIZE MAX_CONNS MM_DEBUG
""".split()
"""Options of the MTA and the dispatcher that the chapter, or the pages beside it, name."""

LOGFILE_OPTIONS = "logdir loglevel maxlogfiles maxlogfilesize maxlogsize minfreediskspace rollovertime expirytime syslogfacility".split()

CONFIGURATION = """
    logging nologging logheader master_debug slave_debug single_sys identnone notices copywarnpost copysendpost postheadonly noswitchchannel
    immnonurgent maxjobs defaulthost defragment charset7 charset8 defaults ORIG_SEND_ACCESS CONVERSIONS PORT_ACCESS NOTIFY=NEVER
    tcp_local tcp_intranet tcp_internal l process conversion
""".split()
"""Words of imta.cnf and of the mapping tables in the chapter's examples."""

FILES = """
    mail.log mail.log_current mail.log_yesterday connection.log connection.log_current connection.log_yesterday admin imap pop http default
    imta msgtrace watcher counters dispatcher.log job_controller.log tcp_smtp_server.log tcp_local_master.log-0DK00HV8RWFQC
    tcp_local_slave.log-0DK00HV8RWFQC imap.63.915107696 option.dat imta.cnf imta_tailor dispatcher.cnf configutil daily_cleanup qm
    imapd mshttpd cgi_store ims_master imexpire
""".split()
"""Table 21-1, the files that the chapter tells to edit, and the programs in its examples."""

LEVELS = "Critical Error Warning Notice Information Debug".split()
CATEGORIES = "General LDAP Network Account Protocol Statistics Stats Store".split()
EVENTS = ["login", "badlogin", "close", "append", "fetch", "expunge", "[unauthenticated]"]
MARKS = ["+", "-", "rfc822;", "dns;", "smtp;", "*", "TCP|", "ZZ", "ZY", "ZX"]
REPLIES_5321 = "211 214 220 221 250 251 252 354 421 450 451 452 455 500 501 502 503 504 550 551 552 553 554 555".split()


@pytest.mark.parametrize(
    "word",
    [*ENTRY_CODES, *OPTIONS, *LOGFILE_OPTIONS, *CONFIGURATION, *FILES, *LEVELS, *CATEGORIES, *EVENTS, *MARKS, *REPLIES_5321, *ERRORS],
)
def test_every_word_of_the_chapter_is_explained(word: str) -> None:
    """Codes, options, keywords, files, levels, categories, events, SMTP replies, and our own error numbers."""
    assert explain(word)
    assert all(meaning.title for meaning in explain(word))


@pytest.mark.parametrize("bit", debug_masks.BITS)
def test_every_debug_bit_is_explained(bit: int) -> None:
    """Table 21-3 as it is printed (`x 00001`), with 0x, and as the eight digits of the environment variable."""
    for word in (f"0x{bit:x}", f"x {bit:05x}", f"{bit:08X}", f"DEBUG=0x{bit:x}"):
        meaning = explain(word)[0]
        assert meaning.kind == "dispatcher debug mask"
        assert meaning.parts == ((f"0x{bit:x}", debug_masks.BITS[bit]),)


@pytest.mark.parametrize("word", ["FFFFFFFF", "ffffffff", "-1", "0xFFFFFFFF", "DEBUG=-1", "IMTA_DISPATCHER_DEBUG=FFFFFFFF"])
def test_all_bits_set_names_all_bits(word: str) -> None:
    assert len(explain(word)[0].parts) == 21


def test_a_bare_number_of_four_digits_is_a_hexadecimal_mask() -> None:
    """`1004` are the bits 0x1000 and 0x4; a bit that the table does not have is named."""
    assert [name for name, _ in explain("1004")[0].parts] == ["0x4", "0x1000"]
    assert ("0x40000", "not in the table of bits") in explain("0x41000")[0].parts


def test_a_code_is_not_taken_for_a_mask() -> None:
    """`EEC` and `250` could be hexadecimal; they are better known as something else."""
    assert [meaning.kind for meaning in explain("EEC")] == ["entry code of a message record"]
    assert [meaning.kind for meaning in explain("250")] == ["SMTP reply code"]


@pytest.mark.parametrize("base", [*events.MTA_EVENTS, *events.CONNECTION_EVENTS])
def test_every_entry_code_says_what_it_is_elsewhere(base: str) -> None:
    """In ECS, OTel, OCSF and CIM; with modifiers, even one that no manual lists, each letter on its own."""
    for code in (base, f"{base}ESA", f"{base}X"):
        meaning = next(meaning for meaning in explain(code) if meaning.kind.startswith("entry code"))
        facts = dict(meaning.facts)
        assert facts["OCSF"] == events.code_event(code).ocsf
        assert f"event.code: {code}" in facts["ECS"]
        assert events.code_event(code).name in facts["OTel"]
        assert facts["CIM"]
        if len(code) > 1:
            assert [letter for letter, _ in meaning.parts] == list(code)


@pytest.mark.parametrize("code", [*events.MTA_EVENTS, *events.CONNECTION_EVENTS, "EESA", "DSA", "CS"])
def test_what_a_code_is_in_ecs_is_what_the_profile_writes(code: str) -> None:
    """Each `name: value` of the answer stands in the rendered record of that code."""
    kind = Connection if code[0] in events.CONNECTION_EVENTS else Mta
    event = events.code_event(code)
    record = kind(event=event.name, severity=event.severity, code=code, action=code[0], modifiers=code[1:])
    written = json.loads(PROFILES["ecs"].render([record], 0))
    meaning = next(meaning for meaning in explain(code) if meaning.kind.startswith("entry code"))
    for pair in dict(meaning.facts)["ECS"].split("; "):
        name, _, said = pair.partition(": ")
        value = written
        for piece in name.split("."):
            value = value[piece]
        assert said == (", ".join(value) if isinstance(value, list) else json.dumps(value).strip('"')), pair


def test_lower_case_is_understood() -> None:
    assert explain("ja")[0].word == "JA"
    assert explain("log_connection=3")[0].word == "LOG_CONNECTION=3"


def test_a_letter_that_is_a_code_and_a_modifier_is_explained_as_both() -> None:
    """The code first: it is what stands alone in a line."""
    assert [meaning.title for meaning in explain("C")] == [events.CONNECTION_EVENTS["C"].meaning, events.MODIFIERS["C"]]
    assert [meaning.title for meaning in explain("Q")] == [events.MTA_EVENTS["Q"].meaning, events.MODIFIERS["Q"]]
    assert [meaning.kind for meaning in explain("A")] == ["modifier of an entry code"]


@pytest.mark.parametrize("code", smtp.REPLIES)
def test_every_reply_code_has_class_and_source(code: str) -> None:
    meaning = explain(code)[0]
    assert smtp.CLASSES[code[0]][0] in meaning.notes[0].lower()
    assert dict(meaning.facts)["source"].startswith("RFC ")


def test_reply_codes_that_nobody_registered_still_have_a_class() -> None:
    assert explain("471")[0].title.startswith("temporary failure")
    assert explain("5xx")[0].title == "the class 5xx: permanent failure"
    assert dict(explain("55x")[0].parts)["550"] == smtp.REPLIES["550"][0]
    assert explain("199") == [] or all(meaning.kind != "SMTP reply code" for meaning in explain("199"))


@pytest.mark.parametrize("subject, detail", enhanced.DETAILS)
def test_every_registered_status_is_explained(subject: int, detail: int) -> None:
    """With each class digit, and with x for it."""
    for first in "245x":
        meaning = explain(f"{first}.{subject}.{detail}")[0]
        assert enhanced.DETAILS[subject, detail][0] in meaning.title
        assert len(meaning.parts) == 3


def test_an_unknown_status_still_has_class_and_subject() -> None:
    assert explain("5.7.99")[0].title == "permanent failure, security and policy; the detail 99 is not registered"
    assert explain("4.9.9")[0].title.startswith("temporary failure, a subject that is not registered")
    assert "5.7.1" in dict(explain("5.7.x")[0].parts)
    assert "4.4.x" in dict(explain("4.x.x")[0].parts)


def test_a_status_text_is_taken_apart() -> None:
    assert [meaning.word for meaning in explain("smtp;250 2.1.5 bob@example.org and options OK.")] == ["250", "2.1.5"]


@pytest.mark.parametrize(
    "setting, bits",
    [
        ("LOG_CONNECTION=3", [1, 2]),
        ("mta.log_connection=163", [1, 2, 32, 128]),
        ("LOG_CONNECTION=8%43", [1, 2, 32]),
        ("LOG_CONNECTION=0", []),
    ],
)
def test_log_connection_is_a_sum_of_bits(setting: str, bits: list[int]) -> None:
    """Also in the unified spelling, and in another base as option files allow."""
    names = [name for name, _ in explain(setting)[0].parts]
    assert names == [f"bit {bit.bit_length() - 1} ({bit})" for bit in bits]


@pytest.mark.parametrize(
    "value, priority, files",
    [
        ("22", "mail.info", "to syslog and to"),
        ("-22", "mail.info", "syslog only"),
        ("20", "mail.warning", "to syslog and to"),
        ("134", "local0.info", "to syslog and to"),
        ("1", "user.alert", "to syslog and to"),
        ("-5", "user.notice", "syslog only"),
    ],
)
def test_log_messages_syslog_says_priority_and_what_becomes_of_the_files(value: str, priority: str, files: str) -> None:
    for name in ("LOG_MESSAGES_SYSLOG", "LOG_CONNECTIONS_SYSLOG"):
        text = " ".join(explain(f"{name}={value}")[0].notes)
        assert priority in text
        assert files in text


def test_log_messages_syslog_1_warns_of_what_the_server_makes_of_it() -> None:
    text = " ".join(explain("LOG_MESSAGES_SYSLOG=1")[0].notes)
    assert "user.alert" in text
    assert "mail.info" in text


@pytest.mark.parametrize("value", ["", "x", "99999999999999999999", "999", "-999", "1.5", "٣", "-"])
def test_a_value_that_is_none_is_said_to_be_none(value: str) -> None:
    """Whatever the option: an answer, and no made-up meaning."""
    for name in ("LOG_MESSAGES_SYSLOG", "LOG_CONNECTION", "LOG_FORMAT", "BLOCK_SIZE", "SNDOPR_PRIORITY", "logfile.imap.maxlogfilesize"):
        assert explain(f"{name}={value}")[0].title


@pytest.mark.parametrize(
    "setting, said",
    [
        ("logfile.imap.syslogfacility=local3", "local3.<severity>"),
        ("imap.logfile.syslogfacility=none", "log files"),
        ("logfile.pop.syslogfacility=local9", "none of the values"),
        ("imap.logfile.loglevel=Warning", "Logged: emergency, alert, critical, error, warning."),
        ("logfile.http.maxlogfilesize=3670016", "3.5 MB"),
        ("logfile.http.rollovertime=90000", "1 day 1 h"),
        ("logfile.default.maxlogfiles=10", "At most 10 files"),
    ],
)
def test_log_file_options_in_both_spellings_with_values(setting: str, said: str) -> None:
    meaning = explain(setting)[0]
    assert said in " ".join(meaning.notes)
    assert dict(meaning.facts)["default"]


def test_a_rolled_over_file_name_says_sequence_and_date() -> None:
    """The chapter's own example: the 63rd file, of 12:34:56 on the last day of 1998."""
    parts = explain("/var/log/imap.63.915107696")[0].parts
    assert [text for _, text in parts][1:] == ["sequence number", "1998-12-31T12:34:56Z"]


def test_priorities_in_numbers_and_words() -> None:
    for word in ("<22>", "22", "mail.info"):
        assert explain(word)[0].title.startswith("mail.info")
    assert explain("<192>") == []
    assert explain("local3")[0].kind == "syslog facility"


@pytest.mark.parametrize("name", sorted({field.name for kind in KINDS for field in msgspec.structs.fields(kind)} - {"source", "syslog"}))
def test_every_field_of_our_records_is_explained(name: str) -> None:
    """What it is, its ECS and OTel names, and the kinds of records that have it."""
    meaning = next(meaning for meaning in explain(name) if meaning.kind == "field of a record")
    assert all(text for _, text in meaning.facts)
    assert "@" not in dict(meaning.facts).get("ECS", "").replace("@timestamp", "")


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_name_and_example_of_a_subject_is_its_own(subject: object) -> None:
    """What `words` lists, to suggest, and what the overview shows, the subject itself explains."""
    for word in [*subject.words(), *subject.examples]:  # type: ignore[attr-defined]
        assert subject.meanings(word), word  # type: ignore[attr-defined]
        assert explain(word), word


def test_see_also_leads_somewhere() -> None:
    """Every word that an answer points to is explained itself."""
    for subject in SUBJECTS:
        for word in subject.words():
            for meaning in explain(word):
                assert all(explain(other) for other in meaning.see), (word, meaning.see)


def test_error_numbers_say_why_and_how_to_solve() -> None:
    for number, error in ERRORS.items():
        for word in (number, number.lower(), f"error[{number}]:"):
            meaning = explain(word)[0]
            assert (meaning.title, meaning.notes) == (error.what, (error.why,))
            assert ("solve", error.solve) in meaning.facts


def test_an_unknown_word_has_near_names() -> None:
    assert explain("LOG_CONECTION=3") == []
    assert nearest("LOG_CONECTION=3")[0] == "LOG_CONNECTION=3"
    assert nearest("expung")[0] == "expunge"
    assert nearest("identone")[0] == "identnone"


@given(WORDS)
def test_no_word_raises_and_no_answer_is_wider_than_the_terminal(word: str) -> None:
    """Any text: an answer or none, in lines of the width, with nothing in it that a terminal would obey."""
    meanings = explain(word)
    for width in (40, 80):
        for line in as_text(meanings, width).splitlines():
            assert line.isprintable()
            assert len(line) <= width
    msgspec.json.encode(as_data("", meanings))
    assert all(explain(name.partition("=")[0]) for name in nearest(word))


def test_the_overview_fits_a_terminal() -> None:
    assert all(len(line) <= 80 for line in overview(80).splitlines())
    assert all(subject.name in overview() for subject in SUBJECTS)
