from __future__ import annotations

import pytest

from mediaserver.web import origins as subject
from mediaserver.web.origins import PER_ORIGIN, Origins


def test_an_origin_has_its_share_of_attempts_and_delays_no_other() -> None:
    origins = Origins()
    assert all(origins.begin("https://one") for _ in range(PER_ORIGIN))
    assert not origins.begin("https://one")
    assert origins.full == ["https://one"]
    assert origins.begin("https://other")
    origins.end("https://one")
    assert origins.full == []
    assert origins.begin("https://one")


def test_one_that_failed_has_one_attempt_at_a_time_until_it_takes_something() -> None:
    origins = Origins()
    origins.failed("https://one")
    assert origins.suspects("https://one")
    assert origins.begin("https://one")
    assert not origins.begin("https://one")
    origins.succeeded("https://one")
    assert not origins.suspects("https://one")
    assert origins.begin("https://one")


def test_of_too_many_that_failed_the_one_longest_ago_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "MAX_SUSPECTS", 2)
    origins = Origins()
    for origin in ("a", "b", "a", "c"):
        origins.failed(origin)
    assert [origins.suspects(origin) for origin in "abc"] == [True, False, True]
