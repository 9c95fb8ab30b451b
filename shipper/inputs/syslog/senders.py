"""Who may send, by address; and what was said about whom, so that it is said once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from loguru import logger

from shipper.screen import escaped

_REMEMBERED = 4096
_TOLD = 100
_HOUR = 3600


class Senders:
    """`networks`: those that may send; empty is everybody."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        self._networks = tuple(networks)
        self._known: dict[str, bool] = {}
        self._told: set[tuple[str, str]] = set()
        self._since = time.monotonic()

    @property
    def some(self) -> bool:
        """Whether only some may send."""
        return bool(self._networks)

    def allowed(self, peer: str) -> bool:
        """Whether this address may send. Said in our log when it may not."""
        if not self._networks:
            return True
        known = self._known.get(peer)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            address = ip_address(peer.partition("%")[0])
            known = self._known[peer] = any(address in network for network in self._networks)
            if not known:
                self.refused(peer, "not in `allow`")
        return known

    def refused(self, peer: str, reason: str) -> None:
        """Says once an hour that a sender was refused for this reason; of very many, that there are others. `reason` may be a stranger's words."""
        now = time.monotonic()
        if now - self._since > _HOUR:
            self._since = now
            self._told.clear()
        if (peer, reason) in self._told or len(self._told) > _TOLD:
            return
        self._told.add((peer, reason))
        if len(self._told) > _TOLD:
            logger.warning("syslog from others refused too: they are counted, and not named for an hour")
        else:
            logger.warning("syslog from {} refused: {}", peer, escaped(reason))
