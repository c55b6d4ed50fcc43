"""Where recordings are made into files, each to its announced end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import structlog

from ..clock import Clock
from ..errors import LocalError
from ..recording import explanation
from ..recording.announcement import Envelope
from ..recording.failure import Failure, RecordingFailed, failure_of
from ..recording.rendering import Rendered, RendererFull, RenderJob, Target
from ..recording.resource import Format, PostProcessing, Recording
from ..recording.states import State, StopReason
from .backlog import Backlog
from .growing import Running
from .ledger import Ledger
from .ports import Renderer

log = structlog.get_logger(__name__)


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
    running: dict[str, Running] = field(default_factory=dict)
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
        targets = tuple(Target(format=format, sample_rate=self.sample_rate) for format in formats)
        return replace(
            RenderJob.of(recording, self.data_dir, recording.span.end, targets),
            trim=PostProcessing.TRIM_SILENCE in recording.post_processing,
            peaks=True,
            sensitivity=explanation.sensitivity(recording.account),
        )


def _finished(recording: Recording, rendered: Rendered) -> Recording:
    nobody = rendered.silent or recording.stop_reason is StopReason.INITIAL_TIMEOUT
    return recording.become(
        State.NO_INPUT if nobody else State.FINISHED,
        audio=rendered.audio,
        duration_us=rendered.samples * 1_000_000 // recording.span.rate,
        account=explanation.complete(recording.account, rendered.account),
    )
