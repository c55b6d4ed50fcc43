"""Journals written in batches: every sample in its place and in order, every fault in one file."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from farend.scarcity import file_size_limit, no_descriptor_left, small_disk
from mediaserver.errors import LocalError
from mediaserver.recording.failure import Failure, RecordingFailed
from mediaserver.recording.journal import HEADER_SIZE, NOTES, open_journal
from mediaserver.recording.resource import Direction
from mediaserver.store import journals as subject
from mediaserver.store.batch_write import Lane, ListLane, SingleLane, Writes
from mediaserver.store.journals import JournalFile, JournalWriter
from mediaserver.store.open_journals import Samples

FIRST = 100
_RNG = np.random.default_rng(5)


class CountingLane:
    """Another lane, and how many pieces it was given each time."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.batches: list[int] = []

    def write(self, writes: Writes) -> NDArray[np.int64]:
        self.batches.append(writes.lengths.size)
        return self.lane.write(writes)

    def close(self) -> None:
        self.lane.close()


@pytest.fixture(params=[ListLane, SingleLane])
def lane(request: pytest.FixtureRequest) -> CountingLane:
    return CountingLane(request.param())


@pytest.fixture
def writer(tmp_path: Path, lane: CountingLane) -> Iterator[JournalWriter]:
    made = JournalWriter(tmp_path, lane)
    yield made
    made.close()


@contextmanager
def busy(writer: JournalWriter) -> Iterator[None]:
    """Keep the thread busy with something else."""
    over = threading.Event()

    def wait() -> None:
        over.wait(20)

    writer.submit(wait)
    try:
        yield
    finally:
        over.set()


def create(writer: JournalWriter, name: str, direction: Direction = Direction.SPEAK) -> JournalFile:
    return writer.create(f"journals/{name}", direction, rate=8000, first=FIRST, wall_us=0)


def noise(*shape: int) -> NDArray[np.int16]:
    return _RNG.integers(-32768, 32768, shape).astype(np.int16)


def numbers(*files: JournalFile) -> NDArray[np.int64]:
    return np.array([file.number for file in files], np.int64)


def content(folder: Path, name: str, direction: Direction = Direction.SPEAK) -> NDArray[np.int16]:
    with open_journal(folder / f"journals/{name}/{direction}.journal") as journal:
        return journal.read(FIRST, journal.end)


def paths(folder: Path) -> list[Path]:
    return list(folder.glob("journals/*/*"))


def descriptor_of(path: Path) -> int:
    """Return the one through which this process has a file open."""
    (name,) = (n for n in os.listdir("/proc/self/fd") if _leads_to(f"/proc/self/fd/{n}", path))
    return int(name)


def _leads_to(link: str, path: Path) -> bool:
    try:
        return os.readlink(link) == str(path)
    except FileNotFoundError:
        return False


async def test_each_row_goes_to_its_place_in_its_journal(
    writer: JournalWriter, lane: CountingLane, tmp_path: Path
) -> None:
    files = [create(writer, str(n)) for n in range(300)]
    rows = [noise(300, 160), noise(300, 240)]
    backwards = numbers(*files[::-1])
    places = np.arange(300, dtype=np.int64)
    writer.write_many(backwards, FIRST + places, rows[0].copy())
    writer.write_many(backwards, FIRST + places + 160, rows[1].copy())
    for file in files:
        await file.close()
    assert lane.batches == [300, 300]
    for n in range(300):
        samples = content(tmp_path, str(299 - n))
        assert samples.size == n + 400
        assert not samples[:n].any()
        assert np.array_equal(samples[n:], np.concatenate([rows[0][n], rows[1][n]]))


async def test_numbers_and_positions_may_change_once_they_are_queued(
    writer: JournalWriter, tmp_path: Path
) -> None:
    file = create(writer, "leg")
    number, place, samples = numbers(file), np.array([FIRST]), noise(1, 80)
    with busy(writer):
        writer.write_many(number, place, samples)
        number[:] = place[:] = 1 << 40
    await file.close()
    assert np.array_equal(content(tmp_path, "leg"), samples[0])


async def test_nothing_queued_is_no_batch(writer: JournalWriter, lane: CountingLane) -> None:
    file = create(writer, "leg")
    writer.write_many(numbers(), numbers(), noise(0, 160))
    writer.write_many(numbers(file), numbers(file) + FIRST, noise(1, 0))
    await file.close()
    assert lane.batches == []


async def test_what_is_queued_for_a_journal_is_written_in_that_order(
    writer: JournalWriter, tmp_path: Path
) -> None:
    """Of rows of one batch, batches and single pieces that overlap, the last one stays."""
    files = [create(writer, str(n)) for n in range(3)]
    expected = np.zeros((3, 2000), np.int16)
    with busy(writer):
        for _ in range(60):
            if _RNG.random() < 0.5:
                which, place = int(_RNG.integers(3)), int(_RNG.integers(1500))
                piece = noise(int(_RNG.integers(1, 400)))
                files[which].write(FIRST + place, piece)
                expected[which, place : place + piece.size] = piece
            else:
                which_ones = _RNG.integers(0, 3, 7)
                places = _RNG.integers(0, 1500, 7)
                rows = noise(7, 200)
                writer.write_many(numbers(*(files[i] for i in which_ones)), FIRST + places, rows)
                for i, place, row in zip(which_ones, places, rows, strict=True):
                    expected[i, place : place + 200] = row
    for n, file in enumerate(files):
        await file.close()
        samples = content(tmp_path, str(n))
        assert np.array_equal(samples, expected[n, : samples.size])
        assert not expected[n, samples.size :].any()


async def test_pieces_that_wait_go_in_one_batch(
    writer: JournalWriter, lane: CountingLane, tmp_path: Path
) -> None:
    files = [create(writer, str(n)) for n in range(40)]
    pieces = [noise(50 + n) for n in range(40)]
    with busy(writer):
        for file, piece in zip(files, pieces, strict=True):
            file.write(FIRST, piece)
    for file in files:
        await file.close()
    assert lane.batches == [40]
    assert all(np.array_equal(content(tmp_path, str(n)), pieces[n]) for n in range(40))


@given(st.lists(st.integers(0, 5), max_size=40))
def test_rounds_name_each_journal_once_and_keep_its_order(names: list[int]) -> None:
    count = len(names)
    order = np.arange(count, dtype=np.int64)
    samples = Samples(np.array(names, np.int64), order, np.zeros(0, np.uint8), order, order)
    rounds = list(samples.rounds())
    for part in rounds:
        assert len(set(part.numbers.tolist())) == part.numbers.size
    for name in set(names):
        told = [int(p) for part in rounds for p in part.positions[part.numbers == name]]
        assert told == [n for n in range(count) if names[n] == name]
    assert sum(part.numbers.size for part in rounds) == count


async def test_what_the_party_hears_has_a_file_from_its_first_sample_on(
    writer: JournalWriter, tmp_path: Path
) -> None:
    """And only the few that have one take a descriptor."""
    files = [create(writer, str(n), Direction.LISTEN) for n in range(3000)]
    speak = create(writer, "2999")
    await speak.flushed()
    assert [path.name for path in paths(tmp_path)] == ["speak.journal"]
    rows = noise(2, 160)
    writer.write_many(numbers(files[7], files[2999]), np.array([FIRST, FIRST + 40]), rows)
    for file in (*files, speak):
        await file.close()
    assert np.array_equal(content(tmp_path, "7", Direction.LISTEN), rows[0])
    assert np.array_equal(content(tmp_path, "2999", Direction.LISTEN)[40:], rows[1])
    assert len(paths(tmp_path)) == 3


async def test_a_journal_that_was_given_nothing_is_not_waited_for(
    writer: JournalWriter, tmp_path: Path
) -> None:
    used, unused = (create(writer, name, Direction.LISTEN) for name in ("used", "unused"))
    row = noise(1, 160)
    with busy(writer):
        async with asyncio.timeout(5):
            await unused.flushed()
            await unused.close()
            await unused.close()
        writer.write_many(numbers(used), np.full(1, FIRST), row)
        closing = asyncio.create_task(used.close())
        await asyncio.sleep(0)
        again = asyncio.create_task(used.flushed())
        await asyncio.sleep(0)
        assert not closing.done()
        assert not again.done()
    await closing
    await again
    assert np.array_equal(content(tmp_path, "used", Direction.LISTEN), row[0])
    assert [path.parent.name for path in paths(tmp_path)] == ["used"]


async def fault(file: JournalFile) -> str:
    with pytest.raises(LocalError) as caught:
        await file.flushed()
    with pytest.raises(LocalError, match=r".") as again:
        await file.close()
    assert str(again.value) == str(caught.value)
    return str(caught.value)


async def failure(file: JournalFile) -> Failure:
    """Return what kind of fault a journal has."""
    with pytest.raises(RecordingFailed) as caught:
        await file.flushed()
    return caught.value.failure


async def test_a_full_disk_is_the_fault_of_the_journals_on_it(
    writer: JournalWriter, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "journals/full", 16 * HEADER_SIZE):
        full, good, other = (create(writer, name) for name in ("full", "good", "other"))
        rows = noise(3, 8 * HEADER_SIZE)
        writer.write_many(numbers(good, full, other), np.full(3, FIRST), rows)
        writer.write_many(numbers(good, full, other), np.full(3, FIRST + rows.shape[1]), rows)
        path = tmp_path / "journals/full/speak.journal"
        assert await fault(full) == f"cannot write the journal {path}: No space left on device"
        assert await failure(full) is Failure.STORAGE_FULL
        await good.close()
        await other.close()
        begun = content(tmp_path, "full")
        assert begun.size
        assert np.array_equal(begun, np.concatenate([rows[1], rows[1]])[: begun.size])
    for name, row in (("good", rows[0]), ("other", rows[2])):
        assert np.array_equal(content(tmp_path, name), np.concatenate([row, row]))


@pytest.mark.parametrize("single", [False, True])
async def test_a_file_that_may_not_grow_is_its_own_fault(
    writer: JournalWriter, tmp_path: Path, single: bool
) -> None:
    long, short = create(writer, "long"), create(writer, "short")
    rows = noise(2, 1000)
    places = np.array([FIRST + 49_500, FIRST])
    with file_size_limit(HEADER_SIZE + 100_000):
        if single:
            for file, place, row in zip((long, short), places, rows, strict=True):
                file.write(int(place), row)
        else:
            writer.write_many(numbers(long, short), places, rows)
        path = tmp_path / "journals/long/speak.journal"
        assert await fault(long) == f"cannot write the journal {path}: File too large"
        await short.close()
    assert np.array_equal(content(tmp_path, "long")[49_500:], rows[0, :500])
    assert np.array_equal(content(tmp_path, "short"), rows[1])


async def test_a_descriptor_that_went_bad_is_its_own_fault(
    writer: JournalWriter, tmp_path: Path
) -> None:
    files = [create(writer, str(n)) for n in range(3)]
    await files[2].flushed()
    path = tmp_path / "journals/1/speak.journal"
    descriptor = descriptor_of(path)
    read_only = os.open(path, os.O_RDONLY)
    os.dup2(read_only, descriptor)
    os.close(read_only)
    rows = noise(3, 160)
    writer.write_many(numbers(*files), np.full(3, FIRST), rows)
    assert "Bad file descriptor" in await fault(files[1])
    for n in (0, 2):
        await files[n].close()
        assert np.array_equal(content(tmp_path, str(n)), rows[n])


async def test_a_row_before_the_first_sample_is_its_own_fault(
    writer: JournalWriter, tmp_path: Path
) -> None:
    """It would lie in the header."""
    bad, good = create(writer, "bad"), create(writer, "good")
    rows = noise(2, 160)
    writer.write_many(numbers(bad, good), np.array([FIRST - 1, FIRST]), rows)
    assert "AssertionError" in await fault(bad)
    await good.close()
    assert content(tmp_path, "bad").size == 0
    assert np.array_equal(content(tmp_path, "good"), rows[1])


async def test_a_journal_that_cannot_be_created_keeps_its_reason(
    writer: JournalWriter, tmp_path: Path
) -> None:
    (tmp_path / "journals").mkdir()
    (tmp_path / "journals/bad").write_text("a file where a folder should be")
    files = [
        create(writer, name, side)
        for name in ("bad", "good")
        for side in (Direction.SPEAK, Direction.LISTEN)
    ]
    rows = noise(4, 160)
    writer.write_many(numbers(*files), np.full(4, FIRST), rows)
    for file, side in zip(files[:2], ("speak", "listen"), strict=True):
        path = tmp_path / f"journals/bad/{side}.journal"
        assert (await fault(file)).startswith(f"cannot create the journal {path}: ")
    sides = (Direction.SPEAK, Direction.LISTEN)
    for file, side, row in zip(files[2:], sides, rows[2:], strict=True):
        await file.close()
        assert np.array_equal(content(tmp_path, "good", side), row)


async def test_descriptors_that_run_out_fail_the_new_journal_alone(
    writer: JournalWriter, tmp_path: Path
) -> None:
    old = create(writer, "old")
    await old.flushed()
    rows = noise(2, 160)
    with no_descriptor_left():
        new = create(writer, "new")
        writer.write_many(numbers(old, new), np.full(2, FIRST), rows)
        assert (await fault(new)).endswith("Too many open files")
        assert await failure(new) is Failure.OUT_OF_FILES
    await old.close()
    assert np.array_equal(content(tmp_path, "old"), rows[0])


async def test_a_queue_that_is_full_is_told_to_those_it_was_full_for(
    writer: JournalWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "MAX_QUEUED", 4 * 320)
    files = [create(writer, str(n)) for n in range(4)]
    await files[3].flushed()
    rows = noise(4, 160)
    with busy(writer):
        writer.write_many(numbers(*files[:3]), np.full(3, FIRST), rows[:3])
        writer.write_many(numbers(*files[1:3]), np.full(2, FIRST + 160), rows[:2])  # one too many
        files[3].write(FIRST, rows[3])
        files[2].write(FIRST + 160, rows[3])
    for file in files[1:3]:
        assert await fault(file) == "the disk does not keep up with the recordings"
        assert await failure(file) is Failure.STORAGE_TOO_SLOW
    await files[0].flushed()
    await files[3].flushed()
    writer.write_many(numbers(files[0], files[3]), np.full(2, FIRST + 160), rows[:2])
    await files[0].close()
    await files[3].close()
    assert np.array_equal(content(tmp_path, "0"), np.concatenate([rows[0], rows[0]]))
    assert np.array_equal(content(tmp_path, "3"), np.concatenate([rows[3], rows[1]]))
    assert np.array_equal(content(tmp_path, "1"), rows[1])


@pytest.mark.parametrize("lane", [lambda: None], indirect=True, ids=["broken"])
async def test_a_lane_that_breaks_fails_its_batch_and_not_the_next(
    writer: JournalWriter, lane: CountingLane, tmp_path: Path
) -> None:
    bad, good = create(writer, "bad"), create(writer, "good")
    writer.write_many(numbers(bad), np.full(1, FIRST), noise(1, 160))
    assert (await fault(bad)).endswith("AttributeError")
    lane.lane = SingleLane()
    row = noise(1, 160)
    writer.write_many(numbers(good), np.full(1, FIRST), row)
    await good.close()
    assert np.array_equal(content(tmp_path, "good"), row[0])


async def test_a_journal_closed_while_its_samples_wait_gets_them_all(
    writer: JournalWriter, tmp_path: Path
) -> None:
    """And its number is nobody else's until then."""
    leaving, staying = create(writer, "leaving"), create(writer, "staying")
    rows = noise(2, 160)
    with busy(writer):
        writer.write_many(numbers(leaving, staying), np.full(2, FIRST), rows)
        closing = asyncio.create_task(leaving.close())
        await asyncio.sleep(0)
        coming = create(writer, "coming")
        writer.write_many(numbers(coming, staying), np.array([FIRST, FIRST + 160]), rows)
        leaving.write(FIRST, rows[1])  # too late: nobody's
        assert not closing.done()
    await closing
    assert coming.number != leaving.number
    assert create(writer, "next").number == leaving.number
    await staying.close()
    await coming.close()
    assert np.array_equal(content(tmp_path, "leaving"), rows[0])
    assert np.array_equal(content(tmp_path, "coming"), rows[0])
    assert np.array_equal(content(tmp_path, "staying"), np.concatenate([rows[1], rows[1]]))


async def test_a_journal_may_be_closed_twice(writer: JournalWriter) -> None:
    file = create(writer, "leg")
    await file.close()
    await file.close()
    assert [create(writer, "a").number, create(writer, "b").number] == [file.number, 1]


def test_the_thread_ends_when_everything_queued_is_written(
    tmp_path: Path, lane: CountingLane
) -> None:
    writer = JournalWriter(tmp_path, lane)
    files = [create(writer, str(n)) for n in range(2)]
    rows = noise(2, 160)
    with busy(writer):
        writer.write_many(numbers(*files), np.full(2, FIRST), rows)
        files[0].write(FIRST + 160, rows[1])
        closing = threading.Thread(target=writer.close)
        closing.start()
    closing.join()
    assert np.array_equal(content(tmp_path, "0"), np.concatenate([rows[0], rows[1]]))
    assert np.array_equal(content(tmp_path, "1"), rows[1])


async def test_notes_are_appended_beside_the_journal_in_their_order(
    writer: JournalWriter, tmp_path: Path
) -> None:
    one, other = create(writer, "one"), create(writer, "other")
    for number in range(50):
        one.note(bytes([number]) * 24)
    await one.flushed()
    path = tmp_path / "journals" / "one" / NOTES
    assert path.read_bytes() == b"".join(bytes([number]) * 24 for number in range(50))
    assert not (tmp_path / "journals" / "other" / NOTES).exists()
    await other.close()
    await one.close()
    one.note(b"too late")
    await writer.barrier()
    assert len(path.read_bytes()) == 50 * 24


async def test_notes_that_cannot_be_written_whole_are_no_fault_and_leave_no_half_record(
    writer: JournalWriter, tmp_path: Path
) -> None:
    file = create(writer, "leg")
    file.write(FIRST, noise(10))
    file.note(b"1" * 24)
    await file.flushed()
    with file_size_limit(HEADER_SIZE):
        file.note(b"2" * 8192)
        await file.flushed()
    file.note(b"3" * 24)
    await file.flushed()
    notes = (tmp_path / "journals" / "leg" / NOTES).read_bytes()
    assert notes[:48] == b"1" * 24 + b"3" * 24
