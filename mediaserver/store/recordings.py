"""Recordings in the database: kept with their announcements, listed newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, insert, select, tuple_, update

from mediaserver.errors import LocalError
from mediaserver.recording.announcement import Announcement
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
from mediaserver.recording.states import FINAL, ErrorCode, State, StopReason

from . import schema
from .database import Database
from .outbox import enqueue
from .page_token import Position, read_token, write_token
from .writer import Change, Step


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a list."""

    recordings: tuple[Recording, ...]
    next_token: str | None
    """What to ask the next page with; None after the last one."""


_TABLE: Final = schema.recordings
# What a recording is born with: no save changes it.
_BORN_WITH: Final = {"id", "project_id", "call_id", "control_id", "source", "created_at"}

_ADD: Final = Change(
    10, insert(_TABLE).inline().values({c: bindparam(f"b_{c.name}") for c in _TABLE.c})
)
_SAVE: Final = Change(
    11,
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("b_id"))
    .values({c: bindparam(f"b_{c.name}") for c in _TABLE.c if c.name not in _BORN_WITH}),
    missing="there is no such recording to save",
)


class Recordings:
    """The table of recordings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, recording: Recording, announcements: Sequence[Announcement] = ()) -> None:
        """Keep a new recording, and what is announced of it, in one transaction.

        Raises `StoreConflict` if its id is taken, `StoreUnavailable` if nothing was written.
        """
        await self._write(_ADD, recording, announcements)

    async def save(self, recording: Recording, announcements: Sequence[Announcement] = ()) -> None:
        """Keep what became of a recording, and what is announced of it, in one transaction.

        Raises `StoreConflict` if it is unknown or an announcement's number in its stream is
        taken, `StoreUnavailable` if nothing was written.
        """
        await self._write(_SAVE, recording, announcements)

    async def get(
        self, project_id: str, call_id: str | None, recording_id: str
    ) -> Recording | None:
        """Return a recording of the project, and of the call unless `call_id` is None."""
        statement = select(_TABLE).where(
            _TABLE.c.id == recording_id, _TABLE.c.project_id == project_id
        )
        if call_id is not None:
            statement = statement.where(_TABLE.c.call_id == call_id)
        rows = await self._database.read(statement)
        return _recording(rows[0]) if rows else None

    async def page(
        self, project_id: str, call_id: str | None, size: int, token: str | None = None
    ) -> Page:
        """Return `size` recordings of a project (or one of its calls), newest first.

        `token` is the `next_token` of the page before, of the same list. What is added or removed
        meanwhile moves no other recording to another page. Raises `PeerError` 400 for a token
        that is not one of ours or is of another list.
        """
        after = None if token is None else read_token(token, project_id, call_id)
        rows = await self._database.read(page_query(project_id, call_id, size, after))
        more = len(rows) > size
        recordings = tuple(_recording(row) for row in rows[:size])
        next_token = None
        if more:
            last = Position(recordings[-1].created_at, recordings[-1].id)
            next_token = write_token(last, project_id, call_id)
        return Page(recordings, next_token)

    async def unfinished(self) -> list[Recording]:
        """Return the recordings in no final state, oldest first: what a restart must end."""
        states = sorted(set(State) - FINAL)
        statement = select(_TABLE).where(_TABLE.c.state.in_(states))
        rows = await self._database.read(statement.order_by(_TABLE.c.created_at, _TABLE.c.id))
        return [_recording(row) for row in rows]

    async def _write(
        self, change: Change, recording: Recording, announcements: Sequence[Announcement]
    ) -> None:
        steps = [Step(change, _values(recording)), *enqueue(announcements)]
        await self._database.write(steps, announces=bool(announcements))


def page_query(
    project_id: str, call_id: str | None, size: int, after: Position | None
) -> Select[Any]:
    """Return the statement behind `Recordings.page`: one row more than asked, to see the end."""
    assert size > 0
    statement = select(_TABLE).where(_TABLE.c.project_id == project_id)
    if call_id is not None:
        statement = statement.where(_TABLE.c.call_id == call_id)
    if after is not None:
        # One comparison of pairs, not `or`: it is one range of the index.
        key = tuple_(_TABLE.c.created_at, _TABLE.c.id)
        statement = statement.where(key < tuple_(after.created_at, after.id))
    return statement.order_by(_TABLE.c.created_at.desc(), _TABLE.c.id.desc()).limit(size + 1)


def _values(recording: Recording) -> dict[str, Any]:
    span = recording.span
    return {
        "b_id": recording.id,
        "b_project_id": recording.project_id,
        "b_call_id": recording.call_id,
        "b_control_id": recording.control_id,
        "b_source": recording.source,
        "b_state": recording.state,
        "b_format": recording.format,
        "b_direction": recording.direction,
        "b_stereo": recording.stereo,
        "b_status_url": recording.status_url,
        "b_created_at": recording.created_at,
        "b_started_at": recording.started_at,
        "b_ended_at": recording.ended_at,
        "b_duration_us": recording.duration_us,
        "b_span_journal": span.journal,
        "b_span_rate": span.rate,
        "b_span_start": span.start,
        "b_span_end": span.end,
        "b_stop_reason": recording.stop_reason,
        "b_stop_digit": recording.stop_digit,
        "b_error_code": recording.failure,
        "b_error_message": recording.error_message,
        "b_audio": [asdict(audio) for audio in recording.audio],
        "b_pauses": [asdict(pause) for pause in recording.pauses],
        "b_post_processing": list(recording.post_processing),
        "b_ready_uri": recording.ready_uri,
        "b_recovered": recording.recovered,
        "b_expires_at": recording.expires_at,
        "b_account": recording.account,
        "b_sequence": recording.sequence,
    }


def _recording(row: Row[Any]) -> Recording:
    try:
        return Recording(
            id=row.id,
            project_id=row.project_id,
            call_id=row.call_id,
            control_id=row.control_id,
            source=Source(row.source),
            state=State(row.state),
            format=Format(row.format),
            direction=Direction(row.direction),
            stereo=row.stereo,
            status_url=row.status_url,
            created_at=row.created_at,
            started_at=row.started_at,
            span=Span(
                journal=row.span_journal,
                rate=row.span_rate,
                start=row.span_start,
                end=row.span_end,
            ),
            ended_at=row.ended_at,
            duration_us=row.duration_us,
            stop_reason=None if row.stop_reason is None else StopReason(row.stop_reason),
            stop_digit=row.stop_digit,
            failure=None if row.error_code is None else _failure(row.error_code),
            error_message=row.error_message,
            audio=tuple(_audio(item) for item in row.audio),
            pauses=tuple(_pause(item) for item in row.pauses),
            post_processing=tuple(PostProcessing(name) for name in row.post_processing),
            ready_uri=row.ready_uri,
            recovered=row.recovered,
            expires_at=row.expires_at,
            account=row.account,
            sequence=row.sequence,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LocalError(f"the row of recording {row.id} makes no sense: {error}") from error


def _failure(word: str) -> Failure:
    # Before there were reasons the contract's code was kept.
    codes = {ErrorCode.TIMEOUT: Failure.RENDER_TIMEOUT, ErrorCode.INTERNAL_ERROR: Failure.INTERNAL}
    return codes[ErrorCode(word)] if word in set(ErrorCode) else Failure(word)


def _audio(item: dict[str, Any]) -> Audio:
    side = item.get("direction")
    direction = None if side is None else Direction(side)
    return Audio(**item | {"format": Format(item["format"]), "direction": direction})


def _pause(item: dict[str, Any]) -> Pause:
    return Pause(**item | {"behavior": PauseBehavior(item["behavior"])})
