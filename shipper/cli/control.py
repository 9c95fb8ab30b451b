"""What `status` and `tap` ask of a running service: HTTP over the Unix socket in its state directory."""

from __future__ import annotations

import http.client
import os
import socket
from pathlib import Path
from typing import Any

from shipper.errors import Failure


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float | None) -> None:
        super().__init__("shipper", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            # By way of the descriptor, as the address of a Unix socket has 107 octets at most.
            self.sock.connect(f"/proc/self/fd/{directory}/{self._path.name}" if len(os.fsencode(self._path)) > 100 else str(self._path))
        finally:
            os.close(directory)


def state_of(place: str) -> Path:
    """The state directory: `place` itself, or the one that the configuration of this name says. Raises `Failure`."""
    if Path(place).is_dir():
        return Path(place)
    from shipper.config.load import load
    from shipper.config.state import state_path

    # The service's variables are not ours: `state` is all that is wanted.
    loaded = load(place, os.environ, lenient=True)
    if loaded.config is None:
        first = next(iter(loaded.errors), None)
        raise (
            Failure(first.number, first.message, place=str(first.place)) if first else Failure("R508", f"'{place}' says no state directory")
        )
    return state_path(loaded.config.settings)


def asked(state: Path, page: str, seconds: float | None = None) -> http.client.HTTPResponse:
    """The answer, its body not yet read; `seconds`: how long the service may be silent. Raises `Failure` R508."""
    from shipper.config.state import CONTROL

    connection: Any = _UnixConnection(state / CONTROL, seconds)
    try:
        connection.request("GET", page)
        response: http.client.HTTPResponse = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise Failure("R508", f"no service answers for the state directory '{state}': {reason}") from None
    return response
