"""When does a recording stop? Decided on the line, to the sample, and as late as can be.

A recording starts at one sample of the leg's line and stops at another. Five things stop it:

- a terminator key: where its tone begins, so that the tone is not part of the recording;
- `initial_timeout`: that long after the start, if no speech was heard before;
- `end_silence_timeout`: that long after the end of the last speech, once speech was heard;
- `max_length`: that long after the start;
- a command or the end of the call: where the caller of `end` says.

Where several apply, the earliest position wins; the voice's own timeouts win a tie.

What is speech is decided on whole frames of 20 ms counted from the start, see `audio.vad`. Speech
ends with the last frame heard or, on a noisy line, when it has faded into the noise, see
`audio.fade`. A timeout is kept off by a heard frame that is over before it passes.

**Why so late.** Only the end of the last speech counts, and that no pause before it was long
enough. So nothing is looked at until a stop is due or the line is about to forget (`STRIDE`); and
then speech is looked for from the newest frame backwards, which in the middle of a sentence finds
it at once. A frame less than the timeout after speech continues it, whatever lies between; where
the timeout is shorter than the stretch looked at, that is repeated from each frame found. A
frame's verdict depends on the samples up to it alone, and the fading on no more than the timeout
that follows: so the stops are the same however often, and on however much audio at once, the
recorder is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..audio.fade import FADE_FRAMES, FADE_LEAD
from ..audio.loudness import FRAMES_PER_SECOND
from ..audio.vad import BLOCK, DEFAULT_SENSITIVITY, SpeechDetector, Stretch, vad_setting
from .states import StopReason

Reader = Callable[[int, int], NDArray[np.int16]]
"""`read(start, end)`: the samples of the leg's line; silence where there is none."""

REACH: Final = 3.8
"""Seconds behind `final` that `read` must reach back."""
STRIDE: Final = 2.0
"""Seconds after which a recorder that listens looks at the line again. REACH covers that, a turn
(0.2 s), the frames that are read once more (0.14 s), and 1.4 s that a busy server may be late."""
STRETCH_FRAMES: Final = 4 * FRAMES_PER_SECOND
"""Most frames looked at together: bounds the memory when a caller hands over hours."""

_NEVER: Final = 1 << 62  # a position no line reaches
_NOTHING: Final = np.empty(0, np.int16)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRules:
    """What stops a recording of its own accord (contract A1). Seconds; 0 switches a rule off."""

    terminators: str = ""
    """DTMF keys, any of which ends the recording; upper or lower case."""
    initial_timeout: float = 0.0
    end_silence_timeout: float = 0.0
    max_length: float = 0.0
    input_sensitivity: float = DEFAULT_SENSITIVITY
    """0 to 100, see `vad_setting`."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a recording ended and where: `position` is the first sample not part of it."""

    reason: StopReason
    position: int
    digit: str | None = None


class Recorder:
    """Applies the rules to one recording. Positions are samples on the leg's line.

    The first stop found is final: every later call returns it again.
    """

    def __init__(self, rules: StopRules, start: int, rate: int = 8000) -> None:
        self._rules = rules
        self._rate = rate
        self._start = start
        self._frame = rate // FRAMES_PER_SECOND
        self._stride = round(STRIDE * rate)
        self._terminators = frozenset(rules.terminators.upper())
        self._silence = _samples(rules.end_silence_timeout, rate)
        self._ahead = min(self._silence // self._frame, FADE_FRAMES)
        self._initial = _samples(rules.initial_timeout, rate)
        self._limit = start + _samples(rules.max_length, rate)
        self._detector = SpeechDetector(vad_setting(rules.input_sensitivity), rate)
        self._spoken: int | None = None  # frames from the start to the end of the last one heard
        self._fade: int | None = None  # samples that this speech went on, once it is known
        self._after = _NOTHING  # until then: the line from shortly before the end of that speech on
        self._stop: Stop | None = None
        self._wake = self._next_wake()

    @property
    def wake(self) -> int:
        """Position of `decided` before which `advance` has nothing to do."""
        return self._wake

    def advance(self, final: int, decided: int, read: Reader) -> Stop | None:
        """Look at the line, if it is time to.

        What lies before `final` no longer changes and may be read, REACH back. From there to
        `decided`, which is not before it, silence counts as received: a timeout that has passed
        by then holds unless the audio before `final` contradicts it.
        """
        if decided >= self._wake:
            if self._listens:
                self._look(final, decided, read)
            self._settle(decided)
            self._wake = self._next_wake()
        return self._stop

    def digit(self, digit: str, position: int) -> Stop | None:
        """Take a key whose tone began at `position`; it goes before audio not yet looked at."""
        if self._stop is not None or digit.upper() not in self._terminators:
            return self._stop
        position = max(position, self._start)
        if self._limit <= position:
            return self._end(Stop(StopReason.MAX_LENGTH, self._limit))
        return self._end(Stop(StopReason.TERMINATOR, position, digit.upper()))

    def end(self, reason: StopReason, position: int) -> Stop:
        """End the recording at `position`, unless a rule has ended it by then.

        Of the line it knows what `advance` saw: to be called first, up to the same position.
        """
        position = max(position, self._start)
        self._settle(position)
        return self._stop or self._end(Stop(reason, position))

    def cut(self, reason: StopReason, position: int) -> Stop:
        """End it at `position` in a pause, in which nobody is listened to."""
        if self._stop is None and self._limit <= position:
            return self._end(Stop(StopReason.MAX_LENGTH, self._limit))
        return self._stop or self._end(Stop(reason, max(position, self._start)))

    def resume(self, since: int, at: int, *, counts: bool) -> Recorder:
        """Return the recorder that goes on at `at`, after a pause from `since` on.

        The pause is no silence: the end of speech is waited for from `at` on, and for its beginning
        as long as was left at `since`. Whether it `counts` decides if it is part of the length.
        """
        later = Recorder(self._rules, at, self._rate)
        later._limit = self._limit if counts else self._limit + at - since
        if self._spoken is not None:
            later._spoken = later._fade = 0
        elif self._initial < _NEVER:
            later._initial = max(1, self._initial - (since - self._start))
        later._wake = later._next_wake()
        return later

    @property
    def limit(self) -> int:
        """Position at which it has its full length."""
        return self._limit

    @property
    def _listens(self) -> bool:
        """Whether a rule still listens to the voice; False for good once it is False."""
        if self._stop is not None:
            return False
        return self._silence < _NEVER or (self._spoken is None and self._initial < _NEVER)

    def _due(self, fade: int | None) -> int:
        """Return where the timeout of the voice passes, given its fade or, if None, without."""
        if self._spoken is None:
            return self._start + self._initial
        # Never less than a frame: a shorter timeout does not stop in the middle of a word.
        wait = max(self._silence + (fade or 0), self._frame)
        return self._start + self._spoken * self._frame + wait

    def _soonest(self) -> int:
        """Return a position before which the voice cannot have stopped the recording."""
        due = self._due(self._fade)
        if self._spoken is not None:
            return due
        # The very next frame may be the first one heard, and the last.
        first = self._start + (self._detector.frames + 1) * self._frame
        return min(due, first + max(self._silence, self._frame))

    def _next_wake(self) -> int:
        if self._stop is not None:
            return _NEVER
        if not self._listens:
            return self._limit
        forgotten = self._start + self._detector.frames * self._frame + self._stride
        return min(self._limit, self._soonest(), forgotten)

    def _look(self, final: int, decided: int, read: Reader) -> None:
        """Look at what is final and was not looked at, up to the first stop in it."""
        detector, start, frame = self._detector, self._start, self._frame
        frames = (final - start) // frame
        if decided < self._soonest():
            frames -= frames % BLOCK  # a block begun would be judged twice
        while self._listens and detector.frames < frames:
            looked = detector.frames
            end = min(frames, looked + STRETCH_FRAMES)
            samples = read(start + (looked - detector.lead) * frame, start + end * frame)
            self._follow(detector.listen(samples), looked)
            self._settle(start + end * frame)

    def _follow(self, stretch: Stretch, looked: int) -> None:
        """Move the end of speech over the frames heard in a stretch, up to the first timeout."""
        detector, frame = self._detector, self._frame
        if self._spoken is not None:
            after = np.concatenate((self._after, stretch.since(looked)))
        else:
            first = stretch.first(looked, min(detector.frames, self._initial // frame))
            if first is None:
                return
            self._spoken = looked = first + 1
            after = stretch.since(self._spoken - FADE_LEAD)
        if self._silence == _NEVER:
            return
        while True:
            end = max(looked, min(detector.frames, (self._due(self._fade) - self._start) // frame))
            last = stretch.last(looked, end)
            looked = end
            if last is not None:
                self._spoken, self._fade = last + 1, None
                after = stretch.since(self._spoken - FADE_LEAD)
            elif self._fade is None and detector.frames >= self._spoken + self._ahead:
                self._fade = self._measure_fade(after)
            else:
                break
        self._after = _NOTHING if self._fade is not None else after.copy()

    def _measure_fade(self, after: NDArray[np.int16]) -> int:
        """Return the samples by which speech goes on; what is not looked at yet is silence."""
        assert self._spoken is not None
        samples = np.zeros((FADE_LEAD + self._ahead) * self._frame, np.int16)
        after = after[: len(samples)]
        samples[: len(after)] = after
        return round(self._detector.fade(self._spoken, samples) * self._frame)

    def _settle(self, horizon: int) -> None:
        """Stop at the earliest timeout that lies at or before `horizon`, if there is one."""
        fade = self._fade
        if self._stop is not None or horizon < min(self._limit, self._due(fade)):
            return
        if fade is None and self._spoken is not None and self._silence < _NEVER:
            # Time has run ahead of the audio: what comes yet may tell better, so it is not kept.
            fade = self._measure_fade(self._after)
        due = self._due(fade)
        if due <= min(horizon, self._limit):
            if self._spoken is None:
                self._end(Stop(StopReason.INITIAL_TIMEOUT, due))
            else:
                end = self._start + self._spoken * self._frame + (fade or 0)
                self._end(Stop(StopReason.END_SILENCE, end + self._silence))
        elif self._limit <= horizon:
            self._end(Stop(StopReason.MAX_LENGTH, self._limit))

    def _end(self, stop: Stop) -> Stop:
        self._stop = stop
        self._wake = _NEVER
        return stop


def _samples(seconds: float, rate: int) -> int:
    """Return a timeout in samples: at least one, and never for 0 (contract A1)."""
    return max(1, round(seconds * rate)) if seconds > 0 else _NEVER
