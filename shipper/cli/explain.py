"""`shipper explain`: a word of the mail server's logs or settings, in words."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from shipper.cli import terminal

CONTEXT: dict[str, Any] = {"ignore_unknown_options": True}
"""`-1` is a debug mask and `-` a direction: words, not options."""


def explain(
    words: Annotated[list[str] | None, typer.Argument(metavar="WORD", help="What to explain; none: what can be asked.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a word, for machines.")] = False,
) -> None:
    """Say what a WORD of the logs or settings means, in words, ECS, OTel, OCSF.

    Entry codes, SMTP and enhanced status codes, MTA and log file options with
    a value or without, levels, syslog priorities, debug masks, file names,
    fields of our records, error numbers of ours.

    \b
    Examples:
      shipper explain EEQ
      shipper explain 5.7.1 550
      shipper explain LOG_CONNECTION=3 LOG_MESSAGES_SYSLOG=-22
      shipper explain FFFFFFFF

    Exit code: 0, or 1 when a word is not known (the nearest names are shown).
    """
    import msgspec

    from shipper.explain import as_data, as_text, nearest, overview
    from shipper.explain import explain as meanings_of
    from shipper.screen import escaped

    for word in words or ():
        if word.startswith("--"):
            raise typer.BadParameter(f"no such option: {escaped(word)}")
    terminal.be_lenient()
    width, emphasis = terminal.width(), terminal.emphasis()
    if not words:
        sys.stdout.write(overview(width, emphasis))
        return
    unknown = False
    for number, word in enumerate(words):
        meanings = meanings_of(word)
        unknown = unknown or not meanings
        if json:
            answer = as_data(escaped(word), meanings)
            if not meanings:
                answer["nearest"] = nearest(word)
            sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        elif meanings:
            sys.stdout.write(("\n" if number else "") + as_text(meanings, width, emphasis))
        else:
            sys.stdout.flush()
            close = nearest(word)
            sys.stderr.write(f"error: '{escaped(word)}' is none of the words we know\n")
            if close:
                sys.stderr.write(f"  = did you mean {', '.join(repr(name) for name in close)}?\n")
            sys.stderr.write("  = help: shipper explain, without a word, shows what can be asked\n")
    if unknown:
        raise typer.Exit(1)
