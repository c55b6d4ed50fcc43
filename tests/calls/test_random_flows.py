"""Call flows drawn at random: whatever both ends and an application do, nothing stays behind.

A flow that fails is had again by its number: `FLOW=4711 pytest tests/calls/test_random_flows.py`.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable

import pytest

from farend.simulation.flow import flow


def check(seeds: Iterable[int]) -> None:
    """Let flows happen; the first that leaves something behind is told from its beginning."""
    for seed in seeds:
        wrong, town = flow(seed)
        if wrong:
            pytest.fail("\n".join([f"flow {seed}:", *wrong, "", *town.story]))
    gc.collect()


@pytest.mark.parametrize("hundred", range(3))
def test_nothing_is_left_of_a_flow(hundred: int) -> None:
    chosen = os.environ.get("FLOW")
    check([int(chosen)] if chosen else range(100 * hundred, 100 * hundred + 100))


@pytest.mark.soak
@pytest.mark.parametrize("thousand", range(1, 4))
def test_nothing_is_left_of_a_thousand_flows(thousand: int) -> None:
    check(range(1000 * thousand, 1000 * thousand + 1000))
