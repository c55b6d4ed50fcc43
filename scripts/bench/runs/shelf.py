"""A server that keeps many recordings, asked for them as an application would."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import numpy as np

from mediaserver.config.model import DEFAULT_PROJECT
from mediaserver.recording.resource import (
    Audio,
    Direction,
    Format,
    Recording,
    Source,
    Span,
    audio_path,
)
from mediaserver.recording.states import State, StopReason
from mediaserver.store.database import Database
from mediaserver.store.recordings import Recordings

from ..errors import BenchError
from ..figures import Latency, Shelf
from ..options import HOST, Options
from ..server import Server, roomy
from .measure import Say, folder_of

A_CALL: Final = 4
"""Recordings of each call."""

ASKED: Final = 1000
"""Requests of each kind."""

_AT_ONCE: Final = 2000
_BEGAN: Final = 1_700_000_000_000_000


def run_shelf(count: int, options: Options, say: Say) -> Shelf:
    """Keep `count` recordings, then measure lists and gets."""
    with folder_of(options, f"shelf-{count}") as folder:
        say(f"keeping {count} recordings")
        asyncio.run(_fill(folder / "data", count))
        with Server(options, folder, roomy(2000, options.setup_rate)) as server:
            server.wait_until_ready()
            started = time.monotonic() - server.started_at
            say(f"asking for some of {count} recordings")
            latencies, problems = _ask(server, options, count)
            server.stop()
    return Shelf(recordings=count, start_seconds=started, latencies=latencies, problems=problems)


async def _fill(folder: Path, count: int) -> None:
    database = await Database.open(folder)
    try:
        recordings = Recordings(database)
        for first in range(0, count, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, count))
            await asyncio.gather(*(recordings.add(_recording(number)) for number in numbers))
    finally:
        await database.dispose()


def _recording(number: int) -> Recording:
    """Return a recording of 30 s that was finished long ago."""
    began = _BEGAN + number * 1_000_000
    identity = _recording_id(number)
    return Recording(
        id=identity,
        project_id=str(DEFAULT_PROJECT),
        call_id=_call_id(number),
        control_id=f"control-{number}",
        source=Source.RECORD_ACTION,
        state=State.FINISHED,
        format=Format.WAV,
        direction=Direction.SPEAK,
        stereo=False,
        status_url=f"http://{HOST}/callbacks/{number}",
        created_at=began,
        started_at=began,
        span=Span(journal=f"journals/{number:032x}", rate=8000, start=0, end=240_000),
        ended_at=began + 30_000_000,
        duration_us=30_000_000,
        stop_reason=StopReason.HANGUP,
        audio=(
            Audio(
                format=Format.WAV,
                path=audio_path(identity, Format.WAV),
                size_bytes=480_044,
                sample_rate=8000,
                channels=1,
                sha256=f"{number:064x}",
            ),
        ),
        sequence=2,
    )


def _recording_id(number: int) -> str:
    # Ids of the server are random: so are these, as far as an index can tell.
    return f"{number * 0x9E3779B97F4A7C15 % (1 << 64):016x}-{number:08x}"


def _call_id(number: int) -> str:
    return f"call-{number // A_CALL:08x}"


def _ask(server: Server, options: Options, count: int) -> tuple[list[Latency], list[str]]:
    """Return how long each kind of request took, and what was wrong with an answer."""
    client = _Client(server, options)
    chance = random.Random(100_000)
    numbers = [chance.randrange(count) for _ in range(ASKED)]
    problems: list[str] = []

    def one_by_one() -> Iterator[float]:
        for number in numbers:
            path = f"calls/{_call_id(number)}/recordings/{_recording_id(number)}"
            seconds, body = client.get(path)
            if not str(body.get("name", "")).endswith(_recording_id(number)):
                problems.append("a get brought another recording than asked for")
            yield seconds

    def of_calls() -> Iterator[float]:
        for number in numbers:
            seconds, body = client.get(f"calls/{_call_id(number)}/recordings")
            if len(_listed(body)) != min(A_CALL, count):
                problems.append("the list of a call is not complete")
            yield seconds

    def pages(size: int) -> Iterator[float]:
        token: str | None = None
        seen: set[str] = set()
        for _ in range(min(ASKED, -(-count // size))):
            query = {"pageSize": str(size)} | ({"pageToken": token} if token else {})
            seconds, body = client.get(f"calls/-/recordings?{urlencode(query)}")
            names = {str(item["name"]) for item in _listed(body)}
            if len(names) != min(size, count - len(seen)) or names & seen:
                problems.append("a page lacks a recording or repeats one")
            seen |= names
            token = str(body.get("nextPageToken", "")) or None
            yield seconds
            if token is None:
                return

    found = [
        _latency("get", one_by_one()),
        _latency("list of a call", of_calls()),
        _latency("list, page by page, 10", pages(10)),
        _latency("list, page by page, 100", pages(100)),
    ]
    client.close()
    return found, sorted(set(problems))


def _listed(body: dict[str, object]) -> list[dict[str, object]]:
    found = body.get("recordings", [])
    assert isinstance(found, list)
    return found


def _latency(request: str, seconds: Iterator[float]) -> Latency:
    taken = 1000 * np.array(list(seconds))
    return Latency(
        request=request,
        count=taken.size,
        p50_ms=float(np.quantile(taken, 0.5)),
        p99_ms=float(np.quantile(taken, 0.99)),
    )


class _Client:
    """Asks for recordings over one connection."""

    def __init__(self, server: Server, options: Options) -> None:
        self._connection = http.client.HTTPConnection(HOST, options.http_port, timeout=30)
        self._headers = {"Authorization": f"Bearer {server.key}"}

    def get(self, path: str) -> tuple[float, dict[str, object]]:
        """Return how long an answer took, and what it says; BenchError when it is no success."""
        began = time.perf_counter()
        try:
            url = f"/v1beta1/projects/{DEFAULT_PROJECT}/{path}"
            self._connection.request("GET", url, headers=self._headers)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"a request broke off: {error}") from None
        seconds = time.perf_counter() - began
        if response.status != 200:
            raise BenchError(f"a request was answered {response.status}: {body[:200]!r}")
        said: dict[str, object] = json.loads(body)
        return seconds, said

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
