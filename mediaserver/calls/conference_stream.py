"""The stream of a conference: all that is said in it, and a voice in it (contract A8)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from ..errors import LocalError, PeerError
from ..recording.resource import Direction
from .announcer import Announcer
from .background import Background
from .capture import Capture
from .ending import CallOver, Ending
from .floor import Floor, Rank, Turn
from .live_outputs import LiveOutputs
from .ports import LiveAudio, Mix, MixVoice
from .streaming import StreamOrder

if TYPE_CHECKING:
    from ..swml.actions import StreamTarget
    from .call import Call

T = TypeVar("T")

OVER: Final = "conference over"


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where the server of a stream is heard by all."""

    media: MixVoice
    floor: Floor = field(default_factory=Floor)


class ConferenceStream:
    """A `LiveHost`; it begins with its construction. The conference does not wait for it."""

    def __init__(self, opener: Call, target: StreamTarget, mix: Mix) -> None:
        """`opener` is the call that is named to the stream's server; it may end before."""
        self.id = opener.id
        self.services = opener.services
        self.envelope = opener.envelope
        self.log = structlog.get_logger(__name__).bind(call_id=opener.id)
        self.capture: Capture | None = None
        self._background = Background(
            lambda error: self.log.error("work of a stream failed", exc_info=error)
        )
        self.announcer = Announcer(
            self.services.outbox, self.envelope, self.id, self.services.clock, self.spawn
        )
        self._over = Ending()
        self._mix = mix
        self._outputs = LiveOutputs()
        self.spawn(self._begin(StreamOrder.to(target, bidirectional=target.realtime)))

    @property
    def ended(self) -> bool:
        """Whether the conference is over."""
        return self._over.done()

    async def unless_over(self, step: Awaitable[T]) -> T:
        """See `Ending.unless_over`."""
        return await self._over.unless_over(step)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """See `Background.spawn`."""
        return self._background.spawn(work)

    def end(self) -> None:
        """End it, because the conference is over."""
        self._over.come(OVER)

    def stop(self, control_id: str) -> bool:
        """End it by command; False if it is called otherwise, or does not run any more."""
        return self._outputs.stop_stream(control_id)

    async def finished(self) -> None:
        """Wait until it has said goodbye."""
        await self._background.finish()

    async def _begin(self, order: StreamOrder) -> None:
        try:
            await self._outputs.begin_stream_of(self, order, self._open)
        except (PeerError, LocalError) as error:
            self.log.warning("conference not streamed", error=str(error))
        except CallOver:
            pass

    def _open(self, _: Direction, ptime: int) -> tuple[LiveAudio, Turn]:
        if self.ended:
            raise CallOver
        voice = self._mix.voice(ptime)
        return voice, Turn(_Stage(voice), Rank.WAITS)
