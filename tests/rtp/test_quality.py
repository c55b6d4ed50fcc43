"""The E-model: what its formulas give for G.711."""

from __future__ import annotations

import pytest

from mediaserver.rtp.quality import CONCEALED, PLAIN, mos, r_factor


def test_a_call_without_loss_and_delay_is_as_good_as_g711_can_be() -> None:
    assert r_factor(0.0, PLAIN) == 93.2
    assert mos(93.2) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(
    ("r", "score"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)]
)
def test_scores_are_those_commonly_given_for_r(r: float, score: float) -> None:
    assert mos(r) == pytest.approx(score, abs=0.01)


@pytest.mark.parametrize(("loss", "impairment"), [(0.01, 3.64), (0.05, 15.78), (0.2, 42.13)])
def test_losses_that_are_concealed_impair_as_the_formula_says(
    loss: float, impairment: float
) -> None:
    assert r_factor(loss, CONCEALED) == pytest.approx(93.2 - impairment, abs=0.01)


def test_delay_counts_from_a_tenth_of_a_second_on() -> None:
    assert r_factor(0.0, PLAIN, 0.1) == 93.2
    assert r_factor(0.0, PLAIN, 0.15) > 91.0
    assert 60.0 < r_factor(0.0, PLAIN, 0.4) < 75.0


def test_the_score_falls_with_loss_and_stays_on_the_scale() -> None:
    scores = [mos(r_factor(n / 100, PLAIN, 3.0)) for n in range(101)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == 1.0
    assert mos(120.0) == 4.5
