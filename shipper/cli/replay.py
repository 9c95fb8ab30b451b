"""`shipper replay`: dead letters, sent again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from shipper.cli import configuration, reading, terminal
from shipper.errors import EX_STRICT, EX_TEMPFAIL, Failure
from shipper.screen import escaped

MEMORY = 16 << 20
"""Octets of letters that are held while they are sent."""


def replay(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The configuration that has the outputs.")],
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Files of dead letters; without any, all that wait.")] = None,
    to: Annotated[str, typer.Option("--to", metavar="OUTPUT", help="Send to this output, instead of the one they were for.")] = "",
    show: Annotated[bool, typer.Option("--list", help="Show what waits, and why it was refused; send nothing.")] = False,
    patience: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Give up when the receiver takes nothing for so long.")] = 30.0,
) -> None:
    """Send set-aside records again, after what was wrong has been mended.

    What is refused again is set aside again, in a new file. A file that was sent
    is kept under a name that ends in .replayed. The service may run meanwhile,
    but for an output that is a file: nothing is sent while it writes there.

    \b
    Examples:
      shipper replay shipper.yaml --list
      shipper replay shipper.yaml
      shipper replay shipper.yaml /var/lib/shipper/dead-letters/elk/00000001.jsonl

    Exit code: 0; 1 when some were set aside again; 66 nothing to replay; 75 the
    receiver takes nothing, and the file is left for the next time.
    """
    from shipper.config.state import DEAD_LETTERS, state_path
    from shipper.deadletter import waiting_files
    from shipper.process import open_log

    terminal.be_lenient()
    read = configuration.read(config)
    if to and to not in read.outputs:
        raise Failure("R510", f"there is no output '{to}'", notes=reading.did_you_mean(to, read.outputs))
    root = state_path(read.settings) / DEAD_LETTERS
    paths = [Path(name) for name in files or []]
    for path in paths:
        if not path.is_file():
            raise Failure("I201", f"there is no file '{path}'")
    if not files:
        paths = [path for name in read.outputs for path in waiting_files(root / name)]
    if not paths:
        raise Failure("R510", f"no dead letters wait in '{root}'")
    if show:
        for path in paths:
            sys.stdout.write(f"{escaped(str(path))}\n" + "".join(f"  {one}\n" for one in _reasons(path)))
        return
    open_log("text", "warning")
    codes = [_send(path, to, read, root, patience) for path in paths]
    if any(codes):
        raise typer.Exit(max(codes))


def _reasons(path: Path) -> Iterator[str]:
    from collections import Counter

    from shipper.deadletter import Letter, letters

    counts: Counter[str] = Counter()
    for letter in letters(path):
        counts[f"output '{letter.output}': {letter.reason}" if isinstance(letter, Letter) else "damaged lines"] += 1
    for reason, count in counts.most_common(20):
        yield f"{count:,} {escaped(reason)}"


def _send(path: Path, to: str, read: Any, root: Path, patience: float) -> int:
    """Sends one file: 0, or the exit code that says what was not good."""
    import asyncio

    from shipper.buffer import MemoryBuffer
    from shipper.deadletter import DeadLetters, Letter, claim, finished, letters
    from shipper.lane import Lane
    from shipper.pipeline import send_again
    from shipper.service import output_of

    first = next((letter for letter in letters(path) if isinstance(letter, Letter)), None)
    name = to or (first.output if first else "")
    if name not in read.outputs:
        raise Failure(
            "R510", f"'{path}' is for output '{name}', which the configuration does not have", notes=["say another one with --to"]
        )
    claimed = claim(path)
    damaged: list[int] = []

    def payloads() -> Iterator[tuple[bytes, int]]:
        for letter in letters(claimed):
            if isinstance(letter, int):
                damaged.append(letter)
            else:
                yield letter.payload, letter.time

    lane = Lane(output_of(name, read.outputs[name], read.server), MemoryBuffer(MEMORY), DeadLetters(root / name))
    done = asyncio.run(send_again(lane, payloads(), patience))
    again = sum(lane.set_aside.values())
    told = (
        f"{escaped(str(path))}: {lane.counts.delivered:,} delivered to '{name}', {again:,} set aside again, {len(damaged):,} damaged lines"
    )
    if not done:
        sys.stdout.write(f"{told}; the receiver takes nothing: {escaped(lane.last_error)}\n")
        return EX_TEMPFAIL
    sys.stdout.write(f"{told}; kept as {finished(claimed).name}\n")
    return EX_STRICT if again or damaged else 0
