"""Detections on a call: what they tell, when they end, and that they leave nothing behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import structlog

from farend.tape import Desk, StillClock, TapeLeg
from mediaserver.audio.answering import MachineRules
from mediaserver.audio.single_tone import FaxTone
from mediaserver.audio.tones import dtmf, sine
from mediaserver.calls.announcer import Announcer
from mediaserver.calls.capture import Capture
from mediaserver.calls.commands import CommandRefused, NotThere
from mediaserver.calls.commands.detecting import (
    StartDetection,
    StopDetection,
    start_detection,
    stop_detection,
)
from mediaserver.calls.detection import (
    MAX_DETECTIONS,
    DetectOrder,
    DigitRules,
    begin,
    detect,
    detections,
    find,
)
from mediaserver.calls.ending import CallOver, Ending
from mediaserver.errors import ConflictError
from mediaserver.recording.announcement import Announcement, Envelope
from mediaserver.recording.recorder import StopRules

if TYPE_CHECKING:
    from mediaserver.calls.call import Call

URL = "http://app/detect"
BEEP = (2.0, sine([1400], 0.4))


class Papers:
    """An outbox in memory."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    async def add(self, announcements: Sequence[Announcement]) -> None:
        assert all(one.url == URL for one in announcements)
        self.said += [json.loads(one.body) for one in announcements]


class Line:
    """As much of a call as a detection needs, on a leg of tape."""

    def __init__(self) -> None:
        self.id = "c1"
        self.answered = True
        self.media = TapeLeg()
        self.media.tape = np.zeros(40 * 8000, np.int16)
        self.capture = Capture(self.media, Desk(), StillClock())
        self.log = structlog.get_logger()
        self.papers = Papers()
        envelope = Envelope(project_id="p", space_id="s", node_id="n", session_id="x")
        self.announcer = Announcer(self.papers, envelope, self.id, StillClock(), self.spawn)
        self._over = Ending()
        self.unless_over = self._over.unless_over
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def call(self) -> Call:
        return cast("Call", self)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def put(self, *parts: tuple[float, np.ndarray[Any, np.dtype[np.int16]]]) -> None:
        """Write sounds on the tape, each so many seconds from its beginning."""
        for at, samples in parts:
            begin = round(at * 8000)
            self.media.tape[begin : begin + len(samples)] = samples

    async def hear(self, seconds: float) -> None:
        """Let the line go on to there, in turns of 100 ms."""
        for position in range(self.media.clock + 800, round(seconds * 8000) + 1, 800):
            self.media.hear(position)
        await self.settle()

    async def hang_up(self) -> None:
        self.capture.hang_up()
        self._over.come("hangup")
        await self.settle()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def events(self) -> list[tuple[str, str]]:
        """Type and event of what was told."""
        details = [said["params"]["detect"] for said in self.papers.said]
        return [(one["type"], one["params"]["event"]) for one in details]

    @property
    def idle(self) -> bool:
        return not self._tasks and not self.capture.watchers and not self.capture.key_listeners


@pytest.fixture
async def line() -> Line:
    return Line()


async def test_a_machine_is_told_step_by_step(line: Line) -> None:
    line.put(BEEP)
    order = DetectOrder(
        rules=MachineRules(detect_message_end=True), status_url=URL, control_id="d1"
    )
    work = asyncio.ensure_future(detect(line.call, order))
    await line.settle()
    await line.hear(2.3)
    assert not work.done()
    assert line.papers.said == []
    await line.hear(3.0)
    variables = await work
    assert variables["detect_result"] == "machine"
    assert variables["detect_machine_beep"] is True
    assert variables["detect_ms"] == pytest.approx(2400, abs=20)
    assert line.events == [("machine", "MACHINE"), ("machine", "READY"), ("machine", "finished")]
    first = line.papers.said[0]
    assert first["event_type"] == "calling.call.detect"
    assert first["params"] == {
        "call_id": "c1",
        "node_id": "n",
        "control_id": "d1",
        "detect": {"type": "machine", "params": {"event": "MACHINE", "beep": True}},
    }
    assert line.idle


async def test_silence_is_unknown_even_if_nothing_is_received_at_all(line: Line) -> None:
    work = asyncio.ensure_future(detect(line.call, DetectOrder(status_url=URL)))
    await line.settle()
    for turn in range(1, 60):
        line.media.decided = 800 * turn  # the line's time passes by the clock
        if line.media.decided >= line.media.wake:
            line.capture.on_advance()
    await line.settle()
    assert (await work)["detect_result"] == "unknown"
    assert (await work)["detect_ms"] == 4500
    assert line.events == [("machine", "UNKNOWN"), ("machine", "finished")]
    assert "beep" not in line.papers.said[0]["params"]["detect"]["params"]


async def test_a_fax_is_told_as_one(line: Line) -> None:
    line.put((1.0, sine([1100], 0.5)))
    order = DetectOrder(rules=MachineRules(amd=False, fax=FaxTone.CNG), status_url=URL)
    work = asyncio.ensure_future(detect(line.call, order))
    await line.settle()
    await line.hear(3.0)
    assert (await work)["detect_result"] == "fax"
    assert line.events == [("fax", "CNG"), ("fax", "finished")]


async def test_who_does_not_wait_is_told_later(line: Line) -> None:
    line.put(BEEP)
    changes: list[Mapping[str, Any]] = []
    order = DetectOrder(status_url=URL, wait=False)
    variables = await detect(line.call, order, changes.append)
    assert variables == {
        "detect_result": "detecting", "detect_machine_beep": False, "detect_ms": 0,
    }  # fmt: skip
    await line.hear(3.0)
    assert changes[-1]["detect_result"] == "machine"
    assert line.events[-1] == ("machine", "finished")
    assert line.idle


async def test_it_may_begin_a_moment_ago(line: Line) -> None:
    line.put((0.2, sine([1400], 0.4)))
    line.media.clock = line.media.placed = line.media.final = line.media.decided = 7200
    work = asyncio.ensure_future(detect(line.call, DetectOrder(since=0)))
    await line.settle()
    await line.hear(1.2)
    assert (await work)["detect_result"] == "machine"


async def test_the_end_of_the_call_ends_it(line: Line) -> None:
    waiting = asyncio.ensure_future(detect(line.call, DetectOrder(status_url=URL)))
    await line.settle()
    along = begin(line.call, DetectOrder(status_url=URL))
    await line.hear(1.0)
    await line.hang_up()
    with pytest.raises(CallOver):
        await waiting
    assert along.variables["detect_result"] == "unknown"
    assert line.events == [("machine", "finished")] * 2
    assert line.idle


async def test_whoever_takes_the_call_away_ends_it(line: Line) -> None:
    work = asyncio.ensure_future(detect(line.call, DetectOrder(status_url=URL)))
    await line.settle()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await line.settle()
    assert line.events == [("machine", "finished")]
    assert line.idle


async def test_it_can_be_stopped_once(line: Line) -> None:
    detection = begin(line.call, DetectOrder(status_url=URL, control_id="d"))
    assert find(line.call, "d") is detection
    assert detection.stop()
    assert not detection.stop()
    assert find(line.call, "d") is None
    await line.settle()
    assert line.events == [("machine", "finished")]
    assert line.idle


async def test_a_key_ends_the_wait_for_one(line: Line) -> None:
    order = DetectOrder(rules=DigitRules(digits="12"), status_url=URL)
    begin(line.call, order)
    line.capture.on_key("3", 400)
    assert line.events == []
    line.capture.on_key("2", 800)
    await line.settle()
    assert line.events == [("digit", "2"), ("digit", "finished")]
    assert line.idle


async def test_so_does_one_that_is_heard(line: Line) -> None:
    line.put((0.5, dtmf("7", 0.1, 8000)))
    begin(line.call, DetectOrder(rules=DigitRules(), status_url=URL))
    await line.hear(1.0)
    assert line.events == [("digit", "7"), ("digit", "finished")]


async def test_a_key_that_does_not_come_is_not_waited_for_longer(line: Line) -> None:
    detection = begin(line.call, DetectOrder(rules=DigitRules(timeout=1.5), status_url=URL))
    await line.hear(1.4)
    assert line.events == []
    await line.hear(1.7)
    assert line.events == [("digit", "finished")]
    assert detection.variables["detect_ms"] == 1500
    assert line.idle


async def test_only_so_many_run_at_a_time(line: Line) -> None:
    for number in range(MAX_DETECTIONS):
        begin(line.call, DetectOrder(control_id=str(number)))
    with pytest.raises(ConflictError):
        begin(line.call, DetectOrder())
    assert (await detect(line.call, DetectOrder()))["detect_result"] == "error"
    assert len(detections(line.call)) == MAX_DETECTIONS
    await line.hang_up()
    assert line.idle


async def test_a_control_id_names_one_at_a_time(line: Line) -> None:
    first = begin(line.call, DetectOrder(control_id="d"))
    with pytest.raises(ConflictError, match="a detection d runs"):
        begin(line.call, DetectOrder(control_id="d"))
    first.stop()
    begin(line.call, DetectOrder(control_id="d"))
    await line.hang_up()


async def test_commands_begin_and_end_one(line: Line) -> None:
    start = StartDetection(order=DetectOrder(control_id="d", status_url=URL, wait=False))
    await start_detection(line.call, start)
    with pytest.raises(CommandRefused) as refusal:
        await start_detection(line.call, start)
    assert refusal.value.attribute == "control_id"
    await stop_detection(line.call, StopDetection(control_id="d"))
    with pytest.raises(NotThere):
        await stop_detection(line.call, StopDetection(control_id="d"))
    await line.settle()
    assert line.events == [("machine", "finished")]
    line.answered = False
    with pytest.raises(CommandRefused):
        await start_detection(line.call, start)
    assert line.idle


async def test_recordings_go_on_beside_it(line: Line) -> None:
    line.put(BEEP)
    take = line.capture.start(StopRules(max_length=4.0))
    begin(line.call, DetectOrder(status_url=URL))
    await line.hear(3.0)
    assert line.events[-1] == ("machine", "finished")
    assert not take.stopped.done()
    await line.hear(4.1)
    assert (await take.stopped).position == 32_000
