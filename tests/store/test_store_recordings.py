from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.dialects import sqlite

from mediaserver.errors import LocalError, PeerError
from mediaserver.recording.failure import Failure
from mediaserver.recording.resource import (
    Audio,
    Direction,
    Format,
    Pause,
    PauseBehavior,
    PostProcessing,
    Recording,
    Source,
    Span,
)
from mediaserver.recording.states import State, StopReason
from mediaserver.store.database import FILE_NAME, Database
from mediaserver.store.page_token import MAX_TOKEN, Position
from mediaserver.store.recordings import Recordings, page_query

Make = Callable[..., Recording]

_FULL = {
    "id": "full",
    "project_id": "other project",
    "call_id": "other call",
    "control_id": "other control",
    "source": Source.CALL_RECORDING,
    "state": State.ERROR,
    "format": Format.MP3,
    "direction": Direction.BOTH,
    "stereo": True,
    "status_url": "https://user:word@application.example/?a=%20",
    "created_at": 2**53 + 1,
    "started_at": 2**53 + 3,
    "ended_at": 2**53 + 5,
    "duration_us": 2**53 + 7,
    "span": Span(journal="journal/other", rate=48000, start=2**40, end=2**41),
    "stop_reason": StopReason.TERMINATOR,
    "stop_digit": "#",
    "failure": Failure.STORAGE_FULL,
    "error_message": "it took too long: 早い",
    "audio": (
        Audio(
            format=Format.WAV,
            path="recordings/fu/full.wav",
            size_bytes=2**33,
            sample_rate=48000,
            channels=2,
            sha256="00" * 32,
        ),
        Audio(
            format=Format.MP3,
            path="recordings/fu/full.mp3",
            size_bytes=1,
            sample_rate=48000,
            channels=2,
            sha256="ff" * 32,
            rendition=3,
            direction=Direction.LISTEN,
            trimmed=True,
            duration_us=2**53 + 9,
        ),
    ),
    "pauses": (
        Pause(start=2**40 + 1, end=2**40 + 2, behavior=PauseBehavior.SKIP),
        Pause(start=2**40 + 3, behavior=PauseBehavior.SILENCE),
    ),
    "post_processing": (PostProcessing.TRIM_SILENCE,),
    "ready_uri": "https://user:word@application.example/ready",
    "recovered": True,
    "expires_at": 2**53 + 11,
    "account": {"milliseconds": {"speech": 1}},
    "sequence": 4,
}


async def test_every_field_comes_back_as_it_was(database: Database, make_recording: Make) -> None:
    plain, full = make_recording(1), make_recording(2, **_FULL)
    fields = {field.name for field in dataclasses.fields(Recording)}
    assert {name for name in fields if getattr(plain, name) != getattr(full, name)} == fields
    recordings = Recordings(database)
    for recording in (plain, full):
        await recordings.add(recording)
        assert await recordings.get(recording.project_id, None, recording.id) == recording


@pytest.mark.parametrize(
    ("word", "failure"),
    [("TIMEOUT", Failure.RENDER_TIMEOUT), ("INTERNAL_ERROR", Failure.INTERNAL)],
)
async def test_a_row_from_before_there_were_reasons_has_the_code_of_the_contract(
    tmp_path: Path, database: Database, make_recording: Make, word: str, failure: Failure
) -> None:
    recordings = Recordings(database)
    recording = make_recording(1, state=State.ERROR)
    await recordings.add(recording)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file, file:
        file.execute("UPDATE recordings SET error_code = ?", (word,))
    kept = await recordings.get(recording.project_id, None, recording.id)
    assert kept is not None
    assert kept.failure is failure


async def test_save_keeps_all_but_what_a_recording_is_born_with(
    database: Database, make_recording: Make
) -> None:
    recordings = Recordings(database)
    await recordings.add(make_recording(1))
    born = {
        name: getattr(make_recording(1), name)
        for name in ("id", "project_id", "call_id", "control_id", "source", "created_at")
    }
    await recordings.save(make_recording(1, **_FULL | {"id": born["id"]}))
    assert await recordings.get("project", None, born["id"]) == make_recording(1, **_FULL | born)


async def test_a_recording_is_found_only_under_its_own_project_and_call(
    database: Database, make_recording: Make
) -> None:
    recordings, recording = Recordings(database), make_recording(1)
    await recordings.add(recording)
    assert await recordings.get("project", "call", recording.id) == recording
    assert await recordings.get("project", None, recording.id) == recording
    assert await recordings.get("stranger", None, recording.id) is None
    assert await recordings.get("project", "other", recording.id) is None
    assert await recordings.get("\ud800", None, recording.id) is None


async def test_text_that_no_database_can_hold_does_not_cost_the_row(
    database: Database, make_recording: Make
) -> None:
    recordings = Recordings(database)
    await recordings.add(make_recording(1, error_message="a\0b\ud800c", control_id="\udcff"))
    kept = await recordings.get("project", None, make_recording(1).id)
    assert kept is not None
    assert (kept.error_message, kept.control_id) == ("a\N{REPLACEMENT CHARACTER}b?c", "?")


async def test_unfinished_are_those_in_no_final_state_oldest_first(
    database: Database, make_recording: Make
) -> None:
    recordings = Recordings(database)
    for number, state in enumerate(reversed(State)):
        await recordings.add(make_recording(number, state=state))
    states = [recording.state for recording in await recordings.unfinished()]
    assert states == [State.RENDERING, State.PAUSED, State.RECORDING]


async def test_a_row_that_makes_no_sense_is_named(
    tmp_path: Path, database: Database, make_recording: Make
) -> None:
    recordings, recording = Recordings(database), make_recording(1)
    await recordings.add(recording)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE recordings SET state = 'unheard of'")
    with pytest.raises(LocalError, match=recording.id):
        await recordings.get("project", None, recording.id)


async def _numbers(
    recordings: Recordings, call_id: str | None, size: int, token: str | None = None
) -> tuple[list[int], str | None]:
    page = await recordings.page("project", call_id, size, token)
    return [int(recording.id[:8], 16) for recording in page.recordings], page.next_token


async def test_pages_are_newest_first_and_equal_instants_are_told_apart(
    database: Database, make_recording: Make
) -> None:
    recordings = Recordings(database)
    for number in range(7):
        await recordings.add(make_recording(number, created_at=number // 3))
    seen, token, pages = [], None, 0
    while pages == 0 or token is not None:
        numbers, token = await _numbers(recordings, None, 2, token)
        seen += numbers
        pages += 1
    assert seen == [6, 5, 4, 3, 2, 1, 0]
    assert pages == 4


async def test_a_page_that_just_fits_is_the_last(database: Database, make_recording: Make) -> None:
    recordings = Recordings(database)
    assert await _numbers(recordings, None, 2) == ([], None)
    for number in range(2):
        await recordings.add(make_recording(number))
    assert await _numbers(recordings, None, 2) == ([1, 0], None)


async def test_a_list_of_a_call_has_that_call_alone(
    database: Database, make_recording: Make
) -> None:
    recordings = Recordings(database)
    for number in range(6):
        await recordings.add(make_recording(number, call_id=f"call {number % 2}"))
    numbers, token = await _numbers(recordings, "call 1", 2)
    assert numbers == [5, 3]
    assert await _numbers(recordings, "call 1", 2, token) == ([1], None)


async def test_pages_stay_right_while_rows_come_and_go(
    tmp_path: Path, database: Database, make_recording: Make
) -> None:
    recordings = Recordings(database)
    for number in range(10):
        await recordings.add(make_recording(number))
    first, token = await _numbers(recordings, None, 3)
    await recordings.add(make_recording(99))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        # One already shown, the one the token stands on, and one to come.
        connection.executemany(
            "DELETE FROM recordings WHERE id = ?", [(make_recording(n).id,) for n in (8, 7, 5)]
        )
    second, token = await _numbers(recordings, None, 3, token)
    third, token = await _numbers(recordings, None, 3, token)
    assert (first, second, third, token) == ([9, 8, 7], [6, 4, 3], [2, 1, 0], None)


async def test_a_token_serves_its_own_list_alone(database: Database, make_recording: Make) -> None:
    recordings = Recordings(database)
    for number in range(3):
        await recordings.add(make_recording(number))
    token = (await recordings.page("project", "call", 1)).next_token
    assert token is not None
    for project_id, call_id in (("project", None), ("project", "other"), ("other", "call")):
        with pytest.raises(PeerError) as refused:
            await recordings.page(project_id, call_id, 1, token)
        assert refused.value.status == 400


async def test_a_token_that_was_tampered_with_is_refused(
    database: Database, make_recording: Make
) -> None:
    recordings = Recordings(database)
    for number in range(3):
        await recordings.add(make_recording(number))
    token = (await recordings.page("project", None, 1)).next_token
    assert token is not None
    changed = [
        token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        for at in range(len(token))
    ]
    mangled = ["", "A", "\n" + token, token + "=", token + "!", token[:-1], "é" + token, "\ud800"]
    for garbage in [*changed, *mangled, "A" * MAX_TOKEN, "A" * 1_000_000]:
        with pytest.raises(PeerError) as refused:
            await recordings.page("project", None, 1, garbage)
        assert refused.value.status == 400


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize(
    ("call_id", "index"), [(None, "recordings_of_project"), ("call 7", "recordings_of_call")]
)
async def test_a_page_of_many_recordings_is_read_off_its_index(
    tmp_path: Path,
    database: Database,
    make_recording: Make,
    call_id: str | None,
    index: str,
    analyzed: bool,
) -> None:
    await Recordings(database).add(make_recording(1, project_id="template"))
    columns = [field.name for field in page_query("p", None, 1, None).selected_columns]
    replaced = {
        "id": "printf('%08x', n)",
        "project_id": "'project ' || n % 2",
        "call_id": "'call ' || n / 2 % 1000",
        "created_at": "n",
    }
    values = ", ".join(replaced.get(name, name) for name in columns)
    after = Position(10_000, "x")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute(
            "WITH RECURSIVE numbers(n) AS "
            "(SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 19999) "
            f"INSERT INTO recordings ({', '.join(columns)}) "
            f"SELECT {values} FROM recordings, numbers"
        )
        if analyzed:
            connection.execute("ANALYZE")
        for position in (None, after):
            query = page_query("project 1", call_id, 100, position).compile(
                dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
            )
            rows = connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
            plan = " ".join(row[3] for row in rows)
            assert f"SEARCH recordings USING INDEX {index} " in plan
            assert "TEMP B-TREE" not in plan
            assert "SCAN" not in plan
            assert position is None or "(created_at,id)<" in plan
