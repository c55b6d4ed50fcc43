"""A file counts as right only when every sample that was said stands in its place."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scripts.bench.recordings import compare
from scripts.bench.speech import FRAME, load_voice

VOICE = load_voice()
SAID = VOICE.said(8000, 200)


def silence(samples: int) -> NDArray[np.int16]:
    return np.zeros(samples, np.int16)


@pytest.mark.parametrize("lead", [0, 1, 77, 4000])
def test_silence_around_what_was_said_is_allowed(lead: int) -> None:
    verdict = compare(np.concatenate([silence(lead), SAID, silence(500)]), SAID)
    assert verdict.right
    assert verdict.lead == lead


def test_a_packet_that_is_not_there_is_missing() -> None:
    file = SAID.copy()
    file[100 * FRAME : 101 * FRAME] = 0
    verdict = compare(file, SAID)
    assert 0 < verdict.missing <= FRAME
    assert not verdict.right


def test_what_comes_one_sample_late_is_missing() -> None:
    file = np.concatenate([SAID[: 50 * FRAME], silence(1), SAID[50 * FRAME :]])
    assert compare(file, SAID).missing > 0


@pytest.mark.parametrize("cut", [slice(FRAME, None), slice(None, -FRAME)])
def test_a_cut_at_either_end_is_missing(cut: slice) -> None:
    assert compare(SAID[cut], SAID).missing == FRAME


def test_samples_nobody_said_are_foreign() -> None:
    file = np.concatenate([np.ones(3, np.int16), silence(50), SAID])
    assert compare(file, SAID).foreign == 3


def test_another_callers_file_has_nothing_of_it() -> None:
    other = VOICE.said(800_000, 200)
    assert not compare(other, SAID).right


def test_an_empty_file_lacks_everything() -> None:
    assert compare(silence(0), SAID).missing == SAID.size
