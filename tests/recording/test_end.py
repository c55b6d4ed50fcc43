"""A recording whose last sample is known: how long it is, when it ended, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from farend.shelf import numbered
from mediaserver.recording.end import cut_off, ended
from mediaserver.recording.recorder import Stop
from mediaserver.recording.resource import Pause, PauseBehavior, Span
from mediaserver.recording.states import State, StopReason

SECOND = 1_000_000
SKIP, SILENCE = PauseBehavior.SKIP, PauseBehavior.SILENCE
RECORDING = numbered(1, created_at=5, started_at=5, span=Span(journal="j", rate=8000, start=800))


def test_it_ends_as_long_after_its_start_as_there_are_samples() -> None:
    stopped = ended(RECORDING, Stop(StopReason.TERMINATOR, 800 + 12_000, "#"), ())
    assert stopped.state is State.RENDERING
    assert (stopped.span.start, stopped.span.end) == (800, 12_800)
    assert (stopped.ended_at, stopped.duration_us) == (5 + 3 * SECOND // 2, 3 * SECOND // 2)
    assert (stopped.stop_reason, stopped.stop_digit) == (StopReason.TERMINATOR, "#")


def test_its_account_says_why_and_what_became_of_the_packets() -> None:
    stopped = ended(RECORDING, Stop(StopReason.HANGUP, 800 + 8), (), {"packets_lost": 3})
    assert stopped.account == {
        "leg": {"packets_lost": 3},
        "trace": {"stop_reason": "hangup", "stop_digit": None, "position_ms": 1},
    }


@pytest.mark.parametrize(
    ("pause", "seconds"),
    [
        (Pause(start=800, behavior=SKIP, end=8800), 2),
        (Pause(start=800, behavior=SILENCE, end=8800), 3),
        (Pause(start=16_800, behavior=SKIP), 2),
        (Pause(start=16_800, behavior=SILENCE), 3),
    ],
)
def test_only_a_pause_that_is_left_out_makes_it_shorter(pause: Pause, seconds: int) -> None:
    stopped = ended(RECORDING, Stop(StopReason.COMMAND, 24_800), (pause,))
    assert stopped.duration_us == seconds * SECOND
    assert stopped.ended_at == 5 + 3 * SECOND


def test_one_that_was_cut_off_ends_with_its_journal() -> None:
    assert cut_off(RECORDING, 9000).span.end == 9000
    assert cut_off(RECORDING, 7).span.end == 800, "a journal that ends before it begins"


def test_one_that_was_cut_off_in_a_pause_ends_where_that_began() -> None:
    over, open_one = Pause(start=900, behavior=SKIP, end=1000), Pause(start=2000, behavior=SILENCE)
    cut = cut_off(replace(RECORDING, pauses=(over, open_one)), 9000)
    assert (cut.span.end, cut.pauses) == (2000, (over,))
