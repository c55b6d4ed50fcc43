"""The room kept free on the disk: when calls are refused, and when again let in."""

from __future__ import annotations

from pathlib import Path

import pytest

from farend.scarcity import small_disk
from mediaserver.store.files import Files, Space
from mediaserver.store.reserve import DEFAULT, DEFAULT_SHARE, RECOVERED, Reserve

GIGA = 1 << 30


def reserve_of(asked: int | None) -> Reserve:
    return Reserve(Files(Path("/nowhere")), asked)


def test_below_the_reserve_it_is_reached_and_again_free_once_there_is_a_little_more() -> None:
    reserve = reserve_of(1000)
    for free, reached in (
        (1000, False),
        (999, True),
        (1001, True),
        (int(1000 * RECOVERED) - 1, True),
        (int(1000 * RECOVERED), False),
        (1000, False),
        (0, True),
    ):
        reserve.judge(Space(free, 100_000))
        assert reserve.reached is reached, free


@pytest.mark.parametrize(
    ("total", "kept"), [(100 * GIGA, DEFAULT), (10 * GIGA, int(10 * GIGA * DEFAULT_SHARE))]
)
def test_where_nothing_is_said_a_gibibyte_is_kept_but_no_large_share_of_a_small_disk(
    total: int, kept: int
) -> None:
    reserve = reserve_of(None)
    reserve.judge(Space(kept - 1, total))
    assert reserve.reached
    assert reserve.room is not None
    assert (reserve.room.free, reserve.room.reserve) == (kept - 1, kept)


def test_nothing_need_be_kept() -> None:
    reserve = reserve_of(0)
    reserve.judge(Space(0, GIGA))
    assert not reserve.reached


async def test_a_real_disk_is_looked_at(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 4 << 20) as folder:
        reserve = Reserve(Files(folder), 1 << 20)
        ballast = folder / "ballast"
        seen = []
        for size in (0, (3 << 20) + 4096, 0):
            ballast.write_bytes(bytes(size))
            await reserve.look()
            seen.append(reserve.reached)
        assert seen == [False, True, False]


async def test_while_the_disk_does_not_tell_what_it_told_last_holds(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    reserve = Reserve(Files(folder), 1 << 62)
    await reserve.start()
    assert reserve.reached
    folder.rmdir()
    for _ in range(2):
        await reserve.look()
    assert reserve.reached
    await reserve.stop()
