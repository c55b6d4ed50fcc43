"""The collaborators of a call that keep, fetch and make things, without a disk or a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from mediaserver.audio.live_codec import LiveCodec
from mediaserver.calls.ports import Answered, Fetched, RtpOutput, WebSocket
from mediaserver.calls.resource import CallRecord
from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Announcement
from mediaserver.recording.rendering import Rendered, RenderJob
from mediaserver.recording.resource import Audio, Recording


class Archive:
    """Keeps recordings and calls; may be away, or refuse for good."""

    def __init__(self) -> None:
        self.recordings: dict[str, Recording] = {}
        self.calls: list[CallRecord] = []
        self.said: list[dict[str, Any]] = []
        self.fault: LocalError | None = None

    async def save(self, recording: Recording, announcements: Sequence[Announcement] = ()) -> None:
        if self.fault is not None:
            raise self.fault
        self.recordings[recording.id] = recording
        await self.announce(announcements)

    add = save

    async def announce(self, announcements: Sequence[Announcement]) -> None:
        if self.fault is not None:
            raise self.fault
        self.said += [json.loads(a.body) for a in announcements]


class CallBook:
    """Keeps calls in an archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def add(self, call: CallRecord) -> None:
        if self._archive.fault is not None:
            raise self._archive.fault
        call.sip_call_id.encode()  # as a database does
        self._archive.calls.append(call)

    save = add


class OutboxOf:
    """Keeps what is said in an archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def add(self, announcements: Sequence[Announcement]) -> None:
        await self._archive.announce(announcements)


class Copyist:
    """Makes files at once, out of nothing; or raises."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.gate: asyncio.Future[None] | None = None

    def start(self) -> None: ...

    async def render(self, job: RenderJob) -> Rendered:
        if self.gate is not None:
            await self.gate
        if self.fault is not None:
            raise self.fault
        audio = tuple(
            Audio(
                format=target.format,
                path="x",
                size_bytes=1,
                sample_rate=8000,
                channels=1,
                sha256="",
            )
            for target in job.targets
        )
        return Rendered(audio, job.end - job.start, False)


class NoFetcher:
    async def get(self, url: str, *, max_bytes: int, timeout: float) -> Fetched:  # noqa: ASYNC109
        raise AssertionError

    async def ask(self, url: str, **_: Any) -> Fetched:
        raise AssertionError


class NoRequester:
    async def request(self, method: str, url: str, **_: Any) -> Answered:
        raise AssertionError


class NoOutputs:
    def open(self, host: str, port: int, codec: LiveCodec) -> RtpOutput:
        raise AssertionError

    async def connect(self, url: str, **_: Any) -> WebSocket:
        raise AssertionError
