"""What networks do to packets, by seed: the same faults at every run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from .talker import Timed


def lose(packets: Sequence[Timed], share: float, seed: int) -> tuple[list[Timed], list[int]]:
    """Return the packets that arrive, never losing first and last, and the indices of the lost."""
    dice = random.Random(seed)
    last = len(packets) - 1
    lost = {n for n in range(1, last) if dice.random() < share}
    return [p for n, p in enumerate(packets) if n not in lost], sorted(lost)


def reorder(packets: Sequence[Timed], share: float, seed: int) -> list[Timed]:
    """Return the packets with a share of them 50 ms late, behind the two that follow."""
    dice = random.Random(seed)
    last = len(packets) - 1
    return [
        replace(p, arrival=p.arrival + 0.05) if 0 < n < last - 2 and dice.random() < share else p
        for n, p in enumerate(packets)
    ]


def duplicate(packets: Sequence[Timed], share: float, seed: int) -> list[Timed]:
    """Return the packets with a share of them sent once more, 5 ms later."""
    dice = random.Random(seed)
    again = [replace(p, arrival=p.arrival + 0.005) for p in packets if dice.random() < share]
    return [*packets, *again]


def stall(packets: Sequence[Timed], at: int, seconds: float) -> list[Timed]:
    """Return the packets with those due in the `seconds` after the `at`th all at once, then."""
    begin = packets[at].arrival
    return [
        replace(p, arrival=begin + seconds) if begin <= p.arrival < begin + seconds else p
        for p in packets
    ]
