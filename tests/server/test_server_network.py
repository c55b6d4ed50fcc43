"""Recordings over bad networks: the figures of robustness R11 to R14 and R21."""

from __future__ import annotations

import numpy as np
import pytest

from farend.scene import Outcome, Outcomes
from farend.waveform import Samples, around, is_quiet, place

WHOLE = 114_240
"""Samples of 14.28 s."""


def heard_whole(outcome: Outcome) -> Samples:
    """Check that what was sent is there in one piece, and nothing besides; return the recording."""
    placement = place(outcome.sent, outcome.recorded)
    assert placement.exact, placement
    assert is_quiet(around(placement, outcome.sent, outcome.recorded))
    assert outcome.states == ["recording", "finished"]
    return outcome.recorded[placement.offset : placement.offset + outcome.sent.size]


def assert_as_long_as_the_call(outcome: Outcome, within: float) -> None:
    """Check a length to so many seconds; messages take their time on a busy machine."""
    seconds = outcome.recorded.size / 8000
    assert outcome.facts["least"] - within < seconds < outcome.facts["most"] + within


@pytest.mark.parametrize("percent", [5, 10, 30])
def test_lost_packets_are_silence_and_shift_nothing(hostile: Outcomes, percent: int) -> None:
    outcome = hostile[f"loss-{percent}"]
    assert outcome.facts["lost"] > 714 * percent / 100 * 0.5
    assert heard_whole(outcome).size == WHOLE


@pytest.mark.parametrize("percent", [5, 10, 30])
def test_the_length_of_a_recording_does_not_depend_on_loss(hostile: Outcomes, percent: int) -> None:
    """Before the first packet and behind the last there is what time the call took, no more."""
    outcome = hostile[f"loss-{percent}"]
    assert_as_long_as_the_call(outcome, within=0.1)
    assert outcome.recorded.size >= WHOLE


@pytest.mark.parametrize("name", ["reordered", "duplicated", "wraps", "burst"])
def test_what_arrives_in_disorder_is_as_if_it_had_not(hostile: Outcomes, name: str) -> None:
    assert np.array_equal(heard_whole(hostile[name]), heard_whole(hostile["clean"]))


@pytest.mark.parametrize("name", ["ssrc-change", "timestamp-jump", "timestamp-jump-back"])
def test_a_new_count_of_time_loses_nothing_and_adds_nothing(hostile: Outcomes, name: str) -> None:
    outcome = hostile[name]
    half = outcome.sent.size // 2 // 160 * 160
    first = place(outcome.sent[:half], outcome.recorded)
    second = place(outcome.sent[half:], outcome.recorded)
    assert first.exact, first
    assert second.exact, second
    # 14.3 s give or take 0.1: the second half begins where the first ends.
    assert abs(second.offset - first.offset - half) < 800


@pytest.mark.parametrize("name", ["dtx", "dtx-watched", "comfort-noise"])
def test_a_pause_of_three_seconds_is_kept_to_the_sample(hostile: Outcomes, name: str) -> None:
    outcome = hostile[name]
    placement = place(outcome.sent, outcome.recorded)
    assert placement.exact, placement


def test_a_caller_who_sends_no_packet_leaves_as_much_silence(hostile: Outcomes) -> None:
    outcome = hostile["no-packets"]
    assert_as_long_as_the_call(outcome, within=0.04)
    assert is_quiet(outcome.recorded)
    assert outcome.states == ["recording", "no_input"]
