"""Who is told what becomes of a call (contract A12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .announcer import Announcer
from .call_state import CallState, StateWatch


class Watchers:
    """Those who watch one call."""

    def __init__(self, announcer: Announcer, call_id: str) -> None:
        self._announcer = announcer
        self._call_id = call_id
        self._watches: list[StateWatch] = []

    def add(self, watch: StateWatch) -> None:
        """Tell of every state that comes from now on."""
        self._watches.append(watch)

    @property
    def first(self) -> str | None:
        """The URL of whoever was the first."""
        return self._watches[0].url if self._watches else None

    def replace_first(self, url: str) -> None:
        """Tell `url` what the first of them was told, or else of the end."""
        events = self._watches[0].events if self._watches else frozenset({CallState.ENDED})
        self._watches[:1] = [StateWatch(url, events)]

    def tell_state(self, state: CallState, params: Mapping[str, Any]) -> None:
        """Tell `calling.call.state` to those who want this one."""
        for number, watch in enumerate(self._watches):
            if state in watch.events:
                self._announcer.say("calling.call.state", params, watch.url, self._stream(number))

    def tell(self, event: str, params: Mapping[str, Any], also: str | None = None) -> None:
        """Tell all, whichever states they want, of something else; `also` is a URL."""
        for number, watch in enumerate(self._watches):
            self._announcer.say(event, params, watch.url, self._stream(number))
        if also is not None and all(watch.url != also for watch in self._watches):
            self._announcer.say(event, params, also, f"{self._call_id}-event")

    def _stream(self, number: int) -> str:
        return f"{self._call_id}-state-{number}"
