"""The `shipper` command. For `run` signals come first, before anything is loaded: a TERM then ends what has not begun, with exit code 0."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """The entry point."""
    if sys.argv[1:2] == ["run"]:
        # A process that is PID 1 has no default for signals, and a HUP may come before there is anything to reload.
        signal.signal(signal.SIGTERM, _not_begun)
        signal.signal(signal.SIGINT, _not_begun)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from shipper.cli import main as command

    command()


def _not_begun(number: int, _: object) -> None:
    """Until the service handles them itself there is nothing to end: what it has opened is as good after a kill."""
    os._exit(0)


if __name__ == "__main__":
    main()
