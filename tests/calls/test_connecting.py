"""Calls that are connected on while an application moves them about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from farend.quick_time import QuickLoop
from farend.simulation.aftermath import aftermath
from farend.simulation.documents import APP, FAR_HOST
from farend.simulation.far_ends import sdp
from farend.simulation.town import Town
from mediaserver.calls.commands.updating import TransferCall
from mediaserver.calls.document_source import DocumentSource
from mediaserver.calls.source import Source
from mediaserver.sip.hop import Hop

ELSEWHERE = TransferCall(source=Source(DocumentSource(url=f"{APP}/elsewhere")))
STAY = {"version": "1.0.0", "sections": {"main": [{"sleep": 60_000}]}}


def obliging(*steps: object) -> Town:
    """Return a town whose far ends answer at once, and whose first document has these steps."""
    town = Town(0)
    town.far.obliging = True
    town.wire.delay = town.wire.loss = town.wire.double = 0.0
    town.library.given = [{"version": "1.0.0", "sections": {"main": list(steps)}}, STAY]
    return town


def quickly(story: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        runner.run(story)


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds, in time that jumps."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def connect(**more: object) -> dict[str, object]:
    """Return a step that calls somebody and tells of it."""
    return {"connect": {"to": f"sip:b@{FAR_HOST}", "status_url": f"{APP}/connect", **more}}


def told(town: Town) -> list[tuple[str, str | None]]:
    """Return the states of connects that were told, each with its reason if it has failed."""
    events = [e["params"] for e in town.archive.said if e["event_type"] == "calling.call.connect"]
    return [(event["connect_state"], event.get("failed_reason")) for event in events]


@pytest.mark.parametrize("later", [0.0, 0.5])
def test_a_peer_that_is_transferred_while_it_is_asked_is_nobodys_peer(later: float) -> None:
    """Its new document has it alone, and the call that rang it goes on as if it had refused."""

    async def story() -> None:
        town = obliging(connect(confirm=[{"play": {"url": "silence:1"}}]), {"sleep": 60_000})
        town.far.call(sdp(town.random))
        await until(lambda: len(town.registry.seen) == 2 and town.registry.seen[1].answered)
        call, peer = town.registry.seen
        await asyncio.sleep(later)
        await town.commands.carry_out(peer.id, ELSEWHERE)
        await asyncio.sleep(3.0)
        assert not call.ended
        assert not peer.ended
        assert not town.engine.joined
        assert told(town) == [("connecting", None), ("failed", "480 transferred elsewhere")]
        await town.empty()
        assert not aftermath(town)

    quickly(story())


@pytest.mark.parametrize("turns", range(8))
def test_a_peer_that_is_transferred_as_it_answers_is_joined_to_nobody_for_long(turns: int) -> None:
    async def story() -> None:
        town = obliging(connect(), {"sleep": 60_000})
        town.far.call(sdp(town.random))
        await until(lambda: len(town.registry.seen) == 2 and town.registry.seen[1].answered)
        call, peer = town.registry.seen
        for _ in range(turns):
            await asyncio.sleep(0)
        await town.commands.carry_out(peer.id, ELSEWHERE)
        await asyncio.sleep(3.0)
        assert not call.ended
        assert not peer.ended
        assert not town.engine.joined
        await town.empty()
        assert not aftermath(town)

    quickly(story())


def test_the_session_of_a_destination_lasts_as_long_as_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        town = obliging(connect(session_timeout=300), {"sleep": 60_000})
        sent: list[bytes] = []
        carry = town.wire.send

        def send(hop: Hop, data: bytes) -> None:
            sent.append(data)
            carry(hop, data)

        monkeypatch.setattr(town.wire, "send", send)
        town.far.call(sdp(town.random))
        await until(lambda: len(town.registry.seen) == 2 and town.registry.seen[1].answered)
        invites = [data for data in sent if data.startswith(f"INVITE sip:b@{FAR_HOST}".encode())]
        assert invites
        assert all(b"\r\nSession-Expires: 300\r\n" in data for data in invites)
        await town.empty()

    quickly(story())
