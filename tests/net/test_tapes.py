"""What legs hear and send reaches their journals, whole and in its place."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.tape import Desk, Paper
from mediaserver.audio.g711 import ALAW_DECODE, ULAW_DECODE
from mediaserver.net.tapes import NOTE_EVERY, Tapes
from mediaserver.net.track import PATIENCE
from mediaserver.recording.resource import Direction
from mediaserver.rtp.packet import PacketBatch, build_packet, parse_batch
from mediaserver.rtp.ring import BLOCK, RING
from mediaserver.rtp.sender import Frames
from mediaserver.rtp.skew import NOTES, read_leads
from mediaserver.rtp.spans import Kind, unpack
from mediaserver.rtp.timeline import Kind as Law
from mediaserver.rtp.timeline import Timelines

SLOTS = np.arange(3)
TURN = 0.1


class Studio:
    """Three legs whose packets a test makes, and their journals."""

    def __init__(self) -> None:
        self.lines = Timelines(3, {Law.ULAW: ULAW_DECODE, Law.ALAW: ALAW_DECODE})
        self.desk = Desk()
        self.clip: NDArray[np.int16] = np.arange(1, 30_001).astype(np.int16)
        self.tapes = Tapes(self.lines, self.desk, lambda _, a, b: self.clip[a:b], 3)
        self.now = 100.0
        self.said: list[NDArray[np.int16]] = [np.zeros(0, np.int16)] * 3
        self.sequences = [0, 0, 0]
        for slot in range(3):
            self.lines.open(slot, {0: Law.ULAW}, self.now)
            self.tapes.open(slot)
        self.heard: list[Paper] = []
        self.sent: list[Paper] = []

    def keep(self, since: int = 0) -> None:
        for slot in range(3):
            heard, sent = (
                self.desk.create("leg", side, rate=8000, first=0, wall_us=0)
                for side in (Direction.SPEAK, Direction.LISTEN)
            )
            self.heard.append(heard)
            self.sent.append(sent)
            self.tapes.start(slot, heard, sent, since, self.now)

    def speak(self, packets: int, slots: tuple[int, ...] = (0, 1, 2), skip: int = 0) -> None:
        """Let legs speak `packets` packets at once, after `skip` that are lost."""
        batch = PacketBatch.empty(4096)
        for slot in slots:
            self.sequences[slot] += skip
            silence = np.zeros(160 * skip, np.int16)
            self.said[slot] = np.concatenate([self.said[slot], silence])
            for _ in range(packets):
                self._packet(batch, slot, self.sequences[slot])
                self.sequences[slot] += 1
        self.hear(batch)

    def hear(self, batch: PacketBatch) -> None:
        self.lines.receive(batch, parse_batch(batch, np.ones(batch.count, np.bool_)))

    def _packet(self, batch: PacketBatch, slot: int, number: int) -> None:
        payload = np.random.default_rng([slot, number]).integers(0, 0x7E, 160).astype(np.uint8)
        packet = build_packet(0, number, 160 * number, slot + 1, payload.tobytes())
        batch.append(slot, packet, 1, self.now)
        self.said[slot] = np.concatenate([self.said[slot], ULAW_DECODE[payload]])

    def late(self, slot: int, number: int) -> None:
        batch = PacketBatch.empty(1)
        before = self.said[slot].copy()
        self._packet(batch, slot, number)
        before[160 * number : 160 * number + 160] = self.said[slot][-160:]
        self.said[slot] = before
        self.hear(batch)

    def turn(self, seconds: float = TURN) -> None:
        self.now += seconds
        self.lines.advance(self.now, SLOTS)
        self.tapes.turn(SLOTS, self.now)


@pytest.fixture
def studio() -> Studio:
    return Studio()


def test_every_sample_of_every_leg_is_written_once(studio: Studio) -> None:
    studio.keep()
    for _ in range(40):
        studio.speak(5)
        studio.turn()
    for slot in range(3):
        studio.tapes.catch_up(slot, studio.now)
        paper = studio.heard[slot]
        assert np.array_equal(paper.samples[: 200 * 160], studio.said[slot])
        assert sum(size for _, size in paper.writes) == 200 * 160
        assert len(paper.writes) <= 200 * 160 // BLOCK + 2


@pytest.mark.parametrize("pause", [1, 2, 3, 7])
def test_what_is_heard_waits_less_than_half_a_second(studio: Studio, pause: int) -> None:
    studio.keep()
    placed: list[int] = []
    for number in range(60):
        if number % pause == 0:
            studio.speak(5)
        studio.turn()
        placed.append(int(studio.lines.placed[0]))
        written = max((at + size for at, size in studio.heard[0].writes), default=0)
        assert written >= ([0] * 5 + placed)[-5]  # what was there 0.4 s ago
    assert PATIENCE + TURN < 0.5


def test_a_recording_that_begins_amid_a_block_has_its_first_piece(studio: Studio) -> None:
    studio.speak(10)
    studio.keep(since=1000)
    for _ in range(20):
        studio.speak(5)
        studio.turn()
    studio.tapes.catch_up(1, studio.now)
    paper = studio.heard[1]
    assert not paper.samples[:1000].any()
    assert np.array_equal(paper.samples[1000 : 110 * 160], studio.said[1][1000:])


def test_what_came_late_is_written_over_the_silence_that_held_its_place(studio: Studio) -> None:
    studio.keep()
    studio.speak(20)
    studio.speak(20, skip=1)
    studio.turn()
    assert not studio.heard[0].samples[20 * 160 : 21 * 160].any()
    studio.late(0, 20)
    studio.turn()
    studio.tapes.catch_up(0, studio.now)
    assert np.array_equal(studio.heard[0].samples[: 41 * 160], studio.said[0])
    assert np.array_equal(studio.heard[1].samples[: 30 * 160], studio.said[1][: 30 * 160])


def test_what_comes_late_from_before_the_recording_is_nobodys(studio: Studio) -> None:
    studio.speak(5)
    studio.speak(5, skip=1)
    studio.keep(since=11 * 160)
    studio.late(0, 5)
    studio.speak(20)
    studio.turn()
    studio.tapes.catch_up(0, studio.now)
    assert not studio.heard[0].samples[: 11 * 160].any()


def test_much_audio_at_once_is_written_before_more_comes(studio: Studio) -> None:
    studio.keep()
    for _ in range(8):  # rounds of a drain after a stall: no time passes
        studio.speak(24)
        studio.lines.settle(SLOTS)
        studio.tapes.turn(SLOTS, studio.now)
    studio.tapes.catch_up(2, studio.now)
    assert np.array_equal(studio.heard[2].samples[: 192 * 160], studio.said[2])


def test_an_hour_on_hold_is_not_written_out_as_silence(studio: Studio) -> None:
    studio.keep()
    studio.speak(3)
    studio.turn()
    studio.now += 6.0
    batch = PacketBatch.empty(1)
    batch.append(0, build_packet(0, 3, 480 + 48_000, 1, b"\1" * 160), 1, studio.now)
    studio.hear(batch)
    studio.turn()
    studio.tapes.catch_up(0, studio.now)
    paper = studio.heard[0]
    assert sum(size for _, size in paper.writes) <= 480 + RING
    at = int(studio.lines.placed[0]) - 160
    assert np.array_equal(paper.samples[at : at + 160], np.full(160, ULAW_DECODE[1]))


def test_after_a_recording_nothing_more_is_written(studio: Studio) -> None:
    studio.keep()
    studio.speak(5)
    studio.tapes.catch_up(0, studio.now)
    studio.tapes.stop(0)
    studio.speak(100)
    studio.turn()
    studio.tapes.catch_up(0, studio.now)
    assert sum(size for _, size in studio.heard[0].writes) == 800


def test_what_is_lost_is_noted_beside_the_audio_of_legs_that_are_kept(studio: Studio) -> None:
    studio.speak(5)
    studio.speak(5, skip=2)
    studio.keep(since=12 * 160)
    for number in range(30):
        studio.speak(5, skip=number % 3 == 0)
        studio.turn()
        # No leg's notes wait for much longer than NOTE_EVERY.
        noted = unpack(studio.heard[1].notes)
        assert len(noted) >= max(0, (number - 15) // 3)
    studio.tapes.catch_up(0, studio.now)
    noted = unpack(studio.heard[0].notes)
    assert noted.tolist() == [
        [Kind.LOST, start, start + 160] for start in range(12 * 160, 172 * 160, 16 * 160)
    ]
    assert len(studio.heard[0].notes) > 0
    studio.tapes.stop(1)
    studio.speak(5, skip=1)
    studio.turn(2 * NOTE_EVERY)
    assert len(unpack(studio.heard[1].notes)) <= 10


def test_of_a_clean_leg_nothing_is_noted(studio: Studio) -> None:
    studio.keep()
    for _ in range(30):
        studio.speak(5)
        studio.turn()
    studio.tapes.catch_up(0, studio.now)
    assert studio.heard[0].notes == b""


def frames(number: int, offset: int, due: float, size: int = 160) -> Frames:
    return Frames(
        SLOTS[:1], np.zeros((1, 12), np.uint8), np.array([offset]), np.array([size]),
        np.array([due]),
    )  # fmt: skip


def test_a_prompt_lies_where_it_was_heard(studio: Studio) -> None:
    studio.keep()
    for number in range(40):
        studio.tapes.sent(frames(number, 160 * number, 100.5 + 0.02 * number))
    studio.tapes.catch_up(0, studio.now)
    samples = studio.sent[0].samples
    assert np.flatnonzero(samples)[0] == 4000
    assert np.array_equal(samples[4000:10_400], studio.clip[:6400])
    assert len(studio.sent[0].writes) <= 4


def test_a_prompt_that_was_held_up_goes_on_where_it_was_heard_again(studio: Studio) -> None:
    studio.keep()
    studio.tapes.sent(frames(0, 0, 100.0))
    studio.tapes.sent(frames(1, 160, 100.5))
    studio.tapes.end_run(0)
    samples = studio.sent[0].samples
    assert np.array_equal(samples[:160], studio.clip[:160])
    assert not samples[160:4000].any()
    assert np.array_equal(samples[4000:4160], studio.clip[160:320])


def test_of_a_prompt_that_began_before_the_recording_the_rest_is_kept(studio: Studio) -> None:
    studio.keep(since=200)
    studio.tapes.sent(frames(0, 0, 100.0))
    studio.tapes.sent(frames(1, 160, 100.02))
    studio.tapes.catch_up(0, studio.now)
    samples = studio.sent[0].samples
    assert not samples[:200].any()
    assert np.array_equal(samples[200:320], studio.clip[200:320])


def part(studio: Studio, lead: int, seconds: int = 75) -> None:
    """Let the line of the first leg run ahead of the clock, and measure that for a while."""
    for second in range(seconds):
        clock = np.array([second * 8000])
        studio.lines.leads.measure(SLOTS[:1], clock + lead, clock)


def test_how_far_the_clocks_have_parted_is_noted_once_a_minute(studio: Studio) -> None:
    studio.keep()
    part(studio, 40)
    studio.turn()
    noted = read_leads(unpack(studio.heard[0].notes))
    assert len(noted) >= NOTES
    assert set(noted[:, 1].tolist()) == {40}
    assert studio.heard[1].notes == b""


def test_how_far_they_have_parted_is_on_disk_when_a_recording_ends(studio: Studio) -> None:
    studio.keep()
    part(studio, 40, seconds=25)
    studio.turn()
    assert studio.heard[0].notes == b""
    studio.tapes.catch_up(0, studio.now)
    assert read_leads(unpack(studio.heard[0].notes))[:, 1].tolist() == [40, 40]


@pytest.mark.parametrize("lead", [2000, -2000])
def test_once_the_clocks_have_parted_a_recording_still_begins_now(
    lead: int, studio: Studio
) -> None:
    """Nothing is kept that was sent before, and nothing is left out that is sent afterwards."""
    part(studio, lead)
    studio.now = 101.0
    since = studio.lines.present(0, studio.now)
    assert since == 8000 + lead
    studio.keep(since)
    studio.tapes.sent(frames(0, 0, 100.99))
    studio.tapes.sent(frames(1, 160, 101.01))
    studio.tapes.catch_up(0, studio.now)
    samples = studio.sent[0].samples
    assert not samples[:8000].any()
    assert np.array_equal(samples[8000:8240], studio.clip[80:320])


def test_what_was_sent_before_a_pause_does_not_come_back_when_the_clocks_part(
    studio: Studio,
) -> None:
    """A journal begins where it began: nothing lies before that, whatever is known by now."""
    studio.keep(since=8000)
    studio.tapes.stop(0)
    part(studio, 2000)
    studio.tapes.start(0, studio.heard[0], studio.sent[0], 8000, studio.now)
    studio.tapes.sent(frames(0, 0, 100.99))
    studio.tapes.catch_up(0, studio.now)
    samples = studio.sent[0].samples
    assert not samples[:8000].any()
    assert np.array_equal(samples[8000:8080], studio.clip[80:160])
