"""Deleting a recording, whichever API asks for it (contracts A5, B2).

Both contracts leave open what becomes of a recording that still runs, or whose files are being
made: it is refused, for its audio would go on coming.
"""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from mediaserver.recording.resource import Recording
from mediaserver.recording.states import FINAL

from .auth import ApiKeys
from .errors import ApiError, not_found


class RecordingEraser(Protocol):
    """Removes recordings so that no byte of them is left."""

    async def erase(self, recording: Recording, by: str | None = None) -> bool:
        """Erase a recording in a final state for `by`; False if it is gone already."""


async def erase(
    request: web.Request, recording: Recording, eraser: RecordingEraser, keys: ApiKeys
) -> None:
    """Erase a recording for whoever asks; raises `ApiError` 400 or 404."""
    if recording.state not in FINAL:
        raise ApiError(400, "the recording is still being recorded", code="FAILED_PRECONDITION")
    if not await eraser.erase(recording, keys.authenticate(request).name or None):
        raise not_found("recording")
