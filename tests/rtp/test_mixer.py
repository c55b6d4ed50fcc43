"""What members of a mix hear, given what comes in on their lines."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.g711 import ULAW_DECODE
from mediaserver.rtp.mixer import FRAME, LONGEST, PREFILL, QUIET, SPURT_OVER, WINDOW, Mixer
from mediaserver.rtp.packet import PacketBatch, build_packet, parse_batch
from mediaserver.rtp.timeline import Kind, Timelines

Samples = NDArray[np.int16]

DELAY = PREFILL // FRAME - 1
"""Frames from the one in which a packet comes to the one in which it is heard."""


class Hall:
    """Lines that are given a packet each a frame, and a mixer beside them."""

    def __init__(self, legs: int = 8) -> None:
        self.lines = Timelines(legs, {Kind.ULAW: ULAW_DECODE, Kind.ALAW: ULAW_DECODE})
        for slot in range(legs):
            self.lines.open(slot, {0: Kind.ULAW}, 0.0)
        self.mixer = Mixer(legs, self.lines)
        self.on_hold: set[int] = set()
        self.heard: dict[int, list[Samples]] = {}
        self.whole: dict[int, list[Samples]] = {}
        self.frame = 0
        self._sequence = dict.fromkeys(range(legs), 0)

    def meet(self, *slots: int) -> int:
        mix = self.mixer.open()
        for slot in slots:
            self.mixer.add(mix, slot)
        return mix

    def tell(self, slot: int, codes: bytes, frame: int | None = None) -> None:
        """Let a packet come whose samples belong to `frame`; None: the present one."""
        frame = self.frame if frame is None else frame
        packet = build_packet(0, self._sequence[slot], frame * FRAME, slot + 1, codes)
        self._sequence[slot] += 1
        batch = PacketBatch.empty(1)
        batch.append(slot, packet, 1, self.frame * 0.02)
        self.lines.receive(batch, parse_batch(batch, np.ones(1, np.bool_)))

    def tick(self) -> None:
        members = self.mixer.members
        attend = np.array([slot not in self.on_hold for slot in members.tolist()], np.bool_)
        mixed = self.mixer.next(attend)
        assert mixed.heard.shape == (mixed.slot.size, FRAME)
        for slot, frame in zip(mixed.slot.tolist(), mixed.heard, strict=True):
            self.heard.setdefault(slot, []).append(frame)
        for mix, frame in zip(mixed.mix.tolist(), mixed.whole, strict=True):
            self.whole.setdefault(mix, []).append(frame)
        self.frame += 1

    def talk(self, speech: dict[int, bytes], *, after: int = DELAY) -> None:
        """Let members speak at once, a packet each a frame, and `after` frames pass behind it."""
        for index in range(-(-max(map(len, speech.values())) // FRAME)):
            for slot, codes in speech.items():
                part = codes[index * FRAME : (index + 1) * FRAME]
                if part:
                    self.tell(slot, part)
            self.tick()
        for _ in range(after):
            self.tick()

    def ear(self, slot: int) -> Samples:
        return np.concatenate(self.heard[slot])


def speech(packets: int, seed: int, quiet: int = 0) -> bytes:
    """Return mu-law noise; `quiet` is added to every code: 0x40 leaves a sixteenth of it."""
    random = np.random.default_rng(seed)
    sign = random.integers(0, 2, packets * FRAME) << 7
    return (random.integers(quiet, 0x7E, packets * FRAME) | sign).astype(np.uint8).tobytes()


def samples(codes: bytes) -> NDArray[np.int32]:
    return ULAW_DECODE[np.frombuffer(codes, np.uint8)].astype(np.int32)


def found(needle: NDArray[np.int32], ear: Samples) -> bool:
    """Tell whether exactly `needle` is heard somewhere, and nothing before and after it."""
    loud = np.flatnonzero(ear)
    start = int(loud[0]) - int(np.flatnonzero(needle)[0])
    same = np.array_equal(ear[start : start + needle.size], needle)
    return same and not ear[:start].any() and not ear[start + needle.size :].any()


def test_each_hears_the_sum_of_the_others_sample_for_sample() -> None:
    hall = Hall()
    mix = hall.meet(1, 3, 5, 6)
    said = {slot: speech(20, slot, 0x28) for slot in (1, 3, 5)}
    hall.talk(said)
    total = np.sum([samples(codes) for codes in said.values()], axis=0)
    assert np.abs(total).max() < 32768, "the test is about what is not cut off"
    for slot, codes in said.items():
        assert found(total - samples(codes), hall.ear(slot))
    assert found(total, hall.ear(6))
    assert found(total, np.concatenate(hall.whole[mix]))


def test_what_is_too_loud_is_cut_off_at_full_scale() -> None:
    hall = Hall()
    hall.meet(0, 1, 2)
    said = {slot: speech(5, slot) for slot in (0, 1)}
    hall.talk(said)
    total = np.sum([samples(codes) for codes in said.values()], axis=0)
    assert np.abs(total).max() > 32767
    assert found(np.clip(total, -32768, 32767), hall.ear(2))


def test_conferences_do_not_hear_each_other() -> None:
    hall = Hall()
    hall.meet(0, 4)
    hall.meet(1, 3)
    hall.meet(7)
    hall.talk({0: speech(5, 1), 3: speech(5, 2), 7: speech(5, 3)})
    assert found(samples(speech(5, 1)), hall.ear(4))
    assert found(samples(speech(5, 2)), hall.ear(1))
    for alone in (0, 3, 7):
        assert not hall.ear(alone).any()


def test_a_muted_member_hears_and_is_not_heard() -> None:
    hall = Hall()
    mix = hall.mixer.open()
    hall.mixer.add(mix, 0, muted=True)
    hall.mixer.add(mix, 1)
    hall.talk({0: speech(5, 1), 1: speech(5, 2)})
    assert found(samples(speech(5, 2)), hall.ear(0))
    assert not hall.ear(1).any()


def test_who_holds_the_call_adds_nothing() -> None:
    hall = Hall()
    hall.meet(0, 1)
    hall.on_hold = {0}
    hall.talk({0: speech(5, 1)})
    assert not hall.ear(1).any()


def test_a_coach_is_heard_by_the_one_alone_and_hears_all() -> None:
    hall = Hall()
    mix = hall.meet(0, 1, 2)
    hall.mixer.coach(2, 1)
    said = {slot: speech(5, slot, 0x28) for slot in range(3)}
    hall.talk(said)
    agent, coach = samples(said[1]), samples(said[2])
    customer = samples(said[0])
    assert found(agent, hall.ear(0))
    assert found(customer + coach, hall.ear(1))
    assert found(customer + agent, hall.ear(2))
    assert found(customer + agent, np.concatenate(hall.whole[mix]))


def test_a_muted_coach_and_the_coach_of_one_who_left_are_heard_by_nobody() -> None:
    hall = Hall()
    mix = hall.meet(0, 1)
    hall.mixer.add(mix, 2, muted=True)
    hall.mixer.coach(2, 1)
    hall.talk({2: speech(3, 1)})
    hall.mixer.remove(2)
    hall.mixer.add(mix, 2)
    hall.mixer.coach(2, 1)
    hall.mixer.remove(1)
    hall.talk({2: speech(3, 1)})
    hall.mixer.add(mix, 1)  # somebody else in the same place
    hall.talk({2: speech(3, 1)})
    assert not hall.ear(0).any()
    assert not hall.ear(1).any()


def test_what_is_played_is_heard_by_all_beside_what_is_said() -> None:
    hall = Hall()
    mix = hall.meet(0, 1)
    tone = np.arange(1, 401, dtype=np.int16)
    hall.mixer.play(mix, tone)
    hall.mixer.play(mix, tone[:200])
    hall.talk({0: speech(5, 1, 0x28)})
    both = tone.astype(np.int32)
    both[:200] *= 2
    assert found(both, hall.ear(0))
    said = np.zeros((5 + DELAY) * FRAME, np.int32)
    said[DELAY * FRAME :] = samples(speech(5, 1, 0x28))
    said[:400] += both
    assert np.array_equal(hall.ear(1), said)
    assert np.array_equal(np.concatenate(hall.whole[mix]), said)


def test_nothing_that_was_said_before_a_member_came_is_heard() -> None:
    hall = Hall()
    mix = hall.meet(1)
    for index in range(5):
        hall.tell(0, speech(5, 1)[index * FRAME : (index + 1) * FRAME])
        hall.frame += 1
    hall.mixer.add(mix, 0)
    hall.talk({0: speech(5, 2)})
    assert found(samples(speech(5, 2)), hall.ear(1))


def test_who_left_is_neither_heard_nor_hears() -> None:
    hall = Hall()
    mix = hall.meet(0, 1)
    hall.mixer.remove(0)
    hall.mixer.remove(0)
    hall.talk({0: speech(5, 1), 1: speech(5, 2)})
    assert 0 not in hall.heard
    assert not hall.ear(1).any()
    hall.mixer.remove(1)
    hall.mixer.close(mix)
    hall.tick()
    assert hall.mixer.open() == mix


@pytest.mark.parametrize("order", [(1, 0, 2, 3, 4, 5), (0, 1, 2, 4, 3, 5), (0, 2, 1, 3, 5, 4)])
def test_packets_that_overtook_each_other_are_heard_in_order(order: tuple[int, ...]) -> None:
    hall = Hall()
    hall.meet(0, 1)
    codes = speech(8, 1)
    hall.talk({0: codes[:FRAME]}, after=0)
    for number in order:
        start = (number + 1) * FRAME
        hall._sequence[0] = number + 1
        hall.tell(0, codes[start : start + FRAME], number + 1)
        hall.tick()
    hall._sequence[0] = 7
    hall.talk({0: codes[7 * FRAME :]}, after=3)
    assert found(samples(codes), hall.ear(1))


def test_a_lost_packet_is_silence_of_its_length() -> None:
    hall = Hall()
    hall.meet(0, 1)
    codes = speech(10, 1)
    for index in range(10):
        if index != 4:
            hall.tell(0, codes[index * FRAME : (index + 1) * FRAME])
        else:
            hall._sequence[0] += 1
        hall.tick()
    for _ in range(DELAY):
        hall.tick()
    expected = samples(codes)
    expected[4 * FRAME : 5 * FRAME] = 0
    assert found(expected, hall.ear(1))


def test_jitter_within_the_delay_does_not_tear_what_is_said() -> None:
    hall = Hall()
    hall.meet(0, 1)
    codes = speech(62, 1)
    late: list[int] = []
    for index in range(62):
        late.append(index)
        if index % 7 not in {3, 4}:  # 40 ms now and then without a packet
            for one in late:
                hall.tell(0, codes[one * FRAME : (one + 1) * FRAME], one)
            late.clear()
        hall.tick()
    for _ in range(DELAY):
        hall.tick()
    assert found(samples(codes), hall.ear(1))


def test_after_a_stall_the_backlog_is_given_up() -> None:
    hall = Hall()
    hall.meet(0, 1)
    codes = speech(60, 1)
    hall.talk({0: codes[: 20 * FRAME]}, after=0)
    for _ in range(25):
        hall.tick()
    for index in range(20, 45):
        hall.tell(0, codes[index * FRAME : (index + 1) * FRAME], index)
    hall.heard.clear()
    hall.frame = 45
    hall.talk({0: codes[45 * FRAME :]}, after=DELAY)
    last = samples(codes[-15 * FRAME - PREFILL + FRAME :])
    assert np.array_equal(hall.ear(1)[: last.size], last)
    assert hall.lines.placed[0] - hall.mixer._read[0] < LONGEST


def test_a_talk_spurt_after_a_silence_without_packets_is_heard_whole_and_soon() -> None:
    hall = Hall()
    hall.meet(0, 1)
    for pause in (SPURT_OVER + 2, LONGEST // FRAME, 200):
        hall.talk({0: speech(1, 3)[:58]}, after=DELAY)  # what follows is not at a whole frame
        for _ in range(pause):
            hall.tick()
        hall.heard.clear()
        hall.talk({0: speech(20, 2)}, after=LONGEST // FRAME)
        assert found(samples(speech(20, 2)), hall.ear(1))
        assert int(np.flatnonzero(hall.ear(1))[0]) < LONGEST
        hall.frame += 5


@pytest.mark.parametrize("size", [58, FRAME, 2 * FRAME, 5 * FRAME + 58])
def test_of_a_talk_spurt_however_short_nothing_is_kept_back(size: int) -> None:
    hall = Hall()
    hall.meet(0, 1)
    codes = speech(6, 1)[:size]
    hall.talk({0: codes}, after=SPURT_OVER)
    assert found(samples(codes), hall.ear(1))


def test_a_backlog_too_long_is_made_short_where_it_is_quiet() -> None:
    hall = Hall()
    hall.meet(0, 1)
    loud, quiet = speech(1, 1), bytes([0x7C]) * FRAME
    assert 0 < np.abs(samples(quiet)).max() <= QUIET
    for one in range(5):  # five packets too early: 80 ms more than is needed
        hall.tell(0, loud, one)
    for index in range(2 * WINDOW):
        hall.tell(0, loud if index % 4 else quiet, 5 + index)
        hall.tick()
    backlog = int(hall.lines.placed[0] - hall.mixer._read[0])
    assert backlog <= PREFILL
    torn = [frame for frame in hall.heard[1] if not np.array_equal(frame, samples(loud))
            and not np.array_equal(frame, samples(quiet))]  # fmt: skip
    assert not torn


def test_a_slower_clock_costs_no_frame_that_is_loud() -> None:
    hall = Hall()
    hall.meet(0, 1)
    loud, quiet = speech(1, 1), bytes([0x7C]) * FRAME
    sent = 0
    for index in range(6 * WINDOW):
        if index % 150 != 149:  # every three seconds a packet less than there should be
            hall.tell(0, quiet if sent % 5 == 4 else loud, sent)
            sent += 1
        hall.tick()
    heard = hall.heard[1][DELAY:]
    assert sum(not frame.any() for frame in heard) == 0
    assert sum(bool(np.array_equal(frame, samples(loud))) for frame in heard) >= sent * 4 // 5 - 4
