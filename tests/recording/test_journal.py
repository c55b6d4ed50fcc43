"""The journal: what was written is read back, what was not is silence, damage has a name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mediaserver.errors import LocalError
from mediaserver.recording.journal import (
    HEADER_SIZE,
    JournalHeader,
    create,
    offset,
    open_journal,
)
from mediaserver.recording.resource import Direction

HEADER = JournalHeader(
    leg_id="3f1c",
    direction=Direction.SPEAK,
    rate=8000,
    first=1000,
    wall_us=1_700_000_000_000_000,
)
NOISE = np.random.default_rng(1).integers(-32768, 32768, 5000).astype(np.int16)


def _write(path: Path, *pieces: tuple[int, NDArray[np.int16]]) -> Path:
    fd = create(path, HEADER)
    for position, samples in pieces:
        os.pwrite(fd, samples.astype("<i2").tobytes(), offset(HEADER, position))
    os.close(fd)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leg" / "speak.journal"


def test_samples_lie_where_the_format_says(path: Path) -> None:
    _write(path, (1000, NOISE))
    data = path.read_bytes()
    assert len(data) == 4096 + 2 * 5000
    assert json.loads(data[:4096])["leg_id"] == "3f1c"
    assert data[4096:] == NOISE.astype("<i2").tobytes()
    assert offset(HEADER, 1001) == 4098
    assert path.stat().st_mode & 0o077 == 0


def test_what_was_written_is_read_back(path: Path) -> None:
    with open_journal(_write(path, (1000, NOISE))) as journal:
        assert journal.header == HEADER
        assert journal.end == 6000
        assert np.array_equal(journal.read(1000, 6000), NOISE)
        assert np.array_equal(journal.read(1234, 1235), NOISE[234:235])
        assert journal.read(3000, 3000).size == 0
        assert journal.read(1000, 1010).dtype == np.int16


def test_holes_and_what_was_never_written_are_silence(path: Path) -> None:
    _write(path, (1500, NOISE[:100]), (3000, NOISE[100:200]))
    with open_journal(path) as journal:
        expected = np.zeros(4000, np.int16)
        expected[1000:1100] = NOISE[:100]  # from position 500
        expected[2500:2600] = NOISE[100:200]
        assert np.array_equal(journal.read(500, 4500), expected)
        assert journal.read(9000, 9010).tolist() == [0] * 10
        assert journal.read(0, 10).tolist() == [0] * 10


def test_a_journal_can_be_read_while_it_grows(path: Path) -> None:
    fd = create(path, HEADER)
    with open_journal(path) as journal:
        assert journal.end == 1000
        os.pwrite(fd, NOISE.tobytes(), offset(HEADER, 1000))
        assert journal.end == 6000
        assert np.array_equal(journal.read(1000, 6000), NOISE)
    os.close(fd)


def test_half_a_sample_at_the_end_counts_as_not_written(path: Path) -> None:
    _write(path, (1000, NOISE))
    os.truncate(path, HEADER_SIZE + 2 * 5000 - 1)
    with open_journal(path) as journal:
        assert journal.end == 5999
        assert journal.read(5998, 6001).tolist() == [int(NOISE[4998]), 0, 0]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 8000), length=st.integers(0, 7000))
def test_a_stretch_from_anywhere_is_itself_and_silence(
    tmp_path: Path, start: int, length: int
) -> None:
    path = tmp_path / "speak.journal"
    if not path.exists():
        _write(path, (1000, NOISE))
    with open_journal(path) as journal:
        whole = journal.read(start, start + length)
    padded = np.concatenate([np.zeros(1000, np.int16), NOISE, np.zeros(9000, np.int16)])
    assert np.array_equal(whole, padded[start : start + length])


def test_a_journal_is_never_made_twice(path: Path) -> None:
    _write(path, (1000, NOISE))
    with pytest.raises(LocalError, match=r"speak\.journal.*exists"):
        create(path, HEADER)
    with open_journal(path) as journal:
        assert journal.end == 6000


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "leg").write_text("a file where a folder should be")
    with pytest.raises(LocalError, match=r"leg/speak\.journal"):
        create(tmp_path / "leg" / "speak.journal", HEADER)


def test_a_missing_journal_is_named(path: Path) -> None:
    with pytest.raises(LocalError, match=r"leg/speak\.journal: No such file"):
        open_journal(path)
    with pytest.raises(LocalError, match="Is a directory"):
        open_journal(path.parent.parent)


def _block(**changes: object) -> bytes:
    fields = json.loads(HEADER.pack()) | changes
    return json.dumps(fields).encode().ljust(HEADER_SIZE)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        HEADER.pack()[:-1],
        b"\0" * HEADER_SIZE,
        b"\xff" * HEADER_SIZE,
        b"[" * HEADER_SIZE,
        b"9" * HEADER_SIZE,
        b"null".ljust(HEADER_SIZE),
        _block(magic="mediaserver-journal-9"),
        _block(rate=0),
        _block(rate=-8000),
        _block(rate=8000.0),
        _block(rate=True),
        _block(rate=10**9),
        _block(first="1000"),
        _block(first=10**40),
        _block(leg_id=None),
        _block(direction="both ways"),
        _block(direction=["speak"]),
        _block(more=1),
    ],
)
def test_a_damaged_header_is_an_error_that_names_the_file(path: Path, block: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(block)
    with pytest.raises(LocalError, match=r"leg/speak\.journal is damaged"):
        open_journal(path)


def test_open_files_are_given_back(path: Path) -> None:
    _write(path, (1000, NOISE))
    before = len(os.listdir("/proc/self/fd"))
    with open_journal(path) as journal:
        journal.close()
    path.write_bytes(b"")
    with pytest.raises(LocalError):
        open_journal(path)
    assert len(os.listdir("/proc/self/fd")) == before
