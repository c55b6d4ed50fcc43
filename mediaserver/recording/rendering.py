"""What is asked of an encoder process and what it answers; light, for the server imports it too."""

from __future__ import annotations

from dataclasses import dataclass

from .resource import Audio, Direction, Format, audio_path


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
    format: Format
    direction: Direction
    stereo: bool

    @property
    def path(self) -> str:
        """Where the file goes, relative to `data_dir`: made from the recording's id alone."""
        return audio_path(self.recording_id, self.format)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What came of it."""

    audio: Audio
    samples: int
    """Length of each channel."""
    silent: bool
    """Whether nothing in it is louder than `render.SILENT_PEAK`."""
