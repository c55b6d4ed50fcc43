"""Where a recording stops, to the sample, with speech that is made of arithmetic."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mediaserver.recording.recorder import ONSET_FRAMES, Recorder, Stop, StopRules
from mediaserver.recording.states import StopReason

RATE = 8000
START = 12_345  # no multiple of a frame
FRAME = 160


def _voice(seconds: float) -> NDArray[np.int16]:
    """Return a buzz with the swell of syllables, which webrtcvad takes for speech throughout."""
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 140 * n * time) / n for n in range(1, 20))
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * time)
    return np.asarray(8000 * buzz * swell, np.int16)


def _quiet(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(seconds * RATE), np.int16)


def _line(*parts: NDArray[np.int16]) -> NDArray[np.int16]:
    return np.concatenate(parts)


def _run(rules: StopRules, samples: NDArray[np.int16], chunk: int = 160) -> Stop | None:
    recorder = Recorder(rules, START, RATE)
    for at in range(0, len(samples), chunk):
        stop = recorder.audio(samples[at : at + chunk], START + at)
        if stop is not None:
            return stop
    return None


MESSAGE = _line(_quiet(1.0), _voice(2.0), _quiet(4.0))


def test_without_speech_the_initial_timeout_stops_to_the_sample() -> None:
    stop = _run(StopRules(initial_timeout=1.2345), _quiet(3))
    assert stop == Stop(StopReason.INITIAL_TIMEOUT, START + 9876)


def test_speech_before_the_initial_timeout_keeps_it_off() -> None:
    assert _run(StopRules(initial_timeout=1.5), MESSAGE) is None
    assert _run(StopRules(initial_timeout=0.9), MESSAGE) == Stop(
        StopReason.INITIAL_TIMEOUT, START + 7200
    )


def test_end_silence_is_measured_from_the_end_of_speech() -> None:
    stop = _run(StopRules(end_silence_timeout=1.5), MESSAGE)
    assert stop is not None
    assert stop.reason is StopReason.END_SILENCE
    assert abs(stop.position - (START + 36_000)) <= FRAME


def test_the_timeout_is_exact_from_the_end_of_speech_that_was_found() -> None:
    stops = [_run(StopRules(end_silence_timeout=t), MESSAGE) for t in (1.0, 1.0001, 2.5)]
    assert all(stop is not None for stop in stops)
    positions = [stop.position for stop in stops if stop is not None]
    assert positions[1] - positions[0] == 1
    assert positions[2] - positions[0] == 12_000


def test_end_silence_counts_only_after_speech() -> None:
    assert _run(StopRules(end_silence_timeout=1.0), _quiet(30)) is None
    late = _line(_quiet(10), _voice(1), _quiet(3))
    stop = _run(StopRules(end_silence_timeout=1.0), late)
    assert stop is not None
    assert abs(stop.position - (START + 96_000)) <= FRAME


def test_a_pause_shorter_than_the_timeout_does_not_stop() -> None:
    line = _line(_voice(1), _quiet(0.9), _voice(1), _quiet(3))
    stop = _run(StopRules(end_silence_timeout=1.0), line)
    assert stop is not None
    assert abs(stop.position - (START + round(3.9 * RATE))) <= FRAME


def test_the_maximum_length_stops_to_the_sample_with_and_without_audio() -> None:
    rules = StopRules(max_length=2.00025)
    expected = Stop(StopReason.MAX_LENGTH, START + 16_002)
    assert _run(rules, _voice(3)) == expected
    recorder = Recorder(rules, START, RATE)
    assert not recorder.needs_audio
    assert recorder.clock(START + 16_001) is None
    assert recorder.clock(START + 16_002) == expected


def test_a_terminator_stops_where_its_tone_begins() -> None:
    recorder = Recorder(StopRules(terminators="#a"), START, RATE)
    assert recorder.digit("1", START + 100) is None
    assert recorder.digit("", START + 100) is None
    assert recorder.digit("#", START + 4321) == Stop(StopReason.TERMINATOR, START + 4321, "#")
    other = Recorder(StopRules(terminators="#a"), START, RATE)
    assert other.digit("A", START + 5) == Stop(StopReason.TERMINATOR, START + 5, "A")


def test_a_key_pressed_before_the_start_leaves_an_empty_recording() -> None:
    recorder = Recorder(StopRules(terminators="#"), START, RATE)
    assert recorder.digit("#", START - 900) == Stop(StopReason.TERMINATOR, START, "#")


def test_a_key_goes_before_audio_not_yet_received() -> None:
    rules = StopRules(terminators="#", initial_timeout=1.0)
    recorder = Recorder(rules, START, RATE)
    assert recorder.audio(_quiet(0.5), START) is None
    stop = Stop(StopReason.TERMINATOR, START + 9000, "#")
    assert recorder.digit("#", START + 9000) == stop
    assert recorder.audio(_quiet(3), START + 4000) == stop


def test_a_key_beyond_the_maximum_length_does_not_lengthen_the_recording() -> None:
    recorder = Recorder(StopRules(terminators="#", max_length=1.0), START, RATE)
    assert recorder.digit("#", START + 8001) == Stop(StopReason.MAX_LENGTH, START + 8000)


def test_of_several_rules_in_one_chunk_the_earliest_position_wins() -> None:
    both = StopRules(end_silence_timeout=1.0, max_length=3.5, initial_timeout=2.0)
    limited = _run(both, MESSAGE, len(MESSAGE))
    assert limited == Stop(StopReason.MAX_LENGTH, START + 28_000)
    silent = _run(StopRules(end_silence_timeout=1.0, max_length=4.5), MESSAGE, len(MESSAGE))
    assert silent is not None
    assert silent.reason is StopReason.END_SILENCE
    # Speech goes on after a pause in the same chunk: the first pause has stopped the recording.
    line = _line(_voice(1), _quiet(2), _voice(1), _quiet(5))
    first = _run(StopRules(end_silence_timeout=1.0), line, len(line))
    assert first is not None
    assert abs(first.position - (START + 16_000)) <= FRAME


def test_on_a_tie_silence_tells_more_than_length() -> None:
    recorder = Recorder(StopRules(initial_timeout=4.0, max_length=4.0), START, RATE)
    stop = recorder.clock(START + 99_999)
    assert stop == Stop(StopReason.INITIAL_TIMEOUT, START + 32_000)


def test_timeouts_fire_by_the_clock_when_no_packet_ever_comes() -> None:
    """complaints 17, robustness R14."""
    recorder = Recorder(StopRules(initial_timeout=4.0, end_silence_timeout=5.0), START, RATE)
    assert recorder.clock(START + 31_999) is None
    assert recorder.clock(START + 32_000) == Stop(StopReason.INITIAL_TIMEOUT, START + 32_000)


def test_end_silence_fires_by_the_clock_when_packets_stop() -> None:
    recorder = Recorder(StopRules(end_silence_timeout=1.5), START, RATE)
    speech = MESSAGE[: 3 * RATE]
    assert recorder.audio(speech, START) is None
    assert recorder.clock(START + 30_000) is None
    stop = recorder.clock(START + 200_000)
    assert stop is not None
    assert stop.reason is StopReason.END_SILENCE
    assert abs(stop.position - (START + 36_000)) <= FRAME


def test_audio_behind_the_clock_still_counts() -> None:
    recorder = Recorder(StopRules(initial_timeout=2.0, end_silence_timeout=1.0), START, RATE)
    assert recorder.clock(START + 15_999) is None
    assert recorder.audio(_voice(1.5), START) is None
    assert recorder.clock(START + 16_500) is None
    stop = recorder.clock(START + 20_000)
    assert stop is not None
    assert stop.reason is StopReason.END_SILENCE
    assert abs(stop.position - (START + 20_000)) <= FRAME


def test_a_stop_stays_whatever_comes_later() -> None:
    recorder = Recorder(StopRules(initial_timeout=1.0, terminators="#"), START, RATE)
    stop = recorder.clock(START + 8000)
    assert stop == Stop(StopReason.INITIAL_TIMEOUT, START + 8000)
    assert recorder.audio(_voice(1), START) == stop
    assert recorder.digit("#", START + 1) == stop
    assert recorder.clock(START + 99_999) == stop
    assert recorder.end(StopReason.HANGUP, START + 99_999) == stop


def test_the_end_of_the_call_ends_the_recording_there() -> None:
    recorder = Recorder(StopRules(end_silence_timeout=5.0), START, RATE)
    assert recorder.audio(_voice(1), START) is None
    stop = Stop(StopReason.HANGUP, START + 8123)
    assert recorder.end(StopReason.HANGUP, START + 8123) == stop
    assert recorder.end(StopReason.COMMAND, START + 9999) == stop
    before = Recorder(StopRules(), START, RATE).end(StopReason.COMMAND, START - 5)
    assert before == Stop(StopReason.COMMAND, START)


def test_a_rule_that_was_due_before_the_hang_up_comes_first() -> None:
    recorder = Recorder(StopRules(max_length=1.0), START, RATE)
    assert recorder.end(StopReason.HANGUP, START + 8001) == Stop(
        StopReason.MAX_LENGTH, START + 8000
    )


def test_a_click_is_not_speech_and_does_not_put_off_the_end() -> None:
    line = _line(_quiet(1), _voice(1), _quiet(3)).copy()
    line[4000:4040] = 20_000
    line[-12_000:-11_900] = -20_000
    for place in range(0, 1000, 80):  # clicks at every phase of a frame, 1.5 s apart
        clicks = _quiet(4)
        clicks[place : place + 60] = 15_000
        clicks[16_000 + place : 16_060 + place] = 15_000
        stop = _run(StopRules(initial_timeout=3.0, end_silence_timeout=1.0), clicks)
        assert stop == Stop(StopReason.INITIAL_TIMEOUT, START + 24_000)
    stop = _run(StopRules(initial_timeout=0.9, end_silence_timeout=2.0), line)
    assert stop == Stop(StopReason.INITIAL_TIMEOUT, START + 7200)
    stop = _run(StopRules(end_silence_timeout=2.0), line)
    assert stop is not None
    assert abs(stop.position - (START + 32_000)) <= FRAME


def test_audio_is_wanted_only_while_a_rule_listens() -> None:
    assert not Recorder(StopRules(terminators="#", max_length=9), START, RATE).needs_audio
    assert Recorder(StopRules(end_silence_timeout=1), START, RATE).needs_audio
    waiting = Recorder(StopRules(initial_timeout=4, max_length=5), START, RATE)
    wanted = [waiting.needs_audio]
    assert waiting.audio(_voice(3.0), START) is None
    wanted.append(waiting.needs_audio)
    assert waiting.audio(_voice(3.0), START + 24_000) == Stop(StopReason.MAX_LENGTH, START + 40_000)
    wanted.append(waiting.needs_audio)
    assert wanted == [True, False, False]


def test_the_end_of_speech_is_told() -> None:
    recorder = Recorder(StopRules(end_silence_timeout=5), START, RATE)
    before = recorder.speech_end
    assert recorder.audio(MESSAGE, START) is None
    after = recorder.speech_end
    assert before is None
    assert after is not None
    assert abs(after - (START + 24_000)) <= FRAME


def test_a_timeout_shorter_than_a_frame_does_not_stop_in_the_middle_of_a_word() -> None:
    stop = _run(StopRules(end_silence_timeout=0.0001), _line(_voice(1.0), _quiet(1)))
    assert stop is not None
    assert stop.position >= START + ONSET_FRAMES * FRAME + 1


def test_hours_in_one_piece_are_judged_in_bounded_memory() -> None:
    line = np.zeros(RATE * 1800, np.int16)
    recorder = Recorder(StopRules(initial_timeout=3000), START, RATE)
    assert recorder.audio(line, START) is None


def test_another_rate_gives_the_same_seconds() -> None:
    recorder = Recorder(StopRules(initial_timeout=1.0, max_length=9), 0, 16000)
    assert recorder.audio(np.zeros(16_000, np.int16), 0) == Stop(StopReason.INITIAL_TIMEOUT, 16_000)


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.tuples(st.booleans(), st.integers(1, 9000)), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 40_000), max_size=12),
    initial=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    silence=st.sampled_from([0.0, 0.01, 0.4, 1.1]),
    length=st.sampled_from([0.0, 0.7, 2.3]),
)
def test_the_cut_of_the_audio_into_chunks_changes_nothing(
    parts: list[tuple[bool, int]],
    cuts: list[int],
    initial: float,
    silence: float,
    length: float,
) -> None:
    """The same samples stop at the same place, live, at once or replayed."""
    samples = _line(*(_voice(n / RATE) if voiced else _quiet(n / RATE) for voiced, n in parts))
    rules = StopRules(initial_timeout=initial, end_silence_timeout=silence, max_length=length)
    whole = _run(rules, samples, len(samples))
    edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < len(samples)), len(samples)]
    recorder = Recorder(rules, START, RATE)
    stop = None
    for begin, end in pairwise(edges):
        stop = recorder.audio(samples[begin:end], START + begin)
    assert stop == whole
    far = START + len(samples) + 10 * RATE
    again = Recorder(rules, START, RATE)
    again.audio(samples, START)
    assert recorder.clock(far) == again.clock(far)


@pytest.mark.parametrize("chunk", [1, 80, 160, 161, 4000])
def test_every_packet_length_gives_the_same_stop(chunk: int) -> None:
    rules = StopRules(initial_timeout=2.0, end_silence_timeout=0.5)
    short = MESSAGE[: 4 * RATE]
    assert _run(rules, short, chunk) == _run(rules, short, len(short))
