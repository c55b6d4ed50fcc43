"""Deleting a recording over either API: who may, what is answered, what is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from mediaserver.recording.announcement import Announcement
from mediaserver.recording.failure import Failure
from mediaserver.recording.resource import Format, Recording, Span, audio_path
from mediaserver.recording.states import FINAL, State
from mediaserver.store.database import Database
from mediaserver.store.faults import StoreUnavailable
from mediaserver.store.outbox import Outbox

from .conftest import DELETER, GETTER, LISTER, PROJECT

Make = Callable[..., Recording]
Finished = Callable[..., tuple[Recording, bytes]]

CALL = f"/v1beta1/projects/{PROJECT}/calls/call-1/recordings"
RELAY = "/api/relay/rest/recordings"


@pytest.fixture
async def recording(api: Any, finished: Finished, tmp_path: Path) -> Recording:
    """A recording with a file where the renderer puts it, and its journal."""
    found, content = finished(1, span=Span(journal="journals/leg", rate=8000, start=0, end=10))
    path = tmp_path / audio_path(found.id, Format.WAV)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    (tmp_path / found.audio[0].path).unlink()
    folder = tmp_path / "journals/leg"
    folder.mkdir(parents=True)
    (folder / "speak.journal").write_bytes(content)
    await api.recordings.add(found)
    assert isinstance(found, Recording)
    return found


def left(folder: Path) -> list[str]:
    names = [p.name for p in folder.rglob("*") if p.is_file()]
    return sorted(name for name in names if not name.startswith("mediaserver.sqlite3"))


async def by(database: Database) -> list[tuple[Any, ...]]:
    rows = await database.read(text("SELECT id, reason, deleted_by FROM tombstones"))
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("call", ["call-1", "-"])
async def test_what_was_deleted_is_answered_without_links_and_is_gone(
    api: Any, recording: Recording, tmp_path: Path, database: Database, call: str
) -> None:
    path = f"/v1beta1/projects/{PROJECT}/calls/{call}/recordings/{recording.id}"
    _, _, shown = await api.ask(path + "?view=BASIC")
    status, headers, body = await api.ask(path, DELETER, "DELETE")
    assert (status, body) == (200, shown)
    assert "uri" not in body["audio"][0]
    assert headers["Cache-Control"] == "no-store"
    assert left(tmp_path) == []
    assert await by(database) == [(recording.id, "request", "api_keys[3]")]
    for method in ("GET", "DELETE"):
        status, _, body = await api.ask(path, method=method)
        assert (status, body["error"]["message"]) == (404, "recording not found")
    status, _, _ = await api.ask(f"/api/v1/recordings/{recording.id}/download")
    assert status == 404


async def test_the_relay_api_answers_204_and_nothing(
    api: Any, recording: Recording, tmp_path: Path, database: Database
) -> None:
    status, headers, body = await api.ask(f"{RELAY}/{recording.id}", DELETER, "DELETE")
    assert (status, body) == (204, b"")
    assert "Content-Type" not in headers
    assert left(tmp_path) == []
    assert await by(database) == [(recording.id, "request", "api_keys[3]")]
    status, _, body = await api.ask(f"{RELAY}/{recording.id}", DELETER, "DELETE")
    assert (status, body) == (404, {"error": "Not Found"})


@pytest.mark.parametrize("state", sorted(set(State) - FINAL))
async def test_while_it_is_recorded_or_rendered_it_is_refused(
    api: Any, make_recording: Make, state: State
) -> None:
    running = make_recording(1, state=state)
    await api.recordings.add(running)
    status, _, body = await api.ask(f"{CALL}/{running.id}", method="DELETE")
    assert status == 400
    assert body["error"]["status"] == "FAILED_PRECONDITION"
    assert body["error"]["message"] == "the recording is still being recorded"
    status, _, body = await api.ask(f"{RELAY}/{running.id}", method="DELETE")
    assert status == 422
    assert body["errors"][0]["detail"] == "the recording is still being recorded"
    assert await api.recordings.get(PROJECT, None, running.id) == running


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_however_it_ended_it_can_be_deleted(
    api: Any, make_recording: Make, state: State
) -> None:
    failure = Failure.INTERNAL if state is State.ERROR else None
    ended = make_recording(
        1, state=state, failure=failure, span=Span(journal="journals/leg", rate=8000, start=0)
    )
    await api.recordings.add(ended)
    status, _, _ = await api.ask(f"{CALL}/{ended.id}", method="DELETE")
    assert status == 200
    assert await api.recordings.get(PROJECT, None, ended.id) is None


@pytest.mark.parametrize("key", [LISTER, GETTER])
async def test_a_key_without_the_permission_deletes_nothing(
    api: Any, recording: Recording, key: str
) -> None:
    for path in (f"{CALL}/{recording.id}", f"{RELAY}/{recording.id}", f"{CALL}/unknown"):
        status, _, _ = await api.ask(path, key, "DELETE")
        assert status == 403
    assert await api.recordings.get(PROJECT, None, recording.id) == recording
    # Nor does one that may delete show anything.
    status, _, _ = await api.ask(f"{CALL}/{recording.id}", DELETER)
    assert status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta1/projects/other/calls/-/recordings/{id}",
        f"/v1beta1/projects/{PROJECT}/calls/call-2/recordings/{{id}}",
        f"{CALL}/%2e%2e",
        f"{CALL}/unknown",
        f"{RELAY}/unknown",
    ],
)
async def test_what_is_not_there_is_404(api: Any, recording: Recording, path: str) -> None:
    status, _, _ = await api.ask(path.format(id=recording.id), method="DELETE")
    assert status == 404
    assert await api.recordings.get(PROJECT, None, recording.id) == recording


async def test_a_query_is_refused_in_each_ones_own_way(api: Any, recording: Recording) -> None:
    status, _, body = await api.ask(f"{CALL}/{recording.id}?force=1", method="DELETE")
    assert (status, body["error"]["status"]) == (400, "INVALID_ARGUMENT")
    status, _, _ = await api.ask(f"{RELAY}/{recording.id}?force=1", method="DELETE")
    assert status == 422
    assert await api.recordings.get(PROJECT, None, recording.id) == recording


async def test_of_many_who_ask_at_once_one_has_deleted_it(api: Any, recording: Recording) -> None:
    answers = await asyncio.gather(
        *(api.ask(f"{CALL}/{recording.id}", method="DELETE") for _ in range(5)),
        *(api.ask(f"{RELAY}/{recording.id}", method="DELETE") for _ in range(5)),
    )
    statuses = sorted(status for status, _, _ in answers)
    assert statuses[0] in {200, 204}
    assert statuses[1:] == [404] * 9


async def test_lists_go_on_where_they_were(api: Any, finished: Finished) -> None:
    numbers = range(6)
    for number in numbers:
        await api.recordings.add(finished(number)[0])
    _, _, first = await api.ask(f"{CALL}?pageSize=2")
    names = [one["name"] for one in first["recordings"]]
    for name in names:
        status, _, _ = await api.ask(f"/v1beta1/{name}", method="DELETE")
        assert status == 200
    _, _, rest = await api.ask(f"{CALL}?pageSize=10&pageToken={first['nextPageToken']}")
    assert [one["name"][-36:-28] for one in rest["recordings"]] == [
        f"{number:08x}" for number in (3, 2, 1, 0)
    ]


async def test_a_database_that_is_away_is_503_and_nothing_is_removed(
    api: Any, recording: Recording, tmp_path: Path, database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    before = left(tmp_path)

    async def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("the database is not available: its disk is full")

    with monkeypatch.context() as away:
        away.setattr(database, "write", fail)
        for path in (f"{CALL}/{recording.id}", f"{RELAY}/{recording.id}"):
            status, headers, _ = await api.ask(path, method="DELETE")
            assert (status, headers["Retry-After"]) == (503, "5")
    assert left(tmp_path) == before
    status, _, _ = await api.ask(f"{CALL}/{recording.id}", method="DELETE")
    assert status == 200


async def test_a_download_under_way_comes_to_its_end(
    api: Any, finished: Finished, tmp_path: Path
) -> None:
    found, content = finished(2, size=8 << 20)
    path = audio_path(found.id, Format.WAV)
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / found.audio[0].path).rename(tmp_path / path)
    found, _ = finished(
        2,
        audio=(type(found.audio[0])(
            format=Format.WAV, path=path, size_bytes=len(content), sample_rate=8000, channels=1,
            sha256="",
        ),),
    )  # fmt: skip
    await api.recordings.add(found)
    url = api.url(f"/api/v1/recordings/{found.id}/download")
    headers = {"Authorization": "Bearer key-for-everything"}
    async with api.client.get(url, headers=headers) as response:
        begun = await response.content.readexactly(1000)
        status, _, _ = await api.ask(f"{CALL}/{found.id}", method="DELETE")
        assert status == 200
        assert begun + await response.read() == content
    assert not (tmp_path / path).exists()


async def test_a_callback_that_is_being_delivered_troubles_nobody(
    api: Any,
    receiver: Any,
    deliver: Callable[..., Any],
    outbox: Outbox,
    make_announcement: Callable[..., Announcement],
    recording: Recording,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is noted nowhere that it arrived, and nobody waits for that."""
    took, go_on = asyncio.Event(), asyncio.Event()
    accept = receiver.answer

    async def wait(got: Any) -> Any:
        took.set()
        await go_on.wait()
        return await accept(got)

    receiver.answer = wait
    for sequence in (1, 2):
        await outbox.add([make_announcement(receiver.url(), recording.id, sequence)])
    await deliver()
    await took.wait()
    status, _, _ = await api.ask(f"{CALL}/{recording.id}", method="DELETE")
    assert status == 200
    go_on.set()
    receiver.answer = accept
    await outbox.add([make_announcement(receiver.url("/other"), "other")])
    await receiver.until(2)
    assert "callback not noted" not in capsys.readouterr().out
    assert [got.path for got in receiver.got] == ["/hook", "/other"]
