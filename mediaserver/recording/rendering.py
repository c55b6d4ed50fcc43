"""What is asked of an encoder process and what it answers; light, for the server imports it too."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import LocalError
from .account import Account
from .resource import Audio, Direction, Format, Pause, Recording, audio_path


class RendererFull(LocalError):
    """Too many renders wait for an encoder: the recording stays on disk and is rendered later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One file to make."""

    format: Format
    rendition: int = 0
    """See `Audio.rendition`."""
    sample_rate: int | None = None
    """Hz; None: what the call warrants, that of its line or of what was heard beyond that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderJob:
    """What to render. Picklable: it crosses into the worker process."""

    data_dir: str
    recording_id: str
    journal: str
    """The leg's journal folder, relative to `data_dir` (`Span.journal`)."""
    rate: int
    """Samples per second of the line."""
    start: int
    """First sample of the recording on the leg's line."""
    end: int
    """First sample no longer part of it."""
    targets: tuple[Target, ...]
    """Every file is of the same audio; of a silent recording the first alone is made."""
    direction: Direction
    stereo: bool
    pauses: tuple[Pause, ...] = ()
    """All of them ended, in the order of the line, within `start` and `end`."""
    trim: bool = False
    """Whether silence is left out at the beginning and at the end."""
    peaks: bool = False
    """Whether the peaks are written down, too (`peaks_path`)."""
    sensitivity: float | None = None
    """Of the voice detection by which it is accounted for (`account`); None: it is not."""

    @classmethod
    def of(
        cls, recording: Recording, data_dir: str, end: int, targets: tuple[Target, ...]
    ) -> RenderJob:
        """Return the job for a recording as it was ordered, as far as `end` on the leg's line."""
        return cls(
            data_dir=data_dir,
            recording_id=recording.id,
            journal=recording.span.journal,
            rate=recording.span.rate,
            start=recording.span.start,
            end=end,
            targets=targets,
            direction=recording.direction,
            stereo=recording.stereo,
            pauses=recording.pauses,
        )

    @property
    def wide(self) -> bool:
        """Whether any of its files may have more than the line has."""
        return any((target.sample_rate or self.rate + 1) > self.rate for target in self.targets)

    def path(self, target: Target) -> str:
        """Return where a file goes, relative to `data_dir`: made from the recording's id alone."""
        return audio_path(self.recording_id, target.format, target.rendition)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What came of it."""

    audio: tuple[Audio, ...]
    """One a target, in their order; when `silent` the first alone."""
    samples: int
    """Length of each channel at the line's rate, without what was left out."""
    silent: bool
    """Whether nothing in it is louder than `render.SILENT_PEAK`."""
    account: Account | None = None
    """Where every millisecond came from, if that was asked for."""
