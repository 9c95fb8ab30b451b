"""Any order of writing, rotating, copying, compressing, reading and stopping, against a model: the lines that are somewhere in the glob, or
were given out before they went, are all that may be expected, and each of them comes once."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shipper.tail import Mark
from tests.tail.follow import Desk


class Rotations(RuleBasedStateMachine):
    """`written`: all lines that were completed. A kill goes back to the marks of the last save, so that lines after it may come twice."""

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.desk = Desk(self.directory, max_open=3)
        self.saved: list[Mark] = []
        self.written: list[str] = []
        self.partial = ""
        self.files = 0
        self.repeatable = 0
        self.desk.path().touch()

    def teardown(self) -> None:
        if not hasattr(self, "desk"):
            return
        self.desk.wait(150)
        self.desk.follower.close()
        shutil.rmtree(self.directory)
        lines = [line for line in self.desk.lines if line]
        if self.partial in lines:  # of a file that was rotated in the middle of a line
            lines.remove(self.partial)
        if self.partial:
            self.written.pop()
        assert set(self.written) <= set(lines), f"lost {sorted(set(self.written) - set(lines))[:5]}"
        assert len(lines) <= len(self.written) + self.repeatable, f"{len(lines) - len(self.written)} came twice"
        assert self.desk.follower.lost_octets == 0

    def line(self, size: int) -> str:
        line = f"{len(self.written):07d} " + "x" * size
        self.written.append(line)
        return line

    @rule(count=st.integers(1, 60), size=st.sampled_from([10, 60, 400]))
    def write(self, count: int, size: int) -> None:
        """Whole lines, the first of which completes what was begun."""
        if self.partial:
            with self.desk.path().open("a") as file:
                file.write(self.written[-1][len(self.partial) :] + "\n")
            self.partial = ""
        self.desk.write(*[self.line(size) for _ in range(count)])

    @rule(part=st.integers(1, 20))
    def write_a_part(self, part: int) -> None:
        """The beginning of a line."""
        if not self.partial:
            self.partial = self.line(40)[:part]
            with self.desk.path().open("a") as file:
                file.write(self.partial)

    def complete(self) -> None:
        if self.partial:
            self.write(1, 10)

    @rule()
    def rename(self) -> None:
        """As logrotate does: the file gets a name of its own, a new one takes its place."""
        self.complete()
        self.files += 1
        self.desk.path().rename(self.desk.path(f"app.log.{self.files}"))
        self.desk.path().touch()

    @rule(looked=st.booleans(), count=st.integers(0, 80))
    def copy_and_truncate(self, looked: bool, count: int) -> None:
        """As logrotate does with `copytruncate`; perhaps looked at between the two."""
        self.complete()
        self.files += 1
        self.desk.copy(f"app.log.{self.files}")
        if looked:
            self.desk.look(0.1)
        os.truncate(self.desk.path(), 0)
        self.desk.write(*[self.line(60) for _ in range(count)])

    @rule(truncated=st.booleans())
    def copy_that_stays(self, truncated: bool) -> None:
        """Someone's backup of what was read; perhaps rotated by copying a while later."""
        self.complete()
        self.desk.write(*[self.line(400) for _ in range(12)])
        self.desk.wait(25)
        self.files += 1
        self.desk.copy(f"app.backup.{self.files}")
        self.write(3, 60)
        self.desk.wait(25)
        self.save()
        if truncated:
            self.copy_and_truncate(looked=True, count=2)

    @rule(number=st.integers(1, 5), looked=st.booleans())
    def compress(self, number: int, looked: bool) -> None:
        """A rotated file, as `gzip` does it: the new one first, then the old one goes."""
        path = self.desk.path(f"app.log.{number}")
        if path.exists() and path.stat().st_size:
            self.desk.path(f"app.log.{number}.gz").write_bytes(gzip.compress(path.read_bytes()))
            if looked:
                self.desk.look(0.1)
            path.unlink()

    @rule(count=st.integers(1, 100))
    def replace(self, count: int) -> None:
        """After all of it was read: another file under the old name."""
        self.complete()
        self.desk.wait(25)
        self.save()
        other = self.directory / "other"
        other.write_text("".join(self.line(60) + "\n" for _ in range(count)))
        other.rename(self.desk.path())

    @rule()
    def write_over(self) -> None:
        """After all of it was read: the same inode, other lines."""
        self.complete()
        self.desk.wait(25)
        self.save()
        self.desk.path().write_text("".join(self.line(60) + "\n" for _ in range(30)))

    @rule(seconds=st.sampled_from([0.1, 1.0, 30.0]))
    def look(self, seconds: float) -> None:
        self.desk.look(seconds)

    @rule(slices=st.integers(1, 3))
    def read(self, slices: int) -> None:
        self.desk.read(slices)

    @rule()
    def poll(self) -> None:
        self.desk.poll()

    @rule()
    def save(self) -> None:
        self.saved = self.desk.marks()
        self.at = len(self.desk.lines)

    @rule()
    def stop_and_start(self) -> None:
        """In good order: nothing twice."""
        self.save()
        self.desk.restart()

    @rule()
    def kill(self) -> None:
        """What was read after the last save comes again."""
        self.repeatable += len(self.desk.lines) - getattr(self, "at", 0)
        self.at = len(self.desk.lines)
        self.desk.follower.close()
        self.desk.start(self.saved)

    @invariant()
    def only_whole_lines(self) -> None:
        """No line is given out before it is complete, and none in pieces."""
        if hasattr(self, "desk"):
            known = set(self.written)
            for line in self.desk.lines[getattr(self, "checked", 0) :]:
                assert not line or (line in known and line != self.partial), line
            self.checked = len(self.desk.lines)


Rotations.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
TestRotations = Rotations.TestCase
