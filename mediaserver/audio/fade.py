"""How much longer than its last heard frame does a voice go on, before noise hides it?

What makes a frame *heard* (`audio.vad`) is made to say that somebody talks, not until when: the
last sounds of a word are softer than that, and a short last word in noise is no speech to
webrtcvad. So once the line has been quiet for long enough, what followed the last heard frame is
looked at again, in eleven bands of the telephone's range:

- The noise of each band is the mean of the last third, where nobody speaks any more.
- A frame is *audible* by how unlikely its bands' powers are if there were noise alone: the
  logarithm of the likelihood ratio, summed over the bands that are louder than their noise. So a
  vowel counts in hiss, and a sibilant in what rumbles or hums. Noise that goes up and down (a
  crowd) has high ratios of its own; the threshold grows with the square of what the last third has.
- The voice went on to the last audible frame; a pause within a word may lie before it (a stop, a
  double consonant) or, if what follows is as long as a syllable, a longer one.
- What is far below the voice's loudest is no more part of it, however quiet the line.
- Where the noise is loud, a voice goes on below it. How far below its loudest a sound with the
  spectrum of the last audible one would be hidden is known, and so how long it may have taken from
  there to its end: the middle of what different voices do.

It runs once for a pause that may be the end, never in the middle of speech.
"""

from __future__ import annotations

from functools import cache
from math import log10
from typing import Final

import numpy as np
from numpy.typing import NDArray

FADE_FRAMES: Final = 75
"""Most frames after a last heard one that are looked at."""
FADE_LEAST: Final = 15
"""Fewer do not tell noise from voice."""
FADE_LEAD: Final = 2
"""Frames that are needed from before the end: the last heard one, and what its window reaches."""

EDGES: Final = (100, 300, 500, 700, 900, 1200, 1600, 2000, 2500, 3000, 3500, 3900)
"""Hz, between which the bands lie."""
WINDOW: Final = 0.032
"""Seconds of a spectrum; it ends with its frame."""
FREEDOM: Final = 0.6
"""Independent values in a bin of a spectrum, of such a window, halved."""
AUDIBLE: Final = 8.5
"""Log likelihood ratio, the mean of three frames, that steady noise has once in many minutes."""
AUDIBLE_UNSTEADY: Final = 1.3
"""Times the square of the noise's own mean ratio; that of steady noise is 2.3."""
BAND_AUDIBLE: Final = 1.5
"""A band's power over its noise, from which on the rest is taken for voice."""
LEAST_FRAMES: Final = 2
"""Fewer audible ones are chance."""
GAP: Final = 14
"""Frames of a pause within a word."""
SYLLABLE: Final = 5
"""Audible frames, three and what the mean spreads, that are a syllable and no click ..."""
SYLLABLE_GAP: Final = 22
"""... and that may follow a pause as long as this."""
DEPTH_DB: Final = 31.0
"""What is so far below its loudest frame is no voice: some 25 dB below the active level."""
HIDDEN_DEPTH_DB: Final = 33.0
"""Where a voice ends that dies away below the noise."""
HIDDEN_PER_DB: Final = 0.33
"""Frames it takes to fall by a decibel."""
HIDDEN_LONGEST: Final = 6.0
"""Most frames by which it is taken to go on below the noise."""

_SOFTEST: Final = 0.25  # per sample: the noise of rounding, which keeps silence on the scale
_SCALES: Final = 10.0 ** (-np.arange(41.0) / 10.0)
"""Down to so much of its power a sound is made softer to see where it is hidden."""


def fade(samples: NDArray[np.int16], frame: int, loudest: float, floor: float) -> float:
    """Return how many frames longer a voice went on.

    `samples` begin FADE_LEAD frames before its end as heard and reach as far behind it as is to be
    looked at. `frame` is a frame's length, `loudest` the power of the voice's loudest frame and
    `floor` that of one too soft to be voice, both as sums of squares.
    """
    ahead = len(samples) // frame - FADE_LEAD
    if ahead < FADE_LEAST:
        return 0.0
    rest = ahead // 3
    powers, widths = _powers(samples, frame)
    noise = powers[-rest:].mean(axis=0) + _SOFTEST * frame
    ratios = powers / noise
    audible = _smooth(_unlikely(np.maximum(ratios, 1.0) - 1.0, widths).sum(axis=1))
    threshold = max(AUDIBLE, AUDIBLE_UNSTEADY * float(audible[-rest:].mean()) ** 2)
    voice = np.where(ratios > BAND_AUDIBLE, ratios - 1.0, 0.0)
    levels = (voice * noise).sum(axis=1)
    quiet = samples[-rest * frame :].astype(np.float64)
    loudest = max(loudest - float(quiet @ quiet) / rest, 1.0)
    soft = max(loudest * 10.0 ** (-DEPTH_DB / 10.0), floor)
    end = _last((audible > threshold)[:-rest] & (_smooth(levels) > soft)[:-rest])
    while end and levels[end] <= soft:
        end -= 1  # the mean of three frames, no voice
    at = max(end - 1, 0)
    shape = _smooth(voice)[at]
    hidden = _hidden(shape, widths, threshold, float(shape @ noise) / loudest)
    return end + hidden


def _powers(
    samples: NDArray[np.int16], frame: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bands' powers in each frame but the first, and the widths of bands in values."""
    window, begins, widths = _bands(frame)
    wave = samples.astype(np.float64)
    views = np.lib.stride_tricks.sliding_window_view(wave, len(window))
    rows = views[2 * frame - len(window) :: frame] * window
    spectrum = np.fft.rfft(rows)[:, : begins[-1]]
    squares = spectrum.real**2 + spectrum.imag**2
    scale = 2.0 * frame / (len(window) * float(window @ window))
    return np.add.reduceat(squares, begins[:-1], axis=1) * scale, widths


@cache
def _bands(frame: int) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Return the window, the bins where bands begin and the last one ends, and their widths."""
    length = round(WINDOW * 50 * frame)
    begins = np.round(np.array(EDGES) * WINDOW).astype(np.intp)
    return np.hanning(length + 2)[1:-1], begins, FREEDOM * np.diff(begins)


def _unlikely(over: NDArray[np.float64], widths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log likelihood ratios of bands louder by `over` times their noise."""
    ratios: NDArray[np.float64] = (over - np.log1p(over)) * widths
    return ratios


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of each frame but the first, its neighbour before and that after."""
    after = np.concatenate((values[2:], values[-1:]))
    means: NDArray[np.float64] = (values[:-1] + values[1:] + after) / 3.0
    return means


def _last(over: NDArray[np.bool_]) -> int:
    """Return the end of the last audible sound that no gap divides from the start."""
    edges = np.flatnonzero(np.diff(over.astype(np.int8), prepend=0, append=0)).tolist()
    last = 0
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        length = end - begin
        if begin - last > (SYLLABLE_GAP if length >= SYLLABLE else GAP):
            break
        if length >= LEAST_FRAMES or begin == 0:
            last = end
    return last


def _hidden(
    shape: NDArray[np.float64], widths: NDArray[np.float64], threshold: float, share: float
) -> float:
    """Return the frames a voice takes from where it is hidden to its end.

    `shape` is its last audible sound over the noise of each band, `share` that sound's part of the
    voice's loudest.
    """
    if share <= 0.0:
        return 0.0
    audible = _unlikely(_SCALES[:, None] * shape, widths).sum(axis=1) > threshold
    softer = _SCALES[min(int(np.count_nonzero(audible)), len(_SCALES) - 1)]
    depth = HIDDEN_DEPTH_DB + 10.0 * log10(share * softer)
    return min(max(HIDDEN_PER_DB * depth, 0.0), HIDDEN_LONGEST)
