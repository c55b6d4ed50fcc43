"""The memory of the lines: what is written comes out again, wherever it wraps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mediaserver.rtp.ring import BLOCK, LARGEST, RING, Ring

SLOTS = 3


def noise(size: int, seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(1, 1 << 15, size).astype(np.int16)


def read(ring: Ring, slot: int, start: int, end: int) -> NDArray[np.int16]:
    out = np.zeros(end - start, np.int16)
    ring.get(slot, start, end, out)
    return out


@pytest.fixture
def ring() -> Ring:
    return Ring(SLOTS)


@given(
    start=st.integers(0, 3 * RING),
    sizes=st.lists(st.sampled_from([1, 80, 160, 161, 240, LARGEST]), min_size=1, max_size=40),
)
def test_packets_of_any_size_lie_end_to_end(start: int, sizes: list[int]) -> None:
    ring = Ring(SLOTS)
    whole = noise(sum(sizes))
    at = 0
    for size in sizes:
        packet = whole[at : at + size]
        ring.put_many(np.array([1]), np.array([start + at]), packet[None, :])
        at += size
    begin = max(0, whole.size - RING)
    assert np.array_equal(read(ring, 1, start + begin, start + whole.size), whole[begin:])
    assert not read(ring, 0, 0, RING).any()
    assert not read(ring, 2, 0, RING).any()


def test_many_legs_are_written_together(ring: Ring) -> None:
    positions = np.array([RING - 80, 0, 5 * RING - 1])
    packets = np.stack([noise(160, slot) for slot in range(SLOTS)])
    ring.put_many(np.arange(SLOTS), positions, packets)
    for slot, position in enumerate(positions.tolist()):
        assert np.array_equal(read(ring, slot, position, position + 160), packets[slot])


@given(position=st.integers(0, 2 * RING), size=st.integers(1, RING + 500))
def test_one_leg_is_written_and_cleared_wherever_it_wraps(position: int, size: int) -> None:
    ring = Ring(SLOTS)
    samples = noise(size)
    ring.put(1, position, samples)
    end = position + size
    begin = max(position, end - RING)
    assert np.array_equal(read(ring, 1, begin, end), samples[begin - position :])
    ring.clear(1, begin + 1, end - 1)
    left = read(ring, 1, begin, end)
    assert np.count_nonzero(left) == min(2, end - begin)
    assert not read(ring, 0, 0, RING).any()
    assert not read(ring, 2, 0, RING).any()


def test_whole_blocks_are_fetched_of_many_legs_at_once(ring: Ring) -> None:
    for slot in range(SLOTS):
        ring.put(slot, 0, noise(RING, slot))
    numbers = np.array([0, 5, RING // BLOCK + 2])
    blocks = ring.blocks(np.arange(SLOTS), numbers)
    for slot, number in enumerate(numbers.tolist()):
        at = number % (RING // BLOCK) * BLOCK
        assert np.array_equal(blocks[slot], noise(RING, slot)[at : at + BLOCK])
    blocks[:] = 0
    assert read(ring, 0, 0, RING).all()  # it was a copy
