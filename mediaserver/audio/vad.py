"""Is this speech? An energy floor that follows the line's noise, then webrtcvad.

A frame of 20 ms is speech when its power is above a floor *and* webrtcvad says so. Power is
computed for all frames of a batch at once; webrtcvad, 1.3 us a frame, is asked about the loud ones
alone. webrtcvad without a floor takes a steady hiss 10 dB below speech for speech, for ever; so the
floor is the higher of

- a fixed level (`floor_dbov`), which decides on a quiet line, and
- the quietest frame of the last two seconds plus a margin (`margin_db`): steady noise, hum, a held
  tone are background whatever their level, and speech, which pauses several times in two seconds,
  is not. Below 10 dB of speech over noise the soft ends of words are lost in that margin.

`input_sensitivity` (contract A1: 0 to 100, default 44, larger is more sensitive) moves all three
in one direction, see `vad_setting`.

Why 20 ms: of the three lengths webrtcvad takes, measured on recorded prompts, 10 ms costs 0.108 ms
of CPU a second of audio, 20 ms 0.071, 30 ms 0.059, and 20 and 30 find the end of speech equally
well; packets come in 20 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray

FRAMES_PER_SECOND: Final = 50
RATES: Final = frozenset({8000, 16000, 32000, 48000})
"""Samples per second that webrtcvad takes."""

DEFAULT_SENSITIVITY: Final = 44.0
NOISE_FRAMES: Final = 2 * FRAMES_PER_SECOND
"""How far back the quietest frame is looked for."""

_FULL_POWER = 32768.0**2


@dataclass(frozen=True, slots=True)
class VadSetting:
    """How hard it is for a frame to be speech."""

    mode: int
    """webrtcvad's own: 0 takes most for speech, 3 least."""
    floor_dbov: float
    """A frame no louder than this is never speech."""
    margin_db: float = 4.0
    """Nor is one no louder than the quietest of the last two seconds by this much."""


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
    """Decides frame by frame, remembering the noise; one for each stream, frames in order."""

    def __init__(self, setting: VadSetting, rate: int = 8000) -> None:
        assert rate in RATES, f"webrtcvad does not take {rate} Hz"
        self._rate = rate
        self._frame = rate // FRAMES_PER_SECOND
        self._vad = webrtcvad.Vad(setting.mode)
        self._floor = _FULL_POWER * 10.0 ** (setting.floor_dbov / 10.0)
        self._margin = 10.0 ** (setting.margin_db / 10.0)
        self._past = np.full(NOISE_FRAMES - 1, np.inf)

    def decide(self, frames: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Return for each row of `frames`, shape (n, rate // 50), whether it is speech.

        The rows follow those of the call before; cut anywhere, the answers are the same.
        """
        assert frames.ndim == 2, frames.shape
        assert frames.shape[1] == self._frame, frames.shape
        speech = np.zeros(len(frames), np.bool_)
        loud = self._loud(frames)
        if not len(loud):
            return speech
        data = frames.tobytes()
        size = 2 * self._frame
        is_speech, rate = self._vad.is_speech, self._rate
        for index in loud.tolist():
            at = index * size
            speech[index] = is_speech(data[at : at + size], rate)
        return speech

    def _loud(self, frames: NDArray[np.int16]) -> NDArray[np.intp]:
        """Return the indices of the frames above the floor of their moment."""
        # A double holds the sum of a frame's squares exactly, so no cut of the stream changes it.
        samples = frames.astype(np.float64)
        power = np.einsum("ij,ij->i", samples, samples) / self._frame
        history = np.concatenate((self._past, power))
        self._past = history[len(history) - (NOISE_FRAMES - 1) :]
        if not (power > self._floor).any():
            return np.empty(0, np.intp)
        quietest = np.lib.stride_tricks.sliding_window_view(history, NOISE_FRAMES).min(axis=1)
        return np.flatnonzero(power > np.maximum(self._floor, quietest * self._margin))
