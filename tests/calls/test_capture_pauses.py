"""What a pause does to the rules that end a recording."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.tape import Desk, StillClock, TapeLeg
from mediaserver.calls.capture import Capture
from mediaserver.calls.take import Take
from mediaserver.recording.recorder import Stop, StopRules
from mediaserver.recording.resource import Pause, PauseBehavior
from mediaserver.recording.states import StopReason

SKIP, SILENCE = PauseBehavior.SKIP, PauseBehavior.SILENCE
SECOND = 8000


class Line:
    """A leg that is heard second by second, and a capture of it."""

    def __init__(self) -> None:
        self.leg = TapeLeg()
        self.leg.tape = np.zeros(60 * SECOND, np.int16)
        self.desk = Desk()
        self.capture = Capture(self.leg, self.desk, StillClock())

    def speak(self, start: float, end: float) -> None:
        """Have something said that anybody would take for speech."""
        begin, stop = round(start * SECOND), round(end * SECOND)
        self.leg.tape[begin:stop] = vowel(stop - begin)

    def run(self, upto: float) -> None:
        """Let time pass, as turns of 100 ms bring it."""
        for position in range(self.leg.clock, round(upto * SECOND) + 1, SECOND // 10):
            self.leg.hear(position)

    def start(self, **rules: float | str) -> Take:
        return self.capture.start(StopRules(**rules))  # type: ignore[arg-type]


def vowel(count: int) -> NDArray[np.int16]:
    """Return a voice of 120 Hz that moves through its formants."""
    time = np.arange(count) / SECOND
    pulses = np.cumsum(120 + 30 * np.sin(2 * np.pi * 3 * time)) / SECOND
    comb = (np.diff(np.floor(pulses), prepend=0) > 0).astype(float)
    heard = np.zeros(count)
    for formant in (500, 1500, 2500):
        ring = np.exp(-np.arange(160) / 40) * np.sin(2 * np.pi * formant * np.arange(160) / SECOND)
        heard += np.convolve(comb, ring)[:count]
    hummed: NDArray[np.int16] = (9000 * heard / np.abs(heard).max()).astype(np.int16)
    return hummed


@pytest.fixture
async def line() -> Line:
    return Line()


def stop_of(take: Take) -> Stop:
    assert take.stopped.done()
    return take.stopped.result()


async def test_a_pause_is_not_waited_for_speech_in(line: Line) -> None:
    take = line.start(initial_timeout=4.0)
    line.run(2)
    assert line.capture.pause(take, SKIP)
    line.run(12)
    assert not take.stopped.done()
    assert line.capture.resume(take)
    line.run(15)
    stop = stop_of(take)
    assert (stop.reason, stop.position) == (StopReason.INITIAL_TIMEOUT, 14 * SECOND)


@pytest.mark.parametrize("behavior", [SKIP, SILENCE])
async def test_silence_is_waited_for_anew_after_a_pause(
    line: Line, behavior: PauseBehavior
) -> None:
    line.speak(0.5, 2.0)
    take = line.start(initial_timeout=4.0, end_silence_timeout=2.0)
    line.run(2.5)
    line.capture.pause(take, behavior)
    line.run(10)
    line.capture.resume(take)
    line.run(13)
    stop = stop_of(take)
    assert stop.reason is StopReason.END_SILENCE
    assert stop.position == 12 * SECOND


async def test_speech_in_a_pause_is_not_heard(line: Line) -> None:
    line.speak(3, 9)
    take = line.start(initial_timeout=4.0)
    line.run(2)
    line.capture.pause(take, SKIP)
    line.run(10)
    line.capture.resume(take)
    line.run(13)
    assert stop_of(take).reason is StopReason.INITIAL_TIMEOUT


async def test_the_length_is_that_of_the_file(line: Line) -> None:
    skipping, silent = line.start(max_length=3.0), line.start(max_length=3.0)
    line.run(1)
    line.capture.pause(skipping, SKIP)
    line.capture.pause(silent, SILENCE)
    line.run(6)
    stop = stop_of(silent)
    assert (stop.reason, stop.position) == (StopReason.MAX_LENGTH, 3 * SECOND)
    assert silent.pauses == (Pause(start=SECOND, behavior=SILENCE, end=3 * SECOND),)
    assert not skipping.stopped.done()
    line.capture.resume(skipping)
    line.run(9)
    assert stop_of(skipping).position == 8 * SECOND


@pytest.mark.parametrize(("behavior", "end"), [(SKIP, 1.0), (SILENCE, 4.0)])
async def test_a_terminator_ends_a_recording_in_its_pause(
    line: Line, behavior: PauseBehavior, end: float
) -> None:
    take = line.start(terminators="#")
    line.run(1)
    line.capture.pause(take, behavior)
    line.run(4)
    line.capture.on_key("1", 3 * SECOND)
    assert not take.stopped.done()
    line.capture.on_key("#", 4 * SECOND)
    stop = stop_of(take)
    assert (stop.reason, stop.digit) == (StopReason.TERMINATOR, "#")
    assert stop.position == round(end * SECOND)


@pytest.mark.parametrize(("behavior", "end"), [(SKIP, 1.0), (SILENCE, 4.0)])
async def test_a_hang_up_in_a_pause_ends_it_there(
    line: Line, behavior: PauseBehavior, end: float
) -> None:
    take = line.start(initial_timeout=2.0)
    line.run(1)
    line.capture.pause(take, behavior)
    line.run(4)
    line.capture.hang_up()
    stop = stop_of(take)
    assert (stop.reason, stop.position) == (StopReason.HANGUP, round(end * SECOND))
    assert all(pause.end is not None for pause in take.pauses)


async def test_many_pauses_leave_no_stretch_twice(line: Line) -> None:
    take = line.start()
    for second in range(1, 8, 2):
        line.run(second)
        assert line.capture.pause(take, SKIP)
        line.run(second + 1)
        assert line.capture.resume(take)
    line.run(9)
    line.capture.stop(take)
    assert len(take.pauses) == 4
    assert all(pause.end == pause.start + SECOND for pause in take.pauses)


async def test_a_pause_after_the_full_length_is_refused(line: Line) -> None:
    take = line.start(max_length=1.0)
    line.leg.clock = 2 * SECOND  # the line has not been looked at since
    assert not line.capture.pause(take, SILENCE)
    assert stop_of(take).reason is StopReason.MAX_LENGTH
