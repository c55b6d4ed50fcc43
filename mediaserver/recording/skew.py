"""Laying what was sent to a party beside what it said, where their clocks differ.

What is heard lies on the party's line, by its timestamps; what is sent lies at positions of the
local clock. The leads noted with the journals (`rtp.skew`) say how the two belong together:
what was sent at position p - lead(p) of the clock is heard at p of the line. So it is what was
sent that is fetched from there, a little slower or faster than it was kept, and what the party
said stays as it came: pauses, keys and talk spurts are positions of its line.

The lead between two notes is found in three steps. A line is laid through the notes around each
(the median of all slopes between them, so that a few bad ones do not matter); no slope is steeper
than MAX_SLOPE, which no clock has and no ear notices; and where the line was shifted by more than
a JUMP after an outage, what was sent is silent for as long, rather than heard a second time.

Where the lead hardly changes in a recording nothing is resampled: what was sent is taken as it
was, at most from somewhat earlier or later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..rtp.skew import median_slope

MAX_SLOPE: Final = 500e-6
"""Samples that are left out or put in for each one."""

DRIFT_FROM: Final = 0.005
"""Seconds by which the lead changes in a recording before anything is resampled."""

SHIFT_FROM: Final = 0.015
"""Seconds of lead from which what was sent is shifted: with DRIFT_FROM no more than a packet."""

JUMP: Final = 0.1
"""Seconds by which a line jumps ahead in an outage; what is less is made up for slowly."""

REACH: Final = 150.0
"""Seconds before and after a note whose notes are looked at with it."""

NEIGHBOURS: Final = 7
"""Notes that are looked at however far they are."""

SLOPE_FROM: Final = 30.0
"""Seconds of notes that say something about a slope."""

BEYOND: Final = 60.0
"""Seconds that a slope is taken to go on where there are no notes."""

FADE: Final = 0.005
"""Seconds in which what was sent goes and comes at a jump."""

Reader = Callable[[int, int], NDArray[np.int16]]
"""`read(start, end)`: samples of the journal of what was sent; silence where there are none."""

_Curve = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Piece:
    """The lead from position `begin` on: straight between its knots, level beyond them."""

    begin: float
    position: _Curve
    lead: _Curve

    def at(self, position: _Curve | float) -> _Curve:
        return np.asarray(np.interp(position, self.position, self.lead))


class Alignment:
    """Where what was sent is to be fetched for each position of a recording; see `align`."""

    def __init__(self, rate: int, shift: int, pieces: tuple[_Piece, ...] = ()) -> None:
        self.shift = shift
        """Samples of lead where it is taken to be the same everywhere."""
        self._rate = rate
        self._pieces = pieces

    @property
    def resamples(self) -> bool:
        """Whether the lead changes."""
        return bool(self._pieces)

    def read(self, read: Reader, start: int, end: int) -> NDArray[np.int16]:
        """Return what was sent from `start` to before `end` of the line.

        The same for a position whatever is read around it.
        """
        if not self._pieces or start == end:
            return read(start - self.shift, end - self.shift)
        position = np.arange(start, end, dtype=np.float64)
        wanted = position - _lead_at(self._pieces, position)
        whole = np.rint(wanted).astype(np.int64)
        first, last = int(whole.min()), int(whole.max())
        samples = read(first - _HALF, last + _HALF + 1)
        if not samples.any():
            return np.zeros(end - start, np.int16)
        between = _between(samples, whole - first, wanted - whole)
        for before, after in zip(self._pieces, self._pieces[1:], strict=False):
            between *= self._gain(position, after.begin, before, after)
        rounded: NDArray[np.int16] = np.rint(np.clip(between, -32768, 32767)).astype(np.int16)
        return rounded

    def _gain(self, position: _Curve, jump: float, before: _Piece, after: _Piece) -> _Curve:
        """Return the gains around a jump: silence as long as it, faded before and after."""
        length = float(after.at(jump) - before.at(jump))
        away = np.where(position < jump, jump - position, position - jump - length)
        away = np.clip(away / (FADE * self._rate), 0.0, 1.0)
        return np.asarray(0.5 - 0.5 * np.cos(np.pi * away))


def align(
    leads: NDArray[np.int64], rate: int, start: int, end: int, *, resample: bool = True
) -> Alignment:
    """Return how what was sent is to be fetched for a recording from `start` to `end` of a line.

    `leads` as `rtp.skew.read_leads` returns them. Without `resample` it is only shifted, by the
    lead that was known at the beginning: where there is nothing it could drift away from, and
    where more leads are still to come.
    """
    if not resample:
        leads, end = leads[leads[:, 0] <= start], start
    pieces = _fit(_near(leads, rate, start, end), rate)
    if not pieces:
        return Alignment(rate, 0)
    knots = np.concatenate([[piece.begin, *piece.position] for piece in pieces])
    within = knots[(knots > start) & (knots < end)]
    lead = _lead_at(pieces, np.concatenate([[start], within, [end]]))
    if np.ptp(lead) >= DRIFT_FROM * rate:
        return Alignment(rate, 0, pieces)
    shift = round(float(np.median(lead)))
    return Alignment(rate, shift if abs(shift) >= SHIFT_FROM * rate else 0)


def sent_range(leads: NDArray[np.int64], rate: int, start: int, end: int) -> tuple[int, int]:
    """Return the first and the last position of what was sent, between which lies all of it that
    a recording from `start` to `end` of the line is made of, however it is rendered.
    """
    if not leads.size:
        return start, end
    at_start, at_end = (_lead(leads, rate, position) for position in (start, end))
    margin = _HALF + 1 + round((SHIFT_FROM + DRIFT_FROM) * rate)
    return start - at_start - margin, end - min(at_start, at_end) + margin


def heard_at(leads: NDArray[np.int64], rate: int, sent: int) -> int:
    """Return the position on the line of what was sent at a position of the clock."""
    return sent + _lead(leads, rate, sent)


def _lead(leads: NDArray[np.int64], rate: int, position: int) -> int:
    if not leads.size:
        return 0
    known = min(position, int(leads[:, 0].max()) + round(BEYOND * rate))
    pieces = _fit(_near(leads, rate, known, known), rate)
    return round(float(_lead_at(pieces, np.array([known], np.float64))[0]))


def _near(leads: NDArray[np.int64], rate: int, start: int, end: int) -> NDArray[np.int64]:
    """Return the leads of a recording and around it, at least NEIGHBOURS on either side."""
    leads = leads[np.argsort(leads[:, 0], kind="stable")]
    around = int(4 * REACH * rate)
    first, last = np.searchsorted(leads[:, 0], [start - around, end + around])
    near = leads[max(0, int(first) - NEIGHBOURS) : int(last) + NEIGHBOURS]
    return near[np.diff(near[:, 0], prepend=-1) > 0]


def _fit(leads: NDArray[np.int64], rate: int) -> tuple[_Piece, ...]:
    """Return the lead along the line, in pieces between which it jumps."""
    pieces: list[_Piece] = []
    for count in np.unique(leads[:, 2]):
        position, lead, _ = leads[leads[:, 2] == count].astype(np.float64).T
        piece = _Piece(float(count), *_smoothed(position, lead, rate))
        before = pieces[-1] if pieces else None
        if before is None or piece.at(count) - before.at(count) > JUMP * rate:
            pieces.append(piece)
            continue
        # What was added to go on beyond the notes ends where there are others.
        old = before.position < min(float(count), piece.position[1])
        new = piece.position >= count
        pieces[-1] = _Piece(
            before.begin,
            np.concatenate([before.position[old], piece.position[new]]),
            np.concatenate([before.lead[old], piece.lead[new]]),
        )
    return tuple(_Piece(one.begin, one.position, _limited(one)) for one in pieces)


def _smoothed(position: _Curve, lead: _Curve, rate: int) -> tuple[_Curve, _Curve]:
    """Return the knots of the lead of one count: at each note, and one beyond on either side."""
    smooth, slopes = np.empty_like(lead), np.empty_like(lead)
    for index, here in enumerate(position):
        first, last = np.searchsorted(position, [here - REACH * rate, here + REACH * rate])
        first = max(0, min(int(first), index - NEIGHBOURS // 2))
        last = max(int(last), index + NEIGHBOURS // 2 + 1)
        x, y = position[first:last], lead[first:last]
        slope = None
        if x[-1] - x[0] >= SLOPE_FROM * rate:
            slope = median_slope(x, y, np.zeros_like(x))
        slopes[index] = np.clip(slope or 0.0, -MAX_SLOPE, MAX_SLOPE)
        smooth[index] = np.median(y - slopes[index] * (x - here))
    away = BEYOND * rate
    knots = np.concatenate([[position[0] - away], position, [position[-1] + away]])
    ends = smooth[0] - slopes[0] * away, smooth[-1] + slopes[-1] * away
    return knots, np.concatenate([ends[:1], smooth, ends[1:]])


def _limited(piece: _Piece) -> _Curve:
    """Return the leads of a piece with no slope between them steeper than MAX_SLOPE.

    Halfway between two curves that give way as late and as early as they can.
    """
    room = MAX_SLOPE * np.diff(piece.position)
    late, early = piece.lead.copy(), piece.lead.copy()
    for index, most in enumerate(room):
        late[index + 1] = np.clip(late[index + 1], late[index] - most, late[index] + most)
    for index in range(room.size - 1, -1, -1):
        most = room[index]
        early[index] = np.clip(early[index], early[index + 1] - most, early[index + 1] + most)
    return (late + early) / 2


def _lead_at(pieces: tuple[_Piece, ...], position: _Curve) -> _Curve:
    lead = pieces[0].at(position)
    for piece in pieces[1:]:
        beyond = position >= piece.begin
        lead[beyond] = piece.at(position[beyond])
    return lead


# Interpolation: a windowed sinc, each of its taps a polynomial of where between two samples the
# wanted one lies. So a filter of constant coefficients for each power does for all positions.

_HALF: Final = 16
"""Samples before and after the nearest one that count; 3.4 kHz of 4 kHz come through whole."""
_DEGREE: Final = 8


@lru_cache(maxsize=1)
def _taps() -> _Curve:
    """Return the filters, shape (degree + 1, taps): that of power k is row k. Takes milliseconds.

    Not at import: only where files are made anything is resampled.
    """
    beside = np.cos(np.pi * (np.arange(4 * _DEGREE) + 0.5) / (4 * _DEGREE)) / 2
    away = np.arange(-_HALF, _HALF + 1)[None, :] - beside[:, None]
    window = np.i0(8.0 * np.sqrt(1 - (away / (_HALF + 0.5)) ** 2))
    taps = np.sinc(away) * window
    taps /= taps.sum(axis=1, keepdims=True)
    filters: _Curve = np.polynomial.polynomial.polyfit(beside, taps, _DEGREE).astype(np.float64)
    return filters


def _between(samples: NDArray[np.int16], nearest: NDArray[np.int64], beside: _Curve) -> _Curve:
    """Return samples at fractions `beside` (-0.5 to 0.5) of those at `nearest` + _HALF."""
    signal = samples.astype(np.float64)
    out = np.zeros(nearest.size)
    for taps in _taps()[::-1]:
        out *= beside
        out += np.convolve(signal, taps[::-1], "valid")[nearest]
    return out
