"""What is kept of a leg: journals, takes and their ends."""

from __future__ import annotations

import numpy as np
import pytest
from structlog.testing import capture_logs

from farend.tape import Desk, StillClock, TapeLeg
from mediaserver.calls.capture import Capture
from mediaserver.errors import LocalError
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction
from mediaserver.recording.states import StopReason

LONG = StopRules(max_length=9.0)


@pytest.fixture
def capture(leg: TapeLeg, desk: Desk, clock: StillClock) -> Capture:
    return Capture(leg, desk, clock)


def speak(desk: Desk) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return desk.papers[Direction.SPEAK].samples


async def test_what_is_heard_is_journalled_from_the_start_to_the_hang_up(
    capture: Capture, leg: TapeLeg, desk: Desk
) -> None:
    leg.clock = leg.placed = 500
    take = capture.start(LONG)
    leg.hear(4000, final=3000)
    leg.placed = leg.clock = 4321
    capture.hang_up()
    stop = await take.stopped
    await capture.finish(take)
    assert (stop.reason, stop.position) == (StopReason.HANGUP, 4321)
    assert np.array_equal(speak(desk)[500:4321], leg.tape[500:4321])
    assert not speak(desk)[:500].any()
    assert capture.span(take, stop.position).end == 4321


async def test_nothing_is_read_from_a_leg_that_is_gone(
    capture: Capture, leg: TapeLeg, desk: Desk
) -> None:
    take = capture.start(LONG)
    leg.hear(800)
    capture.hang_up()
    leg.close()
    await take.stopped
    await capture.finish(take)
    capture.on_advance()
    await capture.close()
    assert np.array_equal(speak(desk)[:800], leg.tape[:800])


async def test_two_takes_share_one_journal_and_end_apart(
    capture: Capture, leg: TapeLeg, desk: Desk
) -> None:
    first = capture.start(StopRules(max_length=0.1))
    leg.hear(400)
    second = capture.start(StopRules(max_length=0.2))
    leg.hear(3000)
    assert (await first.stopped).position == 800
    assert (await second.stopped).position == 400 + 1600
    assert desk.created == 2
    await capture.finish(first)
    await capture.finish(second)
    assert np.array_equal(speak(desk)[:2000], leg.tape[:2000])


async def test_what_lies_between_two_recordings_is_not_kept(
    capture: Capture, leg: TapeLeg, desk: Desk
) -> None:
    first = capture.start(StopRules(max_length=0.1))
    leg.hear(800)
    await capture.finish(first)
    leg.hear(4000)
    capture.start(LONG)
    leg.hear(4800)
    capture.hang_up()
    assert not speak(desk)[800:4000].any()
    assert np.array_equal(speak(desk)[4000:4800], leg.tape[4000:4800])


async def test_what_the_party_hears_is_kept_in_its_place(
    capture: Capture, leg: TapeLeg, desk: Desk
) -> None:
    leg.sent.append((0, np.ones(160, np.int16)))  # before the recording: not part of it
    take = capture.start(LONG)
    assert leg.kept
    leg.sent.append((320, np.full(160, 7, np.int16)))
    leg.hear(640)
    capture.hang_up()
    await capture.finish(take)
    listen = desk.papers[Direction.LISTEN].samples
    assert np.flatnonzero(listen).tolist() == list(range(320, 480))
    assert not leg.kept


async def test_a_terminator_ends_a_take_where_its_tone_began(
    capture: Capture, leg: TapeLeg
) -> None:
    take = capture.start(StopRules(terminators="#"))
    leg.hear(1600)
    capture.on_key("5", 1650)
    assert not take.stopped.done()
    capture.on_key("#", 1700)
    stop = await take.stopped
    assert (stop.reason, stop.position, stop.digit) == (StopReason.TERMINATOR, 1700, "#")


async def test_a_rule_that_had_fired_by_the_hang_up_is_the_reason(
    capture: Capture, leg: TapeLeg
) -> None:
    take = capture.start(StopRules(max_length=0.5))
    leg.placed = leg.clock = 5000
    capture.hang_up()
    assert (await take.stopped).reason is StopReason.MAX_LENGTH
    assert (await take.stopped).position == 4000


async def test_a_disk_that_fails_what_the_line_has_no_room_for_costs_no_recording(
    capture: Capture, leg: TapeLeg, desk: Desk
) -> None:
    take = capture.start(LONG)
    leg.hear(800)
    assert leg.open_wide is not None
    leg.open_wide(Direction.SPEAK, 16_000)
    desk.wide[Direction.SPEAK].fault = LocalError("cannot write the journal: disk full")
    assert await capture.settled() == 800
    capture.hang_up()
    await take.stopped
    with capture_logs() as logs:
        await capture.finish(take)
        await capture.close()
    assert np.array_equal(speak(desk)[:800], leg.tape[:800])
    assert len(logs) <= 1


async def test_a_disk_that_fails_is_told_and_nothing_else_stops(
    capture: Capture, leg: TapeLeg, desk: Desk
) -> None:
    take = capture.start(LONG)
    leg.hear(800)
    desk.papers[Direction.SPEAK].fault = LocalError("cannot write the journal: disk full")
    capture.hang_up()
    assert (await take.stopped).position == 800
    with pytest.raises(LocalError, match="disk full"):
        await capture.finish(take)
