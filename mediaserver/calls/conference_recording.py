"""The recording of a conference: all that is said in it, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from ..errors import LocalError
from ..recording.recorder import StopRules
from ..recording.resource import (
    Direction,
    Format,
    PauseBehavior,
    PostProcessing,
    Recording,
    Source,
    Span,
)
from ..recording.states import State, StopReason
from .capture import Capture
from .ports import Line
from .recording import ActiveRecording
from .recording_order import RecordingOrder

if TYPE_CHECKING:
    from ..swml.actions import JoinConference
    from .call import Call

Tell = Callable[[str, str, dict[str, Any]], None]
"""Tells of an event (`in-progress`, `completed`, `absent`), its status, and facts."""

log = structlog.get_logger(__name__)


class ConferenceRecording:
    """Begins with its construction; LocalError when it cannot.

    It is a recording of the call that opened the conference, and outlasts that call.
    """

    def __init__(self, opener: Call, order: JoinConference, line: Line, tell: Tell) -> None:
        services = opener.services
        self._ledger = services.studio.ledger
        self._capture = Capture(line, services.journals, services.clock)
        self._tell = tell
        trim = (PostProcessing.TRIM_SILENCE,) if order.trim == "trim-silence" else ()
        self._active = ActiveRecording(
            services.studio,
            self._capture,
            RecordingOrder(
                rules=StopRules(max_length=services.max_recording),
                format=Format.WAV,
                direction=Direction.SPEAK,
                stereo=False,
                status_url=None,
                source=Source.CALL_RECORDING,
                policy=replace(opener.policy, post_processing=trim),
            ),
            opener.envelope,
            opener.id,
        )
        self._seen_through = asyncio.ensure_future(self._see_through())
        tell("in-progress", "record-start", self._facts())

    def is_called(self, id: str) -> bool:
        """Tell whether an id is its own, or its control id."""
        return id in {self._active.recording.id, self._active.recording.control_id}

    @property
    def over(self) -> bool:
        """See `ActiveRecording.over`."""
        return self._active.over

    def pause(self, behavior: PauseBehavior) -> bool:
        """See `ActiveRecording.pause`."""
        done = self._active.pause(behavior)
        if done:
            self._tell("in-progress", "record-pause", self._facts())
        return done

    def resume(self) -> bool:
        """See `ActiveRecording.resume`."""
        done = self._active.resume()
        if done:
            self._tell("in-progress", "record-resume", self._facts())
        return done

    def stop(self) -> bool:
        """End it, while the conference goes on; False if it is over."""
        return self._active.stop()

    @property
    def folder(self) -> str:
        """Where its journal is, relative to the data folder."""
        return self._capture.folder

    @property
    def unsettled(self) -> list[Span]:
        """What of the journal is not written down yet."""
        return [] if self._seen_through.done() else [self._active.recording.span]

    def end(self) -> dict[str, Any]:
        """End it, with all that was mixed by now; return what is told of it at once."""
        self._capture.hang_up(StopReason.HANGUP)
        return self._facts(self._active.present)

    async def finished(self) -> None:
        """Wait until its files are made and its journal is closed."""
        await self._seen_through

    def when_finished(self, tell: Callable[[], object]) -> None:
        """Have `tell` called then."""
        self._seen_through.add_done_callback(lambda _: tell())

    async def _see_through(self) -> None:
        recording = await self._active.see_through()
        there = recording.state is State.FINISHED
        self._tell("completed" if there else "absent", "record-stop", self._facts(recording))
        try:
            await self._capture.close()
        except LocalError as error:
            log.error("journal of a conference not closed", error=str(error))

    def _facts(self, recording: Recording | None = None) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "recording_url": self._ledger.download_url(self._active.recording.id)
        }
        if recording is None:
            return facts
        if recording.duration_us is not None:
            facts["recording_duration"] = recording.duration_us // 1_000_000
        elif recording.span.end is not None:
            samples = recording.span.end - recording.span.start
            facts["recording_duration"] = samples // recording.span.rate
        if recording.audio:
            facts["recording_file_size"] = recording.audio[0].size_bytes
        return facts
