"""How many words were said, and for how long, frame by frame of 20 ms.

A stretch of voice of 100 ms or more with no pause of more than 60 ms in it is a *word*; what is
shorter is none. Fluent speech runs words together: so counted are its phrases rather.
"""

from __future__ import annotations

from typing import Final

WORD_FRAMES: Final = 5
"""Least length of a word, 100 ms."""
GAP_FRAMES: Final = 3
"""Longest pause within a word, 60 ms."""
VOICE_ONSET: Final = 2
"""Frames of a voice before the first one heard, see `audio.vad`."""

_LONG_AGO: Final = -(1 << 62)


class Words:
    """Counts words. Frames are given in order."""

    def __init__(self) -> None:
        self.count = 0
        self.voice = 0
        """Frames of all words."""
        self.first: int | None = None
        """Where the first word began."""
        self.end: int | None = None
        """Where the last word ended, or has got to."""
        self._begin = 0
        self._last = _LONG_AGO
        self._is_word = False

    def hear(self, frame: int) -> bool:
        """Take a frame with voice; return whether a word became one with it."""
        new = False
        if frame - self._last > GAP_FRAMES + 1:
            self._begin = max(frame - VOICE_ONSET, self._last + 1, 0)
            self._is_word = False
        before, self._last = max(self._last + 1, self._begin), frame
        if self._is_word:
            self.voice += frame + 1 - before
        elif frame + 1 - self._begin >= WORD_FRAMES:
            self._is_word = new = True
            self.count += 1
            self.voice += frame + 1 - self._begin
            self.first = self._begin if self.first is None else self.first
        if self._is_word:
            self.end = frame + 1
        return new

    def begun(self, now: int) -> bool:
        """Tell whether at the frame `now` something is heard that may become a word."""
        return not self._is_word and now - self._last <= GAP_FRAMES + 1
