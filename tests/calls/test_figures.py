"""A leg's figures as a recording keeps them."""

from __future__ import annotations

import json

import pytest

from mediaserver.calls.figures import leg_figures
from mediaserver.calls.ports import FarEnd, LegStatistics


def leg(**changes: object) -> LegStatistics:
    values: dict[str, object] = {
        "packets_received": 950,
        "packets_lost": 50,
        "packets_late": 0,
        "packets_refused": 3,
        "packets_sent": 1000,
        "jitter": 0.00234,
        "round_trip": 0.0612,
    }
    return LegStatistics(**(values | changes))  # type: ignore[arg-type]  # by name


def test_what_we_heard_is_rated_with_its_losses_as_silence() -> None:
    figures = leg_figures(leg())
    assert figures["r_factor"] == round(93.2 - 95 * 5 / (5 + 4.3), 1)
    assert figures["jitter_ms"] == 2.3
    assert figures["round_trip_ms"] == 61.2
    assert figures["far_end"] is None


def test_packets_that_came_too_late_are_as_good_as_lost() -> None:
    assert (
        leg_figures(leg(packets_lost=0, packets_received=1000, packets_late=50))["mos"]
        == leg_figures(leg())["mos"]
    )


def test_what_the_far_end_heard_is_rated_by_its_reports() -> None:
    figures = leg_figures(leg(far_end=FarEnd(0.5, 20, 0.01)))["far_end"]
    assert figures["r_factor"] == round(93.2 - 95 * 2 / (2 + 25.1), 1)
    assert (figures["fraction_lost"], figures["packets_lost"]) == (0.5, 20)
    assert figures["jitter_ms"] == 10.0


def test_delay_counts_one_way() -> None:
    near, far = (leg_figures(leg(packets_lost=0, round_trip=trip)) for trip in (0.2, 0.8))
    assert near["r_factor"] == 93.2
    assert far["r_factor"] < 75.0


@pytest.mark.parametrize("lost", [-(1 << 23), (1 << 23) - 1])
@pytest.mark.parametrize("trip", [None, 0.0, 32_767.0])
def test_no_report_however_absurd_leaves_the_scale(lost: int, trip: float | None) -> None:
    figures = leg_figures(leg(far_end=FarEnd(1.0, lost, 536_870.0), round_trip=trip))
    assert 1.0 <= figures["far_end"]["mos"] <= 4.5
    json.dumps(figures, allow_nan=False)


def test_a_leg_that_heard_nothing_has_figures() -> None:
    figures = leg_figures(leg(packets_received=0, packets_lost=0, packets_sent=0, round_trip=None))
    assert figures["mos"] == 4.41
