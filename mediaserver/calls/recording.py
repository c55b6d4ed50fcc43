"""A recording from its first sample to its announced end."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from ..clock import Clock, now_us
from ..errors import LocalError
from ..recording import explanation
from ..recording.announcement import Envelope
from ..recording.failure import Failure, RecordingFailed, failure_of
from ..recording.recorder import Stop, StopRules
from ..recording.rendering import Rendered, RendererFull, RenderJob, Target
from ..recording.resource import (
    Direction,
    Format,
    Pause,
    PauseBehavior,
    PostProcessing,
    Recording,
    Source,
)
from ..recording.states import State, StopReason
from .backlog import Backlog
from .capture import Capture
from .figures import leg_figures
from .ledger import Ledger
from .ports import Renderer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPolicy:
    """What a route says of the recordings made on its calls."""

    post_processing: tuple[PostProcessing, ...] = ()
    ready_uri: str | None = None
    retention: float | None = None
    """Seconds after its end at which a recording is erased; None: never."""


DEFAULT_POLICY: Final = RecordingPolicy()
"""Of a route that says nothing."""


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
    policy: RecordingPolicy = DEFAULT_POLICY
    since: int | None = None
    """Position on the leg's line it begins at, a moment ago; None: the present one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What recordings are made with."""

    ledger: Ledger
    renderer: Renderer
    clock: Clock
    data_dir: str
    formats: tuple[Format, ...]
    """What every recording is rendered to beside the format it was ordered in (contract B1)."""
    sample_rate: int | None
    """Hz of the files; None: as the call was."""
    render_timeout: float
    """Seconds after which a recording whose files are not made has failed."""
    backlog: Backlog = field(default_factory=Backlog)
    running: dict[str, ActiveRecording] = field(default_factory=dict)
    """Those that have not come to their final state, by id."""

    async def complete(self, recording: Recording, envelope: Envelope) -> Recording:
        """Note that a recording's audio is whole in the journal, then make its files."""
        return await self.render(await self.ledger.change(recording, envelope), envelope)

    async def render(self, recording: Recording, envelope: Envelope) -> Recording:
        """Make the files of a recording that is RENDERING, and announce how it ended.

        Its turn at the encoders is part of the time it has: whoever waits for it is told in time.
        Where too many wait for one, it is left as it is, for the `backlog`.
        """
        limit = asyncio.timeout(self.render_timeout)
        try:
            async with limit:
                rendered = await self.renderer.render(self._job(recording))
        except RendererFull:
            self.backlog.leave(recording, envelope)
            return recording
        except Exception as error:
            late = f"not rendered within {self.render_timeout:g} s"
            why = RecordingFailed(late, Failure.RENDER_TIMEOUT) if limit.expired() else error
            return await self.fail(recording, why, envelope)
        return await self.ledger.change(_finished(recording, rendered), envelope)

    async def fail(self, recording: Recording, error: Exception, envelope: Envelope) -> Recording:
        """Announce an error; one that nobody thought of goes to the log with its traceback."""
        expected = isinstance(error, LocalError)
        why = str(error) if expected else f"internal error: {type(error).__name__}"
        failure = failure_of(error)
        log.error(
            "recording failed",
            recording_id=recording.id,
            failure=failure,
            error=why,
            exc_info=not expected,
        )
        failed = recording.become(State.ERROR, failure=failure, error_message=why)
        return await self.ledger.change(failed, envelope)

    def _job(self, recording: Recording) -> RenderJob:
        assert recording.span.end is not None
        formats = dict.fromkeys((recording.format, *self.formats))
        return RenderJob(
            data_dir=self.data_dir,
            recording_id=recording.id,
            journal=recording.span.journal,
            rate=recording.span.rate,
            start=recording.span.start,
            end=recording.span.end,
            targets=tuple(
                Target(format=format, sample_rate=self.sample_rate) for format in formats
            ),
            direction=recording.direction,
            stereo=recording.stereo,
            pauses=recording.pauses,
            trim=PostProcessing.TRIM_SILENCE in recording.post_processing,
            peaks=True,
            sensitivity=explanation.sensitivity(recording.account),
        )


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
        ended = _ended(self.recording, event, self._take.pauses, self._retention)
        ended = explained(ended, leg_figures(self._capture.statistics()))
        try:
            await self._capture.finish(self._take)
        except Exception as error:
            self.recording = await self._studio.fail(ended, error, self._envelope)
        else:
            self.recording = await self._studio.complete(ended, self._envelope)
        return self.recording

    def _stopped(self, stopped: asyncio.Future[Stop]) -> None:
        if not stopped.cancelled():
            self._events.put_nowait(stopped.result())

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


def length(recording: Recording, end: int, pauses: Iterable[Pause]) -> int:
    """Return how long a recording that ends at `end` is, in microseconds.

    Pauses that are left out of it do not count.
    """
    samples = end - recording.span.start
    for pause in pauses:
        if pause.behavior is PauseBehavior.SKIP:
            samples -= (end if pause.end is None else pause.end) - pause.start
    return samples * 1_000_000 // recording.span.rate


def explained(recording: Recording, leg: Mapping[str, Any] | None = None) -> Recording:
    """Return a recording that has stopped with why it did in its account.

    `leg` are the figures of its leg, where they are known.
    """
    assert recording.span.end is not None
    assert recording.stop_reason is not None
    position = (recording.span.end - recording.span.start) * 1000 // recording.span.rate
    account = explanation.end(
        recording.account, recording.stop_reason, recording.stop_digit, position, leg
    )
    return replace(recording, account=account)


def _ended(
    recording: Recording, stop: Stop, pauses: tuple[Pause, ...], retention: float | None
) -> Recording:
    """Return the recording as it stands once its last sample is known.

    Its end is its start and the time on its line, so that a step of the wall clock cannot bend it.
    """
    span = replace(recording.span, end=stop.position)
    ended_at = recording.started_at + (stop.position - span.start) * 1_000_000 // span.rate
    return recording.become(
        State.RENDERING,
        span=span,
        ended_at=ended_at,
        duration_us=length(recording, stop.position, pauses),
        pauses=pauses,
        stop_reason=stop.reason,
        stop_digit=stop.digit,
        expires_at=_expiry(ended_at, retention),
    )


def _expiry(at: int, retention: float | None) -> int | None:
    return None if retention is None else at + round(retention * 1e6)


def _finished(recording: Recording, rendered: Rendered) -> Recording:
    nobody = rendered.silent or recording.stop_reason is StopReason.INITIAL_TIMEOUT
    return recording.become(
        State.NO_INPUT if nobody else State.FINISHED,
        audio=rendered.audio,
        duration_us=rendered.samples * 1_000_000 // recording.span.rate,
        account=explanation.complete(recording.account, rendered.account),
    )
