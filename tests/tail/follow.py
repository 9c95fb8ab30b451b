"""What the tests of following share: a directory, a follower, a clock that is moved by hand, and the lines that came out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from shipper.tail import Follower, Mark, listing, measure
from shipper.tail.marks import Read


class Desk:
    """A follower over `DIR/app*`; what it reads is settled at once, and remembered when `restart` says so. `wall` is well after the times of
    all files, so that archives count as complete."""

    def __init__(self, directory: Path, *patterns: str, **settings: Any) -> None:
        self.directory = directory
        self.patterns = [str(directory / pattern) for pattern in patterns or ("app*",)]
        self.settings = settings
        self.now = 1000.0
        self.wall = 4e9
        self.lines: list[str] = []
        self.places: list[tuple[str, int]] = []
        self.notices: list[str] = []
        self.unfinished: list[str] = []
        self.follower = Follower(notice=self.notices.append, **settings)

    def path(self, name: str = "app.log") -> Path:
        return self.directory / name

    def write(self, *lines: str, name: str = "app.log") -> None:
        with self.path(name).open("ab") as file:
            file.write("".join(line + "\n" for line in lines).encode())

    def copy(self, name: str, of: str = "app.log") -> None:
        shutil.copyfile(self.path(of), self.path(name))

    def look(self, seconds: float = 0.5) -> None:
        self.now += seconds
        self.wall += seconds
        found = listing(self.patterns, known=[tail.real for tail in self.follower.tails if tail.real])
        self.follower.look(found, self.now, self.wall)
        while (wanted := self.follower.unmeasured()) is not None:
            try:
                self.follower.measured(wanted[0], measure(wanted[0].path, wanted[1]), self.now)
            except OSError as error:
                self.follower.measured(wanted[0], error, self.now)
            self.follower.look(found, self.now, self.wall)

    def read(self, slices: int = 1_000_000) -> list[str]:
        """Up to so many slices; gives the new lines."""
        before = len(self.lines)
        while slices > 0 and (ready := self.follower.ready(self.now)):
            for tail in ready[:slices]:
                slices -= 1
                for piece in self.follower.read(tail, self.now):
                    for block in piece.blocks:
                        lines = block.data.decode("utf-8", "replace").split("\n")
                        self.lines += lines
                        self.places.append((tail.path, block.offset))
                        if piece.unfinished:
                            self.unfinished.append(lines[-1])
                    tail.settled = piece.point
        return self.lines[before:]

    def poll(self, seconds: float = 0.5) -> list[str]:
        """A look, and all that can be read then."""
        self.look(seconds)
        return self.read()

    def wait(self, seconds: float) -> list[str]:
        """That time in looks of half a second."""
        before = len(self.lines)
        for _ in range(int(seconds * 2)):
            self.poll()
        return self.lines[before:]

    def marks(self) -> list[Mark]:
        return [tail.mark() for tail in self.follower.tails]

    def stop(self) -> list[Mark]:
        marks = self.marks()
        self.follower.close()
        return marks

    def start(self, marks: list[Mark]) -> None:
        self.follower = Follower(marks, first=False, notice=self.notices.append, **self.settings)

    def restart(self) -> None:
        self.start(self.stop())


def reading(octets: bytes) -> Read:
    return lambda offset, size: octets[offset : offset + size]
