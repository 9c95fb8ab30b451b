"""Reading a configuration: what a person means, and every error at its place."""

from __future__ import annotations

import os
import string
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shipper.changes import Change, Sample
from shipper.conditions import All, Among, Networks, Not, Prefix, Present, Range, Regex, equal
from shipper.conditions import Field as Asked
from shipper.config.load import Loaded, load
from shipper.config.problems import masked, text
from shipper.config.show import effective
from shipper.config.tree import MAX_OCTETS, lines_of, parse
from shipper.errors import ERRORS
from tests.config.sections import INPUTS, OUTPUTS, Log, Web

BAD = Path(__file__).parent / "bad"
GOOD = """
inputs:
  mta: {type: log, path: /var/log/mail.log}
outputs:
  elk: {type: web, url: "https://example.com"}
"""


def read(path: Path | str, lenient: bool = False, **environment: str) -> Loaded:
    return load(path, environment, lenient=lenient, inputs=INPUTS, outputs=OUTPUTS)


def written(folder: Path, content: str | bytes, name: str = "shipper.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o640)
    return path


def shown(loaded: Loaded) -> str:
    return "\n".join(text(problem, loaded.sources) for problem in loaded.problems)


def output(folder: Path, options: str, **environment: str) -> Web:
    """The output of a good configuration with these options."""
    lines = "".join(f"    {line}\n" for line in options.splitlines())
    loaded = read(written(folder, f"inputs:\n  mta: {{type: log, path: x}}\noutputs:\n  elk:\n    type: web\n{lines}"), **environment)
    assert loaded.config, shown(loaded)
    found = loaded.config.outputs["elk"]
    assert isinstance(found, Web)
    return found


@pytest.mark.parametrize("case", sorted(path.stem for path in BAD.glob("*.yaml")))
def test_what_is_wrong_is_said_all_at_once(case: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The messages about each file in bad/, word for word; each names file, line and column, and no value of a variable or secret."""
    monkeypatch.chdir(BAD)
    loaded = read(f"{case}.yaml", ZONE="canary/zone", PORT="canary-port", TOKEN="canary-token")
    assert loaded.config is None
    messages = shown(loaded)
    assert "canary" not in messages and "correct horse" not in messages
    expected = BAD / f"{case}.txt"
    if request.config.getoption("--bless", False):
        expected.write_text(messages)
    assert messages == expected.read_text()


def places_are_inside(loaded: Loaded) -> None:
    for problem in loaded.problems:
        assert problem.number in ERRORS and problem.message
        source = loaded.sources[problem.place.file]
        assert 1 <= problem.place.line <= len(source), problem
        assert 1 <= problem.place.column <= len(source[problem.place.line - 1]) + 1, problem
        assert problem.place.length >= 1
        assert text(problem, loaded.sources).startswith(("error[", "warning["))


SCALARS = st.sampled_from(
    ["no", "010", "1:30", "", "~", "null", "*a", "&a x", "!!python/none", "!x y", "|\n    x", "'a'", '"\\ud800"', "${X}", "${X", "$$", "[a, b]",
     "{a: b}", "log", "web", "5s", "10MB", "-", "? a", "a: b", "\t", "<<", "%YAML 1.1", "---", "...", "\u2028", "elk", "mta", "yes", "{", "'"]
)  # fmt: skip
KEYS = st.sampled_from(
    ["inputs", "outputs", "routes", "state", "grace", "timezone", "log", "telemetry", "type", "path", "url", "port", "buffer", "mta", "elk",
     "when", "to", "drop", "<<", "kind", "size", "password", "*a", "&a k", "? ", "- "]
)  # fmt: skip
LINES = st.lists(
    st.tuples(st.integers(0, 3), st.booleans(), KEYS, SCALARS).map(lambda p: "  " * p[0] + ("- " if p[1] else "") + f"{p[2]}: {p[3]}"),
    max_size=12,
).map("\n".join)


@settings(max_examples=250, deadline=None)
@given(
    st.one_of(
        LINES, st.text(max_size=60), LINES.map(lambda lines: GOOD + lines), st.text(st.sampled_from("ab:{}[]&*!|>'\"%@`,?-# \n\t\\~$<"))
    )
)
@example('"\\UFFFFFFFF"')
@example("%YAML 999999999999999999999999.1\n---\n")
@example("%TAG ! a\n%TAG ! b\n---\n!x y")
@example("? [a]\n: b")
@example("\u0085a: [")
def test_no_text_raises_anything(content: str) -> None:
    """Whatever stands in the file: a configuration or problems, each at a place inside the file."""
    _loads(content.encode(errors="surrogatepass"))


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=80), st.binary(max_size=6).map(lambda octets: GOOD.encode() + octets)))
@example(b"\xef\xbb\xbf")
@example(b"\xfe\xff\x00a")
@example(b"a: \xff\r\rb: \xc3\x28")
def test_no_octets_raise_anything(octets: bytes) -> None:
    """Nor whatever octets."""
    _loads(octets)


def _loads(octets: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        loaded = read(written(Path(folder), octets))
        assert (loaded.config is None) == bool(loaded.errors)
        places_are_inside(loaded)


@settings(max_examples=200, deadline=None)
@given(LINES)
def test_values_are_those_of_yaml_as_text(content: str) -> None:
    """Where PyYAML's own composer reads a document of this tree's kind, both have the same keys and texts."""
    root, problems = parse("x", content)
    if root is None or problems or "<<" in content:
        return
    try:
        composed = yaml.compose(content, Loader=yaml.BaseLoader)
    except yaml.composer.ComposerError:  # of YAML 1.1: an anchor of the same name twice
        return
    assert _texts(composed) == _values(root)


def _texts(node: yaml.Node | None) -> object:
    if isinstance(node, yaml.MappingNode):
        return {key.value: _texts(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_texts(value) for value in node.value]
    return node.value if node is not None else None


def _values(node: object) -> object:
    value = getattr(node, "value", None)
    if isinstance(value, dict):
        return {name: _values(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_values(inner) for inner in value]
    return getattr(node, "written", None)


@pytest.mark.parametrize(
    "word", ["no", "off", "yes", "on", "y", "010", "1:30", "0x10", "1e3", "2026-03-31", "null x", ".5", "1_000", "=", "0o7"]
)
def test_text_stays_what_was_written(word: str, tmp_path: Path) -> None:
    """Where text is wanted nothing is taken for a boolean, a number, a date or sexagesimal."""
    assert output(tmp_path, f"url: {word}\nnames: [{word}]").names == [word]
    assert output(tmp_path, f"url: {word}").url == word


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ("compress: no", "compress", False),
        ("compress: Off", "compress", False),
        ("compress: 'yes'", "compress", True),
        ("port: 010", "port", 10),
        ("port: '0443'", "port", 443),
        ("ratio: 1", "ratio", 1.0),
        ("ratio: 010.5", "ratio", 10.5),
        ("wait: never", "wait", "never"),
        ("wait: 1m", "wait", 60.0),
        ("wait: 010", "wait", 10.0),
        ("wait: ~", None, None),
        ("wait: 1:30", None, None),
        ("port: 1:30", None, None),
        ("port: 0x10", None, None),
    ],
)
def test_other_values_are_what_the_option_wants(options: str, name: str | None, value: object, tmp_path: Path) -> None:
    """`no` is a boolean where one is wanted, `010` is ten, never eight, and `1:30` is no number of seconds."""
    if name is None:
        loaded = read(
            written(tmp_path, f"inputs: {{a: {{type: log, path: x}}}}\noutputs:\n  b:\n    type: web\n    url: x\n    {options}\n")
        )
        assert [problem.number for problem in loaded.problems] == ["C106"]
    else:
        assert getattr(output(tmp_path, f"url: x\n{options}"), name) == value


def test_a_bom_and_crlf_are_no_part_of_anything(tmp_path: Path) -> None:
    """As editors on Windows write files."""
    loaded = read(written(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()))
    assert loaded.config and loaded.config.inputs["mta"] == Log(type="log", path="/var/log/mail.log")


def test_aliases_and_merges(tmp_path: Path) -> None:
    """What is written once may be used twice; what a section says itself holds; an error is where it was written."""
    body = """
inputs: {mta: {type: log, path: x}}
outputs:
  a: &web {type: web, url: u, port: 1}
  b: {<<: *web, port: 2}
  c: *web
"""
    loaded = read(written(tmp_path, body))
    assert loaded.config
    assert [loaded.config.outputs[name].port for name in "abc"] == [1, 2, 1]
    loaded = read(written(tmp_path, body.replace("port: 1", "prot: 1")))
    assert {(problem.place.line, problem.place.column) for problem in loaded.problems} == {(4, 31)}


class TestVariables:
    """`${...}` in values."""

    def test_all_forms(self, tmp_path: Path) -> None:
        """Each form, in one text and alone; what was filled in is not looked at again; `$` alone is itself."""
        written(tmp_path, b"s3cret\n", "token")
        web = output(
            tmp_path,
            'url: "${A}/${env:A}/${B:-b}/${E:-e}/${A:?no}/$$A/$${A}/$A/^a$/${C}"\npassword: ${file:token}\nport: ${P}\ncompress: ${N}',
            A="a",
            E="",
            C="${A}$$",
            P="010",
            N="no",
        )
        assert web.url == "a/a/b/e/a/$A/${A}/$A/^a$/${A}$$"
        assert web.password and web.password.get_secret_value() == "s3cret"
        assert (web.port, web.compress) == (10, False)

    def test_a_value_cannot_change_the_structure(self, tmp_path: Path) -> None:
        """Lines, colons and brackets of a variable are text."""
        value = "x\n    port: 1\n  b: {type: web} # "
        assert output(tmp_path, "url: ${V}", V=value).url == value

    def test_keys_are_left_alone(self, tmp_path: Path) -> None:
        """A variable is never the name of an option."""
        assert output(tmp_path, "url: x\nheaders: {'${A}': b}", A="a").headers.keys() == {"${A}"}

    def test_without_the_environment(self, tmp_path: Path) -> None:
        """`--no-env`: what has no value is no error, whatever is wanted there; all else is looked at."""
        path = written(tmp_path, GOOD + "grace: ${GRACE}\nstate: ${STATE}\ntimezone: ${Z:-Nowhere}\ntelemtry:\n")
        assert [problem.message.split(" ")[0] for problem in read(path, lenient=True).problems] == ["'timezone'", "unknown"]
        assert not read(written(tmp_path, GOOD + "grace: ${GRACE}"), lenient=True).problems


class TestFolder:
    """conf.d beside the main file."""

    def test_inputs_outputs_and_routes_are_put_together(self, tmp_path: Path) -> None:
        """In the order of the names; other files and directories are left alone, and a .yml is told about."""
        path = written(tmp_path, GOOD + "routes: [{when: {kind: mta}, to: elk}]\n")
        written(tmp_path, "outputs: {b: {type: web, url: b}}\nroutes: [{when: {kind: text}, to: b}]\n", "conf.d/20.yaml")
        written(tmp_path, "outputs: {a: {type: web, url: a}}\nroutes: [{when: {kind: store}, drop: yes}]\ngrace: 3\n", "conf.d/10.yaml")
        written(tmp_path, "", "conf.d/30.yaml")
        for name in (".hidden.yaml", "a.yaml~", "README"):
            written(tmp_path, "{[", f"conf.d/{name}")
        written(tmp_path, "{[", "conf.d/x.yml")
        loaded = read(path)
        assert loaded.config and list(loaded.config.outputs) == ["elk", "a", "b"]
        assert [rule.to for rule in loaded.config.rules] == [("elk",), (), ("b",)]
        assert loaded.config.rules[1].place == f"{tmp_path}/conf.d/10.yaml:2"
        assert loaded.config.settings.grace == 3
        assert [problem.number for problem in loaded.problems] == ["C153"]

    def test_a_name_in_two_files_is_an_error_with_both_places(self, tmp_path: Path) -> None:
        """Of an input, an output, and any other option."""
        path = written(tmp_path, GOOD + "grace: 1\n")
        written(tmp_path, "outputs:\n  elk: {type: web, url: b}\ngrace: 2\n", "conf.d/a.yaml")
        loaded = read(path)
        assert [(str(one.place), one.notes) for one in loaded.problems] == [
            (f"{tmp_path}/conf.d/a.yaml:2:3", (f"the first one is at {path}:5:3",)),
            (f"{tmp_path}/conf.d/a.yaml:3:1", (f"the first one is at {path}:6:1",)),
        ]


def test_routes_become_rules(tmp_path: Path) -> None:
    """Values have the type of their field; an output that is named twice gets a record once; an empty value is an empty field."""
    routes = "routes: [{when: {smtp_code: [250, 0251], queue_seconds: 1.5, null_sender: no, sender: '', kind: mta}, to: [elk, elk]}]"
    loaded = read(written(tmp_path, GOOD + routes))
    assert loaded.config, shown(loaded)
    when = {"smtp_code": {250, 251}, "queue_seconds": {1.5}, "null_sender": {False}, "sender": {""}, "kind": {"mta"}}
    expected = equal({name: frozenset(values) for name, values in when.items()})
    assert [(rule.when, rule.to, rule.ends) for rule in loaded.config.rules] == [(expected, ("elk",), True)]


def test_tests_of_fields_become_conditions(tmp_path: Path) -> None:
    """Each operator; sizes, times, networks and severities as their fields have them."""
    routes = """routes:
      - when:
          sender: {prefix: [a, b]}
          recipient: {regex: "^x+"}
          code: {in: [E, D]}
          host: {equal: mail}
          size_bytes: {range: {min: 1, max: 10MB}}
          queue_seconds: {range: {max: 1h}}
          severity: {range: {min: warning}}
          time: {range: {min: "2026-03-01T00:00:00Z"}}
          username: {present: yes}
          reason: {present: no}
          tag: {not: {prefix: x}}
          remote_ip: [192.0.2.0/24, "2001:DB8::1"]
          not: {kind: mta, channel: x}
        to: elk
    """
    loaded = read(written(tmp_path, GOOD + routes.replace("channel: x", "source_channel: x")))
    assert loaded.config, shown(loaded)
    networks = Networks(frozenset(["192.0.2.0/24", "2001:db8::1"]), (ip_network("192.0.2.0/24"),))
    assert loaded.config.rules[0].when == All((
        Asked("sender", Prefix(("a", "b"))),
        Asked("recipient", Regex("^x+")),
        Asked("code", Among(frozenset("ED"))),
        Asked("host", Among(frozenset(["mail"]))),
        Asked("size_bytes", Range(1, 10 << 20, "size")),
        Asked("queue_seconds", Range(most=3600, sort="duration")),
        Asked("severity", Range(4, sort="severity")),
        Asked("time", Range(1772323200, sort="time")),
        Asked("username", Present()),
        Not(Asked("reason", Present())),
        Not(Asked("tag", Prefix(("x",)))),
        Asked("remote_ip", networks),
        Not(equal({"kind": frozenset(["mta"]), "source_channel": frozenset(["x"])})),
    ))  # fmt: skip


def test_what_a_route_does_besides(tmp_path: Path) -> None:
    """`set` and `sample`; a route without `to` and `drop` is not the end."""
    routes = "routes: [{set: {facility: local3, pid: 7, null_sender: no, extra.site: b}}, {sample: 10, to: elk}, {sample: 0.5%, drop: no}]"
    loaded = read(written(tmp_path, GOOD + routes))
    assert loaded.config, shown(loaded)
    first, second, third = loaded.config.rules
    assert first.change == Change((("syslog.facility", "local3"), ("pid", 7), ("null_sender", False), ("extra.site", "b")))
    assert (second.keep, third.keep) == (Sample(0.1), Sample(0.005))
    assert [rule.ends for rule in loaded.config.rules] == [False, True, False]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a directory, too large, endless, without permission: C101 each."""
    written(tmp_path, b"#" * (MAX_OCTETS + 1), "large.yaml")
    names = ["none.yaml", ".", "large.yaml", "/dev/zero", "nul\0"]
    if os.geteuid():
        written(tmp_path, GOOD, "closed.yaml").chmod(0)
        names.append("closed.yaml")
    for name in names:
        loaded = read(tmp_path / name)
        assert [problem.number for problem in loaded.problems] == ["C101"], name
        assert shown(loaded)


class TestWarnings:
    """What works, and is probably not meant so."""

    def test_each(self, tmp_path: Path) -> None:
        """Routes without effect, an output without records, a section's own doubts, a secret that all can read."""
        path = written(
            tmp_path,
            "inputs: {mta: {type: log, path: x}}\noutputs:\n"
            "  a: {type: web, url: 'http://example.com', password: canary1}\n"
            "  b:\n    type: web\n    url: u\n    tls: {key: canary2, verify: no}\n    password: ${P}\n"
            "routes:\n  - to: a\n  - to: b\n",
        )
        loaded = read(path, P="canary3")
        assert loaded.config and [problem.number for problem in loaded.problems] == ["C154", "C151", "C154", "C151"]
        path.chmod(0o644)
        loaded = read(path, P="canary3")
        found = [(problem.number, problem.place.line) for problem in loaded.problems]
        assert found == [("C154", 3), ("C152", 3), ("C151", 4), ("C152", 7), ("C154", 7), ("C151", 11)]
        assert not loaded.errors and "canary" not in shown(loaded)

    def test_a_route_that_no_record_can_fit(self, tmp_path: Path) -> None:
        """As no kind of record has all of its fields; what some kind has, by some input, is no doubt."""
        path = written(
            tmp_path,
            "inputs: {mta: {type: log, path: x}}\noutputs: {a: {type: web, url: 'http://example.com'}}\nroutes:\n"
            "  - when: {kind: mta, level: Notice}\n    drop: yes\n"
            "  - when: {input: mta, code: {not: E}}\n    drop: yes\n"
            "  - when: {kind: service, level: Notice}\n    to: a\n",
        )
        loaded = read(path)
        assert [(problem.number, problem.place.line) for problem in loaded.problems if "fits no record" in problem.message] == [("C151", 4)]


class TestEffective:
    """`check --print`."""

    def test_secrets_and_variables_are_not_shown(self, tmp_path: Path) -> None:
        """A secret is stars, a variable its name, a password in a URL gone."""
        path = written(
            tmp_path,
            GOOD.replace("https://", "https://me:canary1@") + "  siem:\n    type: web\n    url: ${U}\n    password: canary2\n"
            "    headers: {Authorization: canary3}\n    tls: {key: '${K}'}\n    names: [a, '${N}']\n",
        )
        loaded = read(path, U="canary4", K="canary5", N="canary6")
        assert loaded.config and loaded.tree
        shown = effective(loaded.config, loaded.tree)
        assert "canary" not in shown and "url: ${U}" in shown and "- ${N}" in shown
        assert "canary" not in repr(loaded.config).replace("canary4", "").replace("canary1", "").replace("canary6", "")

    @settings(max_examples=40, deadline=None)
    @given(
        st.text(string.printable.replace("\x0b", "").replace("\x0c", ""), min_size=1, max_size=20).filter(lambda t: "://" not in t),
        st.integers(0, 1 << 40),
        st.floats(0, 1e9),
        st.booleans(),
    )
    @example("a$b", 1, 1.0, True)
    @example("0", 0, 0.344, False)
    @example("$$", 1, 1.0, True)
    @example("${A}$${B}$", 1, 1.0, True)
    def test_it_reads_back_as_the_same(self, word: str, octets: int, seconds: float, flag: bool) -> None:
        """What is printed is a configuration, of the same meaning."""
        import tempfile

        seconds = round(seconds, 3)
        body = {
            "grace": repr(seconds) if seconds >= 0.001 else "0",
            "inputs": {"a": {"type": "log", "path": word.replace("$", "$$")}},
            "outputs": {"b": {"type": "web", "url": "u", "compress": flag, "buffer": {"size": octets + 1}, "wait": "never"}},
            "routes": [{"when": {"host": [word.replace("$", "$$")]}, "to": ["b"]}, {"drop": True}],
        }
        with tempfile.TemporaryDirectory() as folder:
            first = read(written(Path(folder), yaml.safe_dump(body, allow_unicode=True)))
            assert first.config and first.tree, shown(first)
            second = read(written(Path(folder), effective(first.config, first.tree)))
            assert second.config, shown(second)
            assert second.config.settings == first.config.settings
            assert (second.config.inputs, second.config.outputs) == (first.config.inputs, first.config.outputs)
            assert [(rule.when, rule.to) for rule in second.config.rules] == [(rule.when, rule.to) for rule in first.config.rules]


def test_lines_are_those_of_the_parser() -> None:
    """Whatever ends a line for YAML ends one here."""
    assert lines_of("a\r\nb\rc\nd\x85e\u2028f\u2029g") == list("abcdefg")


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("password: hunter2, and more # x", "password: ***"),
        ("  - {type: web, api_key: hunter2, port: 1}", "  - {type: web, api_key: ***"),
        ("passwrd: 'hunter2'", "passwrd: ***"),
        ('"Auth-Token": [hunter2]', '"Auth-Token": ***'),
        ("password: ${P} # where it is", "password: ${P} # where it is"),
        ("{password: ${P}, token: hunter2}", "{password: ${P}, token: ***"),
        ("{password: *******, prot: 1}", "{password: *******, prot: 1}"),
        ("url: https://me:hunter2@example.com/", "url: https://me:***@example.com/"),
        ("url: https://example.com:9200/a@b", "url: https://example.com:9200/a@b"),
        ("tls: {key_file: a, passwordFile: b, key: c}", "tls: {key_file: a, passwordFile: b, key: ***"),
        ("timezone: Europe/Berlin", "timezone: Europe/Berlin"),
    ],
)
def test_lines_of_files_that_are_no_yaml(line: str, seen: str) -> None:
    """What may be a secret by its name is not shown even where nothing else is known."""
    assert masked(line) == seen


def test_a_password_in_a_url_is_not_quoted(tmp_path: Path) -> None:
    """Neither in the line nor in the message about it."""
    loaded = read(written(tmp_path, GOOD + "timezone: http://me:canary@x\nroutes: http://me:canary@x\n"))
    assert len(loaded.errors) == 2 and "canary" not in shown(loaded) + repr(loaded.errors)


def test_a_secret_in_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    """The line that is wrong is shown without it."""
    loaded = read(written(tmp_path, "inputs:\n  a: {type: log, password: canary: x}\n"))
    assert [problem.number for problem in loaded.problems] == ["C102"] and "canary" not in shown(loaded)


def test_another_secret_is_another_configuration(tmp_path: Path) -> None:
    """The digest is of what the files say, in conf.d too."""
    digests = []
    for secret, more in (("aaaa", "grace: 1"), ("bbbb", "grace: 1"), ("bbbb", "grace: 2"), ("bbbb", "grace: 2")):
        path = written(tmp_path, GOOD + f"    password: {secret}\n".replace("    ", "  siem: {type: web, url: u, ", 1).replace("\n", "}\n"))
        written(tmp_path, more, "conf.d/a.yaml")
        loaded = read(path)
        assert loaded.config, shown(loaded)
        digests.append(loaded.digest)
    assert len(set(digests)) == 3 and digests[2] == digests[3]


SECRET = st.text("canryh2#,:'\"{}[]&*!| ", min_size=1, max_size=12).map(lambda text: f"canary{text}canary")


@settings(max_examples=150, deadline=None)
@given(SECRET, st.sampled_from(["password", "headers", "key", "passwrd", "token", "api_key", "X-Auth"]), st.booleans(), st.integers(0, 3))
def test_a_secret_is_in_no_message(secret: str, name: str, flow: bool, damage: int) -> None:
    """Whatever is in it, however its option is spelt, and whatever is wrong in the same line, or with the file."""
    import json
    import tempfile

    value = f"${{NO:-{secret.replace(chr(125), '')}}}" if damage == 3 else secret
    inner = {"headers": f"{{X-Foo: {json.dumps(value)}}}", "key": f"{{key: {json.dumps(value)}}}"}.get(name, json.dumps(value))
    called = {"key": "tls"}.get(name, name)
    options = [f"{called}: {inner}", "prot: 1", "wait: eternal", "url: u"]
    body = "{type: web, " + ", ".join(options) + "}" if flow else "\n    type: web\n" + "".join(f"    {line}\n" for line in options)
    end = {1: '\n\t"', 2: "\n: ["}.get(damage, "")
    with tempfile.TemporaryDirectory() as folder:
        loaded = read(written(Path(folder), f"inputs: {{a: {{type: log, path: x}}}}\noutputs:\n  b: {body}{end}\n"))
        assert loaded.errors
        assert "canary" not in shown(loaded)
