"""Of what is noted of a line nothing is left that tells of a stretch nobody needs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.recording.account import _held
from mediaserver.rtp.skew import COUNT, LEAD
from mediaserver.rtp.spans import FOREVER, Kind, pack, unpack
from mediaserver.store.note_holes import keep_notes, rewrite_notes
from mediaserver.store.tombstones import NEVER, Stretch

GONE = [0, 0, 0]

stretches = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda p: Stretch(min(p), max(p)))
)
spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=8)


def kept(notes: Sequence[tuple[int, int, int]], *needed: Stretch) -> list[list[int]]:
    left: list[list[int]] = keep_notes(unpack(pack(notes)), needed).tolist()
    return left


def test_spans_are_cut_to_what_is_needed_and_the_rest_is_zeros() -> None:
    notes = [
        (Kind.LOST, 0, 50),
        (Kind.KEY, 90, 110),
        (Kind.FILLED, 100, 200),
        (Kind.LOST, 150, 350),
        (Kind.KEY, 250, 260),
        (Kind.KEY, 390, 500),
    ]
    assert kept(notes, Stretch(300, 400), Stretch(100, 200)) == [
        GONE,
        [Kind.KEY, 100, 110],
        [Kind.FILLED, 100, 200],
        [Kind.LOST, 150, 350],
        GONE,
        [Kind.KEY, 390, 400],
    ]


def test_how_the_call_stood_is_still_known_where_a_needed_stretch_begins() -> None:
    held = [
        (Kind.HELD, 10, FOREVER),
        (Kind.FREED, 20, FOREVER),
        (Kind.HELD, 30, FOREVER),
        (Kind.FREED, 150, FOREVER),
        (Kind.HELD, 500, FOREVER),
    ]
    assert kept(held, Stretch(100, 200)) == [
        GONE,
        GONE,
        [Kind.HELD, 100, FOREVER],
        [Kind.FREED, 150, FOREVER],
        GONE,
    ]


def test_what_is_known_of_the_clocks_stays() -> None:
    notes = [(COUNT, 7, 0), (LEAD, 10, 3)]
    assert kept(notes, Stretch(100, 200)) == [list(note) for note in notes]


@given(needed=stretches, spans=spans)
def test_what_is_lost_in_what_is_needed_is_the_same_before_and_after(
    needed: list[Stretch], spans: list[tuple[int, int]]
) -> None:
    notes = [(int(Kind.LOST), start, start + size) for start, size in spans]
    positions = {at for stretch in needed for at in range(stretch.start, stretch.end)}
    left = kept(notes, *needed)
    for (_, start, end), (kind, begin, stop) in zip(notes, left, strict=True):
        assert set(range(start, end)) & positions == set(range(begin, stop)) & positions
        assert bool(kind) == bool(set(range(start, end)) & positions)
        if kind:
            assert {begin, stop - 1} <= positions


@given(needed=stretches, turns=st.lists(st.integers(0, 60), max_size=8))
def test_what_is_held_in_what_is_needed_is_the_same_before_and_after(
    needed: list[Stretch], turns: list[int]
) -> None:
    notes = unpack(
        pack(
            (Kind.FREED if number % 2 else Kind.HELD, at, FOREVER)
            for number, at in enumerate(sorted(turns))
        )
    )
    before, after = (_held(some, 100) for some in (notes, keep_notes(notes, needed)))

    def held(intervals: object, at: int) -> bool:
        return any(start <= at < end for start, end in np.asarray(intervals).reshape(-1, 2))

    for stretch in needed:
        for at in range(stretch.start, stretch.end):
            assert held(after, at) == held(before, at), at


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spans"


def test_a_file_keeps_its_length_and_what_is_cut_off_at_its_end_goes(path: Path) -> None:
    path.write_bytes(pack([(Kind.KEY, 10, 20), (Kind.KEY, 110, 120)]) + b"\x07" * 5)
    rewrite_notes(path, [Stretch(100, 200)], NEVER)
    assert path.read_bytes() == bytes(24) + pack([(Kind.KEY, 110, 120)]) + bytes(5)


def test_of_a_leg_that_goes_on_only_what_is_over_goes(path: Path) -> None:
    """It may be in the middle of adding a record."""
    path.write_bytes(pack([(Kind.KEY, 10, 20), (Kind.KEY, 110, 120)]) + b"\x07" * 5)
    rewrite_notes(path, [], 100)
    assert path.read_bytes() == bytes(24) + pack([(Kind.KEY, 110, 120)]) + b"\x07" * 5


def test_where_there_are_no_notes_none_are_made(path: Path) -> None:
    rewrite_notes(path, [], NEVER)
    assert not path.exists()


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(pack([(Kind.KEY, 10, 20)]))
    path.symlink_to(other)
    with pytest.raises(OSError, match=os.strerror(40)):
        rewrite_notes(path, [], NEVER)
    assert any(other.read_bytes())
