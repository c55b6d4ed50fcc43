"""Legs mixed by the engine, on real sockets: each far end hears the sum of the others."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.tape import Desk, Paper
from mediaserver.audio.g711 import (
    ALAW_DECODE,
    ALAW_ENCODE,
    ULAW_DECODE,
    ULAW_ENCODE,
)
from mediaserver.calls.capture import Capture
from mediaserver.calls.ports import MediaLeg
from mediaserver.net.conference import RtpMix
from mediaserver.net.leg import RtpLeg
from mediaserver.net.media import MediaEngine
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction as Side
from mediaserver.rtp.packet import build_packet
from mediaserver.sdp.codec import PCMA, PCMU, Codec
from mediaserver.sdp.negotiation import AudioSession, Direction

Samples = NDArray[np.int16]

BURST = 3
"""Packets that a party says at once: of more, said after a silence, the oldest are given up."""


class Party:
    """A far end with one socket, and its leg."""

    def __init__(self, engine: MediaEngine, codec: Codec = PCMU, ptime: int = 20) -> None:
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind(("127.0.0.1", 0))
        self.rtp.setblocking(False)
        self.kind = 0 if codec is PCMU else 8
        self.encode, self.decode = (
            (ULAW_ENCODE, ULAW_DECODE) if codec is PCMU else (ALAW_ENCODE, ALAW_DECODE)
        )
        self.sequence = 0
        self.timestamp = 0
        self.packets: list[tuple[int, int, int, bytes]] = []
        """Sequence number, timestamp, marker and type, payload of what was heard."""
        self.session = AudioSession(
            remote_rtp=self.rtp.getsockname()[:2],
            remote_rtcp=None,
            rtcp_mux=False,
            receive={self.kind: codec},
            send_payload_type=self.kind,
            send_codec=codec,
            receive_events={101: 8000},
            send_events=(101, 8000),
            comfort_noise=frozenset({13}),
            ptime=ptime,
            direction=Direction.SENDRECV,
            held=False,
        )
        self.leg = engine.open_leg()
        self.leg.connect(self.session, "127.0.0.1")

    def say(self, samples: Samples) -> Samples:
        """Speak at once; return what is understood of it."""
        codes = self.encode[samples.view(np.uint16)]
        for at in range(0, codes.size, 160):
            part = codes[at : at + 160].tobytes()
            packet = build_packet(self.kind, self.sequence, self.timestamp, id(self) & 0xFFFF, part)
            self.sequence += 1
            self.timestamp += len(part)
            self.rtp.sendto(packet, self.leg.address)
        return self.decode[codes]

    def pause(self) -> None:
        """Let the time of the last burst pass in the timestamps."""
        self.timestamp += 8000

    def hear(self) -> Samples:
        """Return all that was heard so far."""
        while True:
            try:
                data = self.rtp.recv(2048)
            except BlockingIOError:
                break
            marker, sequence, timestamp = struct.unpack(">xBHI", data[:8])
            self.packets.append((sequence, timestamp, marker, data[12:]))
        payload = b"".join(packet[3] for packet in self.packets if packet[2] & 0x7F == self.kind)
        return self.decode[np.frombuffer(payload, np.uint8)]

    def understands(self, samples: NDArray[np.int32]) -> Samples:
        """Return how this party hears `samples`."""
        clipped = np.clip(samples, -32768, 32767).astype(np.int16)
        return self.decode[self.encode[clipped.view(np.uint16)]]

    def forget(self) -> None:
        self.hear()
        self.packets.clear()

    def check_stream(self) -> None:
        """See that no packet is missing and every timestamp is where the one before ended."""
        for before, after in zip(self.packets, self.packets[1:], strict=False):
            assert (after[0] - before[0]) & 0xFFFF == 1
            assert (after[1] - before[1]) & 0xFFFF_FFFF == len(before[3])


@pytest.fixture
def party(engine: MediaEngine) -> Iterator[Callable[..., Party]]:
    made: list[Party] = []

    def make(*arguments: object) -> Party:
        made.append(Party(engine, *arguments))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.rtp.close()


@pytest.fixture
def mix(engine: MediaEngine) -> RtpMix:
    return engine.open_mix()


def voice(seed: int, packets: int = BURST, loudness: int = 8000) -> Samples:
    random = np.random.default_rng(seed)
    samples: Samples = random.integers(300, loudness, packets * 160).astype(np.int16)
    samples *= random.choice(np.array([-1, 1], np.int16), samples.size)
    return samples


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the sockets under test tell nobody
            await asyncio.sleep(0.01)


def within(needle: Samples, hay: Samples) -> bool:
    return needle.tobytes() in hay.tobytes()


def hears_sum(party: Party, *said: Samples) -> bool:
    """Tell whether a party heard all of `said` together, to the sample, and nothing else."""
    heard = party.hear()
    return np.array_equal(party.understands(total(heard, said)), heard)


def total(heard: Samples, said: Sequence[Samples]) -> NDArray[np.int32]:
    """Return the sum of `said`, each laid where it is in `heard`."""
    whole = np.zeros(heard.size, np.int32)
    for samples in said:
        at = int(np.argmax(np.correlate(heard.astype(float), samples.astype(float))))
        whole[at : at + samples.size] += samples
    return whole


def silent_after(party: Party, samples: int = 320) -> bool:
    """Tell whether what was heard has come to an end."""
    heard = party.hear()
    loud = np.flatnonzero(np.abs(heard.astype(np.int32)) > 8)
    return bool(loud.size) and heard.size - int(loud[-1]) > samples


async def test_each_party_hears_the_sum_of_the_others(
    engine: MediaEngine, mix: RtpMix, party: Callable[..., Party]
) -> None:
    parties = [party(), party(PCMA), party(), party(PCMU, 30)]
    for one in parties:
        mix.add(one.leg)
    said = [one.say(voice(seed)) for seed, one in enumerate(parties[:3])]
    await until(lambda: all(silent_after(one) for one in parties))
    first, second, third, all_ears = parties
    assert hears_sum(first, said[1], said[2])
    assert hears_sum(second, said[0], said[2])
    assert hears_sum(third, said[0], said[1])
    assert hears_sum(all_ears, *said)
    for one in parties:
        one.check_stream()
        assert [packet[2] >> 7 for packet in one.packets] == [1] + [0] * (len(one.packets) - 1)


async def test_who_is_muted_or_left_is_not_heard(
    engine: MediaEngine, mix: RtpMix, party: Callable[..., Party]
) -> None:
    muted, gone, here, stranger = (party() for _ in range(4))
    mix.add(muted.leg, muted=True)
    mix.add(gone.leg)
    mix.add(here.leg)
    other = engine.open_mix()
    other.add(stranger.leg)
    mix.remove(gone.leg)
    other.remove(here.leg)  # of another mix: nothing
    muted.say(voice(1))
    gone.say(voice(2))
    stranger.say(voice(3))
    heard = here.say(voice(4))
    await until(lambda: silent_after(muted))
    assert within(heard, muted.hear())
    assert not here.hear().any()
    assert not stranger.hear().any()
    assert gone.hear().size == 0
    mix.close()
    mix.close()
    here.forget()
    await asyncio.sleep(0.06)
    assert here.hear().size == 0


async def test_a_leg_that_is_closed_leaves_and_its_place_is_nobodys(
    engine: MediaEngine, mix: RtpMix, party: Callable[..., Party]
) -> None:
    one, other, coach = party(), party(), party()
    for each in (one, other, coach):
        mix.add(each.leg)
    mix.coach(coach.leg, other.leg)
    other.leg.close()
    mix.coach(coach.leg, other.leg)
    mix.remove(other.leg)
    newcomer = party()  # in the place of the one that was closed
    assert newcomer.leg.slot == other.leg.slot
    mix.remove(other.leg)
    mix.add(newcomer.leg)
    mix.add(other.leg)
    coach.say(voice(1))
    heard = newcomer.say(voice(2))
    await until(lambda: within(heard, one.hear()))
    assert not newcomer.hear().any()
    assert not within(voice(1)[:160], one.hear())


async def test_who_holds_the_call_neither_hears_nor_is_heard(
    engine: MediaEngine, mix: RtpMix, party: Callable[..., Party]
) -> None:
    holder, other = party(), party()
    told: list[tuple[MediaLeg, bool]] = []
    mix.on_hold = lambda leg, held: told.append((leg, held))
    for one in (holder, other):
        mix.add(one.leg)
    await until(lambda: holder.hear().size > 0)
    held = replace(holder.session, direction=Direction.RECVONLY, held=True)
    holder.leg.connect(held, "127.0.0.1")
    await until(lambda: bool(told))
    holder.hear()
    before = len(holder.packets)
    holder.say(voice(1))
    other.forget()
    await until(lambda: other.hear().size >= 1600)
    assert not other.hear().any()
    holder.hear()
    assert len(holder.packets) == before
    holder.leg.connect(holder.session, "127.0.0.1")
    holder.pause()
    other.pause()
    heard = other.say(voice(2))
    await until(lambda: within(heard, holder.hear()))
    assert told == [(holder.leg, True), (holder.leg, False)]
    first, second = holder.packets[before - 1], holder.packets[before]
    assert (second[0] - first[0]) & 0xFFFF == 1, "the sequence goes on"
    assert second[1] - first[1] > 160, "and the timestamp with time"
    assert second[2] >> 7, "as a new talk spurt"


async def test_a_prompt_takes_a_members_ear_and_its_stream_goes_on(
    engine: MediaEngine, mix: RtpMix, party: Callable[..., Party]
) -> None:
    one, other = party(), party()
    await one.leg.play(voice(9, 2))
    for each in (one, other):
        mix.add(each.leg)
    await until(lambda: one.hear().size >= 800)
    prompt = voice(7, 10)
    await one.leg.play(prompt)
    await asyncio.sleep(0.05)  # its last frame was sent, and is heard now
    heard = other.say(voice(8))
    await until(lambda: within(heard, one.hear()))
    assert within(one.understands(prompt.astype(np.int32)), one.hear())
    sequence = [packet[0] for packet in one.packets]
    assert [(n - sequence[0]) & 0xFFFF for n in sequence] == list(range(len(sequence)))
    stamps = np.array([packet[1] for packet in one.packets]).astype(np.uint32)
    assert (np.diff(stamps).astype(np.int32) >= 160).all(), "no instant twice"


async def test_digits_are_sent_in_place_of_the_mix(
    engine: MediaEngine, mix: RtpMix, party: Callable[..., Party]
) -> None:
    one = party()
    mix.add(one.leg)
    await until(lambda: one.hear().size > 0)
    await one.leg.send_digits("5")
    one.hear()
    kinds = [packet[2] & 0x7F for packet in one.packets]
    first, last = kinds.index(101), len(kinds) - kinds[::-1].index(101)
    assert set(kinds[first:last]) == {101}


async def test_what_is_played_to_all_is_heard_by_all(
    engine: MediaEngine, mix: RtpMix, party: Callable[..., Party]
) -> None:
    parties = [party(), party(PCMA)]
    for one in parties:
        mix.add(one.leg)
    tone = voice(1, 5)
    mix.play(tone)
    for one in parties:
        await until(lambda one=one: within(one.understands(tone.astype(np.int32)), one.hear()))  # type: ignore[misc]


def recorded(desk: Desk, leg: RtpLeg, engine: MediaEngine) -> tuple[Capture, Paper, Paper]:
    capture = Capture(leg, desk, engine.clock)
    capture.start(StopRules(max_length=60))
    return capture, desk.papers[Side.SPEAK], desk.papers[Side.LISTEN]


@pytest.mark.parametrize("codec", [PCMU, PCMA])
async def test_the_journal_holds_what_a_member_was_sent(
    engine: MediaEngine, desk: Desk, mix: RtpMix, party: Callable[..., Party], codec: Codec
) -> None:
    one, other = party(codec), party()
    capture, _, listen = recorded(desk, one.leg, engine)
    for each in (one, other):
        mix.add(each.leg)
    for seed in range(3):
        other.say(voice(seed))
        other.pause()
        await asyncio.sleep(0.12)
    await one.leg.play(voice(4, 3))
    other.say(voice(5))
    await until(lambda: silent_after(one))
    capture.hang_up()
    mix.remove(one.leg)
    heard = one.hear()
    stamps = np.array([packet[1] for packet in one.packets], np.int64) - one.packets[0][1]
    loud = np.flatnonzero(heard)[0] // 160
    frame = heard[loud * 160 : loud * 160 + 160]
    start = listen.samples.tobytes().index(frame.tobytes()) // 2 - int(stamps[loud])
    for index, stamp in enumerate(stamps.tolist()):
        frame = heard[index * 160 : index * 160 + 160]
        at = start + stamp
        assert np.array_equal(listen.samples[at : at + 160], frame), index


async def test_a_mix_is_recorded_whole(
    engine: MediaEngine, desk: Desk, mix: RtpMix, party: Callable[..., Party]
) -> None:
    parties = [party(), party(PCMA)]
    capture = Capture(mix.line(), desk, engine.clock)
    take = capture.start(StopRules(max_length=60))
    for one in parties:
        mix.add(one.leg)
    said = [one.say(voice(n)) for n, one in enumerate(parties)]
    await until(lambda: all(silent_after(one) for one in parties))
    parties[0].leg.close()
    parties[1].pause()
    before = mix.line().now()
    alone = parties[1].say(voice(7))
    await until(lambda: mix.line().now() > before + 1600)
    mix.close()
    end = mix.line().end()
    capture.hang_up()
    assert take.stopped.result().position == end
    journal = desk.papers[Side.SPEAK].samples
    assert np.array_equal(journal, total(journal, [*said, alone]))
    assert mix.line() is mix.line()
    assert desk.papers[Side.LISTEN].writes == []


async def test_a_late_tick_makes_what_it_owes(
    engine: MediaEngine, mix: RtpMix, party: Callable[..., Party]
) -> None:
    one, other = party(), party()
    for each in (one, other):
        mix.add(each.leg)
    await until(lambda: one.hear().size > 0)
    heard = other.say(voice(1))
    time.sleep(0.07)  # noqa: ASYNC251 - the loop is to be late
    await until(lambda: within(heard, one.hear()))
    one.check_stream()
    time.sleep(0.3)  # noqa: ASYNC251
    before = len(one.packets)
    await until(lambda: one.hear().size >= (before + 8) * 160)
    sequence = [packet[0] for packet in one.packets]
    assert [(n - sequence[0]) & 0xFFFF for n in sequence] == list(range(len(sequence)))
    skipped = max(np.diff(np.array([packet[1] for packet in one.packets], np.uint32)).astype(int))
    assert skipped > 160, "what is later than that is skipped in time"


async def test_a_leg_changes_from_a_join_to_a_mix_and_back(
    engine: MediaEngine, mix: RtpMix, party: Callable[..., Party]
) -> None:
    one, other = party(), party()
    engine.join(one.leg, other.leg)
    mix.add(one.leg)
    other.say(voice(1))
    await until(lambda: one.hear().size >= 1600)
    assert not one.hear().any()
    mix.add(other.leg)
    other.pause()
    heard = other.say(voice(2))
    await until(lambda: within(heard, one.hear()))
    mix.close()
    engine.join(one.leg, other.leg)
    other.pause()
    heard = other.say(voice(3))
    await until(lambda: within(heard, one.hear()))
    sequence = [packet[0] for packet in one.packets]
    assert [(n - sequence[0]) & 0xFFFF for n in sequence] == list(range(len(sequence)))
