"""The MTA configuration file (imta.cnf): which channels log.

    ! rewrite rules, up to the first empty line
    .    $U%$H$D@tcp_local-daemon

    defaults logging notices 1 2 4 7

    tcp_local smtp nologging \\
     logheader 3
    tcp-daemon

- A comment begins with `!` in the first column (or `;`, which the MTA takes for one by default); it is no empty line. A line that begins with
  `<` stands for the file that it names. A line that ends in `\\` goes on in the next.
- The first line of a block is a channel with its keywords; the other lines of the block are names of hosts. Keywords in any case.
- `defaults` holds for the channels below it, on top of the `defaults` before it; `nodefaults` ends that. What a channel says itself comes
  first, and of two keywords in one line the last.

Sources: "MTA Configuration File" of the Messaging Server reference (acmjt), "Configuring Channel Defaults" of the guide (bgamr).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from shipper.errors import Place, Problem
from shipper.mailserver.lines import Line, logical
from shipper.mailserver.optionfile import integer
from shipper.mailserver.settings import Setting

COMMENTS = "!;"
MAX_DEPTH = 8
"""How deep files may name files."""
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')

Opener = Callable[[str, str, Place, bool], tuple[str, str] | None]
"""(path as written, file that names it, place, whether it may be missing) -> its name and text; None when it could not be read, which the
opener has said."""


class Channels:
    """What imta.cnf says of logging. `logging`, `headers`: channel -> setting, `""` for a channel that is not there."""

    def __init__(self, file: str, text: str, opened: Opener) -> None:
        self.logging: dict[str, Setting] = {}
        self.headers: dict[str, Setting] = {}
        self.problems: list[Problem] = []
        self.places: dict[str, Place] = {}
        self._opened = opened
        self._in_rules = True
        self._default: Setting | None = None
        self._default_header: Setting | None = None
        first = True
        for line in self._lines(file, text, (file,)):
            if not line.text.strip():
                self._in_rules, first = False, True
                continue
            if first and not self._rules():
                self._block(line)
            first = False
        self._end(file)

    def _end(self, file: str) -> None:
        if self._default:
            self.logging[""] = self._default
        if self._default_header:
            self.headers[""] = self._default_header
        if not self.places:
            message = "there is no channel in this file: the first empty line ends the rewrite rules, and channels stand behind it"
            self.problems.append(Problem("C156", message, Place(file, 1, 1), warning=True))

    def _rules(self) -> bool:
        return self._in_rules

    def _lines(self, file: str, text: str, above: tuple[str, ...]) -> Iterator[Line]:
        lines = list(logical(file, text, COMMENTS, strip=False))
        if lines and not lines[-1].text and text.endswith(("\n", "\r")):
            lines.pop()  # what stands behind the last line end is no empty line
        for line in lines:
            if not line.text.startswith("<"):
                yield line
                continue
            place = line.place(1, len(line.text) - 1)
            opened = self._opened(line.text[1:].strip(), file, place, self._in_rules) if len(line.text) > 1 else None
            if opened is None:
                continue
            if opened[0] in above or len(above) >= MAX_DEPTH:
                message = (
                    f"'{line.text[1:].strip()}' names itself" if opened[0] in above else f"files name files more than {MAX_DEPTH} deep"
                )
                self.problems.append(Problem("C115", message, place))
                continue
            yield from self._lines(*opened, (*above, opened[0]))

    def _block(self, line: Line) -> None:
        words = list(_WORD.finditer(line.text))
        name = words[0][0]
        if name.lower() == "nodefaults":
            self._default = self._default_header = None
            return
        logging, header = None, None
        for number, word in enumerate(words[1:], 1):
            keyword = word[0].lower()
            if keyword in ("logging", "nologging"):
                setting = Setting(keyword, int(keyword == "logging"), line.span(word, 0), keyword)
                if logging and logging.value != setting.value:
                    self._twice(name, logging, setting)
                logging = setting
            elif keyword == "logheader":
                header = self._header(line, word, words[number + 1] if number + 1 < len(words) else None) or header
        if name.lower() == "defaults":
            self._default, self._default_header = logging or self._default, header or self._default_header
            return
        place = line.span(words[0], 0)
        if name in self.places:
            notes = (f"the first one is at {self.places[name]}",)
            self.problems.append(Problem("C155", f"channel '{name}' is there twice: the last one holds", place, "", notes, warning=True))
        self.places[name] = place
        self.logging[name] = logging or self._default or Setting("nologging", 0)
        if kept := header or self._default_header:
            self.headers[name] = kept

    def _header(self, line: Line, word: re.Match[str], value: re.Match[str] | None) -> Setting | None:
        number = integer(value[0]) if value else None
        if value is None or number is None or number < 0:
            message = f"logheader must have a number{f', not {value[0]!r}' if value else ''}"
            notes = ("0: no headers, 1: when a message is dequeued, 3: also when it is enqueued",)
            self.problems.append(Problem("C115", message, line.span(value or word, 0), "", notes))
            return None
        return Setting("logheader", number, line.span(word, 0), value[0])

    def _twice(self, channel: str, first: Setting, second: Setting) -> None:
        assert second.place
        message = f"'{channel}' has both 'logging' and 'nologging': '{second.name}' holds"
        self.problems.append(Problem("C155", message, second.place, "", (f"'{first.name}' is at {first.place}",), warning=True))
