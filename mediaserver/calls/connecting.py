"""Connecting a call on: others are dialled, one of them answers, the two are joined (contract A8).

Groups of destinations are dialled one after the other, those in a group at the same time. The
first that answers, and confirms where that is asked, is the peer; the rest are given up.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..errors import LocalError
from ..swml.actions import Confirm, Connect, Destination, Ringing
from ..swml.actions import Source as AudioSource
from .bridge import Bridge
from .call_state import CallState, device_of
from .destination import Peer, place
from .dialing import NotDialled
from .document_source import DocumentSource
from .ending import CallOver
from .floor import Rank
from .playback import PlayOrder
from .source import Source
from .stream_peer import StreamPeer

if TYPE_CHECKING:
    from .call import Call
    from .outbound import OutboundCall

RINGBACK_COUNTRY: Final = "us"
"""Whose ringing tone a caller hears who was answered, where nothing else is to be heard."""

ELSEWHERE: Final = "transferred elsewhere"
"""Why somebody who answered is no peer."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why nobody was reached."""

    reason: str


async def connect(call: Call, order: Connect) -> dict[str, Any]:
    """Connect a call on and stay until its peer has gone; return the variables.

    CallOver when the call itself ends; the peer ends with it.
    """
    connection = Connection(call, order)
    released = False
    try:
        found = await connection.dial()
        if isinstance(found, Failure):
            return {
                "connect_result": "failed",
                "connect_failed_reason": found.reason,
                "return_value": "failed",
            }
        await call.answer()
        released = await connection.talk(*found)
    finally:
        if not released:
            connection.let_go()
    return {"connect_result": "connected", "return_value": "connected"}


class Connection:
    """One `connect` of one call."""

    def __init__(self, call: Call, order: Connect) -> None:
        self._call = call
        self._order = order
        self._ringback: asyncio.Task[bool] | None = None
        self._early: Bridge | None = None
        self._found: Peer | None = None

    async def dial(self) -> tuple[Peer, Destination] | Failure:
        """Dial until somebody is there who wants to be."""
        failure = Failure("there is nobody to be called")
        try:
            if self._order.ringback:
                self._call.ring_early()
                self._begin_ringback(self._order.ringback)
            for group in self._order.groups:
                found = await self._dial_group(group)
                if not isinstance(found, Failure):
                    self._found = found[0]
                    return found
                failure = found
            return failure
        finally:
            await self._end_ringback()
            if self._early is not None and self._early.placed is not self._found:
                self._part_early()

    def let_go(self) -> None:
        """End the call to whoever was found."""
        self._part_early()
        if self._found is not None:
            _give_up(self._found, "hangup")

    async def talk(self, peer: Peer, destination: Destination) -> bool:
        """Join the two until one of them goes, or until they are parted; True: the peer stays."""
        call = self._call
        if isinstance(peer, StreamPeer):
            await peer.talk(destination.max_duration)
            return False
        if peer.redirected.is_set():
            self._tell(destination, "failed", peer, ELSEWHERE)
            return True
        timer = None
        if destination.max_duration is not None:
            timer = asyncio.get_running_loop().call_later(
                destination.max_duration, peer.hang_up, "max_duration"
            )
        bridge, self._early = self._early or Bridge(call, peer), None
        try:
            self._tell(destination, "connected", peer)
            await call.unless_over(_first_of(peer.wait_over(), bridge.released.wait()))
            return bridge.released.is_set() and not peer.ended
        finally:
            bridge.part()
            if timer is not None:
                timer.cancel()
            self._tell(destination, "disconnected", peer)

    async def _dial_group(
        self, group: tuple[Destination, ...]
    ) -> tuple[Peer, Destination] | Failure:
        failure = Failure("there is nobody to be called")
        tries: dict[asyncio.Task[Failure | None], tuple[Peer, Destination]] = {}
        try:
            for destination in group:
                try:
                    peer = place(self._call, destination)
                except (NotDialled, LocalError) as error:
                    self._call.log.warning("not dialled", error=str(error))
                    failure = Failure(str(error))
                    self._tell(destination, "failed", reason=failure.reason)
                    continue
                work = self._try(peer, destination, alone=len(group) == 1)
                tries[asyncio.ensure_future(work)] = peer, destination
                self._tell(destination, "connecting", peer)
            while tries:
                done, _ = await self._call.unless_over(
                    asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
                )
                for task in done:
                    peer, destination = tries.pop(task)
                    result = task.result()
                    if result is None:
                        return peer, destination
                    failure = result
                    self._tell(destination, "failed", peer, failure.reason)
            return failure
        finally:
            for task, (peer, _) in tries.items():
                task.cancel()
                _give_up(peer, "cancel")
            await asyncio.gather(*tries, return_exceptions=True)

    async def _try(self, peer: Peer, destination: Destination, *, alone: bool) -> Failure | None:
        """Wait until somebody answers and confirms; return why not, or None.

        While only one is rung, the caller hears what that one lets him hear.
        """
        if isinstance(peer, StreamPeer):
            try:
                await peer.open()
            except NotDialled as error:
                return Failure(str(error))
            return None
        if destination.confirm is None:
            peer.on_answer = partial(self._join, peer)
        try:
            while not peer.answered and not peer.ended:
                if peer.state is CallState.RINGING:
                    self._ring(peer, alone=alone)
                peer.progress.clear()
                with suppress(CallOver):
                    await peer.unless_over(peer.progress.wait())
            if peer.ended or not await self._confirmed(peer, destination):
                return Failure(_why(peer))
        except asyncio.CancelledError:
            _give_up(peer, "cancel")
            raise
        return None

    async def _confirmed(self, peer: OutboundCall, destination: Destination) -> bool:
        """Let the one who answered decide; tell whether it is there and stays."""
        confirm = destination.confirm
        if confirm is None:
            return not peer.ended
        self._part_early()
        asking = asyncio.ensure_future(peer.perform(_source(confirm)))
        taken = asyncio.ensure_future(peer.redirected.wait())
        try:
            async with asyncio.timeout(destination.confirm_timeout):
                await asyncio.wait({asking, taken}, return_when=asyncio.FIRST_COMPLETED)
            if peer.redirected.is_set():  # that document has the call now, and this one goes on
                peer.refusal = 480, ELSEWHERE
                return False
            asking.result()
        except TimeoutError:
            peer.refusal = 408, "not confirmed in time"
            peer.hang_up("hangup")
        except CallOver:
            peer.refusal = 480, "not confirmed"
        finally:
            for task in (asking, taken):
                task.cancel()
            await asyncio.gather(asking, taken, return_exceptions=True)
        return not peer.ended

    def _ring(self, peer: OutboundCall, *, alone: bool) -> None:
        """Let the caller know that it rings, and hear what the far end sends if it does."""
        call = self._call
        if self._order.ringback or self._early is not None:
            return
        if alone and peer.early and call.ring_early():
            self._stop_ringback()
            self._early = Bridge(call, peer)
        elif self._ringback is None:
            if call.answered:
                self._begin_ringback((Ringing(RINGBACK_COUNTRY, math.inf),))
            else:
                call.ring()

    def _join(self, peer: OutboundCall) -> None:
        """Join the caller with who has just answered: not one word is to be lost."""
        if self._call.bridge is None and not self._call.ended:
            self._stop_ringback()
            heard = self._call.floor.top
            if heard is not None and heard.rank is Rank.GIVES_WAY:
                heard.lose()  # at once: a task is cancelled when it runs next
            self._early = Bridge(self._call, peer)

    def _begin_ringback(self, sources: tuple[AudioSource, ...]) -> None:
        order = PlayOrder(sources=sources, loop=0, gives_way=True)
        self._ringback = asyncio.ensure_future(self._call.playbacks.play(order))

    def _stop_ringback(self) -> None:
        if self._ringback is not None:
            self._ringback.cancel()

    async def _end_ringback(self) -> None:
        self._stop_ringback()
        if self._ringback is not None:
            await asyncio.gather(self._ringback, return_exceptions=True)
            self._ringback = None

    def _part_early(self) -> None:
        early, self._early = self._early, None
        if early is not None:
            early.part()

    def _tell(
        self,
        destination: Destination,
        state: str,
        peer: Peer | None = None,
        reason: str | None = None,
    ) -> None:
        """Tell `calling.call.connect`; of a stream its own events tell (contract A8)."""
        url = destination.status_url
        if url is None or destination.kind == "stream":
            return
        told: dict[str, Any] = {"connect_state": state}
        stream = f"{self._call.id}-connect"
        if reason is not None:
            told["failed_reason"] = reason
        if peer is not None and not isinstance(peer, StreamPeer):
            record = peer.resource
            device = device_of(record.from_, record.to)
            told["peer"] = {"call_id": peer.id, "node_id": peer.envelope.node_id, "device": device}
            stream += f"-{peer.id}"
        self._call.announcer.say("calling.call.connect", told, url, stream)


def _give_up(peer: Peer, cause: str) -> None:
    """End the call to somebody, unless an application has given that a document of its own."""
    if isinstance(peer, StreamPeer) or not peer.redirected.is_set():
        peer.hang_up(cause)


async def _first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait for whichever comes first, and no longer for the rest."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _source(confirm: Confirm) -> Source:
    if confirm.document is not None:
        return Source(confirm.document)
    assert confirm.url is not None
    return Source(DocumentSource(url=confirm.url))


def _why(peer: OutboundCall) -> str:
    """Return why a call of ours came to nothing."""
    if peer.refusal is not None:
        status, reason = peer.refusal
        return f"{status} {reason}"
    return peer.cause or "error"
