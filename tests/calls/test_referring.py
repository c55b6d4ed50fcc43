"""What a REFER of ours comes to, by what the far end says of it and by what it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest

from mediaserver.calls import referring
from mediaserver.calls.ending import Ending
from mediaserver.calls.referring import ReferOrder, Referral, ReferState
from mediaserver.errors import ConflictError, LocalError
from mediaserver.sip.events import ReferAnswered, ReferProgressed

T = TypeVar("T")
ORDER = ReferOrder(to="sip:desk@example.com", status_url="http://app/")
SESSION = cast(Any, None)


class Party:
    """A call, as far as a REFER looks at it."""

    def __init__(self) -> None:
        self.id = "call-1"
        self.session = object()
        self.referral: Referral | None = None
        self.sent: list[str] = []
        self.told: list[dict[str, Any]] = []
        self.broken = False
        self.services = SimpleNamespace(signalling=self)
        self.announcer = self
        self.ending = Ending()

    def refer(self, _session: Any, to: str, *, credentials: Any) -> None:
        if self.broken:
            raise LocalError("no")
        self.sent.append(to)

    def say(self, _event: str, params: dict[str, Any], _url: str, _stream: str) -> None:
        self.told.append(params)

    async def unless_over(self, step: Awaitable[T]) -> T:
        return await self.ending.unless_over(step)

    @property
    def states(self) -> list[str]:
        return [params["state"] for params in self.told]


@pytest.fixture
async def call() -> Party:
    return Party()


def begin(call: Party) -> tuple[Referral, asyncio.Task[Any]]:
    referral = Referral(cast(Any, call), ORDER)
    return referral, asyncio.ensure_future(referral.run())


async def test_it_is_told_when_it_is_taken_on_and_when_it_is_over(call: Party) -> None:
    referral, running = begin(call)
    referral.heard(ReferAnswered(SESSION, 0.0, 202))
    referral.heard(ReferProgressed(SESSION, 0.0, 180, False))
    referral.heard(ReferProgressed(SESSION, 0.0, 200, True))
    referral.heard(ReferProgressed(SESSION, 0.0, 500, True))
    referred = await running
    assert (referred.state, referred.response, referred.notified) == (ReferState.SUCCESS, 202, 200)
    assert call.sent == ["<sip:desk@example.com>"]
    assert call.states == ["inProgress", "success"]
    assert call.referral is None


async def test_a_far_end_that_does_not_say_how_it_went_is_waited_for_no_longer_than_it_may_ring(
    call: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referring, "MAX_WAIT", 0.01)
    referral, running = begin(call)
    referral.heard(ReferAnswered(SESSION, 0.0, 202))
    referral.heard(ReferProgressed(SESSION, 0.0, 180, False))
    referred = await running
    assert (referred.state, referred.notified) == (ReferState.NO_ANSWER, 180)
    assert call.states == ["inProgress", "noAnswer"]
    assert call.referral is None


async def test_a_call_that_ends_first_has_given_it_up(call: Party) -> None:
    _, running = begin(call)
    await asyncio.sleep(0)
    call.ending.come("remote_bye")
    assert (await running).state is ReferState.CANCEL
    assert call.referral is None


async def test_one_is_under_way_at_a_time_and_one_that_was_not_sent_is_not(call: Party) -> None:
    referral, running = begin(call)
    with pytest.raises(ConflictError):
        begin(call)
    referral.heard(ReferAnswered(SESSION, 0.0, 603))
    assert (await running).state is ReferState.ERROR
    call.broken = True
    with pytest.raises(LocalError):
        begin(call)
    assert call.referral is None
