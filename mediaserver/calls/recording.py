"""A recording from its first sample to its announced end."""

from __future__ import annotations

import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

import structlog

from ..clock import Clock
from ..errors import LocalError
from ..recording.announcement import Envelope
from ..recording.recorder import Stop, StopRules
from ..recording.rendering import Rendered, RenderJob
from ..recording.resource import Direction, Format, Recording, Source
from ..recording.states import ErrorCode, State, StopReason
from .capture import Capture, Take
from .ledger import Ledger
from .ports import Renderer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOrder:
    """What is to be recorded, whichever surface asked for it."""

    rules: StopRules
    format: Format
    direction: Direction
    stereo: bool
    status_url: str | None
    source: Source
    control_id: str | None = None
    since: int | None = None
    """Position on the leg's line it begins at, a moment ago; None: the present one."""


class RecordingRun:
    """One recording on one leg."""

    def __init__(
        self,
        ledger: Ledger,
        renderer: Renderer,
        clock: Clock,
        envelope: Envelope,
        data_dir: str,
    ) -> None:
        self._ledger = ledger
        self._renderer = renderer
        self._clock = clock
        self._envelope = envelope
        self._data_dir = data_dir

    def run(
        self, capture: Capture, order: RecordingOrder, call_id: str
    ) -> Coroutine[Any, Any, Recording]:
        """Record until a rule, a command or the end of the call stops it; return the final state.

        It begins at once, not when what is returned is awaited: should the call end in between,
        the recording ends with it. Whatever goes wrong on the way, the recording ends in a final
        state that is announced.
        """
        take = capture.start(order.rules, order.since)
        self._renderer.start()
        return self._see_through(capture, take, self._make(capture, take, order, call_id))

    async def _see_through(self, capture: Capture, take: Take, recording: Recording) -> Recording:
        recording = await self._ledger.begin(recording, self._envelope)
        recording = self._ended(recording, await take.stopped)
        try:
            await capture.finish(take)
        except Exception as error:
            return await self._fail(recording, error)
        return await self.complete(recording)

    async def complete(self, recording: Recording) -> Recording:
        """Note that a recording's audio is whole in the journal, then make its file."""
        return await self.render(await self._ledger.change(recording, self._envelope))

    async def render(self, recording: Recording) -> Recording:
        """Make the file of a recording that is RENDERING, and announce how it ended."""
        assert recording.span.end is not None
        job = RenderJob(
            data_dir=self._data_dir,
            recording_id=recording.id,
            journal=recording.span.journal,
            rate=recording.span.rate,
            start=recording.span.start,
            end=recording.span.end,
            format=recording.format,
            direction=recording.direction,
            stereo=recording.stereo,
        )
        try:
            rendered = await self._renderer.render(job)
        except Exception as error:
            return await self._fail(recording, error)
        return await self._ledger.change(self._finished(recording, rendered), self._envelope)

    def _make(self, capture: Capture, take: Take, order: RecordingOrder, call_id: str) -> Recording:
        now = int(self._clock.time() * 1e6)
        recording_id = str(uuid.uuid4())
        return Recording(
            id=recording_id,
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
            span=capture.span(take),
        )

    @staticmethod
    def _ended(recording: Recording, stop: Stop) -> Recording:
        """Return the recording as it stands once its last sample is known.

        Its end is its start and its length, so that a step of the wall clock cannot bend it.
        """
        span = replace(recording.span, end=stop.position)
        length = (stop.position - span.start) * 1_000_000 // span.rate
        return recording.become(
            State.RENDERING,
            span=span,
            ended_at=recording.started_at + length,
            duration_us=length,
            stop_reason=stop.reason,
            stop_digit=stop.digit,
        )

    @staticmethod
    def _finished(recording: Recording, rendered: Rendered) -> Recording:
        nobody = rendered.silent or recording.stop_reason is StopReason.INITIAL_TIMEOUT
        return recording.become(
            State.NO_INPUT if nobody else State.FINISHED,
            audio=(rendered.audio,),
            duration_us=rendered.samples * 1_000_000 // recording.span.rate,
        )

    async def _fail(self, recording: Recording, error: Exception) -> Recording:
        """Announce an error; one that nobody thought of goes to the log with its traceback."""
        expected = isinstance(error, LocalError)
        why = str(error) if expected else f"internal error: {type(error).__name__}"
        log.error("recording failed", recording_id=recording.id, error=why, exc_info=not expected)
        failed = recording.become(
            State.ERROR, error_code=ErrorCode.INTERNAL_ERROR, error_message=why
        )
        return await self._ledger.change(failed, self._envelope)
