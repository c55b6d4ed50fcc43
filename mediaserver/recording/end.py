"""The end of a recording: how it stands once its last sample is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from . import explanation
from .recorder import Stop
from .resource import Pause, PauseBehavior, Recording
from .states import State


def ended(
    recording: Recording,
    stop: Stop,
    pauses: tuple[Pause, ...],
    leg: Mapping[str, Any] | None = None,
) -> Recording:
    """Return a recording that has stopped: RENDERING, with why it stopped in its account.

    Its end is its start and the time on its line, so that a step of the wall clock cannot bend it.
    `leg` are the figures of its leg, where they are known.
    """
    span = recording.span
    samples = stop.position - span.start
    account = explanation.end(
        recording.account, stop.reason, stop.digit, samples * 1000 // span.rate, leg
    )
    return recording.become(
        State.RENDERING,
        span=replace(span, end=stop.position),
        ended_at=recording.started_at + samples * 1_000_000 // span.rate,
        duration_us=_length(recording, stop.position, pauses),
        pauses=pauses,
        stop_reason=stop.reason,
        stop_digit=stop.digit,
        account=account,
    )


def cut_off(recording: Recording, journal_end: int) -> Recording:
    """Return a recording that was cut off as far as there is anything of it.

    It ends with its journal; one that was paused ends where it was, for nothing is known of how
    long the pause would have lasted.
    """
    end = max(journal_end, recording.span.start)
    pauses = recording.pauses
    if pauses and pauses[-1].end is None:
        end = pauses[-1].start
        pauses = pauses[:-1]
    return replace(recording, span=replace(recording.span, end=end), pauses=pauses)


def _length(recording: Recording, end: int, pauses: Iterable[Pause]) -> int:
    """Return how long a recording that ends at `end` is, in microseconds.

    Pauses that are left out of it do not count.
    """
    samples = end - recording.span.start
    for pause in pauses:
        if pause.behavior is PauseBehavior.SKIP:
            samples -= (end if pause.end is None else pause.end) - pause.start
    return samples * 1_000_000 // recording.span.rate
