"""Pauses: left out or silent, to the sample, without a click at the joints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farend.journals import (
    FIRST,
    RATE,
    Samples,
    job_for,
    played,
    stretches,
    tone,
    wav_samples,
    write_journal,
)
from mediaserver.recording.edits import edit
from mediaserver.recording.render import render
from mediaserver.recording.resource import Direction, Format, Pause, PauseBehavior
from mediaserver.recording.track import CHUNK_FRAMES, open_track

FADE = RATE // 200
SKIP, SILENCE = PauseBehavior.SKIP, PauseBehavior.SILENCE


def pause(begin: float, end: float, behavior: PauseBehavior) -> Pause:
    """Return a pause, from and until seconds of the recording."""
    return Pause(
        start=FIRST + round(begin * RATE), end=FIRST + round(end * RATE), behavior=behavior
    )


def rendered(data: Path, voice: Samples, *pauses: Pause) -> Samples:
    if not (data / "journals").exists():
        write_journal(data, voice)
    result = render(job_for(data, len(voice), pauses=pauses))
    samples = wav_samples(data / result.audio[0].path)[:, 0]
    assert result.samples == len(samples)
    assert result.audio[0].duration_us == len(samples) * 1_000_000 // RATE
    return samples


def test_a_skipped_pause_is_left_out_and_all_but_the_fades_is_the_journal(tmp_path: Path) -> None:
    voice = tone(440, 30)
    heard = rendered(tmp_path, voice, pause(3, 12.5, SKIP))
    joint = 3 * RATE
    assert len(heard) == len(voice) - round(9.5 * RATE)
    assert np.array_equal(heard[: joint - FADE], voice[: joint - FADE])
    after = round(12.5 * RATE) + FADE
    assert np.array_equal(heard[joint + FADE :], voice[after:])


def test_a_silent_pause_keeps_its_length_and_all_but_the_fades_is_the_journal(
    tmp_path: Path,
) -> None:
    voice = tone(440, 30)
    heard = rendered(tmp_path, voice, pause(3, 12.5, SILENCE))
    begin, end = 3 * RATE, round(12.5 * RATE)
    assert len(heard) == len(voice)
    assert np.array_equal(heard[: begin - FADE], voice[: begin - FADE])
    assert not heard[begin:end].any()
    assert np.array_equal(heard[end + FADE :], voice[end + FADE :])


@pytest.mark.parametrize("behavior", [SKIP, SILENCE])
@pytest.mark.parametrize("hz", [150.0, 440.0, 1000.0])
def test_no_step_at_a_joint_is_larger_than_those_of_the_source(
    tmp_path: Path, behavior: PauseBehavior, hz: float
) -> None:
    """Cut wherever it hurts: at the crest, and so that the two ends are of opposite sign."""
    voice = tone(hz, 10, amplitude=30000)
    cycle = 1 / hz
    at = [0.25, 0.75, 0.1]
    pauses = (
        pause(2 + at[0] * cycle, 3 + at[1] * cycle, behavior),
        pause(5 + at[1] * cycle, 6 + at[2] * cycle, behavior),
    )
    heard = rendered(tmp_path, voice, *pauses)
    source = int(np.abs(np.diff(voice.astype(int))).max())
    assert int(np.abs(np.diff(heard.astype(int))).max()) <= source
    cut = np.concatenate((voice[: 2 * RATE + 13], voice[3 * RATE + 40 :])).astype(int)
    assert hz == 1000 or int(np.abs(np.diff(cut)).max()) > source / 2  # there was a step to mend


def test_a_fade_is_a_raised_cosine_of_five_milliseconds(tmp_path: Path) -> None:
    voice = np.full(4 * RATE, 20000, np.int16)
    heard = rendered(tmp_path, voice, pause(1, 2, SKIP))
    gains = heard[RATE - FADE - 1 : RATE + FADE + 1] / 20000
    angle = np.pi * (np.arange(FADE) + 0.5) / FADE
    rise = (1 - np.cos(angle)) / 2
    assert gains == pytest.approx(np.concatenate(([1], rise[::-1], rise, [1])), abs=1e-4)


def test_a_stretch_shorter_than_its_fades_still_begins_and_ends_softly(tmp_path: Path) -> None:
    voice = np.full(4 * RATE, 20000, np.int16)
    end = 2 + 0.004
    heard = rendered(tmp_path, voice, pause(1, 2, SILENCE), pause(end, 3, SILENCE))
    between = heard[2 * RATE : 2 * RATE + 32]
    assert between[0] < 100
    assert between[-1] < 100
    assert 1000 < between.max() < 20000
    assert not heard[RATE : 2 * RATE].any()


def test_pauses_at_the_ends_and_right_after_each_other(tmp_path: Path) -> None:
    voice = tone(440, 8)
    heard = rendered(
        tmp_path,
        voice,
        pause(0, 1, SKIP),
        pause(1, 2, SILENCE),
        pause(3, 3, SKIP),
        pause(4, 5, SKIP),
        pause(5, 6, SILENCE),
        pause(7, 8, SKIP),
    )
    assert len(heard) == 5 * RATE
    assert not heard[:RATE].any()
    for second in (1, 2):
        voiced = slice(FADE, RATE - FADE)
        assert np.array_equal(heard[second * RATE :][voiced], voice[(second + 1) * RATE :][voiced])
    assert not heard[3 * RATE : 4 * RATE].any()
    # What is left out at the very end makes no joint.
    assert np.array_equal(heard[4 * RATE + FADE :], voice[6 * RATE + FADE : 7 * RATE])


def test_a_recording_that_was_paused_all_the_time(tmp_path: Path) -> None:
    voice = tone(440, 2)
    write_journal(tmp_path, voice)
    for behavior, length in ((SKIP, 0), (SILENCE, len(voice))):
        result = render(job_for(tmp_path, len(voice), pauses=(pause(0, 2, behavior),)))
        assert (result.samples, result.silent) == (length, True)


def test_what_is_said_in_a_pause_is_in_no_file(tmp_path: Path) -> None:
    """Another recording on the call goes on, so the journal has it."""
    voice = np.concatenate([tone(440, 3), tone(1000, 3), tone(700, 3)])
    write_journal(tmp_path, voice)
    write_journal(tmp_path, tone(2000, 9, amplitude=4000), Direction.LISTEN)
    for behavior, end in ((SKIP, 3.0), (SILENCE, 6.0)):
        result = render(
            job_for(
                tmp_path,
                len(voice),
                Format.WAV,
                Format.MP3,
                Format.MP4,
                pauses=(pause(3, 6, behavior),),
                direction=Direction.BOTH,
                stereo=True,
            )
        )
        for audio in result.audio:
            heard, rate = played(tmp_path / audio.path)
            slack = 0.02 if audio.format is Format.WAV else 0.06
            ((begin, stop),) = stretches(heard[0], rate, 440)
            assert (begin, stop) == pytest.approx((0, 3), abs=slack)
            ((begin, stop),) = stretches(heard[0], rate, 700)
            assert (begin, stop) == pytest.approx((end, end + 3), abs=slack)
            spectrum = np.abs(np.fft.rfft(heard[0])) / heard.shape[1]
            at = round(1000 * heard.shape[1] / rate)
            assert spectrum[at - 20 : at + 20].max() < 0.002
            sounds = stretches(heard[1], rate, 2000)
            assert sum(stop - begin for begin, stop in sounds) == pytest.approx(6, abs=2 * slack)


def test_a_track_is_the_same_wherever_it_is_read(tmp_path: Path) -> None:
    """Chunks end within fades, pieces and pauses."""
    rng = np.random.default_rng(3)
    voice = rng.integers(-32768, 32768, 30 * RATE).astype(np.int16)
    write_journal(tmp_path, voice)
    write_journal(tmp_path, voice[::-1], Direction.LISTEN)
    pauses = (pause(4.99, 9.999, SILENCE), pause(10.003, 14, SKIP), pause(14.001, 14.5, SKIP))
    job = job_for(tmp_path, len(voice), pauses=pauses, direction=Direction.BOTH, stereo=True)
    with open_track(job) as track:
        whole = track.read(0, track.length)
        assert whole.shape == (track.length, 2)
        assert np.array_equal(np.concatenate(list(track.chunks(0, track.length))), whole)
        for _ in range(200):
            begin, end = np.sort(rng.integers(0, track.length + 1, 2)).tolist()
            assert np.array_equal(track.read(begin, end), whole[begin:end])
        assert len(next(track.chunks(0, track.length))) == CHUNK_FRAMES * track.frame


@given(st.lists(st.integers(0, 60), max_size=12), st.lists(st.booleans(), min_size=6, max_size=6))
def test_pieces_fill_the_recording_whatever_its_pauses(
    places: list[int], skips: list[bool]
) -> None:
    ordered = sorted(places)
    pauses = [
        Pause(start=start, end=end, behavior=SKIP if skip else SILENCE)
        for start, end, skip in zip(ordered[::2], ordered[1::2], skips, strict=False)
    ]
    pieces = edit(10, 50, pauses)
    heard = {p for p in range(10, 50) if not any(x.start <= p < (x.end or 0) for x in pauses)}
    skipped = sum(
        any(x.start <= p < (x.end or 0) and x.behavior is SKIP for x in pauses)
        for p in range(10, 50)
    )
    assert [piece.at for piece in pieces] == [0, *(piece.stop for piece in pieces)][: len(pieces)]
    assert (pieces[-1].stop if pieces else 0) == 40 - skipped
    assert {p for x in pieces if x.heard for p in range(x.start, x.end)} == heard
    for number, piece in enumerate(pieces):
        assert piece.joint_before is (number > 0)
        assert piece.joint_after is (number < len(pieces) - 1)
