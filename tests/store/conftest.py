from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from farend.shelf import numbered
from mediaserver.recording.announcement import Announcement
from mediaserver.recording.resource import Recording
from mediaserver.store.database import Database

DAWN = 1_700_000_000_000_000


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path)
    yield opened
    await opened.dispose()


@pytest.fixture
def make_recording() -> Callable[..., Recording]:
    """A factory of recordings: number n has its own id and is n microseconds younger than 0."""

    def make(number: int, **changes: Any) -> Recording:
        begun = {"created_at": DAWN + number, "started_at": DAWN + number}
        return numbered(number, **begun | changes)

    return make


@pytest.fixture
def make_announcement() -> Callable[..., Announcement]:
    """A factory of announcements of one stream."""

    def make(stream: str, sequence: int = 0, **changes: Any) -> Announcement:
        fields: dict[str, Any] = {
            "stream": stream,
            "sequence": sequence,
            "url": "http://application.example/callback",
            "body": f"{stream} {sequence}".encode(),
            "created_at": DAWN,
        }
        return Announcement(**fields | changes)

    return make
