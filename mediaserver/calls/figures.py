"""The figures of a leg as a recording keeps them: its packets, RTCP's view, and the E-model's."""

from __future__ import annotations

from typing import Any

from ..rtp.quality import CONCEALED, PLAIN, mos, r_factor
from .ports import FarEnd, LegStatistics


def leg_figures(leg: LegStatistics) -> dict[str, Any]:
    """Return a JSON object of what became of a leg's packets since it was opened.

    The delay that counts against the MOS is half the round trip RTCP measured: the buffers at
    both ends are not known. What we heard is silent where it was lost; the far end is taken to
    conceal its losses, as phones do.
    """
    delay = (leg.round_trip or 0.0) / 2
    heard = r_factor(_heard_loss(leg), PLAIN, delay)
    return {
        "packets_received": leg.packets_received,
        "packets_lost": leg.packets_lost,
        "packets_late": leg.packets_late,
        "packets_refused": leg.packets_refused,
        "packets_sent": leg.packets_sent,
        "jitter_ms": round(1000 * leg.jitter, 1),
        "round_trip_ms": None if leg.round_trip is None else round(1000 * leg.round_trip, 1),
        "skew_ppm": None if leg.skew_ppm is None else round(leg.skew_ppm, 1),
        "encryption": leg.encryption,
        "r_factor": round(heard, 1),
        "mos": round(mos(heard), 2),
        "far_end": None if leg.far_end is None else _far_figures(leg.far_end, leg, delay),
    }


def _far_figures(far: FarEnd, leg: LegStatistics, delay: float) -> dict[str, Any]:
    loss = far.packets_lost / leg.packets_sent if leg.packets_sent else far.fraction_lost
    rated = r_factor(loss, CONCEALED, delay)
    return {
        "fraction_lost": round(far.fraction_lost, 3),
        "packets_lost": far.packets_lost,
        "jitter_ms": round(1000 * far.jitter, 1),
        "r_factor": round(rated, 1),
        "mos": round(mos(rated), 2),
    }


def _heard_loss(leg: LegStatistics) -> float:
    """Return the share of packets that is not in the audio: lost, or too late for it."""
    expected = leg.packets_received + leg.packets_lost
    return (leg.packets_lost + leg.packets_late) / expected if expected else 0.0
