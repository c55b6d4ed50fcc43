"""When does a recording stop? Decided on the line, to the sample, whenever the audio arrives.

A recording starts at one sample of the leg's line and stops at another. Five things stop it:

- a terminator key: where its tone begins, so that the tone is not part of the recording;
- `initial_timeout`: that long after the start, if no speech was heard before;
- `end_silence_timeout`: that long after the end of the last speech, once speech was heard;
- `max_length`: that long after the start;
- a command or the end of the call: where the caller of `end` says.

Where several apply, the earliest position wins; the voice's own timeouts win a tie.

What is speech is decided on whole frames of 20 ms counted from the start: a frame is *heard* when
`vad` calls it speech and it is the third such of the last five. A click is one or two frames and
is never heard; the end of speech is the end of the last frame heard, with no hang-over added. A
timeout is kept off by a heard frame that begins before it.

`audio` is cheap: samples are gathered, and judged only when a stop could be among them, at most a
second at a time. Since nothing is judged late that could have stopped the recording, the stops are
the same however the audio is cut. Time without audio is told by `clock`: a timeout that has passed
by then holds unless the audio received until then contradicts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..audio.vad import DEFAULT_SENSITIVITY, FRAMES_PER_SECOND, SpeechDetector, vad_setting
from .states import StopReason

ONSET_WINDOW: Final = 5
"""Frames looked at, the one in question and those before it."""
ONSET_FRAMES: Final = 3
"""Frames of the window that must be speech: 60 ms, longer than a click."""
GATHER_SECONDS: Final = 1.0
"""Most audio held back before it is judged: 16 kB a recording, and few calls into numpy."""
FRAMES_PER_JUDGEMENT: Final = 500
"""Most frames judged at once, 10 s: bounds the memory when a caller hands over hours."""

_NEVER: Final = 1 << 62  # a position no line reaches


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
        self._start = start
        self._frame = rate // FRAMES_PER_SECOND
        self._gather = round(GATHER_SECONDS * rate)
        self._terminators = frozenset(rules.terminators.upper())
        self._silence = _samples(rules.end_silence_timeout, rate)
        self._initial = start + _samples(rules.initial_timeout, rate)
        self._limit = start + _samples(rules.max_length, rate)
        self._detector = SpeechDetector(vad_setting(rules.input_sensitivity), rate)
        self._chunks: list[bytes] = []
        self._received = start
        self._judged = start
        self._recent = np.zeros(ONSET_WINDOW - 1, np.bool_)
        self._spoken: int | None = None
        self._stop: Stop | None = None
        self._soonest = self._find_soonest()

    @property
    def needs_audio(self) -> bool:
        """Whether a rule still listens to the voice; False for good once it is False."""
        if self._stop is not None:
            return False
        return self._silence < _NEVER or (self._spoken is None and self._initial < _NEVER)

    @property
    def speech_end(self) -> int | None:
        """Where the speech heard so far ended; None before any, and while no rule listens."""
        return self._spoken

    def audio(self, samples: NDArray[np.int16], position: int) -> Stop | None:
        """Take the party's next samples, which begin at `position`; they are copied.

        Samples follow one another without gap or overlap from the start on, as long as
        `needs_audio`. They may lie behind the last `clock`.
        """
        if self._stop is not None:
            return self._stop
        if not self.needs_audio:
            return self.clock(position + len(samples))
        assert position == self._received, (position, self._received)
        self._chunks.append(samples.astype("<i2", copy=False).tobytes())
        self._received += len(samples)
        if self._received >= min(self._soonest, self._judged + self._gather):
            self._judge()
        return self._stop

    def clock(self, position: int) -> Stop | None:
        """Let time pass up to `position`: what was not received by now counts as silence."""
        if self._stop is None and position >= self._soonest:
            self._judge()
            self._settle(position)
        return self._stop

    def digit(self, digit: str, position: int) -> Stop | None:
        """Take a key whose tone began at `position`; it goes before audio not yet received."""
        if self._stop is not None or digit.upper() not in self._terminators:
            return self._stop
        position = max(position, self._start)
        if self._limit <= position:
            self._stop = Stop(StopReason.MAX_LENGTH, self._limit)
        else:
            self._stop = Stop(StopReason.TERMINATOR, position, digit.upper())
        self._chunks.clear()
        return self._stop

    def end(self, reason: StopReason, position: int) -> Stop:
        """End the recording at `position`, unless a rule has ended it by then."""
        position = max(position, self._start)
        stop = self.clock(position)
        if stop is None:
            stop = self._stop = Stop(reason, position)
            self._chunks.clear()
        return stop

    def _find_soonest(self) -> int:
        """Return a position before which no rule but a key can stop the recording."""
        if self._spoken is not None:
            return min(self._limit, self._spoken + self._silence)
        return min(self._limit, self._initial, self._judged + self._silence)

    def _judge(self) -> None:
        """Look for speech in the whole frames received, and for a stop among them."""
        data = b"".join(self._chunks)
        count = len(data) // (2 * self._frame)
        self._chunks = [data[2 * self._frame * count :]]
        frames = np.frombuffer(data, np.dtype("<i2"), count * self._frame)
        frames = frames.reshape(count, self._frame)
        # A batch is as long as the caller likes, the memory to judge it is not.
        for at in range(0, count, FRAMES_PER_JUDGEMENT):
            if self._stop is None:
                self._judge_frames(frames[at : at + FRAMES_PER_JUDGEMENT])
        self._soonest = self._find_soonest()

    def _judge_frames(self, frames: NDArray[np.int16]) -> None:
        """Judge the next whole frames, shape (n, samples of a frame)."""
        begins = self._judged + self._frame * self._heard(self._detector.decide(frames))
        self._judged += frames.size
        self._hear(begins)
        self._settle(self._judged)

    def _heard(self, speech: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return the indices of the frames that count as heard."""
        history = np.concatenate((self._recent, speech))
        self._recent = history[len(history) - (ONSET_WINDOW - 1) :]
        votes = np.convolve(history, np.ones(ONSET_WINDOW, np.intp), "valid")
        return np.flatnonzero(speech & (votes >= ONSET_FRAMES))

    def _hear(self, begins: NDArray[np.intp]) -> None:
        """Move the end of speech over frames heard at `begins`, up to the first timeout."""
        if not len(begins) or (self._spoken is None and begins[0] >= self._initial):
            return
        spoken = begins[0] if self._spoken is None else self._spoken
        ends = np.concatenate(([spoken], begins + self._frame))
        late = np.flatnonzero(begins >= ends[:-1] + self._silence)
        self._spoken = int(ends[late[0]] if len(late) else ends[-1])

    def _settle(self, horizon: int) -> None:
        """Stop at the earliest timeout that lies at or before `horizon`, if there is one."""
        if self._stop is not None:
            return
        if self._spoken is None:
            voice = Stop(StopReason.INITIAL_TIMEOUT, self._initial)
        else:
            voice = Stop(StopReason.END_SILENCE, self._spoken + self._silence)
        limit = Stop(StopReason.MAX_LENGTH, self._limit)
        first = voice if voice.position <= limit.position else limit
        if first.position <= horizon:
            self._stop = first
            self._chunks.clear()


def _samples(seconds: float, rate: int) -> int:
    """Return a timeout in samples: at least one, and never for 0 (contract A1)."""
    return max(1, round(seconds * rate)) if seconds > 0 else _NEVER
