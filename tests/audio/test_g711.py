"""G.711 against the decision values of ITU-T G.711 tables 1 and 2."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.g711 import (
    ALAW_DECODE,
    ALAW_ENCODE,
    ULAW_DECODE,
    ULAW_ENCODE,
    decode_alaw,
    decode_ulaw,
    encode_alaw,
    encode_ulaw,
)

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)


def _decisions(first: list[int], segments: int, step: int) -> list[int]:
    """Return x1, x2, ... : sixteen steps a segment, each segment's step twice the one before."""
    steps = itertools.chain.from_iterable([step << n] * 16 for n in range(segments))
    return [*itertools.accumulate(steps, initial=first[-1])]


ULAW_DECISIONS = [0, *range(1, 31, 2), *_decisions([31], 7, 4)]  # of 8159, table 2
ALAW_DECISIONS = [*range(0, 64, 2), *_decisions([64], 6, 4)]  # of 4096, table 1


def _expected(decisions: list[int], scale: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for every sample its interval number and the value it decodes to."""
    edges = np.array(decisions) * scale
    folded = EVERY_SAMPLE.astype(np.int64)
    folded = np.where(folded < 0, ~folded, folded)
    interval = np.minimum(np.searchsorted(edges, folded, "right") - 1, 127)
    middles = (edges[:-1] + edges[1:]) // 2
    return interval, np.where(EVERY_SAMPLE < 0, -middles[interval], middles[interval])


def test_mu_law_follows_the_decision_values_of_the_itu() -> None:
    interval, value = _expected(ULAW_DECISIONS, 4)
    value = np.where(interval == 0, 0, value)  # the first interval decodes to zero, table 2 note
    code = np.frombuffer(encode_ulaw(EVERY_SAMPLE), np.uint8)
    assert np.array_equal(~code & 0x7F, interval)
    assert np.array_equal(code & 0x80 == 0, EVERY_SAMPLE < 0)
    assert np.array_equal(decode_ulaw(code), value)


def test_a_law_follows_the_decision_values_of_the_itu() -> None:
    interval, value = _expected(ALAW_DECISIONS, 8)
    code = np.frombuffer(encode_alaw(EVERY_SAMPLE), np.uint8)
    assert np.array_equal((code ^ 0x55) & 0x7F, interval)
    assert np.array_equal(code & 0x80 == 0, EVERY_SAMPLE < 0)
    assert np.array_equal(decode_alaw(code), value)


def test_every_code_survives_a_round_trip() -> None:
    codes = bytes(range(256))
    assert encode_alaw(decode_alaw(codes)) == codes
    # The minus zero of mu-law is the one value with two codes.
    assert encode_ulaw(decode_ulaw(codes)) == codes.replace(b"\x7f", b"\xff")


@pytest.mark.parametrize(
    ("table", "code", "sample"),
    [
        (ULAW_DECODE, 0x00, -32124),
        (ULAW_DECODE, 0x80, 32124),
        (ULAW_DECODE, 0xFF, 0),
        (ALAW_DECODE, 0x2A, -32256),
        (ALAW_DECODE, 0xAA, 32256),
        (ALAW_DECODE, 0xD5, 8),  # A-law has no zero: its nearest
    ],
)
def test_known_values(table: NDArray[np.int16], code: int, sample: int) -> None:
    assert table[code] == sample


def test_a_batch_of_packets_is_decoded_in_its_shape() -> None:
    batch = np.full((3, 160), 0xD5, np.uint8)
    assert decode_alaw(batch).shape == (3, 160)
    assert decode_ulaw(bytearray(b"\xff\xff")).tolist() == [0, 0]


def test_the_tables_have_the_stated_form_and_cannot_be_changed() -> None:
    assert ULAW_DECODE.shape == ALAW_DECODE.shape == (256,)
    assert ULAW_ENCODE.shape == ALAW_ENCODE.shape == (65536,)
    for table in (ULAW_DECODE, ALAW_DECODE, ULAW_ENCODE, ALAW_ENCODE):
        assert not table.flags.writeable
