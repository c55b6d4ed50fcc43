"""Where what a call says and hears is kept, and what is known of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...recording.announcement import Announcement
from ...recording.rendering import Rendered, RenderJob
from ...recording.resource import Direction, Recording
from ..resource import CallRecord


class JournalFile(Protocol):
    """One direction of a leg's journal, being written."""

    @property
    def number(self) -> int:
        """Names it in `Journals.write_many` until it is closed."""

    def write(self, position: int, samples: NDArray[np.int16]) -> None:
        """Queue samples for `position`; never waits for the disk."""

    def note(self, spans: bytes) -> None:
        """Queue what is known of the leg's line (`rtp.spans`), to be appended to its notes."""

    def close(self) -> Awaitable[None]:
        """Close when all that was queued is in the file; LocalError if something could not be."""

    def flushed(self) -> Awaitable[None]:
        """Wait until all that was queued so far is in the file; LocalError if it could not be."""


OpenWide = Callable[[Direction, int], JournalFile]
"""Returns the journal of what a leg's party says, or hears, at so many Hz: more than its line has.
The same one whenever it is asked for."""


class Journals(Protocol):
    """Where journals are kept."""

    def create(
        self,
        folder: str,
        direction: Direction,
        *,
        rate: int,
        first: int,
        wall_us: int,
        wide: bool = False,
    ) -> JournalFile:
        """Create the journal of one direction of a leg; `folder` is relative to the data folder.

        `wide` is the one that has, beside the line's, what was heard at a higher rate.
        """

    def write_many(
        self,
        numbers: NDArray[np.int64],
        positions: NDArray[np.int64],
        samples: NDArray[np.int16],
    ) -> None:
        """Queue samples, shape (n, width): row i for `positions[i]` of journal `numbers[i]`.

        The samples are given away. Never waits; a fault shows at `JournalFile.flushed`.
        """


class Renderer(Protocol):
    """Makes files of journals, in another process."""

    def start(self) -> None:
        """Get ready: a recording has begun. Never waits."""

    def render(self, job: RenderJob) -> Awaitable[Rendered]:
        """Return the finished file; LocalError when it cannot be made."""


class RecordingStore(Protocol):
    """Keeps recordings, and in the same transaction what is to be said about them."""

    def add(
        self, recording: Recording, announcements: Sequence[Announcement] = ()
    ) -> Awaitable[None]:
        """Keep a new recording."""

    def save(
        self, recording: Recording, announcements: Sequence[Announcement] = ()
    ) -> Awaitable[None]:
        """Keep a recording's new state."""


class Outbox(Protocol):
    """Keeps announcements that belong to no recording."""

    def add(self, announcements: Sequence[Announcement]) -> Awaitable[None]:
        """Keep announcements for delivery."""


class CallStore(Protocol):
    """Keeps calls."""

    def add(self, call: CallRecord) -> Awaitable[None]:
        """Keep a new call."""

    def save(self, call: CallRecord) -> Awaitable[None]:
        """Keep when and how a call was answered or ended."""
