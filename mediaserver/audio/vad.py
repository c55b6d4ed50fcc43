"""Was there speech? Frames that stand out from the line's noise, of which webrtcvad approves.

A frame of 20 ms is *heard* when it is loud (`audio.loudness`), webrtcvad calls it speech, and the
same is true of three of the last five frames, itself included: a click is one or two frames.

Loudness is measured for all frames, many at once: 12 us a second of audio. webrtcvad takes 75, so
it is asked only about what somebody wants to know. For that its answers must not depend on what
else it was asked: it judges blocks of four frames, each with a detector as new that is warmed up
by the four frames before. (A new one costs 0.4 us.) Verdicts are therefore a function of the
samples and of nothing else.

Neither is enough alone. webrtcvad takes a steady hiss 10 dB below speech for speech, for ever;
loudness takes every knock for it.

`input_sensitivity` (contract A1: 0 to 100, default 44, larger is more sensitive) moves
webrtcvad's mode, the loudness floor and the margin over the noise in one direction, see
`vad_setting`.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from .fade import fade
from .loudness import FRAMES_PER_SECOND, Loudness
from .progress_tones import is_progress_tone

RATES: Final = frozenset({8000, 16000, 32000, 48000})
"""Samples per second that webrtcvad takes."""

DEFAULT_SENSITIVITY: Final = 44.0

ONSET_WINDOW: Final = 5
"""Frames looked at, the one in question and those before it."""
ONSET_FRAMES: Final = 3
"""Frames of the window that must be speech: 60 ms, longer than a click."""

BLOCK: Final = 4
"""Frames that webrtcvad judges together, counted from the start of the stream."""
WARM_UP: Final = 4
"""Frames before a block that it is shown first; no fewer than the window looks back."""
LEAD: Final = BLOCK - 1 + WARM_UP
"""Frames that are needed once more when a stretch ends within a block."""


@dataclass(frozen=True, slots=True)
class VadSetting:
    """How hard it is for a frame to be speech."""

    mode: int
    """webrtcvad's own: 0 takes most for speech, 3 least."""
    floor_dbov: float
    """A frame no louder than this is never speech."""
    margin_db: float = 4.0
    """Nor is one that is no louder than the noise by this much."""


def vad_setting(input_sensitivity: float) -> VadSetting:
    """Return the setting for a sensitivity of 0 to 100; beyond, the nearest of these holds.

    =============  ====  ===========  ==========
    sensitivity    mode  floor, dBov  margin, dB
    =============  ====  ===========  ==========
    0              3     -40          6.0
    25             2     -47.5        5.0
    44 (default)   2     -53.2        4.24
    50             1     -55          4.0
    75             0     -62.5        3.0
    100            0     -70          2.0
    =============  ====  ===========  ==========

    The floor and the margin are straight lines, the mode steps down at 25, 50 and 75. Speech on a
    telephone line is around -26 dBov, an idle A-law line is at -72 dBov.
    """
    sensitivity = min(max(input_sensitivity, 0.0), 100.0)
    return VadSetting(
        mode=3 - min(int(sensitivity // 25), 3),
        floor_dbov=-40.0 - 0.3 * sensitivity,
        margin_db=6.0 - 0.04 * sensitivity,
    )


class SpeechDetector:
    """Listens to one stream, stretch after stretch; frames are counted from its start."""

    def __init__(self, setting: VadSetting, rate: int = 8000) -> None:
        assert rate in RATES, f"webrtcvad does not take {rate} Hz"
        self._rate = rate
        self._mode = setting.mode
        self._loudness = Loudness(setting.floor_dbov, setting.margin_db, rate // FRAMES_PER_SECOND)
        self._loud: list[int] = []

    @property
    def frames(self) -> int:
        """Number of frames listened to."""
        return self._loudness.frames

    @property
    def lead(self) -> int:
        """Number of frames, the last ones so far, that the next stretch begins with once more."""
        return min(self.frames, LEAD)

    def listen(self, samples: NDArray[np.int16]) -> Stretch:
        """Take whole frames, contiguous: the last `lead` ones over again, then those that follow.

        However the stream is cut into stretches, the same frames are heard.
        """
        lead = self.lead
        begin = self.frames - lead
        before = self._loud[bisect_left(self._loud, begin) :]
        new = self._loudness.measure(samples[lead * self._rate // FRAMES_PER_SECOND :])
        self._loud = before + new
        return Stretch(samples, begin, self._loud, self._mode, self._rate)

    def fade(self, end: int, samples: NDArray[np.int16]) -> float:
        """Return how many frames longer a voice went on whose last heard frame is `end` - 1.

        The whole frames of `samples` begin FADE_LEAD frames before `end`, see `audio.fade`.
        """
        frame = self._rate // FRAMES_PER_SECOND
        return fade(samples, frame, self._loudness.loudest(end), self._loudness.floor)


class Stretch:
    """Some seconds of a stream, short-lived: it holds their audio, in which it finds speech."""

    def __init__(
        self, samples: NDArray[np.int16], begin: int, loud: list[int], mode: int, rate: int
    ) -> None:
        self._samples = samples
        self._data = samples.data.cast("B")
        self._begin = begin
        self._loud = loud
        self._mode = mode
        self._rate = rate

    def since(self, frame: int) -> NDArray[np.int16]:
        """Return the samples from the beginning of a frame on, which is no earlier than theirs."""
        return self._samples[(frame - self._begin) * (self._rate // FRAMES_PER_SECOND) :]

    def last(self, begin: int, end: int) -> int | None:
        """Return the last frame heard from `begin` to before `end`, None if there is none.

        Tones of the network are no voice here, see `audio.progress_tones`.
        """
        loud = self._loud
        index = bisect_left(loud, end) - 1
        while index >= ONSET_FRAMES - 1 and loud[index] >= begin:
            if not self._dense(index):
                index -= 1
                continue
            block = loud[index] - loud[index] % BLOCK
            heard = self._judge(block, index)
            while heard and heard[-1] >= begin:
                if not self._is_tone(heard[-1]):
                    return heard[-1]
                heard.pop()
            index = bisect_left(loud, block) - 1
        return None

    def first(self, begin: int, end: int) -> int | None:
        """Return the first frame heard from `begin` to before `end`, likewise."""
        loud = self._loud
        index = max(bisect_left(loud, begin), ONSET_FRAMES - 1)
        while index < len(loud) and loud[index] < end:
            if not self._dense(index):
                index += 1
                continue
            block = loud[index] - loud[index] % BLOCK
            after = bisect_left(loud, min(block + BLOCK, end))
            heard = self._judge(block, after - 1)
            for frame in heard:
                if frame >= begin and not self._is_tone(frame):
                    return frame
            index = after
        return None

    def heard(self, begin: int, end: int) -> list[int]:
        """Return every frame heard from `begin` to before `end`."""
        loud = self._loud
        found: list[int] = []
        index = bisect_left(loud, begin)
        while index < len(loud) and loud[index] < end:
            block = loud[index] - loud[index] % BLOCK
            after = bisect_left(loud, min(block + BLOCK, end))
            if any(self._dense(n) for n in range(max(index, ONSET_FRAMES - 1), after)):
                found += [frame for frame in self._judge(block, after - 1) if frame >= begin]
            index = after
        return found

    def _is_tone(self, frame: int) -> bool:
        """Whether a frame, with the WARM_UP before it, ends a tone of the network."""
        length = self._rate // FRAMES_PER_SECOND
        at = max(0, frame - WARM_UP - self._begin) * length
        return is_progress_tone(self._samples[at : (frame + 1 - self._begin) * length], self._rate)

    def _dense(self, index: int) -> bool:
        """Whether enough frames are loud up to the `index`th loud one: else it is not heard."""
        return self._loud[index] - self._loud[index - ONSET_FRAMES + 1] < ONSET_WINDOW

    def _judge(self, block: int, last: int) -> list[int]:
        """Return the frames heard from `block` on, up to the `last`th loud one."""
        is_speech, rate = webrtcvad.Vad(self._mode).is_speech, self._rate
        length = rate // FRAMES_PER_SECOND
        size = 2 * length
        speech: list[int] = []
        heard = []
        for frame in self._loud[bisect_left(self._loud, block - WARM_UP) : last + 1]:
            at = (frame - self._begin) * size
            if is_speech(self._data[at : at + size], rate, length):
                speech.append(frame)
                if (
                    frame >= block
                    and len(speech) >= ONSET_FRAMES
                    and frame - speech[-ONSET_FRAMES] < ONSET_WINDOW
                ):
                    heard.append(frame)
        return heard
