from __future__ import annotations

import pytest

from mediaserver.config.model import Callbacks
from mediaserver.web.schedule import READY_DELAYS, Schedule, read_retry_after

NOW = 1_700_000_000.0


def test_the_default_schedule_tries_sixteen_times_in_nineteen_hours() -> None:
    delays = Callbacks().schedule
    assert delays[:6] == (1, 5, 30, 120, 600, 3600)
    assert len(delays) == 15
    assert sum(delays) / 3600 == pytest.approx(19.2, abs=0.1)


def test_delays_grow_and_end() -> None:
    schedule = Schedule((1.0, 5.0), lambda: 0.5)
    assert [schedule.delay(failures) for failures in (1, 2, 3)] == [1.0, 5.0, None]


def test_recording_ready_is_tried_eight_times_more_to_the_letter() -> None:
    schedule = Schedule(READY_DELAYS, random=None)
    delays = [schedule.delay(failures) for failures in range(1, 10)]
    assert delays == [1, 2, 4, 8, 60, 1800, 3600, 7200, None]


@pytest.mark.parametrize(("chance", "delay"), [(0.0, 8.0), (0.5, 10.0), (1.0, 12.0)])
def test_jitter_is_a_fifth_either_way(chance: float, delay: float) -> None:
    assert Schedule((10.0,), lambda: chance).delay(1) == pytest.approx(delay)


@pytest.mark.parametrize(("asked", "delay"), [(None, 5), (1, 5), (60, 60), (10**9, 86_400)])
def test_a_receiver_can_only_make_the_wait_longer_and_by_a_day(
    asked: float | None, delay: float
) -> None:
    assert Schedule((5.0,), lambda: 0.5).delay(1, asked) == delay


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        (" 7 ", 7),
        ("9" * 5000, 999_999_999),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0),
        ("Tue, 99 Nov 2023 22:13:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert read_retry_after(header, NOW) == seconds
