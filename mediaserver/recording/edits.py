"""What of a line is heard in a recording, once its pauses are left out or made silent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .resource import Pause, PauseBehavior


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of a recording that comes from one place, in samples."""

    at: int
    """Where it is in the recording."""
    start: int
    """Where it comes from on the line."""
    end: int
    heard: bool
    """Whether it is what the line says there; else it is silent."""
    joint_before: bool = False
    """Whether something else comes right before it than on the line, or after it: a joint."""
    joint_after: bool = False

    def times(self, factor: int) -> Piece:
        """Return it in samples of so many times the rate."""
        return replace(self, at=self.at * factor, start=self.start * factor, end=self.end * factor)

    @property
    def stop(self) -> int:
        """Where in the recording it is over."""
        return self.at + self.end - self.start


def edit(start: int, end: int, pauses: Iterable[Pause]) -> tuple[Piece, ...]:
    """Return the pieces of the line from `start` to `end`, end to end.

    Pauses are in the order of the line; one without an end lasts until `end`.
    """
    pieces: list[Piece] = []
    position = start
    for pause in pauses:
        begin = max(pause.start, position)
        over = end if pause.end is None else min(pause.end, end)
        if over <= begin:
            continue
        _append(pieces, position, begin, heard=True)
        if pause.behavior is PauseBehavior.SILENCE:
            _append(pieces, begin, over, heard=False)
        position = over
    _append(pieces, position, end, heard=True)
    return tuple(pieces)


def _append(pieces: list[Piece], start: int, end: int, *, heard: bool) -> None:
    """Add a stretch of the line, unless it is empty, and note the joint it makes."""
    if end <= start:
        return
    at = pieces[-1].stop if pieces else 0
    if pieces:
        pieces[-1] = replace(pieces[-1], joint_after=True)
    pieces.append(Piece(at=at, start=start, end=end, heard=heard, joint_before=bool(pieces)))
