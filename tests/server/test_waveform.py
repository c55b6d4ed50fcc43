"""The measure that the tests of live calls rely on: it must see what is missing or moved."""

from __future__ import annotations

import numpy as np
import pytest

from farend.waveform import Samples, decode, is_quiet, level, place, similarity, sine

FRAME = 160


@pytest.fixture
def sent() -> Samples:
    noise = np.random.default_rng(1).integers(-8000, 8000, 50 * FRAME)
    return noise.astype(np.int16)


def silence(samples: int) -> Samples:
    return np.zeros(samples, np.int16)


def test_what_is_there_in_one_piece_is_exact(sent: Samples) -> None:
    found = place(sent, np.concatenate([silence(77), sent, silence(99)]))
    assert (found.offset, found.missing, found.shifted) == (77, 0, 0)
    assert found.exact


def test_a_lost_frame_is_missing(sent: Samples) -> None:
    recorded = sent.copy()
    recorded[10 * FRAME : 11 * FRAME] = 0
    found = place(sent, recorded)
    assert (found.missing, found.shifted) == (FRAME, 0)
    assert not found.exact


def test_frames_behind_a_hole_that_was_closed_are_shifted(sent: Samples) -> None:
    recorded = np.concatenate([sent[: 30 * FRAME], sent[31 * FRAME :]])
    found = place(sent, recorded)
    assert (found.missing, found.shifted) == (FRAME, 19 * FRAME)


def test_one_wrong_sample_is_seen(sent: Samples) -> None:
    recorded = sent.copy()
    recorded[4321] += 1
    assert place(sent, recorded).missing == FRAME


def test_a_first_frame_that_was_cut_is_seen(sent: Samples) -> None:
    assert not place(sent, sent[1:]).exact


def test_nothing_of_it_is_all_missing(sent: Samples) -> None:
    assert place(sent, silence(sent.size)).missing == sent.size


def test_alike_is_1_at_the_right_lag_and_little_for_what_is_unlike(sent: Samples) -> None:
    lag, alike = similarity(sent, np.concatenate([silence(123), sent // 2]))
    assert lag == 123
    assert alike > 0.999
    other = np.random.default_rng(2).integers(-8000, 8000, sent.size).astype(np.int16)
    assert similarity(sent, other)[1] < 0.2


def test_the_level_of_a_tone_is_told() -> None:
    tone = sine(2000, 1.0, 32767)
    assert abs(level(tone, 2000)) < 0.1
    assert level(tone, 1000) < -60


def test_silence_is_silence_in_either_law() -> None:
    assert is_quiet(decode("PCMU", b"\xff\x7f"))
    assert is_quiet(decode("PCMA", b"\xd5\x55"))


def test_g711_is_decoded_by_the_tables_of_the_recommendation() -> None:
    assert decode("PCMU", b"\x00\x80\xff\x7f\xf0").tolist() == [-32124, 32124, 0, 0, 120]
    assert decode("PCMA", b"\x2a\xaa\xd5\x55\xd4").tolist() == [-32256, 32256, 8, -8, 24]
