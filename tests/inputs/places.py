"""Positions that live as long as a test: what an input remembers over its restarts."""

from __future__ import annotations

from typing import Any


class Places(dict[str, Any]):
    """`inputs.base.Places` in memory."""

    def load(self) -> dict[str, Any]:
        return dict(self)

    def save(self, places: dict[str, Any]) -> None:
        self.clear()
        self.update(places)
