"""Calls from INVITE to their last line: in whatever order their ends come, nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import weakref
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.archive import Archive, CallBook, Copyist, NoFetcher, NoOutputs, NoRequester, OutboxOf
from farend.tape import Desk, StillClock, TapeLeg
from mediaserver.calls.admission import Admission
from mediaserver.calls.capture import Capture
from mediaserver.calls.clips import Clips
from mediaserver.calls.document_source import DocumentSource, Fault, Found, NoDocument
from mediaserver.calls.documents import Documents
from mediaserver.calls.inbound import ACK_WAIT
from mediaserver.calls.ledger import Ledger
from mediaserver.calls.ports import MediaLeg, Mix
from mediaserver.calls.recovery import recover
from mediaserver.calls.registry import Registry, Route
from mediaserver.calls.script_thread import ScriptThread
from mediaserver.calls.services import Identity, Services
from mediaserver.calls.studio import Studio as RecordingStudio
from mediaserver.errors import ConflictError, LocalError
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction, Format, Recording, Source, Span
from mediaserver.recording.states import FINAL, State, StopReason
from mediaserver.sdp.session import AudioSession
from mediaserver.sip.agent import Agent
from mediaserver.sip.hop import Hop, Transport
from mediaserver.sip.session import Session
from mediaserver.swml.document import load
from mediaserver.swml.errors import ScriptError

HOP = Hop(Transport.UDP, ("127.0.0.1", 5060), ("127.0.0.1", 5070))
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\n"
)
RECORD = {"record": {"status_url": "http://app/cb", "initial_timeout": 0}}


class SafeLeg(TapeLeg):
    """A leg that must be left alone once it is closed: its place may be somebody else's."""

    def __init__(self) -> None:
        super().__init__()
        self.connected = 0
        self.broken = False

    def connect(self, session: AudioSession, signalling_host: str) -> None:
        assert not self.closed, "a closed leg is connected"
        self.connected += 1

    def loading(self) -> None:
        assert not self.closed, "a closed leg is asked what it waits for"

    def now(self) -> int:
        assert not self.closed, "a closed leg is asked for its clock"
        return super().now()

    def end(self) -> int:
        assert not self.closed, "a closed leg is asked for its end"
        if self.broken:
            raise ZeroDivisionError
        return super().end()

    async def play(self, samples: NDArray[np.int16]) -> int:
        assert not self.closed, "a closed leg plays"
        return int(samples.size)


class Studio:
    """Legs on tape."""

    def __init__(self) -> None:
        self.legs: list[SafeLeg] = []

    def open_leg(self) -> SafeLeg:
        self.legs.append(SafeLeg())
        return self.legs[-1]

    def join(self, one: MediaLeg, other: MediaLeg) -> None:
        raise NotImplementedError

    def part(self, leg: MediaLeg) -> None:
        raise NotImplementedError

    def open_mix(self) -> Mix:
        raise NotImplementedError


class Shelf(Documents):
    """Hands out one document, when the gate opens."""

    def __init__(self, steps: Sequence[object]) -> None:
        super().__init__(NoFetcher())
        text = json.dumps({"version": "1.0.0", "sections": {"main": list(steps)}})
        self._text = text.encode()
        self.gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def fetch(self, source: DocumentSource, request: Mapping[str, Any]) -> Found:
        json.dumps(request).encode()
        await self.gate
        try:
            return Found(load(self._text, content_type=None, allow_files=True), None)
        except ScriptError as error:
            raise NoDocument(500, (Fault(error),)) from None


class House:
    """A registry between an agent without sockets and legs without audio."""

    def __init__(self, *steps: object, desk: Desk | None = None) -> None:
        tokens = itertools.count(1)
        self.clock = StillClock()
        self.agent = Agent(
            contact=lambda hop: f"sip:ms@{hop.local[0]}:{hop.local[1]}",
            token=lambda: f"token{next(tokens):016d}",
        )
        self.studio = Studio()
        self.archive = Archive()
        self.copyist = Copyist()
        self.shelf = Shelf(steps)
        self.desk = desk or Desk()
        self.services = Services(
            signalling=self,
            media=self.studio,
            journals=self.desk,
            studio=RecordingStudio(
                ledger=Ledger(
                    self.archive, self.clock, lambda id: f"http://me/{id}", lambda recording: b"{}"
                ),
                renderer=self.copyist,
                clock=self.clock,
                data_dir="data",
                formats=(),
                sample_rate=None,
                render_timeout=10.0,
            ),
            outbox=OutboxOf(self.archive),
            calls=CallBook(self.archive),
            documents=self.shelf,
            scripts=ScriptThread(),
            requester=NoRequester(),
            rtp_outputs=NoOutputs(),
            web_sockets=NoOutputs(),
            clips=Clips(NoFetcher(), lambda url: None),
            clock=self.clock,
            identity=Identity(project_id="p", space_id="s", node_id="n"),
            trunk_for=lambda number: None,
            max_recording=3600.0,
        )
        self.registry = Registry(
            self.services,
            lambda to, from_: Route(DocumentSource(url="x.json"), "http://app/faults"),
            Admission(calls=100, calls_per_second=100),
        )
        self._branch = 0
        self._answered: dict[str, str] = {}

    # What a call asks of SIP.

    def ring(self, session: Session, *, status: int = 180, body: bytes = b"") -> None: ...

    def answer(self, session: Session, body: bytes) -> None:
        self.agent.answer(session, body, self.clock.now)
        self.hear()

    def reject(
        self,
        session: Session,
        status: int,
        *,
        retry_after: int | None = None,
        warning: tuple[int, str] | None = None,
    ) -> None:
        self.agent.reject(session, status, self.clock.now, warning=warning)
        self.hear()

    def hang_up(self, session: Session) -> None:
        self.agent.hang_up(session, self.clock.now)
        self.hear()

    def invite(self, target: object, invitation: object, began: object) -> Awaitable[Session]:
        raise NotImplementedError

    def acknowledge(self, session: Session, body: bytes) -> None:
        raise NotImplementedError

    def reinvite(self, session: Session, body: bytes) -> None:
        raise NotImplementedError

    def info(self, session: Session, content_type: str, body: bytes) -> None:
        raise NotImplementedError

    def refer(
        self, session: Session, to: str, *, headers: object = (), credentials: object = None
    ) -> None:
        raise NotImplementedError

    # What the far end does.

    def send(
        self, method: str, cseq: int, body: str = "", call_id: bytes = b"c1", branch: str = ""
    ) -> None:
        """Let a message of the far end arrive."""
        self._branch += 1
        tag = ""
        if method != "CANCEL" and cseq + (method not in {"INVITE"}) > 1:
            tag = ";tag=" + next(iter(self.agent._core.dialogs))[1]
        kind = "Content-Type: application/sdp\r\n" if body else ""
        text = (
            f"{method} sip:x@127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{branch or self._branch}\r\n"
            f"From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:x@127.0.0.1>{tag}\r\nCall-ID: @\r\n"
            f"CSeq: {cseq} {method}\r\nContact: <sip:a@127.0.0.1:5070>\r\nMax-Forwards: 70\r\n"
            f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        )
        data = text.encode().replace(b"Call-ID: @", b"Call-ID: " + call_id)
        self.agent.receive(data, HOP, self.clock.now)
        self.hear()

    def hear(self) -> None:
        """Pass what the agent tells on to the calls."""
        while events := self.agent.events():
            for event in events:
                self.registry.handle(event)

    @property
    def said(self) -> list[str]:
        """The answers' and requests' first lines since the last look."""
        return [data.split(b"\r\n")[0].decode() for _, data in self.agent.outgoing()]

    @property
    def leg(self) -> SafeLeg:
        return self.studio.legs[-1]

    async def up_to_record(self) -> None:
        """Call, and wait until the recording runs."""
        self.send("INVITE", 1, SDP)
        await turns(3)
        self.shelf.gate.set_result(None)
        await turns(10)
        self.send("ACK", 1)
        await turns(3)
        assert [r.state for r in self.archive.recordings.values()] == [State.RECORDING]

    async def empty(self) -> None:
        """Wait until no call is left, and check that nothing else is either."""
        async with asyncio.timeout(2):
            while self.registry.active:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await turns(3)
        assert all(leg.closed for leg in self.studio.legs)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("later", range(14))
@pytest.mark.parametrize("end", ["CANCEL", "BYE"])
@pytest.mark.parametrize("step", [RECORD, {"play": {"url": "silence:0.1"}}])
async def test_a_call_may_end_in_any_turn_of_the_loop(
    step: dict[str, Any], end: str, later: int
) -> None:
    house = House(step)
    house.send("INVITE", 1, SDP, branch="i")
    await turns(3)
    house.shelf.gate.set_result(None)
    await turns(later)
    if end == "CANCEL":
        house.send("CANCEL", 1, branch="i")
        await turns(1)
        if house.registry.active and house.agent.session_count:  # too late for a CANCEL
            house.send("BYE", 2)
    else:
        house.send("BYE", 2)
    await house.empty()
    assert all(recording.state in FINAL for recording in house.archive.recordings.values())


async def test_a_caller_does_not_wait_for_long_until_files_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mediaserver.calls.recordings.FILES_WAIT", 0.01)
    house = House(RECORD, {"hangup": {}})
    house.copyist.gate = asyncio.get_running_loop().create_future()
    await house.up_to_record()
    (call,) = house.registry._calls.values()
    (active,) = call.recordings.running.values()
    assert active.stop()
    async with asyncio.timeout(2):
        while not call.ended:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert [r.state for r in house.archive.recordings.values()] == [State.RENDERING]
    house.send("ACK", 2)
    house.copyist.gate.set_result(None)
    await house.empty()
    assert [r.state for r in house.archive.recordings.values()] == [State.FINISHED]


async def test_a_call_that_is_over_is_freed_without_the_collector() -> None:
    """Which goes through old objects only when there is no call (`cli.collector`)."""
    house = House({"answer": {}}, {"play": {"url": "silence:0.1"}}, RECORD)
    house.send("INVITE", 1, SDP, branch="i")
    await turns(3)
    (call,) = map(weakref.ref, house.registry._calls.values())
    gc.collect()
    gc.disable()
    try:
        house.shelf.gate.set_result(None)
        await turns(14)
        house.send("BYE", 2)
        await house.empty()
        await turns(3)
        assert call() is None
    finally:
        gc.enable()


async def test_an_offer_after_our_hang_up_moves_no_leg() -> None:
    house = House({"answer": {}}, {"hangup": {}})
    house.send("INVITE", 1, SDP)
    house.shelf.gate.set_result(None)
    await house.empty()  # answered and hung up; the BYE waits for an ACK that does not come
    connected = house.leg.connected
    house.send("UPDATE", 2, SDP.replace("40000", "50000"))
    assert house.leg.connected == connected


async def test_an_offer_that_comes_while_the_last_file_is_made_moves_no_leg() -> None:
    house = House(RECORD)
    house.copyist.gate = asyncio.get_running_loop().create_future()
    house.send("INVITE", 1, SDP)
    house.shelf.gate.set_result(None)
    await turns(12)
    (call,) = house.registry._calls.values()
    call.hang_up("shutdown")
    await turns(5)
    connected = house.leg.connected
    house.said  # noqa: B018 - forget what was said so far
    house.send("UPDATE", 2, SDP.replace("40000", "50000"))
    assert house.leg.connected == connected
    assert house.said == ["SIP/2.0 481 Call/Transaction Does Not Exist"]
    house.copyist.gate.set_result(None)
    await house.empty()


async def test_an_answer_that_comes_after_our_hang_up_moves_no_leg() -> None:
    house = House(RECORD)
    house.send("INVITE", 1)
    house.shelf.gate.set_result(None)
    await turns(10)
    (call,) = house.registry._calls.values()
    call.hang_up("shutdown")
    house.send("ACK", 1, SDP)
    assert house.leg.connected == 0
    await house.empty()


async def test_an_answer_in_the_ack_that_is_no_use_ends_the_call() -> None:
    house = House(RECORD)
    house.send("INVITE", 1)
    house.shelf.gate.set_result(None)
    await turns(10)
    house.send("ACK", 1, "not SDP")
    assert house.leg.closed
    house.send("BYE", 2)
    await house.empty()


async def test_what_is_spoken_counts_from_the_ack_when_the_offer_was_ours() -> None:
    house = House({"record": {"initial_timeout": 4}})
    house.send("INVITE", 1)
    house.shelf.gate.set_result(None)
    await turns(10)
    house.leg.clock = house.leg.placed = 9 * 8000  # nine seconds until the ACK
    house.send("ACK", 1, SDP)
    await turns(10)
    (recording,) = house.archive.recordings.values()
    # The ACK may have waited a little to be read.
    assert 0 <= 9 * 8000 - recording.span.start <= ACK_WAIT * 8000
    house.send("BYE", 2)
    await house.empty()


async def test_a_call_whose_id_is_no_text_ends_like_any_other() -> None:
    house = House(RECORD)
    house.send("INVITE", 1, SDP, call_id=b"\xff\xfe@x")
    house.shelf.gate.set_result(None)
    await turns(12)
    house.send("BYE", 2, call_id=b"\xff\xfe@x")
    await house.empty()
    assert house.archive.calls[-1].ended_at is not None


async def test_a_database_that_refuses_for_good_holds_no_call() -> None:
    house = House(RECORD)
    house.archive.fault = ConflictError("cannot hold this row")
    house.send("INVITE", 1, SDP)
    house.shelf.gate.set_result(None)
    await turns(12)
    house.send("BYE", 2)
    await house.empty()


async def test_a_fault_in_a_document_is_announced_when_the_database_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mediaserver.calls.ledger.RETRIES", (0.01,))
    house = House({"record": {"no_such": 1}})
    house.archive.fault = LocalError("locked")
    house.send("INVITE", 1, SDP)
    await turns(2)
    house.shelf.gate.set_result(None)
    await turns(5)
    assert any("SIP/2.0 500" in line for line in house.said)  # the caller does not wait for it
    house.archive.fault = None
    await house.empty()
    assert [event["event_type"] for event in house.archive.said] == ["calling.script.warning"]


@pytest.mark.parametrize("fault", [ZeroDivisionError(), MemoryError(), RuntimeError("shut down")])
async def test_an_error_nobody_thought_of_is_an_announced_error(fault: Exception) -> None:
    house = House(RECORD)
    house.copyist.fault = fault
    await house.up_to_record()
    house.send("BYE", 2)
    await house.empty()
    (recording,) = house.archive.recordings.values()
    assert recording.state is State.ERROR
    assert recording.error_message
    assert [event["params"]["state"] for event in house.archive.said] == ["recording", "error"]


async def test_a_leg_that_fails_at_the_end_is_closed_and_its_recording_ends() -> None:
    house = House(RECORD)
    await house.up_to_record()
    house.leg.hear(800)
    house.leg.broken = True
    house.send("BYE", 2)
    await house.empty()
    (recording,) = house.archive.recordings.values()
    assert recording.state in FINAL
    assert recording.stop_reason is StopReason.HANGUP
    assert recording.span.end == 800


async def test_a_shutdown_leaves_no_task_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediaserver.calls.registry.LAST_WORK", 0.05)
    house = House(RECORD)
    await house.up_to_record()
    house.copyist.gate = asyncio.get_running_loop().create_future()  # an encoder that hangs
    await house.registry.drain(0.0)
    await house.empty()
    (recording,) = house.archive.recordings.values()
    assert recording.state is State.RENDERING  # the next start completes it


async def test_a_recording_that_cannot_be_recovered_stops_no_other() -> None:
    house = House()
    bad, good = (
        Recording(
            id=name,
            project_id="p",
            call_id="c",
            control_id="x",
            source=Source.RECORD_ACTION,
            state=State.RECORDING,
            format=Format.WAV,
            direction=Direction.SPEAK,
            stereo=False,
            status_url="http://app/cb",
            created_at=1,
            started_at=1,
            span=Span(journal=name, rate=8000, start=0),
        )
        for name in ("bad", "good")
    )

    def journal_end(folder: str) -> int:
        if folder == "bad":
            raise ZeroDivisionError
        return 8000

    await recover([bad, good], house.services, journal_end)
    assert house.archive.recordings["good"].state is State.FINISHED


# Captures


async def test_both_journals_are_closed_when_one_has_failed(
    leg: TapeLeg, desk: Desk, clock: StillClock
) -> None:
    capture = Capture(leg, desk, clock)
    capture.start(StopRules(max_length=9))
    leg.hear(800)
    capture.hang_up()
    closed: list[str] = []
    for side, paper in desk.papers.items():
        paper.fault = LocalError("disk full")
        plain = paper.close

        async def close(side: Direction = side, plain: Any = plain) -> None:
            closed.append(side)
            await plain()

        paper.close = close  # type: ignore[method-assign]
    with pytest.raises(LocalError, match="disk full"):
        await capture.close()
    assert sorted(closed) == ["listen", "speak"]


def test_the_data_folder_is_nowhere_in_these_tests() -> None:
    assert not Path("data").exists()
