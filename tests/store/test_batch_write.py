"""Lanes write every piece to its place, and name those that they could not write whole."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from farend.scarcity import file_size_limit, python, small_disk
from mediaserver.store.batch_write import LIST, Lane, ListLane, SingleLane, Writes, open_lane

_RNG = np.random.default_rng(3)
NOISE = _RNG.integers(0, 256, 1 << 20).astype(np.uint8)


@pytest.fixture(params=[ListLane, SingleLane])
def lane(request: pytest.FixtureRequest) -> Iterator[Lane]:
    made: Lane = request.param()
    yield made
    made.close()


@pytest.fixture
def descriptors(tmp_path: Path) -> Iterator[list[int]]:
    """Eight new files below `tmp_path`."""
    opened = [os.open(tmp_path / str(n), os.O_RDWR | os.O_CREAT) for n in range(8)]
    yield opened
    for descriptor in opened:
        os.close(descriptor)


def writes(*pieces: tuple[int, int, int, int]) -> Writes:
    """Return pieces of the noise: descriptor, offset, start and length."""
    columns = np.array(pieces, np.int64).reshape(-1, 4)
    return Writes(columns[:, 0], columns[:, 1], NOISE, columns[:, 2], columns[:, 3])


def test_pieces_of_every_length_go_to_their_places(
    lane: Lane, descriptors: list[int], tmp_path: Path
) -> None:
    """More of them than are handed over at once."""
    count = 2 * LIST + 77
    lengths = _RNG.integers(1, 3000, count)
    starts = _RNG.integers(0, NOISE.size - 3000, count)
    ends = [0] * len(descriptors)
    expected = [b""] * len(descriptors)
    pieces = []
    for number, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        file = number % len(descriptors)
        pieces.append((descriptors[file], ends[file], start, length))
        ends[file] += length
        expected[file] += NOISE[start : start + length].tobytes()
    assert lane.write(writes(*pieces)).tolist() == []
    assert [(tmp_path / str(n)).read_bytes() for n in range(8)] == expected


def test_nothing_is_written_of_nothing(lane: Lane) -> None:
    assert lane.write(writes()).tolist() == []


def test_a_descriptor_that_cannot_be_written_to_is_named_and_the_others_are_written(
    lane: Lane, descriptors: list[int], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        (tmp_path / "sealed").touch()
        read_only = os.open(tmp_path / "sealed", os.O_RDONLY)
        stack.callback(os.close, read_only)
        order = [1 << 20, *descriptors[:2], read_only, *descriptors[2:], read_only]
        left = lane.write(writes(*((descriptor, 5, 100, 50) for descriptor in order)))
    assert left.tolist() == [0, 3, 10]
    for number in range(8):
        assert (tmp_path / str(number)).read_bytes() == bytes(5) + NOISE[100:150].tobytes()


def test_a_piece_that_fits_in_part_is_named(
    lane: Lane, descriptors: list[int], tmp_path: Path
) -> None:
    pieces = [(descriptor, 1000 * n, 0, 4000) for n, descriptor in enumerate(descriptors)]
    with file_size_limit(8000):
        assert lane.write(writes(*pieces)).tolist() == [5, 6, 7]
    assert (tmp_path / "4").stat().st_size == 8000
    assert (tmp_path / "5").read_bytes()[5000:8000] == NOISE[:3000].tobytes()


def test_on_a_full_disk_what_did_not_fit_is_named(
    lane: Lane, descriptors: list[int], tmp_path: Path
) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    with small_disk(tmp_path / "small", 4 * page) as folder:
        small = os.open(folder / "file", os.O_RDWR | os.O_CREAT)
        try:
            left = lane.write(
                writes(
                    (descriptors[0], 0, 0, 500),
                    (small, 0, 0, 3 * page),
                    (small, 3 * page, 3 * page, 3 * page),
                    (descriptors[1], 0, 0, 500),
                )
            )
        finally:
            os.close(small)
        assert left.tolist() == [2]
        assert (folder / "file").read_bytes()[: 4 * page] == NOISE[: 4 * page].tobytes()
    for number in range(2):
        assert (tmp_path / str(number)).read_bytes() == NOISE[:500].tobytes()


def test_a_lane_gives_back_what_the_kernel_lent_it() -> None:
    def contexts() -> int:
        return Path("/proc/self/maps").read_text().count("[aio]")

    before = contexts()
    lane = ListLane()
    assert contexts() == before + 1
    lane.close()
    lane.close()
    assert contexts() == before


def test_on_an_unknown_processor_pieces_are_written_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lane = open_lane()
    assert isinstance(lane, ListLane)
    lane.close()
    monkeypatch.setattr(platform, "machine", lambda: "pdp11")
    assert isinstance(open_lane(), SingleLane)


_REFUSED = """
import os, sys
import numpy as np
from farend.scarcity import forbid
from mediaserver.store import batch_write

which = {"io_setup": 0, "io_getevents": 2, "io_submit": 3}[sys.argv[1]]
forbid(batch_write._CALLS[os.uname().machine][which])
lane = batch_write.open_lane()
assert "[aio]" not in open("/proc/self/maps").read()
one = np.array([1], np.int64)
text = np.frombuffer(b"written", np.uint8)
file = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
left = lane.write(batch_write.Writes(one * file, one * 0, text, one * 0, one * text.size))
assert left.size == 0
lane.close()
print(type(lane).__name__)
"""


@pytest.mark.parametrize("call", ["io_setup", "io_submit", "io_getevents"])
def test_where_the_system_refuses_it_pieces_are_written_one_by_one(
    call: str, tmp_path: Path
) -> None:
    """By a filter of system calls, as containers have them."""
    path = tmp_path / "file"
    assert python(_REFUSED, call, str(path)) == "SingleLane"
    assert path.read_bytes() == b"written"
