"""Where a recording stops, to the sample, with speech that is made of arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mediaserver.audio.fade import FADE_FRAMES, FADE_LEAD
from mediaserver.audio.vad import ONSET_FRAMES, SpeechDetector, vad_setting
from mediaserver.recording.recorder import REACH, Recorder, Stop, StopRules
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


class Line:
    """What a leg heard; before and behind it there is silence. Keeps count of what was read."""

    def __init__(self, samples: NDArray[np.int16]) -> None:
        self._samples = samples
        self.reads: list[tuple[int, int]] = []

    def read(self, start: int, end: int) -> NDArray[np.int16]:
        self.reads.append((start, end))
        out = np.zeros(end - start, np.int16)
        low, high = max(start - START, 0), min(end - START, len(self._samples))
        if low < high:
            out[low + START - start : high + START - start] = self._samples[low:high]
        return out


def _run(rules: StopRules, samples: NDArray[np.int16], chunk: int = 160) -> Stop | None:
    recorder = Recorder(rules, START, RATE)
    line = Line(samples)
    for at in range(0, len(samples), chunk):
        position = START + min(at + chunk, len(samples))
        stop = recorder.advance(position, position, line.read)
        if stop is not None:
            return stop
    return None


def _nothing(start: int, end: int) -> NDArray[np.int16]:
    return np.zeros(end - start, np.int16)


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
    assert recorder.advance(START, START + 16_001, _nothing) is None
    assert recorder.advance(START, START + 16_002, _nothing) == expected


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
    assert recorder.advance(START + 4000, START + 4000, _nothing) is None
    stop = Stop(StopReason.TERMINATOR, START + 9000, "#")
    assert recorder.digit("#", START + 9000) == stop
    assert recorder.advance(START + 28_000, START + 28_000, _nothing) == stop


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
    stop = recorder.advance(START, START + 99_999, _nothing)
    assert stop == Stop(StopReason.INITIAL_TIMEOUT, START + 32_000)


def test_timeouts_fire_by_the_clock_when_no_packet_ever_comes() -> None:
    """complaints 17, robustness R14."""
    recorder = Recorder(StopRules(initial_timeout=4.0, end_silence_timeout=5.0), START, RATE)
    assert recorder.advance(START, START + 31_999, _nothing) is None
    stop = recorder.advance(START, START + 32_000, _nothing)
    assert stop == Stop(StopReason.INITIAL_TIMEOUT, START + 32_000)


def test_end_silence_fires_by_the_clock_when_packets_stop() -> None:
    recorder = Recorder(StopRules(end_silence_timeout=1.5), START, RATE)
    line, placed = Line(MESSAGE[: 3 * RATE]), START + 3 * RATE
    assert recorder.advance(placed, placed, line.read) is None
    assert recorder.advance(placed, START + 30_000, line.read) is None
    stop = recorder.advance(placed, START + 200_000, line.read)
    assert stop is not None
    assert stop.reason is StopReason.END_SILENCE
    assert abs(stop.position - (START + 36_000)) <= FRAME


def test_audio_behind_the_clock_still_counts() -> None:
    recorder = Recorder(StopRules(initial_timeout=2.0, end_silence_timeout=1.0), START, RATE)
    line, placed = Line(_voice(1.5)), START + 12_000
    assert recorder.advance(START, START + 15_999, line.read) is None
    assert recorder.advance(placed, START + 16_500, line.read) is None
    stop = recorder.advance(placed, START + 20_000 + FRAME, line.read)
    assert stop is not None
    assert stop.reason is StopReason.END_SILENCE
    assert abs(stop.position - (START + 20_000)) <= FRAME


def test_a_stop_stays_whatever_comes_later() -> None:
    recorder = Recorder(StopRules(initial_timeout=1.0, terminators="#"), START, RATE)
    line = Line(_voice(2))
    stop = recorder.advance(START, START + 8000, line.read)
    assert stop == Stop(StopReason.INITIAL_TIMEOUT, START + 8000)
    assert recorder.advance(START + 16_000, START + 16_000, line.read) == stop
    assert recorder.digit("#", START + 1) == stop
    assert recorder.advance(START + 99_999, START + 99_999, line.read) == stop
    assert recorder.end(StopReason.HANGUP, START + 99_999) == stop


def test_the_end_of_the_call_ends_the_recording_there() -> None:
    recorder = Recorder(StopRules(end_silence_timeout=5.0), START, RATE)
    assert recorder.advance(START + 8000, START + 8123, Line(_voice(1)).read) is None
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


def test_the_line_is_read_only_while_a_rule_listens() -> None:
    def reads(rules: StopRules) -> int:
        line, recorder = Line(_voice(8.0)), Recorder(rules, START, RATE)
        for position in range(START, START + 8 * RATE, 800):
            recorder.advance(position, position, line.read)
        return max((end for _, end in line.reads), default=START) - START

    assert reads(StopRules(terminators="#", max_length=9)) == 0
    assert reads(StopRules(end_silence_timeout=1)) > 6 * RATE
    # Once a voice was heard there is nothing to wait for but the maximum length.
    assert 0 < reads(StopRules(initial_timeout=4, max_length=9)) <= 2 * RATE


def test_in_the_middle_of_a_sentence_there_is_seldom_anything_to_do() -> None:
    recorder = Recorder(StopRules(initial_timeout=4, end_silence_timeout=5), START, RATE)
    line = Line(_voice(20.0))
    turns = 0
    for position in range(START, START + 20 * RATE, 800):
        if position >= recorder.wake:
            turns += 1
            assert recorder.advance(position, position, line.read) is None
            assert recorder.wake > position
    assert turns <= 11
    assert len(line.reads) == turns


def test_no_more_is_read_than_the_line_remembers() -> None:
    """Turns are 0.1 s apart; now and then the server is 1.5 s late on top of that."""
    for silence in (0.5, 5.0):
        recorder = Recorder(StopRules(end_silence_timeout=silence), START, RATE)
        line = Line(_voice(30.0))
        position, late = START, 0
        while position < START + 30 * RATE:
            before = len(line.reads)
            assert recorder.advance(position, position, line.read) is None
            for start, _ in line.reads[before:]:
                assert position - start <= REACH * RATE
            if recorder.wake - position <= 800 and late < 8:
                late += 1
                position = recorder.wake - 1 + 12_000  # the worst moment to be late
            position += 800
        assert late == 8


def test_a_timeout_shorter_than_a_frame_does_not_stop_in_the_middle_of_a_word() -> None:
    stop = _run(StopRules(end_silence_timeout=0.0001), _line(_voice(1.0), _quiet(1)))
    assert stop is not None
    assert stop.position >= START + ONSET_FRAMES * FRAME + 1


def test_hours_in_one_piece_are_judged_in_bounded_memory() -> None:
    line, end = Line(_quiet(0)), START + 1800 * RATE
    recorder = Recorder(StopRules(initial_timeout=3000), START, RATE)
    assert recorder.advance(end, end, line.read) is None
    assert len(line.reads) > 100
    assert max(stop - start for start, stop in line.reads) <= 5 * RATE


def test_another_rate_gives_the_same_seconds() -> None:
    recorder = Recorder(StopRules(initial_timeout=1.0, max_length=9), 0, 16000)
    stop = recorder.advance(16_000, 16_000, _nothing)
    assert stop == Stop(StopReason.INITIAL_TIMEOUT, 16_000)


SOUNDS: dict[str, Callable[[float], NDArray[np.int16]]] = {
    "voice": _voice,
    "quiet": _quiet,
    "hiss": lambda seconds: _hiss(seconds, 400),
    "loud hiss": lambda seconds: _hiss(seconds, 3000),
}


def _hiss(seconds: float, deviation: float) -> NDArray[np.int16]:
    count = round(seconds * RATE)
    return np.random.default_rng(count).normal(0, deviation, count).astype(np.int16)


def _by_the_book(rules: StopRules, samples: NDArray[np.int16]) -> Stop | None:
    """Return the stop that follows from every frame that is heard, one after the other."""
    detector = SpeechDetector(vad_setting(rules.input_sensitivity), RATE)
    count = len(samples) // FRAME
    stretch = detector.listen(samples[: count * FRAME])
    heard = [n for n in range(count) if stretch.last(n, n + 1) is not None]
    limit = round(rules.max_length * RATE) or len(samples) + 1
    initial = round(rules.initial_timeout * RATE) or len(samples) + 1
    silence = round(rules.end_silence_timeout * RATE) or 10 * len(samples)
    due, reason = initial, StopReason.INITIAL_TIMEOUT
    for n in heard:
        if (n + 1) * FRAME > due:
            break
        # A second detector, which knows no more than there is when the timeout passes.
        fade = 0
        if (n + 1) * FRAME + silence <= len(samples):
            known = SpeechDetector(vad_setting(rules.input_sensitivity), RATE)
            ahead = min(silence // FRAME, FADE_FRAMES)
            known.listen(samples[: (n + 1 + ahead) * FRAME])
            after = samples[(n + 1 - FADE_LEAD) * FRAME : (n + 1 + ahead) * FRAME]
            fade = round(known.fade(n + 1, after) * FRAME)
        due = (n + 1) * FRAME + fade + silence
        reason = StopReason.END_SILENCE
    if due <= min(limit, len(samples)):
        return Stop(reason, START + due)
    return Stop(StopReason.MAX_LENGTH, START + limit) if limit <= len(samples) else None


LINES = st.lists(
    st.tuples(st.sampled_from(sorted(SOUNDS)), st.integers(1, 15_000)), min_size=1, max_size=6
)


@settings(max_examples=60, deadline=None)
@given(
    parts=LINES,
    cuts=st.lists(st.integers(0, 60_000), max_size=12),
    initial=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    silence=st.sampled_from([0.0, 0.05, 0.4, 1.1, 2.5]),
    length=st.sampled_from([0.0, 0.7, 2.3]),
)
def test_when_the_recorder_is_asked_changes_nothing(
    parts: list[tuple[str, int]],
    cuts: list[int],
    initial: float,
    silence: float,
    length: float,
) -> None:
    """The same samples stop at the same place: live, at once or replayed, and by the book."""
    samples = _line(*(SOUNDS[name](n / RATE) for name, n in parts))
    rules = StopRules(initial_timeout=initial, end_silence_timeout=silence, max_length=length)
    whole = _run(rules, samples, len(samples))
    assert whole == _by_the_book(rules, samples)
    line = Line(samples)
    cut, live = Recorder(rules, START, RATE), Recorder(rules, START, RATE)
    for at in [*sorted(cut for cut in set(cuts) if 0 < cut < len(samples)), len(samples)]:
        stop = cut.advance(START + at, START + at, line.read)
    assert stop == whole
    for position in [*range(START, START + len(samples), 800), START + len(samples)]:
        if position >= live.wake:
            live.advance(position, position, line.read)
    end = START + len(samples)
    assert live.advance(end, end, line.read) == whole
    far = end + 10 * RATE
    assert live.advance(end, far, line.read) == cut.advance(end, far, line.read)


@pytest.mark.parametrize("chunk", [1, 80, 160, 161, 4000])
def test_every_packet_length_gives_the_same_stop(chunk: int) -> None:
    rules = StopRules(initial_timeout=2.0, end_silence_timeout=0.5)
    short = MESSAGE[: 4 * RATE]
    assert _run(rules, short, chunk) == _run(rules, short, len(short))
