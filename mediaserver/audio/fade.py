"""How much longer than its last heard frame does a voice go on, before noise hides it?

What makes a frame *heard* (`audio.vad`) is made to say that somebody talks, not until when: the
last sounds of a word are softer than that, and a short last word in noise is no speech to
webrtcvad. So once the line has been quiet for long enough, what followed the last heard frame is
looked at again, in eleven bands of the telephone's range:

- The noise of each band is the mean of the last third, where nobody speaks any more, and beside
  it the least of what follows each frame: that goes along with a car that passes.
- A frame is *audible* by how unlikely its bands' powers are if there were noise alone: the
  logarithm of the likelihood ratio, summed over the bands that are louder than their noise. So a
  vowel counts in hiss, and a sibilant in what rumbles or hums. Noise that goes up and down (a
  crowd) has high ratios of its own, beside which those of a voice are seen.
- How far below the voice's loudest a frame is, and the noise, tells what the noise may hide.

From these traits (`traits`) each frame gets a vote on whether the voice still goes on, and how
well an end there fits what lies around it. Votes before an end and the fit at it make its
likelihood; the answer is the middle of that over all ends. How traits make votes was learned from
speech in noise whose ends are known (`fade_votes`), which is how a pause within a word, a sibilant
after it, and the part of a sound that is below the noise are taken for what they most often are.

It runs once for a pause that may be the end, never in the middle of speech.
"""

from __future__ import annotations

from functools import cache
from math import log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .fade_votes import FIT, KIND, KIND_BIAS, VOTE, VOTE_BIAS

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
"""Times the square of the noise's own mean ratio; that of steady noise is STEADY."""
STEADY: Final = 2.3
BAND_AUDIBLE: Final = 1.5
"""A band's power over its noise, from which on the rest is taken for voice."""
FOLLOWED: Final = 26
"""Frames, from each one on, whose least is noise that comes and goes ..."""
FOLLOWED_MEAN: Final = 7
"""... as the mean of so many frames ..."""
FOLLOWED_SCALE: Final = 1.4
"""... whose least is so much less than their mean."""

SILENT: Final = 10.0**-3.5
"""Beside the voice's loudest: what is so soft, with all its noise, is no voice."""

LN_10: Final = log(10.0)
_SOFTEST: Final = 0.25  # per sample: the noise of rounding, which keeps silence on the scale


def fade(samples: NDArray[np.int16], frame: int, loudest: float, floor: float) -> float:
    """Return how many frames longer a voice went on.

    `samples` begin FADE_LEAD frames before its end as heard and reach as far behind it as is to be
    looked at. `frame` is a frame's length, `loudest` the power of the voice's loudest frame and
    `floor` that of one too soft to be voice, both as sums of squares.
    """
    ahead = len(samples) // frame - FADE_LEAD
    if ahead < FADE_LEAST:
        return 0.0
    likely = ends(traits(samples, frame, loudest, floor))
    end = int(np.searchsorted(np.cumsum(likely), 0.5))
    softest = max(loudest * SILENT, floor)
    wave = samples[: (FADE_LEAD + end) * frame].astype(np.float64).reshape(-1, frame)
    while end and wave[FADE_LEAD + end - 1] @ wave[FADE_LEAD + end - 1] <= softest:
        end -= 1  # nothing is hidden here
    return float(end)


def ends(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how likely a voice ended with none, one, two, ... of the frames with these traits."""
    count = len(found) - len(found) // 5 + 1  # the noise must be seen for a while after the end
    kinds = np.tanh(found @ KIND + KIND_BIAS)
    votes = np.concatenate(([0.0], np.cumsum(kinds @ VOTE + VOTE_BIAS)))[:count]
    around = np.pad(kinds, ((len(FIT) // 2,) * 2, (0, 0)), mode="edge")
    chances = votes
    for at, weights in enumerate(FIT):
        chances = chances + around[at : at + count] @ weights
    likely = np.exp(chances - chances.max())
    shares: NDArray[np.float64] = likely / likely.sum()
    return shares


def traits(
    samples: NDArray[np.int16], frame: int, loudest: float, floor: float
) -> NDArray[np.float64]:
    """Return what tells voice from noise of each frame after the FADE_LEAD first, seven columns.

    They are: how audible it is with its neighbours; by itself; its voice's level below the loudest
    and its whole level over the noise, in bels; how audible it is over noise that comes and goes;
    and, the same for all frames, the noise's level below the loudest and how unsteady it is.
    """
    powers, widths = _powers(samples, frame)
    rest = len(samples) // frame // 3
    noise = powers[-rest:].mean(axis=0) + _SOFTEST * frame
    ratios = powers / noise
    alone = _unlikely(ratios, widths)
    audible = _smooth(alone)
    unsteady = max(float(audible[-rest:].mean()), 0.3)
    threshold = max(AUDIBLE, AUDIBLE_UNSTEADY * unsteady**2)
    followed = _smooth(_unlikely(powers / np.maximum(noise, _following(powers)), widths))
    quiet = samples[-rest * frame :].astype(np.float64)
    loudest = max(loudest - float(quiet @ quiet) / rest, 1.0)
    levels = _smooth((np.where(ratios > BAND_AUDIBLE, ratios - 1.0, 0.0) * noise).sum(axis=1))
    found = np.empty((len(audible), 7))
    found[:, 0] = np.clip(_log(audible / threshold), -3.0, 3.0)
    found[:, 1] = np.clip(_log(alone[1:] / threshold), -4.0, 4.0)
    found[:, 2] = np.clip(_bels(levels / loudest), -5.0, 0.5)
    found[:, 3] = np.clip(_bels(powers[1:].sum(axis=1) / noise.sum()), -1.0, 3.0)
    found[:, 4] = np.clip(_log(followed / AUDIBLE), -4.0, 3.0)
    found[levels <= floor, :5] = (-3.0, -4.0, -5.0, 0.0, -4.0)  # too soft for a voice
    found[:, 5] = np.clip(_bels(noise.sum() / loudest), -6.0, 0.5)
    found[:, 6] = np.log(unsteady / STEADY)
    return found


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


def _unlikely(ratios: NDArray[np.float64], widths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log likelihood ratios of frames whose bands have these powers over their noise."""
    over = np.maximum(ratios, 1.0) - 1.0
    return (over - np.log1p(over)) @ widths


def _following(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the noise of each band that the frames from each one on do not fall below."""
    count, reach = len(powers), FOLLOWED_MEAN // 2
    whole = np.pad(powers, ((reach, reach), (0, 0)), mode="edge")
    means = np.mean([whole[at : at + count] for at in range(FOLLOWED_MEAN)], axis=0)
    least = np.pad(means, ((0, FOLLOWED - 1), (0, 0)), mode="edge")
    reached = 1
    while reached < FOLLOWED:  # the least of twice as many, until they are enough
        step = min(reached, FOLLOWED - reached)
        least = np.minimum(least[:-step], least[step:])
        reached += step
    return np.asarray(FOLLOWED_SCALE * least)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of each frame but the first, its neighbour before and that after."""
    after = np.concatenate((values[2:], values[-1:]))
    means: NDArray[np.float64] = (values[:-1] + values[1:] + after) / 3.0
    return means


def _log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithms: NDArray[np.float64] = np.log(np.maximum(values, 1e-6))
    return logarithms


def _bels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return _log(values) / LN_10
