"""Two calls joined: each hears the other, and keys cross in the form the other side took."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from .keys import press

if TYPE_CHECKING:
    from .call import Call


class Bridge:
    """Joins two calls from its construction to `part`, or to the end of either."""

    def __init__(self, one: Call, other: Call) -> None:
        """Both have media legs; a call is in one bridge at a time. `other` was placed for `one`."""
        assert one.media is not None
        assert other.media is not None
        assert one.bridge is None
        assert other.bridge is None
        self._calls = (one, other)
        self.placed = other
        """The call that was placed for `one`."""
        self.released = asyncio.Event()
        """Set when they were parted so that both stay up."""
        one.services.media.join(one.media, other.media)
        self._listeners = [(call, partial(self._on_key, call)) for call in self._calls]
        for call, listener in self._listeners:
            call.bridge = self
            if call.capture is not None:
                call.capture.key_listeners.append(listener)

    def other(self, call: Call) -> Call:
        """Return the call that `call` is joined to."""
        one, other = self._calls
        return other if call is one else one

    def on_info(self, call: Call, digit: str) -> None:
        """Pass on a key that came by SIP INFO, after the listeners of `call` were told of it."""
        if self._takes_events(self.other(call)):
            self._press(call, digit)

    def release(self) -> None:
        """Join them no longer, and end neither."""
        self.part()
        self.released.set()

    def part(self) -> None:
        """Join them no longer."""
        one, _ = self._calls
        for call, listener in self._listeners:
            if call.bridge is self:
                call.bridge = None
                call.playbacks.part(self.other(call))
                if call.capture is not None:
                    call.capture.key_listeners.remove(listener)
        live = next((call for call in self._calls if not call.ended), None)
        if live is not None and live.media is not None:
            one.services.media.part(live.media)

    def _on_key(self, call: Call, digit: str, _position: int) -> None:
        """Pass on a key that came as RTP, where its packets cannot cross as they are."""
        if not self._takes_events(self.other(call)):
            self._press(call, digit)

    def _press(self, call: Call, digit: str) -> None:
        other = self.other(call)
        if not other.ended:
            other.spawn(_press(other, digit))

    @staticmethod
    def _takes_events(call: Call) -> bool:
        session = call.media.session if call.media is not None else None
        return session is not None and session.send_events is not None


async def _press(call: Call, digit: str) -> None:
    await press(call, digit)
