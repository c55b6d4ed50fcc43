"""What a caller hears who waits and was given nothing else: a few soft notes, over and over."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

NOTES: Final = (262.0, 330.0, 392.0, 523.0, 440.0, 349.0, 392.0, 330.0)
"""Hz of the notes of a bar, in order."""

NOTE_SECONDS: Final = 0.6
RING_SECONDS: Final = 2.4
"""How long a note may be heard; it grows faint meanwhile."""

PAUSE_SECONDS: Final = 3.0
"""Silence after a bar, in which one can think."""

_AMPLITUDE: Final = 1800.0
"""Of one note as it begins: with three that still ring, about -22 dBov at the loudest."""


@cache
def hold_music(rate: int = 8000) -> NDArray[np.int16]:
    """Return a bar and the pause after it, to be played again and again. Not to be changed."""
    length = round((len(NOTES) * NOTE_SECONDS + PAUSE_SECONDS) * rate)
    music = np.zeros(length)
    time = np.arange(round(RING_SECONDS * rate)) / rate
    shape = np.minimum(time / 0.01, 1.0) * np.exp(-3.0 * time / RING_SECONDS)
    shape *= np.clip((RING_SECONDS - time) / 0.05, 0.0, 1.0)  # no click at the end
    for number, hertz in enumerate(NOTES):
        start = round(number * NOTE_SECONDS * rate)
        note = np.sin(2 * np.pi * hertz * time) + 0.3 * np.sin(4 * np.pi * hertz * time)
        music[start : start + time.size] += (_AMPLITUDE * shape * note)[: length - start]
    samples: NDArray[np.int16] = np.rint(music).astype(np.int16)
    samples.flags.writeable = False
    return samples
