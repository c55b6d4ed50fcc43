"""DTMF heard in the audio itself (ITU-T Q.23, Q.24), for legs whose keys are not sent as events.

The line is looked at every 8 ms through a window of 24 ms, and correlated with the eight
frequencies of the keys. A look shows a key when

- one tone of each group holds its own against the other three (`BESIDE_DB`),
- the two together are nearly all there is (`SHARE`): a voice has more to it,
- neither is much louder than the other (`TWIST_DB`), and
- both are where they should be (`OFF_SHARE`), as the turn of their phases since the look before
  tells: Q.24 wants 1.5 % taken and 3.5 % refused.

Three looks in a row that show the same key are one press of it. A key that is down stays down as
long as its tones are the strongest and half of all there is, but for two looks. So a tone of 40 ms
counts and one of 20 ms does not, and neither a break of 10 ms nor noise makes two keys of one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .tones import DTMF_HZ

WINDOW: Final = 0.024
"""Seconds of a look."""
HOP: Final = 0.008
"""Seconds from look to look."""

QUIETEST_DBOV: Final = -42.0
"""A tone softer than this is none: some -36 dBm0."""
QUIETEST_PEAK: Final = 200
"""No samples of two such tones stay below this for the length of a look."""
SHARE: Final = 0.8
"""Least share of the power in the pair: noise 12 dB below it leaves more than that."""
HELD_SHARE: Final = 0.5
"""The same of a key that is down."""
TWIST_DB: Final = (-9.0, 9.0)
"""Least and most that the higher tone is above the lower: Q.24 asks for -8 and 4 at least."""
BESIDE_DB: Final = 6.0
"""How far the other tones of a group are below its strongest."""
OFF_SHARE: Final = 0.025
"""By what share a frequency may be off."""
LEAST_LOOKS: Final = 3
"""Looks that show a key before it counts."""
MOST_GAP: Final = 2
"""Looks that do not show it and end it."""

_LOW: Final = tuple(sorted({low for low, _ in DTMF_HZ.values()}))
_HIGH: Final = tuple(sorted({high for _, high in DTMF_HZ.values()}))
_KEYS: Final = tuple(
    {tones: key for key, tones in DTMF_HZ.items()}[low, high] for low in _LOW for high in _HIGH
)


class InbandDtmf:
    """Follows one stream, however it is cut into pieces. State and cost do not grow with it."""

    def __init__(self, rate: int = 8000) -> None:
        self._hop = round(HOP * rate)
        size = round(WINDOW * rate)
        self._size = size
        window = np.hanning(size + 2)[1:-1]
        self._window = window
        hertz = np.array(_LOW + _HIGH)
        turns = np.outer(np.arange(size) / rate, hertz)
        waves = np.exp(-2j * np.pi * turns) * window[:, None]
        self._waves = np.hstack((waves.real, waves.imag))
        # A full sine, of -3 dBov, correlates to half the window's sum.
        self._full = 2.0 * (32768.0 * window.sum() / 2.0) ** 2
        self._quietest = self._full * 10.0 ** (QUIETEST_DBOV / 10.0)
        # The power of a tone in the window is this much of its correlation's.
        self._share = 2.0 * float((window**2).sum()) / float(window.sum()) ** 2
        self._expected = np.exp(2j * np.pi * hertz * self._hop / rate)
        self._most_turn = 2.0 * np.pi * OFF_SHARE * hertz * self._hop / rate
        self._rest = np.empty(0, np.int16)
        self._before = np.zeros(8, np.complex128)
        self._fed: int | None = None
        self._key = ""
        self._looks = 0
        self._gap = 0

    def feed(self, samples: NDArray[np.int16], position: int) -> list[tuple[str, int]]:
        """Take what lies at `position` of the line; return each key and where its tone began.

        Begins are right to 10 ms or so. After a gap in the positions it begins anew.
        """
        if self._fed is not None and position != self._fed:
            self._rest = np.empty(0, np.int16)
            self._key, self._looks, self._gap = "", 0, 0
        self._fed = position + len(samples)
        data = np.concatenate((self._rest, samples)) if self._rest.size else samples
        start = self._fed - len(data)
        looks = (len(data) - self._size) // self._hop + 1
        if looks <= 0:
            self._rest = data.copy()
            return []
        self._rest = data[looks * self._hop :].copy()
        frames = np.lib.stride_tricks.sliding_window_view(data, self._size)[:: self._hop]
        if data.max() < QUIETEST_PEAK and data.min() > -QUIETEST_PEAK:
            self._before = np.zeros(8, np.complex128)
            return self._follow([-1] * min(looks, MOST_GAP), [-1] * min(looks, MOST_GAP), start)
        return self._follow(*self._look(frames[:looks].astype(np.float64)), start)

    def _look(self, frames: NDArray[np.float64]) -> tuple[list[int], list[int]]:
        """Return for each look the number of the key it shows, and of that which it may hold.

        -1 stands for none.
        """
        parts = frames @ self._waves
        found = parts[:, :8] + 1j * parts[:, 8:]
        power = parts[:, :8] ** 2 + parts[:, 8:] ** 2
        before = np.vstack((self._before, found[:-1]))
        self._before = found[-1]
        rows = np.arange(len(frames))
        low, high = power[:, :4].argmax(axis=1), power[:, 4:].argmax(axis=1) + 4
        lower, higher = power[rows, low], power[rows, high]
        audible = np.minimum(lower, higher) >= self._quietest
        if not audible.any():
            return [-1] * len(frames), [-1] * len(frames)
        twist = higher / (lower + 1e-9)
        good = (
            audible
            & (twist >= 10.0 ** (TWIST_DB[0] / 10.0))
            & (twist <= 10.0 ** (TWIST_DB[1] / 10.0))
        )
        beside = 10.0 ** (-BESIDE_DB / 10.0)
        good &= (power[:, :4] > lower[:, None] * beside).sum(axis=1) == 1
        good &= (power[:, 4:] > higher[:, None] * beside).sum(axis=1) == 1
        total = ((frames * self._window) ** 2).sum(axis=1)
        turn = np.angle(found * before.conj() * self._expected.conj())
        paired = np.zeros(len(frames))
        for tone, power_of in ((low, lower), (high, higher)):
            # The first look at a tone has nothing before it to tell its frequency by.
            known = np.abs(before[rows, tone]) ** 2 >= self._quietest
            off = np.where(known, turn[rows, tone], 0.0)
            good &= np.abs(off) <= self._most_turn[tone]
            paired += power_of / self._response(off)
        paired *= self._share
        good &= paired >= SHARE * total
        number = 4 * low + high - 4
        shown: list[int] = np.where(good, number, -1).tolist()
        held: list[int] = np.where(audible & (paired >= HELD_SHARE * total), number, -1).tolist()
        return shown, held

    def _response(self, turn: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what share of a tone's power is found if its phase turns so from look to look."""
        off = np.minimum(np.abs(turn) / (2.0 * np.pi) * (self._size / self._hop), 0.75)
        response: NDArray[np.float64] = (np.sinc(off) / (1.0 - off**2)) ** 2
        return response

    def _follow(self, shown: list[int], held: list[int], start: int) -> list[tuple[str, int]]:
        keys: list[tuple[str, int]] = []
        for look, (number, holds) in enumerate(zip(shown, held, strict=True)):
            key = _KEYS[number] if number >= 0 else ""
            if self._looks >= LEAST_LOOKS and holds >= 0 and _KEYS[holds] == self._key:
                self._gap = 0
            elif key and key == self._key:
                self._looks += 1
                self._gap = 0
                if self._looks == LEAST_LOOKS:
                    first = start + (look - LEAST_LOOKS + 1) * self._hop
                    keys.append((key, first + self._size // 8))
            elif key:
                self._key, self._looks, self._gap = key, 1, 0
            else:
                self._gap += 1
                if self._looks < LEAST_LOOKS or self._gap >= MOST_GAP:
                    self._key, self._looks = "", 0
        return keys
