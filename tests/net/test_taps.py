"""Live audio of a leg: sample for sample, in its place, and nobody waits for who is slow."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.tape import StillClock
from mediaserver.audio.g711 import ALAW_DECODE, ULAW_DECODE
from mediaserver.calls.ports import LiveFrame
from mediaserver.net.live_frames import HELD
from mediaserver.net.sides import DELAY, SLACK
from mediaserver.net.taps import Tap, Taps
from mediaserver.recording.resource import Direction
from mediaserver.rtp.packet import PacketBatch, build_packet, parse_batch
from mediaserver.rtp.sender import Senders
from mediaserver.rtp.timeline import Kind, Timelines

TICK = 0.02
SLOTS = range(3)
NOISE = np.random.default_rng(1).integers(0, 0x7E, (3, 160 * 4000)).astype(np.uint8)
LATE = int(DELAY * 8000)


@dataclass
class Leg:
    slot: int
    rate: int = 8000
    id: str = "leg"
    clip: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))

    def played(self, start: int, end: int) -> NDArray[np.int16]:
        return self.clip[start:end]


class Studio:
    """An engine without sockets: legs whose packets a test makes, and a clock it moves."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.lines = Timelines(3, {Kind.ULAW: ULAW_DECODE, Kind.ALAW: ALAW_DECODE})
        self.senders = Senders(3, lambda bits: bits)
        self.audible = np.ones(3, np.bool_)
        self.legs = [Leg(slot) for slot in range(3)]
        self.partners: dict[int, Leg] = {}
        self.said: list[list[NDArray[np.int16]]] = [[], [], []]
        self.sequences = [0, 0, 0]
        self.drained: list[int] = []
        self.ticks = 0
        self.taken: dict[Tap, list[LiveFrame]] = {}
        self.taps = Taps(cast(Any, self))
        for slot in range(3):
            self.lines.open(slot, {0: Kind.ULAW}, self.clock.now)
            self.senders.open(slot)

    def partner(self, leg: Leg) -> Leg | None:
        return self.partners.get(leg.slot)

    def drain(self, legs: list[Leg]) -> None:
        self.drained = sorted(leg.slot for leg in legs)

    def tap(
        self, direction: Direction, slot: int = 0, ptime: int = 20, *, apart: bool = False
    ) -> Tap:
        tap = self.taps.open(cast(Any, self.legs[slot]), direction, ptime, apart=apart)
        self.taken[tap] = []
        return tap

    def frames(self, tap: Tap) -> list[LiveFrame]:
        """Return what was taken of a tap, and what waits."""
        while tap._frames:
            self.taken[tap].append(tap._frames.popleft())
        frames, self.taken[tap] = self.taken[tap], []
        return frames

    def audio(self, tap: Tap) -> NDArray[np.int16]:
        """Return its tracks."""
        return np.concatenate([frame.samples for frame in self.frames(tap)], axis=1)

    def speak(self, slot: int, *numbers: int) -> None:
        """Let packets of a stream arrive now; those that come again are the same."""
        batch = PacketBatch.empty(16)
        for number in numbers:
            payload = NOISE[slot][160 * number : 160 * number + 160].tobytes()
            packet = build_packet(0, number, 160 * number, slot + 1, payload)
            batch.append(slot, packet, 1, self.clock.now)
        self.lines.receive(batch, parse_batch(batch, np.ones(batch.count, np.bool_)))

    def word(self, slot: int, *numbers: int) -> NDArray[np.int16]:
        """Return what such packets say."""
        words = [NOISE[slot][160 * number : 160 * number + 160] for number in numbers]
        return ULAW_DECODE.take(np.concatenate(words))

    def play(self, slot: int, samples: NDArray[np.int16]) -> None:
        self.legs[slot].clip = samples
        self.senders.play(slot, samples.size, self.clock.now)

    def tick(self, *, take: bool = True) -> None:
        self.ticks += 1
        self.clock.now = 1000.0 + self.ticks * TICK + 1e-6  # not a sample early
        while (frames := self.senders.due(np.arange(3), self.clock.now)) is not None:
            self.taps.sent(frames.take(self.audible[frames.slot]))
        self.taps.turn(self.clock.now)
        for tap, taken in self.taken.items() if take else ():
            while tap._frames:
                taken.append(tap._frames.popleft())

    def join(self, one: int, other: int) -> None:
        self.partners = {one: self.legs[other], other: self.legs[one]}
        for slot in (one, other):
            self.taps.joined(slot)

    def part(self) -> None:
        for slot in list(self.partners):
            self.taps.parting(slot)
        self.partners = {}


@pytest.fixture
def studio() -> Studio:
    return Studio()


def test_what_is_said_comes_sample_for_sample(studio: Studio) -> None:
    tap = studio.tap(Direction.SPEAK)
    for number in range(40):
        studio.speak(0, number)
        studio.tick()
    heard = studio.audio(tap)[0]
    assert heard.size == 40 * 160 - LATE
    assert np.array_equal(heard, studio.word(0, *range(40))[: heard.size])


@pytest.mark.parametrize("ptime", [10, 20, 30, 60, 120])
def test_frames_are_as_long_as_was_asked_for(studio: Studio, ptime: int) -> None:
    tap = studio.tap(Direction.SPEAK, ptime=ptime)
    got = []
    for number in range(40):
        studio.speak(0, number)
        studio.tick()
        got += studio.frames(tap)
    assert [frame.number for frame in got] == list(range(len(got)))
    assert {frame.samples.shape for frame in got} == {(1, 8 * ptime)}
    whole = np.concatenate([frame.samples[0] for frame in got])
    assert np.array_equal(whole, studio.word(0, *range(40))[: whole.size])


def test_packets_that_overtook_one_another_are_in_their_places(studio: Studio) -> None:
    tap = studio.tap(Direction.SPEAK)
    order = np.arange(60)
    order[10:60:5], order[11:60:5] = order[11:60:5].copy(), order[10:60:5].copy()
    for number in order.tolist():
        studio.speak(0, number)
        studio.tick()
    heard = studio.audio(tap)[0]
    assert np.array_equal(heard[: 56 * 160], studio.word(0, *range(60))[: heard.size][: 56 * 160])


def test_what_is_lost_and_what_was_never_sent_is_silence_of_its_length(studio: Studio) -> None:
    tap = studio.tap(Direction.SPEAK)
    for number in range(60):
        if (number != 7 and number < 20) or number >= 40:
            studio.speak(0, number)
        studio.tick()
    heard = studio.audio(tap)[0]
    assert not heard[7 * 160 : 8 * 160].any()
    assert not heard[20 * 160 : 40 * 160].any()
    for first, last in ((0, 7), (8, 20), (40, 55)):
        part = heard[first * 160 : last * 160]
        assert np.array_equal(part, studio.word(0, *range(first, last)))


def test_a_stream_that_comes_later_than_it_began_is_waited_for(studio: Studio) -> None:
    tap = studio.tap(Direction.SPEAK)
    studio.speak(0, 0)
    studio.tick()
    for _ in range(3):
        studio.tick()
    for number in range(1, 45):  # 60 ms behind what the first packet promised, and beyond
        studio.speak(0, number)
        studio.tick()
        if number == 20:
            studio.tick()
    heard = studio.audio(tap)[0]
    assert heard.size >= 40 * 160
    assert np.array_equal(heard[160:], studio.word(0, *range(1, 45))[: heard.size - 160])


def test_nobody_hears_what_was_said_before_the_tap(studio: Studio) -> None:
    for number in range(10):
        studio.speak(0, number)
        studio.tick()
    tap = studio.tap(Direction.SPEAK)
    for number in range(10, 30):
        studio.speak(0, number)
        studio.tick()
    heard = studio.audio(tap)[0]
    assert np.array_equal(heard, studio.word(0, *range(10, 30))[: heard.size])


def test_a_clock_that_is_fast_neither_tears_nor_heaps_up_what_is_said(studio: Studio) -> None:
    tap = studio.tap(Direction.SPEAK)
    number, taken = 0, 0
    for tick in range(1500):  # half a minute in which the far end sends 450 ms too much
        while number * TICK / 1.015 <= tick * TICK:
            studio.speak(0, number)
            number += 1
        studio.tick()
        for frame in studio.frames(tap):
            assert frame.number == taken
            assert np.array_equal(frame.samples[0], studio.word(0, taken))
            taken += 1
    assert number - taken < 12  # the line is known to be ahead within ten seconds


def test_what_is_played_is_heard_where_it_was_sent(studio: Studio) -> None:
    tap = studio.tap(Direction.LISTEN)
    clip = np.arange(1, 4001).astype(np.int16)
    for number in range(60):
        if number == 10:
            studio.play(0, clip)
        studio.tick()
    heard = studio.audio(tap)[0]
    assert heard.size == 60 * 160 - LATE
    at = int(np.flatnonzero(heard)[0])
    assert at in range(10 * 160, 11 * 160 + 1)
    assert np.array_equal(heard[at : at + 4000], clip)
    assert not heard[:at].any()
    assert not heard[at + 4000 :].any()


def test_a_held_party_hears_nothing_of_what_is_played(studio: Studio) -> None:
    tap = studio.tap(Direction.LISTEN)
    studio.audible[0] = False
    studio.play(0, np.full(4000, 9, np.int16))
    studio.join(0, 1)
    for number in range(30):
        studio.speak(1, number)
        studio.tick()
    assert not studio.audio(tap).any()


def test_a_joined_party_hears_what_the_other_says(studio: Studio) -> None:
    tap = studio.tap(Direction.LISTEN)
    for number in range(10):
        studio.speak(1, number)
        studio.tick()
    studio.join(0, 1)
    for number in range(10, 40):
        studio.speak(1, number)
        studio.tick()
    studio.part()
    for number in range(40, 60):
        studio.speak(1, number)
        studio.tick()
    heard = studio.audio(tap)[0]
    assert studio.drained == [0]
    assert not heard[: 10 * 160].any()
    assert np.array_equal(heard[10 * 160 : 40 * 160], studio.word(1, *range(10, 40)))
    assert not heard[40 * 160 :].any()


def test_a_tap_of_a_joined_leg_hears_the_partner_from_its_beginning(studio: Studio) -> None:
    studio.join(0, 1)
    for number in range(10):
        studio.speak(1, number)
        studio.tick()
    tap = studio.tap(Direction.LISTEN)
    for number in range(10, 30):
        studio.speak(1, number)
        studio.tick()
    heard = studio.audio(tap)[0]
    assert studio.drained == [0, 1]
    assert np.array_equal(heard, studio.word(1, *range(10, 30))[: heard.size])


def test_a_prompt_takes_the_place_of_the_partner_while_it_plays(studio: Studio) -> None:
    studio.join(0, 1)
    tap = studio.tap(Direction.LISTEN)
    clip = np.full(10 * 160, 77, np.int16)
    for number in range(60):
        if number == 20:
            studio.play(0, clip)
        studio.speak(1, number)
        studio.tick()
    heard = studio.audio(tap)[0]
    at = int(np.flatnonzero(heard == 77)[0])
    assert np.array_equal(heard[at : at + clip.size], clip)
    words = studio.word(1, *range(60))[: heard.size]
    assert np.array_equal(heard[:at], words[:at])
    assert np.array_equal(heard[at + clip.size :], words[at + clip.size :])


def test_a_member_of_a_conference_hears_its_mix(studio: Studio) -> None:
    tap = studio.tap(Direction.LISTEN, slot=1)
    for number in range(20):
        position = np.array([0, 0, 0]) + 160 * number
        studio.taps.mixed(np.arange(3), position, np.stack([studio.word(n, number) for n in SLOTS]))
        studio.tick()
    heard = studio.audio(tap)[0]
    assert np.array_equal(heard, studio.word(1, *range(20))[: heard.size])


def test_both_sides_are_mixed_or_apart_and_lie_side_by_side(studio: Studio) -> None:
    studio.join(0, 1)
    mixed = studio.tap(Direction.BOTH)
    apart = studio.tap(Direction.BOTH, apart=True)
    for number in range(30):
        studio.speak(0, number)
        studio.speak(1, number)
        studio.tick()
    tracks = studio.audio(apart)
    assert tracks.shape == (2, 30 * 160 - LATE)
    for slot in (0, 1):
        assert np.array_equal(tracks[slot], studio.word(slot, *range(30))[: tracks.shape[1]])
    total = np.clip(tracks.sum(0, np.int32), -32768, 32767)
    assert np.array_equal(studio.audio(mixed)[0], total)


@pytest.mark.parametrize("ppm", [-1000, 1000])
def test_sides_whose_clocks_differ_stay_together(studio: Studio, ppm: int) -> None:
    tap = studio.tap(Direction.BOTH, apart=True)
    clip = np.zeros(8000 * 60, np.int16)
    clip[::4000] = 30_000
    studio.play(0, clip)
    number, at = 0, 0
    apart = []
    for tick in range(2900):
        while (arrival := number * TICK / (1 + ppm / 1e6)) <= (tick + 1) * TICK:
            studio.clock.now = 1000.0 + arrival
            studio.speak(0, number)
            number += 1
        studio.tick()
        for frame in studio.frames(tap):
            for click in np.flatnonzero(frame.samples[1] == 30_000):
                sent_at = (at + click) / (1 + ppm / 1e6)  # as what is said beside it tells
                apart.append(sent_at - 4000 * round(sent_at / 4000))
            at += frame.samples.shape[1]
    # In a minute the clocks part by 480 samples. What is heard follows, but for the slack and
    # what twenty seconds bring before they are known.
    assert len(apart) >= 110
    assert max(map(abs, apart)) < SLACK + 170


async def test_whoever_is_slow_misses_the_oldest_and_is_told(studio: Studio) -> None:
    tap = studio.tap(Direction.SPEAK)
    for number in range(200):
        studio.speak(0, number)
        studio.tick(take=False)
    kept = int(HELD / TICK)
    got = studio.frames(tap)
    assert len(got) == kept
    assert tap.dropped == 200 - LATE // 160 - kept
    assert got[0].number == tap.dropped
    assert np.array_equal(got[0].samples[0], studio.word(0, got[0].number))


async def test_a_closed_leg_gives_out_its_last_samples_and_then_no_more(studio: Studio) -> None:
    tap = studio.tap(Direction.SPEAK, ptime=30)
    for number in range(11):
        studio.speak(0, number)
        studio.tick(take=False)
    taking = asyncio.create_task(tap.take())
    await asyncio.sleep(0)
    studio.taps.release(cast(Any, studio.legs[0]))
    first = await taking
    assert first is not None
    heard = np.concatenate([first.samples[0], studio.audio(tap)[0]])
    assert np.array_equal(heard[: 11 * 160], studio.word(0, *range(11)))
    assert not heard[11 * 160 :].any()
    assert await tap.take() is None


async def test_a_tap_that_is_closed_costs_nothing_any_more(studio: Studio) -> None:
    tap = studio.tap(Direction.BOTH)
    waiting = asyncio.create_task(tap.take())
    await asyncio.sleep(0)
    tap.close()
    tap.close()
    assert await waiting is None
    studio.drained = []
    studio.speak(0, 0)
    studio.play(0, np.ones(160, np.int16))
    studio.tick()
    assert studio.drained == []


async def test_a_tap_that_fails_ends_alone(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, sound = studio.tap(Direction.SPEAK), studio.tap(Direction.SPEAK)
    monkeypatch.setattr(broken, "turn", lambda now: 1 / 0)
    for number in range(10):
        studio.speak(0, number)
        studio.tick()
    assert await broken.take() is None
    assert studio.audio(sound).size == 10 * 160 - LATE
