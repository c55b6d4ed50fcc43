"""Stretches taken out of files: exactly those bytes, and their blocks are given back."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediaserver.store import holes

SIZE = 3 * 4096 + 100


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def fill(file: int, size: int = SIZE) -> bytes:
    content = bytes(random.Random(size).choices(range(1, 256), k=size))
    os.ftruncate(file, 0)
    assert os.pwrite(file, content, 0) == size
    return content


@pytest.fixture(params=["punched", "overwritten"])
def take_out(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    if request.param == "overwritten":
        monkeypatch.setattr(holes, "_fallocate", lambda *_: errno.EOPNOTSUPP)
        monkeypatch.setattr(holes, "ZEROS", bytes(1000))
    return holes.punch


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, SIZE + 10), length=st.integers(0, SIZE + 10))
def test_a_stretch_reads_as_zeros_and_no_other_byte_changes(
    file: int, take_out: Callable[..., None], start: int, length: int
) -> None:
    content = fill(file)
    take_out(file, start, start + length)
    end = min(start + length, SIZE)
    expected = content if start >= end else content[:start] + bytes(end - start) + content[end:]
    assert os.pread(file, 2 * SIZE, 0) == expected


def test_a_hole_gives_its_blocks_back(file: int) -> None:
    fill(file, 1 << 20)
    os.fsync(file)
    before = os.fstat(file).st_blocks
    holes.punch(file, 0, 1 << 20)
    os.fsync(file)
    after = os.fstat(file)
    assert after.st_size == 1 << 20
    assert after.st_blocks <= before // 8


def test_a_file_that_may_not_be_written_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            holes.punch(descriptor, 0, 100)
    finally:
        os.close(descriptor)
    assert path.read_bytes() == b"x" * 100
