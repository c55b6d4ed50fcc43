"""A WebSocket stream in the place of somebody who is called: `connect` to `stream:wss://...`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..errors import LocalError, PeerError
from ..swml.actions import Destination
from .dialing import NotDialled
from .streaming import Stream, StreamOrder

if TYPE_CHECKING:
    from .call import Call


class StreamPeer:
    """The server of a stream, who hears what the caller says and whom the caller hears.

    It has no call of its own: it answers by being there, and nobody is asked to confirm.
    """

    def __init__(self, call: Call, destination: Destination) -> None:
        """`destination` is one of the kind `stream`."""
        assert destination.stream is not None
        target = destination.stream
        self._call = call
        self._timeout = destination.timeout
        self._order = StreamOrder.to(target, bidirectional=True, realtime=target.realtime)
        self._stream: Stream | None = None

    async def open(self) -> None:
        """Connect, and let the two hear each other from now on; NotDialled when it cannot be."""
        try:
            async with asyncio.timeout(self._timeout):
                self._stream = await self._call.outputs.begin_stream(self._call, self._order)
        except TimeoutError:
            raise NotDialled(f"not connected within {self._timeout:g} s") from None
        except PeerError as error:
            raise NotDialled(error.reason) from None
        except LocalError as error:
            raise NotDialled(str(error)) from None

    async def talk(self, max_duration: float | None) -> None:
        """Wait until the server has gone, or for as long as the two may be joined."""
        assert self._stream is not None
        timer = None
        if max_duration is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(max_duration, self.hang_up, "max_duration")
        try:
            await self._call.unless_over(self._stream.over.wait())
        finally:
            if timer is not None:
                timer.cancel()

    def hang_up(self, _cause: str) -> None:
        """End the stream, unless that is done; with the call it ends by itself."""
        if self._stream is not None and not self._call.ended:
            self._call.outputs.stop_stream(self._stream.control_id)
