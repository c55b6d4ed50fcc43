"""A recording from its first sample to its last, and what is commanded of it meanwhile."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace

from ..clock import now_us
from ..recording import explanation
from ..recording.announcement import Envelope
from ..recording.end import ended
from ..recording.recorder import Stop
from ..recording.resource import Pause, PauseBehavior, Recording
from ..recording.states import State
from .capture import Capture
from .figures import leg_figures
from .recording_order import RecordingOrder
from .studio import Studio


class ActiveRecording:
    """One recording on one leg, and the commands it takes.

    It begins with its construction: should the call end at once, the recording ends with it.
    `see_through` follows it to its end; whatever goes wrong on the way, that is a final state
    that is announced. A command takes effect on the audio when it is given; that it is written
    down and announced follows, in the order of the commands.
    """

    def __init__(
        self,
        studio: Studio,
        capture: Capture,
        order: RecordingOrder,
        envelope: Envelope,
        call_id: str,
    ) -> None:
        self._studio = studio
        self._capture = capture
        self._envelope = envelope
        self._retention = order.policy.retention
        self._events: asyncio.Queue[Stop | tuple[State, tuple[Pause, ...]]] = asyncio.Queue()
        self._take = capture.start(order.rules, order.since)
        self._take.stopped.add_done_callback(self._stopped)
        self.recording = self._make(order, call_id)
        """As it was written down last."""
        studio.running[self.recording.id] = self
        studio.renderer.start()

    @property
    def over(self) -> bool:
        """Whether its last sample is known."""
        return self._take.stopped.done()

    @property
    def paused(self) -> bool:
        """Whether it is paused now."""
        return self._take.paused is not None

    @property
    def present(self) -> Recording:
        """As it stands now, written down or not; its span has an end once it is over."""
        end = self._take.stopped.result().position if self.over else None
        span = replace(self.recording.span, end=end)
        return replace(self.recording, span=span, pauses=self._take.pauses)

    async def settled(self) -> int:
        """Return the position up to which its audio is in the journal and changes no more.

        LocalError when the journal could not be written.
        """
        # Asked before: of what comes while the disk is waited for, nothing is known.
        end = self.present.span.end
        final = await self._capture.settled()
        return final if end is None else end

    async def ended(self) -> None:
        """Wait until its last sample is known."""
        await asyncio.shield(self._take.stopped)

    def when_over(self, tell: Callable[[], object]) -> None:
        """Have `tell` called once its last sample is known."""
        self._take.stopped.add_done_callback(lambda _: tell())

    def pause(self, behavior: PauseBehavior) -> bool:
        """Record nothing from now on; False if it is over, or paused already."""
        if not self._capture.pause(self._take, behavior):
            return False
        self._events.put_nowait((State.PAUSED, self._take.pauses))
        return True

    def resume(self) -> bool:
        """Record again; False if it is over, or not paused."""
        if not self._capture.resume(self._take):
            return False
        self._events.put_nowait((State.RECORDING, self._take.pauses))
        return True

    def stop(self) -> bool:
        """End it; False if it is over."""
        if self.over:
            return False
        self._capture.stop(self._take)
        return True

    async def see_through(self) -> Recording:
        """Write down and announce every state; return the final one."""
        try:
            return await self._see_through()
        finally:
            del self._studio.running[self.recording.id]

    async def _see_through(self) -> Recording:
        self.recording = await self._studio.ledger.begin(self.recording, self._envelope)
        while True:
            event = await self._events.get()
            if isinstance(event, Stop):
                break
            state, pauses = event
            paused = self.recording.become(state, pauses=pauses)
            self.recording = await self._studio.ledger.change(paused, self._envelope)
        stopped = self._as_it_stopped(event)
        try:
            await self._capture.finish(self._take)
        except Exception as error:
            self.recording = await self._studio.fail(stopped, error, self._envelope)
        else:
            self.recording = await self._studio.complete(stopped, self._envelope)
        return self.recording

    def _stopped(self, stopped: asyncio.Future[Stop]) -> None:
        if not stopped.cancelled():
            self._events.put_nowait(stopped.result())

    def _as_it_stopped(self, stop: Stop) -> Recording:
        figures = leg_figures(self._capture.statistics())
        stopped = ended(self.recording, stop, self._take.pauses, figures)
        assert stopped.ended_at is not None
        return replace(stopped, expires_at=_expiry(stopped.ended_at, self._retention))

    def _make(self, order: RecordingOrder, call_id: str) -> Recording:
        now = now_us(self._studio.clock)
        return Recording(
            id=str(uuid.uuid4()),
            project_id=self._envelope.project_id,
            call_id=call_id,
            control_id=order.control_id or str(uuid.uuid4()),
            source=order.source,
            state=State.RECORDING,
            format=order.format,
            direction=order.direction,
            stereo=order.stereo,
            status_url=order.status_url,
            created_at=now,
            started_at=now,
            span=self._capture.span(self._take),
            post_processing=order.policy.post_processing,
            ready_uri=order.policy.ready_uri,
            # Should the server be cut off, this is what its route said.
            expires_at=_expiry(now, self._retention),
            account=explanation.begin(order.rules),
        )


def _expiry(at: int, retention: float | None) -> int | None:
    return None if retention is None else at + round(retention * 1e6)
