"""Which frames of a line, 20 ms each, are voice, and which are audible, once no tone is among them.

*Voice* is what the voice detector hears (`audio.vad`), *audible* what is there beside the noise
(`audio.presence`). The tones of networks and keys (`audio.signal_tones`) are neither. A tone shows
only some frames after it began: until then a frame is *open*, and may turn out to be part of one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .loudness import FRAMES_PER_SECOND
from .presence import Presence
from .signal_tones import DELAY, ONSET_FRAMES, STANDING_FRAMES, SignalTones
from .vad import BLOCK, DEFAULT_SENSITIVITY, SpeechDetector, vad_setting


class VoiceFrames:
    """Judges the frames of one line, in order."""

    def __init__(self, rate: int = 8000) -> None:
        self.settled = 0
        """Frames that were given out."""
        self._speech = SpeechDetector(vad_setting(DEFAULT_SENSITIVITY), rate)
        self._signals = SignalTones(rate)
        self._presence = Presence(rate)
        self._frame = rate // FRAMES_PER_SECOND
        self._lead = np.empty(0, np.int16)
        self._judged = 0
        self._standing = 0  # of those judged, the last ones in a row that belong to a tone
        self._voices: list[bool] = []  # of those not given out
        self._audible: list[bool] = []  # of the same ones
        self._sound = 0  # frames up to the last one given out that is audible

    def listen(self, block: NDArray[np.int16]) -> None:
        """Judge the BLOCK frames that follow."""
        begin, data = self._judged, np.concatenate((self._lead, block))
        heard = set(self._speech.listen(data).heard(begin, begin + BLOCK))
        self._lead = data[-self._speech.lead * self._frame :]
        audible = self._presence.listen(block)
        for frame, stands in enumerate(self._signals.listen(block), begin):
            self._judge(frame in heard, audible[frame - begin], stands)
        self._judged += BLOCK

    @property
    def ripe(self) -> bool:
        """Whether there is a frame that is open no more, for `settle` to give out."""
        return len(self._voices) > DELAY

    def settle(self) -> bool:
        """Give out the next frame; return whether it is voice."""
        voice, audible = self._voices.pop(0), self._audible.pop(0)
        self.settled += 1
        if audible:
            self._sound = self.settled
        return voice

    @property
    def voice_end(self) -> int:
        """Where the last frame not given out ends that is voice so far; 0 if none is."""
        return self._end_of(self._voices, 0)

    @property
    def sound_end(self) -> int:
        """Where the last audible frame ends."""
        return self._end_of(self._audible, self._sound)

    def _judge(self, heard: bool, audible: bool, stands: bool) -> None:
        self._voices.append(heard)
        self._audible.append(heard or audible)
        self._standing = self._standing + 1 if stands else 0
        if self._standing >= STANDING_FRAMES:
            back = STANDING_FRAMES + ONSET_FRAMES if self._standing == STANDING_FRAMES else 1
            for place in range(max(0, len(self._voices) - back), len(self._voices)):
                self._voices[place] = self._audible[place] = False

    def _end_of(self, frames: list[bool], otherwise: int) -> int:
        if True not in frames:
            return otherwise
        return self.settled + len(frames) - frames[::-1].index(True)
