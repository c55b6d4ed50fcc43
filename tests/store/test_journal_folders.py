"""Journals nobody writes to any more: found, emptied in part, removed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mediaserver.errors import LocalError
from mediaserver.recording.journal import (
    NOTES,
    JournalHeader,
    create,
    journal_name,
    offset,
    open_journal,
)
from mediaserver.recording.resource import Direction
from mediaserver.rtp.skew import LEAD
from mediaserver.rtp.spans import pack
from mediaserver.store.journal_folders import JournalFolders, gaps
from mediaserver.store.tombstones import NEVER, Stretch

FIRST = 4000
SAMPLES = 10_000
SIDES = (Direction.SPEAK, Direction.LISTEN)


def write(data_dir: Path, leg: str, sides: tuple[Direction, ...] = SIDES) -> NDArray[np.int16]:
    """Write a journal whose every sample is other than zero; return what is on each side."""
    samples = (np.arange(SAMPLES) % 30_000 + 1).astype(np.int16)
    for side in sides:
        header = JournalHeader(leg_id=leg, direction=side, rate=8000, first=FIRST, wall_us=0)
        file = create(data_dir / "journals" / leg / f"{side}.journal", header)
        os.pwrite(file, samples.tobytes(), offset(header, FIRST))
        os.close(file)
    return samples


def read(data_dir: Path, leg: str, side: Direction) -> NDArray[np.int16]:
    with open_journal(data_dir / "journals" / leg / f"{side}.journal") as journal:
        return journal.read(FIRST, journal.end)


@pytest.fixture
def folders(tmp_path: Path) -> JournalFolders:
    return JournalFolders(tmp_path)


stretches = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda p: Stretch(min(p), max(p)))
)


@given(needed=stretches, start=st.integers(0, 60), end=st.integers(0, 60))
def test_gaps_are_all_that_is_not_needed_in_order_and_once(
    needed: list[Stretch], start: int, end: int
) -> None:
    kept = {at for stretch in needed for at in range(stretch.start, stretch.end)}
    taken = [at for gap in gaps(needed, start, end) for at in range(gap.start, gap.end)]
    assert taken == [at for at in range(start, end) if at not in kept]


def test_what_is_needed_stays_to_the_sample_on_both_sides_and_the_rest_is_gone(
    tmp_path: Path, folders: JournalFolders
) -> None:
    samples = write(tmp_path, "leg")
    folders.keep_only("journals/leg", [Stretch(4321, 5000), Stretch(13_999)])
    expected = np.zeros_like(samples)
    expected[321:1000] = samples[321:1000]
    expected[9999:] = samples[9999:]
    for side in SIDES:
        assert np.array_equal(read(tmp_path, "leg", side), expected)


def test_of_what_was_sent_stays_what_is_heard_beside_what_is_needed(
    tmp_path: Path, folders: JournalFolders
) -> None:
    """It lies at positions of the clock, from which the line has parted by a quarter second."""
    samples = write(tmp_path, "leg")
    lead = [(LEAD, at, 2000) for at in range(0, 800_000, 80_000)]
    (tmp_path / "journals/leg" / NOTES).write_bytes(pack(lead))
    folders.keep_only("journals/leg", [Stretch(FIRST + 5000, FIRST + 7000)])
    kept = np.zeros(SAMPLES, np.int16)
    kept[5000:7000] = samples[5000:7000]
    assert np.array_equal(read(tmp_path, "leg", Direction.SPEAK), kept)
    sent = read(tmp_path, "leg", Direction.LISTEN)
    assert np.array_equal(sent[3000:5000], samples[3000:5000])
    assert not sent[:2800].any()
    assert not sent[5200:].any()


def test_of_what_was_heard_beyond_the_line_the_same_instants_stay(
    tmp_path: Path, folders: JournalFolders
) -> None:
    write(tmp_path, "leg")
    lead = [(LEAD, at, 2000) for at in range(0, 800_000, 80_000)]
    (tmp_path / "journals/leg" / NOTES).write_bytes(pack(lead))
    samples = (np.arange(2 * SAMPLES) % 30_000 + 1).astype(np.int16)
    for side in SIDES:
        header = JournalHeader(
            leg_id="leg", direction=side, rate=16_000, first=2 * FIRST, wall_us=0
        )
        file = create(tmp_path / "journals/leg" / journal_name(side, wide=True), header)
        os.pwrite(file, samples.tobytes(), offset(header, 2 * FIRST))
        os.close(file)
    folders.keep_only("journals/leg", [Stretch(FIRST + 5000, FIRST + 7000)], before=FIRST + 9000)
    kept = samples.copy()
    kept[:10_000] = kept[14_000:18_000] = 0
    spoken, sent = (
        _read_wide(tmp_path / "journals/leg" / journal_name(side, wide=True)) for side in SIDES
    )
    assert np.array_equal(spoken, kept)
    assert np.array_equal(sent[6000:10_000], samples[6000:10_000])
    assert not sent[:5600].any()
    assert not sent[10_400:13_600].any()


def _read_wide(path: Path) -> NDArray[np.int16]:
    with open_journal(path) as journal:
        return journal.read(2 * FIRST, journal.end)


def test_what_comes_after_a_limit_stays_whoever_needs_it(
    tmp_path: Path, folders: JournalFolders
) -> None:
    samples = write(tmp_path, "leg")
    folders.keep_only("journals/leg", [], before=5000)
    left = read(tmp_path, "leg", Direction.SPEAK)
    assert not left[:1000].any()
    assert np.array_equal(left[1000:], samples[1000:])


def test_half_a_sample_at_the_end_goes_too(tmp_path: Path, folders: JournalFolders) -> None:
    write(tmp_path, "leg", (Direction.SPEAK,))
    path = tmp_path / "journals/leg/speak.journal"
    with path.open("ab") as file:
        file.write(b"\x7f")
    folders.keep_only("journals/leg", [])
    assert not any(path.read_bytes()[4096:])


def test_a_journal_goes_as_a_whole_and_a_second_time_is_no_error(
    tmp_path: Path, folders: JournalFolders
) -> None:
    write(tmp_path, "leg")
    write(tmp_path, "other")
    for _ in range(2):
        folders.remove("journals/leg")
        folders.keep_only("journals/leg", [])
    assert [path.name for path in (tmp_path / "journals").iterdir()] == ["other"]


async def test_a_removal_that_was_cut_off_is_completed_and_never_taken_for_a_journal(
    tmp_path: Path, folders: JournalFolders
) -> None:
    write(tmp_path, "leg")
    os.rename(tmp_path / "journals/leg", tmp_path / "journals/leg.erased")
    write(tmp_path, "other")
    assert [f.path async for batch in folders.batches() for f in batch] == ["journals/other"]
    assert [path.name for path in (tmp_path / "journals").iterdir()] == ["other"]


async def test_all_journals_are_listed_and_nothing_that_is_not_ours(
    tmp_path: Path, folders: JournalFolders
) -> None:
    assert [batch async for batch in folders.batches()] == []
    for number in range(300):
        (tmp_path / f"journals/leg-{number}").mkdir(parents=True)
    (tmp_path / "journals/lost+found").mkdir()
    (tmp_path / "journals/note.txt").write_text("")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "journals/link").symlink_to(tmp_path / "elsewhere")
    batches = [batch async for batch in folders.batches()]
    assert len(batches) > 1
    assert sorted(f.path for batch in batches for f in batch) == sorted(
        f"journals/leg-{number}" for number in range(300)
    )


@pytest.mark.parametrize(
    "journal", ["", "journals", "journals/", "journals/..", "journals/a/b", "/etc", "recordings/a"]
)
def test_only_a_folder_of_a_journal_is_ever_touched(folders: JournalFolders, journal: str) -> None:
    with pytest.raises(LocalError, match="is not the folder of a journal"):
        folders.remove(journal)
    with pytest.raises(LocalError, match="is not the folder of a journal"):
        folders.keep_only(journal, [])


def test_a_link_is_not_followed(tmp_path: Path, folders: JournalFolders) -> None:
    write(tmp_path, "leg")
    (tmp_path / "journals/link").symlink_to(tmp_path / "journals/leg")
    with pytest.raises(LocalError, match="is not the folder of a journal"):
        folders.remove("journals/link")
    (tmp_path / "journals/leg/more.journal").symlink_to(tmp_path / "journals/leg/speak.journal")
    with pytest.raises(LocalError, match="cannot empty the journal"):
        folders.keep_only("journals/leg", [])


def test_a_damaged_journal_keeps_no_other_from_being_emptied(
    tmp_path: Path, folders: JournalFolders
) -> None:
    write(tmp_path, "leg")
    path = tmp_path / "journals/leg" / journal_name(Direction.LISTEN, wide=True)
    path.write_bytes(b"{}".ljust(8000))
    with pytest.raises(LocalError, match=f"the journal {path} is damaged"):
        folders.keep_only("journals/leg", [])
    assert not any(read(tmp_path, "leg", side).any() for side in SIDES)


def test_a_journal_that_was_cut_off_in_its_header_has_nothing_to_be_taken_out(
    tmp_path: Path, folders: JournalFolders
) -> None:
    write(tmp_path, "leg", (Direction.SPEAK,))
    for name in (journal_name(Direction.LISTEN), journal_name(Direction.SPEAK, wide=True)):
        (tmp_path / "journals/leg" / name).write_bytes(b"{" * (len(name) % 3))
    folders.keep_only("journals/leg", [])
    assert not read(tmp_path, "leg", Direction.SPEAK).any()


def test_a_journal_that_cannot_be_read_is_named(tmp_path: Path, folders: JournalFolders) -> None:
    write(tmp_path, "leg")
    path = tmp_path / "journals/leg/listen.journal"
    path.write_bytes(b"{}".ljust(8000))
    with pytest.raises(LocalError, match=f"the journal {path} is damaged"):
        folders.keep_only("journals/leg", [Stretch(0, NEVER)])
