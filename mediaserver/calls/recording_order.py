"""What is to be recorded, and what the route of a call says of its recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..recording.recorder import StopRules
from ..recording.resource import Direction, Format, PostProcessing, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPolicy:
    """What a route says of the recordings made on its calls."""

    post_processing: tuple[PostProcessing, ...] = ()
    ready_uri: str | None = None
    retention: float | None = None
    """Seconds after its end at which a recording is erased; None: never."""


DEFAULT_POLICY: Final = RecordingPolicy()
"""Of a route that says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOrder:
    """What is to be recorded, whichever surface asked for it."""

    rules: StopRules
    format: Format
    direction: Direction
    stereo: bool
    status_url: str | None
    source: Source
    control_id: str | None = None
    policy: RecordingPolicy = DEFAULT_POLICY
    since: int | None = None
    """Position on the leg's line it begins at, a moment ago; None: the present one."""
