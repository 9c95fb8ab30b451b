"""A configuration file, and conf.d beside it -> a `Config`, or all that is wrong with them.

`conf.d/*.yaml` in the directory of the main file are read after it, in the order of their names. Inputs, outputs and routes of all files are
put together; a name, or any other option, that stands in two files is an error.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel

from shipper.conditions import ALWAYS, equal
from shipper.config.deadends import dead_ends, loops
from shipper.config.overlap import overlaps
from shipper.config.problems import Place, Problem, names_secret, without_default, without_secret
from shipper.config.routes import rules
from shipper.config.sections import Config, Kinds, Settings, known_inputs, known_outputs
from shipper.config.tree import MAX_OCTETS, Node, decode, lines_of, parse
from shipper.config.validate import TOP, did_you_mean, secrets_in, validated
from shipper.config.variables import filled
from shipper.mailserver.lines import Assignment
from shipper.mailserver.reading import Named, read
from shipper.mailserver.settings import MAIL_INFO, MailServer, priority_of
from shipper.record import KINDS

NOT_THERE = ("C158", "C159")
"""Warnings of what this machine lacks: they say nothing of the configuration."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_ROOMS = ("inputs", "outputs")


@dataclass
class Loaded:
    """`config` is None when there is an error (or, when read without the environment, when that was needed to understand it). `tree`: what the
    files say together; `sources`: file -> its lines, with stars where a secret stands; `digest`: 16 hex digits that are others when a file is."""

    config: Config | None = None
    problems: list[Problem] = field(default_factory=list)
    sources: dict[str, Sequence[str]] = field(default_factory=dict)
    tree: Node | None = None
    digest: str = ""

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if not problem.warning]

    @property
    def warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.warning]


def load(
    path: str | os.PathLike[str],
    environment: Mapping[str, str],
    *,
    lenient: bool = False,
    inputs: Kinds | None = None,
    outputs: Kinds | None = None,
) -> Loaded:
    """Reads a configuration. Never raises for what is in the files, or for files that cannot be read.

    `environment`: what `${VAR}` stands for. `lenient`: variables and files without a value are no errors. `inputs`, `outputs`: the types
    that there are; without them those of the registries.
    """
    return _Loading(Path(path), environment, lenient, inputs or known_inputs(), outputs or known_outputs()).run()


class _Loading:
    def __init__(self, path: Path, environment: Mapping[str, str], lenient: bool, inputs: Kinds, outputs: Kinds) -> None:
        self.path = path
        self.environment = environment
        self.lenient = lenient
        self.kinds = {"inputs": inputs, "outputs": outputs}
        self.done = Loaded()
        self.problems = self.done.problems
        self.readable_by_all: set[str] = set()
        self.digest = sha256()

    def run(self) -> Loaded:
        roots = []
        broken = False
        for path in (self.path, *self._beside()):
            root, whole = self._file(path)
            broken = broken or not whole
            if root is not None:
                roots.append(root)
        self.done.digest = self.digest.hexdigest()[:16]
        if broken or not roots:
            self._sort()
            return self.done
        tree = self._together(roots)
        self.done.tree = tree
        before = len(self.done.errors)
        config = self._config(tree)
        if len(self.done.errors) == before == 0:
            self.done.config = config
        if config is not None and not self.done.errors:
            self._doubts(config, tree)
        self._sort()
        return self.done

    def _beside(self) -> list[Path]:
        folder = self.path.parent / "conf.d"
        try:
            names = sorted(
                entry.name for entry in os.scandir(folder) if not entry.name.startswith(".") and (entry.is_file() or entry.is_symlink())
            )
        except OSError:
            return []
        for name in names:
            if name.lower().endswith((".yml", ".yaml")) and not name.endswith(".yaml"):
                place = Place(str(folder / name), 0, 0)
                self.problems.append(
                    Problem("C153", f"'{name}' in conf.d is not read: its name does not end in .yaml", place, warning=True)
                )
        return [folder / name for name in names if name.endswith(".yaml")]

    def _file(self, path: Path) -> tuple[Node | None, bool]:
        """The tree of one file, and whether it could be read to its end."""
        name = str(path)
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                octets = file.read(MAX_OCTETS + 1)
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or "not a path").lower()
            self.problems.append(Problem("C101", f"cannot read '{name}': {reason}", Place(name, 0, 0)))
            return None, False
        if len(octets) > MAX_OCTETS:
            message = f"'{name}' is larger than {MAX_OCTETS // 1024} KiB: that is no configuration"
            self.problems.append(Problem("C101", message, Place(name, 0, 0)))
            return None, False
        if stat.S_ISREG(mode) and mode & 0o004:
            self.readable_by_all.add(name)
        self.digest.update(b"%b\0%d\0%b" % (os.fsencode(name), len(octets), octets))
        content, wrong = decode(name, octets)
        self.problems += wrong
        self.done.sources[name] = lines_of(content)
        if wrong and not content:
            return None, False
        before = len(self.problems)
        root, problems = parse(name, content)
        self.problems += problems
        if root is None and len(self.problems) > before:
            return None, False
        if root is None or root.value is None:
            if path == self.path and not wrong:
                what = "there is nothing in this file" if not content.strip() else "this file has only comments"
                self.problems.append(Problem("C105", what, Place(name, 1, 1), notes=("a configuration has inputs and outputs",)))
                return None, False
            return None, not wrong
        if not isinstance(root.value, dict):
            notes = ("a configuration is lines such as 'timezone: Europe/Berlin'",)
            self.problems.append(Problem("C102", "this is not a configuration: options were expected", root.place, notes=notes))
            return None, False
        whole = filled(root, self.environment, path.parent, self.lenient, self.problems)
        self._hide_named(whole)
        return whole, not wrong

    def _hide_named(self, node: Node) -> None:
        """Makes stars of the values of options that are named as secrets are."""
        for name, inner in node.value.items() if isinstance(node.value, dict) else ():
            if names_secret(name):
                self._hide(inner)
        for inner in _inside(node):
            self._hide_named(inner)

    def _hide(self, node: Node) -> None:
        """Makes stars of a value in the lines that messages show; the columns stay."""
        for inner in _inside(node):
            self._hide(inner)
        if isinstance(node.value, str) and not (node.variable and without_default(node.written)):
            place, lines = node.place, list(self.done.sources[node.place.file])
            line, start = lines[place.line - 1], place.column - 1
            lines[place.line - 1] = line[:start] + "*" * place.length + line[start + place.length :]
            self.done.sources[place.file] = lines

    def _together(self, roots: Sequence[Node]) -> Node:
        """All files as one tree."""
        merged: dict[str, Node] = {}
        for root in roots:
            assert isinstance(root.value, dict)
            for name, node in root.value.items():
                if name in (*_ROOMS, "routes", "telemetry", "log", "mailserver") and node.value is None:
                    continue
                there = merged.get(name)
                if there is None:
                    value = (
                        dict(node.value)
                        if isinstance(node.value, dict)
                        else list(node.value)
                        if isinstance(node.value, list)
                        else node.value
                    )
                    merged[name] = replace(node, value=value)
                elif name in _ROOMS and isinstance(there.value, dict) and isinstance(node.value, dict):
                    for inner, section in node.value.items():
                        if inner in there.value:
                            self._twice(f"the {name[:-1]} '{inner}'", section, there.value[inner])
                        else:
                            there.value[inner] = section
                elif name == "routes" and isinstance(there.value, list) and isinstance(node.value, list):
                    there.value.extend(node.value)
                else:
                    self._twice(f"'{name}'", node, there)
        return Node(merged, roots[0].place, roots[0].key)

    def _twice(self, what: str, second: Node, first: Node) -> None:
        notes = (f"the first one is at {first.key}",)
        self.problems.append(Problem("C109", f"{what} stands in two files", second.key, "the second one", notes))

    def _config(self, tree: Node) -> Config | None:
        assert isinstance(tree.value, dict)
        top = {name: node for name, node in tree.value.items() if name not in _ROOMS}
        for name in [name for name in top if name not in Settings.model_fields]:
            node = top.pop(name)
            notes = did_you_mean(name, [*Settings.model_fields, *_ROOMS]) or (
                f"the options: {', '.join([*Settings.model_fields, *_ROOMS])}",
            )
            self.problems.append(
                Problem("C104", f"unknown option '{name}' at the top", node.key, "not an option of a configuration", notes)
            )
        for secret in secrets_in(Settings, tree):
            self._hide(secret)
        settings = validated(Settings, Node(top, tree.place, tree.key), TOP, "a configuration", self.problems)
        sections = {room: self._sections(room, tree) for room in _ROOMS}
        inputs_named, outputs_named = (
            [*found.value] if (found := tree.value.get(room)) and isinstance(found.value, dict) else [] for room in _ROOMS
        )
        routed = rules(top.get("routes"), inputs_named, outputs_named, self.problems)
        places = {
            f"{room}.{name}": node.key
            for room in _ROOMS
            if (found := tree.value.get(room)) is not None and isinstance(found.value, dict)
            for name, node in found.value.items()
        }
        server = self._mailserver(tree)
        inputs, outputs = sections["inputs"], sections["outputs"]
        if settings is None or inputs is None or outputs is None or routed is None:
            return None
        for name, section in outputs.items():
            for lack in getattr(section, "lacks", _nothing)(server):
                self.problems.append(Problem("C116", f"output '{name}': {lack}", places[f"outputs.{name}"]))
        config = Config(settings, inputs, outputs, routed, places, server)
        self.problems += [*loops(config), *overlaps(config, on_disk=not self.lenient)]
        return config

    def _mailserver(self, tree: Node) -> MailServer:
        """The mail server's settings, from its own files and ours."""
        section = _at(tree, "mailserver")
        if section is None:
            return MailServer()
        files = {}
        for kind in ("tailor", "option_file", "channels", "dispatcher", "configutil"):
            node = _at(section, kind)
            if node is not None and isinstance(node.value, str) and node.value and not node.unknown:
                files[kind] = Named(str(Path(node.place.file).parent / node.value), node.place)
        by_hand = _at(section, "settings")
        own = [
            Assignment(name, node.value, node.key, node.place)
            for name, node in (by_hand.value.items() if by_hand is not None and isinstance(by_hand.value, dict) else ())
            if isinstance(node.value, str) and not node.unknown
        ]
        node = _at(section, "mta_priority")
        priority = priority_of(node.value) if node is not None and isinstance(node.value, str) else MAIL_INFO
        server = read(files, own, mta_priority=MAIL_INFO if priority is None else priority, lenient=self.lenient)
        for file in server.files:
            lines = server.sources[file]
            self.digest.update(b"%b\0%b" % (os.fsencode(file), "\n".join(lines).encode(errors="surrogateescape")))
            self.done.sources[file] = [without_secret(line) for line in lines]
        self.done.digest = self.digest.hexdigest()[:16]
        self.problems += [*server.problems, *server.warnings]
        return server

    def _sections(self, room: str, tree: Node) -> dict[str, BaseModel] | None:
        """The sections of all inputs, or outputs; None when one of them could not be read."""
        assert isinstance(tree.value, dict)
        kinds, node = self.kinds[room], tree.value.get(room)
        if node is None or node.value == {}:
            place = node.key if node is not None else tree.place
            self.problems.append(Problem("C105", f"there is no {kinds.what}", place, notes=(f"the types: {', '.join(kinds.modules)}",)))
            return None
        if not isinstance(node.value, dict):
            note = f"{room}: has a name of your own for each {kinds.what}, and under it its options"
            self.problems.append(Problem("C106", f"'{room}' must be a section of options", node.key, notes=(note,)))
            return None
        found = {name: self._section(kinds, name, inner) for name, inner in node.value.items()}
        whole = {name: section for name, section in found.items() if section is not None}
        return whole if len(whole) == len(found) else None

    def _section(self, kinds: Kinds, name: str, node: Node) -> BaseModel | None:
        where = f"{kinds.what} '{name}'"
        if not _NAME.fullmatch(name):
            note = "at most 64 letters and digits, and _ . - behind the first"
            self.problems.append(Problem("C106", f"'{name}' cannot be the name of an {kinds.what}", node.key, notes=(note,)))
        kind = node.value.get("type") if isinstance(node.value, dict) else None
        if not isinstance(node.value, dict) or kind is None:
            missing = "has no 'type'" if isinstance(node.value, dict | None) else "must be a section of options"
            self.problems.append(Problem("C105", f"{where} {missing}", node.key, notes=(f"the types: {', '.join(kinds.modules)}",)))
            return None
        if kind.unknown:
            return None
        if not isinstance(kind.value, str) or kind.value not in kinds.modules:
            text = kind.value if isinstance(kind.value, str) and not kind.variable else ""
            message = f"there is no type '{text}' of {kinds.what}" if text else f"the type of {where} is none"
            notes = (*did_you_mean(text, kinds.modules), f"the types: {', '.join(kinds.modules)}")
            self.problems.append(Problem("C108", message, kind.place, f"not a type of {kinds.what}", notes))
            return None
        try:
            model = kinds.section(kind.value)
        except ImportError as error:
            message = f"the type '{kind.value}' needs something that is not installed: {error.name or error}"
            self.problems.append(Problem("C108", message, kind.place))
            return None
        for secret in secrets_in(model, node):
            self._hide(secret)
        article = "an" if kind.value[0] in "aeiou" else "a"
        section = validated(model, node, where, f"{article} '{kind.value}' {kinds.what}", self.problems)
        if section is not None and not self.lenient:
            self._on_disk(section, node, where)
        return section

    def _on_disk(self, section: BaseModel, node: Node, where: str) -> None:
        """Files that a section names and that cannot be used: then it would not start. And what has to be made, or opened to us, by somebody."""
        for number, method in (("C118", "on_disk"), ("C158", "missing"), ("C159", "unreadable")):
            for path, sentence in _all_said(section, method):
                found = _at(node, *path)
                place = found.place if found is not None else node.key
                self.problems.append(Problem(number, f"{where}: {sentence}", place, warning=number in NOT_THERE))

    def _doubts(self, config: Config, tree: Node) -> None:
        """Warnings: what works, and is probably not meant so."""
        for node, rule in zip(_each(_at(tree, "routes")), config.rules, strict=True):
            when = equal(rule.when) if isinstance(rule.when, Mapping) else rule.when
            if all(when.on(kind, name) is False for kind in KINDS for name in config.inputs):
                message = "this route fits no record: no kind of record that an input can bring has all of its fields and values"
                self.problems.append(Problem("C151", message, node.place, warning=True))
        last = next((number for number, rule in enumerate(config.rules) if rule.ends and not rule.keep and rule.when == ALWAYS), None)
        if last is not None:
            named = {name for rule in config.rules[: last + 1] for name in rule.to}
            for node in _each(_at(tree, "routes"))[last + 1 :]:
                message = f"this route is never reached: the one at {config.rules[last].place} fits every record"
                self.problems.append(Problem("C151", message, node.place, warning=True))
            for name in config.outputs:
                if name not in named:
                    message = f"output '{name}' gets no records: no route names it, and the last one fits every record"
                    self.problems.append(Problem("C151", message, config.places[f"outputs.{name}"], warning=True))
        if not config.unread():
            self.problems += dead_ends(config)
        for room, sections in (("inputs", config.inputs), ("outputs", config.outputs)):
            for name, section in sections.items():
                inner = _at(tree, room, name)
                for path, doubt in _all_said(section, "doubts"):
                    found = _at(tree, room, name, *path)
                    place = found.place if found is not None else config.places[f"{room}.{name}"]
                    self.problems.append(Problem("C154", f"{room[:-1]} '{name}': {doubt}", place, warning=True))
                if inner is not None:
                    self._secrets(section, inner, f"{room[:-1]} '{name}'")
        if telemetry := _at(tree, "telemetry"):
            self._secrets(config.settings.telemetry, telemetry, "'telemetry'")

    def _secrets(self, section: BaseModel, node: Node, where: str) -> None:
        """Secrets that stand in a file which everybody can read."""
        for names in _secret_paths(section):
            found = _at(node, *names)
            if (
                found is not None
                and isinstance(found.value, str)
                and found.value
                and not found.variable
                and found.place.file in self.readable_by_all
            ):
                message = f"everybody on this machine can read '{names[-1]}' of {where}"
                self.problems.append(Problem("C152", message, found.key, warning=True, hidden=True))

    def _sort(self) -> None:
        files = {name: number for number, name in enumerate(self.done.sources)}
        self.problems.sort(
            key=lambda problem: (problem.warning, files.get(problem.place.file, -1), problem.place.line, problem.place.column)
        )


def _nothing(server: MailServer) -> Iterator[str]:
    """What a section lacks that leaves nothing to the mail server's settings."""
    return iter(())


def _each(node: Node | None) -> list[Node]:
    """One value, or those of a list."""
    if node is None:
        return []
    return node.value if isinstance(node.value, list) else [node]


def _inside(node: Node) -> list[Node]:
    """What a mapping or a list has in it."""
    return list(node.value.values()) if isinstance(node.value, dict) else node.value if isinstance(node.value, list) else []


def _at(node: Node, *names: str) -> Node | None:
    found: Node | None = node
    for name in names:
        found = found.value.get(name) if found is not None and isinstance(found.value, dict) else None
    return found


def _all_said(section: BaseModel, method: str, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path of the option, sentence) of what a section, and those in it, say by this method of theirs."""
    says = getattr(section, method, None)
    for option, sentence in says() if says is not None else ():
        yield (*path, option), sentence
    for name, info in type(section).model_fields.items():
        inner = getattr(section, name)
        if isinstance(inner, BaseModel):
            yield from _all_said(inner, method, (*path, info.alias or name))


def _secret_paths(section: BaseModel) -> list[tuple[str, ...]]:
    """The paths of all secrets that have a value."""
    paths: list[tuple[str, ...]] = []

    def look(value: object, path: tuple[str, ...]) -> None:
        if isinstance(value, BaseModel):
            for name, info in type(value).model_fields.items():
                look(getattr(value, name), (*path, info.alias or name))
        elif isinstance(value, dict):
            for name, inner in value.items():
                look(inner, (*path, str(name)))
        elif hasattr(value, "get_secret_value"):
            paths.append(path)

    look(section, ())
    return paths
