"""Where the sound of a recording begins and ends, and whether there is any.

A frame of 20 ms is *sound* when it is louder than SILENCE_DBOV and, on a line with steady noise,
stands out from that by MARGIN_DB. The noise is read off the quietest tenth of all frames: if these
are no digital silence and of about one level, and the loudest are much louder, it is the noise
between the words. Else nothing tells the two apart, as with a tone that is held all the time, with
hiss alone, or with soft words on a line that is silent between them, and nothing louder than
SILENCE_DBOV is left out: what cannot be told is kept.

Two of three frames in a row must be sound, so that a click at the end of a call does not count,
unless clicks are all there is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .track import Track

SILENCE_DBOV: Final = -60.0
"""No frame up to this is sound; speech on a telephone line is around -26 dBov."""
IDLE_DBOV: Final = -75.0
"""No line is as quiet as this that sends anything at all (an idle A-law line: -72 dBov)."""
MARGIN_DB: Final = 6.0
STEADY_DB: Final = 4.0
"""Noise whose level is read off quiet frames spreads no more than this among these."""
CONTRAST_DB: Final = 10.0
"""Sound is at least so much louder than the noise that is told from it."""
NOISE_SHARES: Final = (0.02, 0.10)
"""Shares of the frames that are no louder than the quietest noise, and than the noise."""
LOUD_FRAMES: Final = 10
"""Frames that are as loud as the sound, however short it is beside its silence."""

BEFORE: Final = 0.1
"""Seconds kept before the first sound."""
AFTER: Final = 0.2
"""Seconds kept after the last one."""

_FULL_POWER: Final = 32768.0**2


class Levels:
    """Takes a track chunk by chunk: how loud each frame of each channel is.

    Four bytes a frame and channel are kept, 0.7 MB for an hour of one.
    """

    def __init__(self, track: Track) -> None:
        self._frame = track.frame
        self._parts = [np.empty((0, track.channels), np.float32)]

    def take(self, samples: NDArray[np.int16]) -> None:
        """Measure whole frames; only the last chunk may end within one."""
        whole = len(samples) - len(samples) % self._frame
        squares = np.square(samples, dtype=np.float32)
        frames = squares[:whole].reshape(-1, self._frame, samples.shape[1])
        self._parts.append(frames.mean(axis=1))
        if whole < len(samples):
            self._parts.append(squares[whole:].mean(axis=0, keepdims=True))

    def sound(self) -> tuple[int, int] | None:
        """Return the first frame that is sound and the one after the last; None: none is."""
        power = np.concatenate(self._parts)
        dbov = 10.0 * np.log10(power / _FULL_POWER + 1e-12)
        loud = np.zeros(len(dbov), bool)
        for channel in dbov.T:
            loud |= channel > _threshold(channel)
        frames = np.flatnonzero(_dense(loud))
        if not len(frames):
            frames = np.flatnonzero(loud)
        return (int(frames[0]), int(frames[-1]) + 1) if len(frames) else None


def _threshold(dbov: NDArray[np.float32]) -> float:
    """Return the level in dBov above which a frame is sound."""
    if len(dbov) < 2 * LOUD_FRAMES:
        return SILENCE_DBOV
    levels = np.sort(dbov)
    idle = int(np.searchsorted(levels, IDLE_DBOV, "right"))
    if idle >= NOISE_SHARES[1] * len(levels):
        return SILENCE_DBOV
    # A little digital silence is what every line has: before the first packet, where one is lost.
    sent = levels[idle:]
    least, noise = (float(sent[int(share * len(sent))]) for share in NOISE_SHARES)
    if noise - least > STEADY_DB or float(levels[-LOUD_FRAMES]) - noise < CONTRAST_DB:
        return SILENCE_DBOV
    return max(SILENCE_DBOV, noise + MARGIN_DB)


def _dense(loud: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which loud frames have another one among the two before and the two after."""
    near = np.zeros(len(loud), bool)
    for distance in (1, 2):
        near[distance:] |= loud[:-distance]
        near[:-distance] |= loud[distance:]
    dense: NDArray[np.bool_] = loud & near
    return dense


def bounds(track: Track, sound: tuple[int, int]) -> tuple[int, int]:
    """Return the stretch of a track that is left when the silence around its sound is cut off."""
    first, last = (frame * track.frame for frame in sound)
    begin = max(0, first - round(BEFORE * track.rate))
    return begin, min(track.length, last + round(AFTER * track.rate))
