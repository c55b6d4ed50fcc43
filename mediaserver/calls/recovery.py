"""After a restart: every recording that was not finished is completed from its journal."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from ..errors import LocalError
from ..recording.announcement import Envelope
from ..recording.end import cut_off, ended
from ..recording.recorder import Stop
from ..recording.resource import Recording
from ..recording.states import State, StopReason
from .services import Services

log = structlog.get_logger(__name__)


async def recover(
    recordings: Sequence[Recording], services: Services, journal_end: Callable[[str], int]
) -> None:
    """Complete `recordings`; `journal_end` returns the last position a leg's journal holds.

    A recording that was running ends where its journal ends. LocalError from `journal_end` (no
    journal, a damaged one) leaves a recording of no length, which then fails with that reason.
    """
    for recording in recordings:
        envelope = Envelope(
            project_id=recording.project_id,
            space_id=services.identity.space_id,
            node_id=services.identity.node_id,
            session_id=str(uuid.uuid4()),
        )
        try:
            if recording.state is State.RENDERING:
                done = await services.studio.render(recording, envelope)
            else:
                stopped = await _end(recording, journal_end)
                done = await services.studio.complete(stopped, envelope)
        except Exception:
            # The others are not to wait for the next start because of this one.
            log.exception("recording not recovered", recording_id=recording.id)
            continue
        log.info("recording recovered", recording_id=done.id, state=done.state)


async def _end(recording: Recording, journal_end: Callable[[str], int]) -> Recording:
    """Return a recording that was cut off, ended where its journal ends."""
    span = recording.span
    try:
        end = await asyncio.to_thread(journal_end, span.journal)
    except LocalError as error:
        log.error("journal unusable", recording_id=recording.id, error=str(error))
        end = span.start
    cut = cut_off(recording, end)
    assert cut.span.end is not None
    stopped = ended(cut, Stop(StopReason.RESTART, cut.span.end), cut.pauses)
    return replace(stopped, recovered=True)
