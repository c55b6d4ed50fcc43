"""How a listener would rate a leg: the E-model (ITU-T G.107, 06/2015), as far as RTP can tell.

Of the model's impairments two are known here, delay and loss. All else is at its default, at
which a call without either is rated R = 93.2 (clause 7.7 and table 3).
"""

from __future__ import annotations

from math import log2, pow
from typing import Final

BEST: Final = 93.2
"""R where every parameter has its default value."""

PLAIN: Final = 4.3
"""Bpl of G.711 where a lost packet is silence (ITU-T G.113, appendix I)."""

CONCEALED: Final = 25.1
"""Bpl of G.711 where losses are concealed as in its appendix I (ITU-T G.113, appendix I)."""

_UNHEARD: Final = 0.1
"""Seconds of delay that nobody notices (clause 7.4: mT = 100 ms)."""


def r_factor(loss: float, robustness: float, delay: float = 0.0) -> float:
    """Return R for G.711, whose equipment impairment Ie is 0.

    `loss` is the share of packets, 0 to 1, lost at random (BurstR = 1); `robustness` the codec's
    Bpl; `delay` the way from mouth to ear in seconds. Echo is taken to be cancelled.
    """
    percent = 100.0 * min(max(loss, 0.0), 1.0)
    return BEST - _delay_impairment(delay) - 95.0 * percent / (percent + robustness)


def mos(r: float) -> float:
    """Return the mean opinion score, 1 to 4.5, that goes with R (annex B)."""
    if r >= 100.0:
        return 4.5
    if r <= 0.0:
        return 1.0
    return max(1.0, 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6)


def _delay_impairment(delay: float) -> float:
    """Return Idd (clause 7.4)."""
    if delay <= _UNHEARD:
        return 0.0
    x = log2(delay / _UNHEARD)
    root = 1.0 / 6.0
    return 25.0 * (pow(1.0 + x**6, root) - 3.0 * pow(1.0 + (x / 3.0) ** 6, root) + 2.0)
