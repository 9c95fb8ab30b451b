"""The rule of the rooms: who may import whom, and what every room owes. `docs/architecture.md` says why."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.cli import COMMANDS
from shipper.formats import FORMATS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "shipper"

WAY = (
    ("record", "events", "errors", "screen"),
    ("stamps", "window", "framing", "sources", "archives", "lines", "durable"),
    ("identity", "dedupe"),
    ("formats",),
    ("mailserver",),
    ("reader",),
    ("profiles",),
    ("compiled",),
    ("payloads",),
    ("fused",),
    ("straight",),
    ("messages",),
    ("passage", "outfile"),
    ("workers",),
    ("convert",),
    ("units",),
    ("certificates",),
    ("batch", "checksum"),
    ("ledger", "intents"),
    ("tail",),
    ("inputs",),
    ("conditions",),
    ("changes",),
    ("redact",),
    ("router", "copies"),
    ("outputs",),
    ("segment",),
    ("spool", "recent", "retry", "deadletter"),
    ("buffer",),
    ("lane",),
    ("checkpoints",),
    ("config",),
    ("telemetry", "expiry", "process"),
    ("pipeline",),
    ("service",),
    ("knowledge",),
    ("explain",),
    ("doctor",),
    ("spans",),
    ("tryline",),
    ("generate",),
    ("cli",),
)
"""The rooms in the way of a record. A module imports from its own room and from those before it."""

PURE = (
    "record", "events", "screen", "window", "framing", "identity", "spans", "formats", "reader", "profiles", "fused", "messages", "passage",
    "knowledge", "explain", "tryline", "conditions", "changes", "redact", "router",
)  # fmt: skip
"""Rooms that know no file, socket, process or clock."""

OUTSIDE = {
    "asyncio", "glob", "io", "multiprocessing", "os", "pathlib", "random", "select", "shutil", "signal", "socket", "ssl", "subprocess", "sys",
    "tempfile", "threading", "time", "urllib",
}  # fmt: skip

MODULES = sorted(PACKAGE.rglob("*.py"))


def room(dotted: str) -> str:
    """`shipper.formats.xml` -> `formats`; the package itself is no room. Units of sizes and times are a room of their own, as sections have
    them that `config` collects."""
    if dotted.startswith("shipper.config.units"):
        return "units"
    return dotted.split(".")[1] if "." in dotted else ""


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, what is imported) of every import statement, inside functions too; `from shipper import events` is `shipper.events`."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield node.lineno, full if node.module == "shipper" else str(node.module)


def tracked() -> list[Path]:
    """What is, or would be, committed."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=False
    )
    if listing.returncode:
        pytest.skip("no git checkout")
    return [path for name in listing.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_imports_only_from_rooms_before_it(path: Path) -> None:
    """From formats to profiles to commands, never back and never sideways."""
    own = room(dotted(path))
    ranks = {name: rank for rank, names in enumerate(WAY) for name in names}
    if own in ("", "__main__"):
        return
    assert own in ranks, f"room '{own}' stands nowhere in WAY (tests/test_architecture.py): where in the way of a record is it?"
    for line, target in imports(path):
        if target.partition(".")[0] in ("tests", "bench"):
            pytest.fail(f"{path}:{line}: imports {target}")
        theirs = room(target) if target.startswith("shipper.") else ""
        if not theirs or target == "shipper.__version__":
            continue
        assert ranks.get(theirs, 99) < ranks[own] or theirs == own, f"{path}:{line}: '{own}' imports from '{theirs}'"


def test_every_room_is_on_the_map() -> None:
    """docs/architecture.md has a row for each."""
    rows = re.findall(r"^\| (.*?) \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)/?`", row)}
    there = {room(dotted(path)) for path in MODULES} - {"", "__main__"}
    assert there <= named
    assert named <= {name for names in WAY for name in names}


@pytest.mark.parametrize("path", [path for path in MODULES if room(dotted(path)) in PURE], ids=dotted)
def test_pure_rooms_touch_nothing_outside(path: Path) -> None:
    """Formats and profiles are functions of their arguments: no file, socket, process or clock, and no `now()`."""
    for line, target in imports(path):
        assert target.partition(".")[0] not in OUTSIDE, f"{path}:{line}: imports {target}"
    for node in ast.walk(ast.parse(path.read_bytes())):
        called = node.func if isinstance(node, ast.Call) else None
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        assert name not in ("now", "today", "utcnow", "open", "print", "input"), f"{path}:{getattr(node, 'lineno', 0)}: calls {name}()"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_begins_by_saying_what_it_is(path: Path) -> None:
    """One sentence at the top, and a name that is not a drawer for odds and ends."""
    tree = ast.parse(path.read_bytes())
    assert not tree.body or ast.get_docstring(tree), f"{path}: no docstring"
    assert not set(path.stem.lower().split("_")) & {"util", "utils", "common", "helper", "helpers", "misc", "manager"}, path
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            assert not re.search(r"(Manager|Helper|Util|Utils|Handler)$", node.name), f"{path}:{node.lineno}: {node.name}"


def test_formats_are_one_file_each_under_their_own_name() -> None:
    """The registry's names are unique, command-line safe, and each comes from a file of that name."""
    names = [form.name for form in FORMATS]
    assert len(set(names)) == len(names)
    for form in FORMATS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", form.name)
        assert form.parse_run.__module__.startswith("shipper.formats.")
        assert form.title


@pytest.mark.parametrize("name", [form.name for form in FORMATS])
def test_every_format_has_golden_cases(name: str) -> None:
    """A directory with at least one `input.log` and its `expected.jsonl`."""
    cases = sorted((ROOT / "tests" / "formats" / name).glob("*/input.log"))
    assert cases, f"tests/formats/{name}/ has no case"
    for case in cases:
        assert case.with_name("expected.jsonl").is_file(), case


@pytest.mark.parametrize("name", [form.name for form in FORMATS])
def test_every_format_is_documented(name: str) -> None:
    """docs/formats.md has a section for it, headed by its name."""
    headings = re.findall(r"^#+ .*$", (ROOT / "docs" / "formats.md").read_text(), re.MULTILINE)
    assert any(f"`{name}`" in heading for heading in headings), f"docs/formats.md has no heading with `{name}`"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    """The README, or a page of docs/, shows each command in use."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    assert any(f"$ shipper {command}" in page.read_text() for page in pages), f"no page shows `$ shipper {command}`"


def test_nothing_names_the_machine_it_was_written_on() -> None:
    """No home directory, no absolute path of a checkout, no package registry: those are the user's own settings."""
    private = re.compile(rb"/(?:home/\w+|root|Users/\w+|work)/|(?:py" rb"pi\.org|python" rb"hosted\.org)")
    for path in tracked():
        found = private.search(path.read_bytes())
        assert not found, f"{path.relative_to(ROOT)}: {found[0]!r}" if found else ""
