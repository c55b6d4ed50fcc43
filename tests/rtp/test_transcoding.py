"""Legs that speak G.722 and Opus: what is heard of them, and what is sent to them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from farend.speech import encode, event, passage
from farend.talker import Timed
from farend.waveform import Samples, similarity
from farend.wide import (
    CLOCKS,
    NUMBERS,
    WideTalker,
    bright,
    brightness,
    coded,
    resampled,
    steps_apart,
    understood,
)
from mediaserver.audio import phone_codec
from mediaserver.audio.opus import frame_duration
from mediaserver.rtp.codecs import Decoder, Encoder, Format, Heard, Terms
from mediaserver.rtp.dtmf import SEGMENT_LIMIT, event_packets
from mediaserver.rtp.packet import HEADER, build_packet, wrap_distance
from mediaserver.rtp.transcoding import MOST_EARLY, Transcoding

WIDE = tuple(CLOCKS)
ALIKE = {"G722": 0.97, "opus": 0.9}
"""What the codec leaves of speech at 8 kHz."""
BRIGHT = {"G722": 0.95, "opus": 0.75}
"""What it leaves of a sweep up to 7 kHz at 16 kHz."""
NEAR = 8
"""Samples, 1 ms, by which a codec's lateness may be missed."""
MARGIN = 160
PCMU, EVENTS, NOISE = 0, 101, 13


class Codecs:
    """The codecs of the server, loaded or not."""

    def __init__(self, *, loaded: bool = True) -> None:
        self.loaded = loaded
        self.begun = False

    def begin(self) -> None:
        self.begun = True

    def decoder(self, name: str) -> Decoder:
        return phone_codec.G722Decoder() if name == "G722" else phone_codec.OpusDecoder()

    def encoder(self, name: str, ptime: int) -> Encoder:
        return phone_codec.G722Encoder() if name == "G722" else phone_codec.OpusEncoder(ptime)


def terms(name: str, ptime: int = 20, event_rate: int = 0) -> Terms:
    clock = CLOCKS.get(name, 8000)
    number = NUMBERS.get(name, PCMU)
    form = Format(name, clock, coded=name in CLOCKS)
    formats = {NUMBERS[one]: Format(one, CLOCKS[one], coded=True) for one in WIDE}
    rate = event_rate or clock
    return Terms(
        heard={**formats, PCMU: Format("PCMU", 8000, coded=False), number: form},
        events={EVENTS: rate},
        send=number,
        sent=form,
        sent_events={EVENTS: rate},
        ptime=ptime,
    )


def leg(name: str, ptime: int = 20) -> Transcoding:
    return Transcoding(Codecs(), terms(name, ptime))


@pytest.fixture(scope="module")
def speech(speech_files: tuple[Path, ...]) -> Samples:
    return passage(speech_files, 4.8)[1]


def heard(transcoding: Transcoding, packets: Iterable[Timed]) -> list[bytes]:
    """Return what packets say, each looked for in the order it comes in."""
    pieces: list[bytes] = []
    now = 0.0
    for timed in sorted(packets, key=lambda timed: timed.arrival):
        now = timed.arrival
        pieces += [one.packet for one in transcoding.hear_rest(now - 0.06)]
        pieces += [one.packet for one in transcoding.hear(timed.packet, now)]
    return pieces + [one.packet for one in transcoding.hear_rest(now)]


def laid(pieces: Iterable[bytes], origin: int | None = None) -> Samples:
    """Return the samples where their timestamps put them, after `MARGIN` of silence."""
    line = np.zeros(80_000, np.int16)
    for piece in pieces:
        stamp = int.from_bytes(piece[4:8], "big")
        origin = stamp if origin is None else origin
        at = MARGIN + wrap_distance(stamp, origin, 32)
        samples = np.frombuffer(piece[HEADER:], np.int16)
        line[at : at + samples.size] = samples
    return line


def check(
    name: str, sent: Samples, line: Samples, alike: float | None = None, near: int = NEAR
) -> None:
    """Check that a line holds what was sent, where it was sent."""
    lag, shape = similarity(sent, line)
    assert abs(lag - MARGIN) <= near
    assert shape > (ALIKE[name] if alike is None else alike)


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("ptime", [10, 20, 40, 60])
def test_speech_is_heard_where_it_was_said_while_both_counters_wrap(
    name: str, ptime: int, speech: Samples
) -> None:
    pieces = heard(leg(name), WideTalker(name).say(speech, ptime))
    check(name, speech, laid(pieces))
    ends = [int.from_bytes(p[4:8], "big") + (len(p) - HEADER) // 2 for p in pieces]
    starts = [int.from_bytes(p[4:8], "big") for p in pieces[1:]]
    assert [end & 0xFFFF_FFFF for end in ends[:-1]] == starts


@pytest.mark.parametrize("name", WIDE)
def test_frames_may_change_in_length(name: str, speech: Samples) -> None:
    talker = WideTalker(name)
    packets = []
    if name == "G722":
        octets, start = b"".join(coded(name, speech)), 0
        for ptime in (10, 20, 30, 40, 60, 120, 5) * 16:
            packets += talker.send([octets[start : start + 8 * ptime]], ptime)
            start += 8 * ptime
        packets = [timed for timed in packets if len(timed.packet) > HEADER]
    else:
        for number, frame in enumerate(speech.reshape(-1, 960)):
            packets += talker.say(frame, (10, 20, 40, 60)[number % 4])
    line = laid(heard(leg(name), packets))
    # Another encoder begins anew at each change of Opus.
    check(name, speech[: 4 * 8000], line, None if name == "G722" else 0.75)


@pytest.mark.parametrize(("ms", "layout"), [("2.5", "mono"), ("5", "mono"), ("20", "stereo")])
def test_the_shortest_frames_of_opus_and_stereo_are_heard(
    ms: str, layout: str, speech: Samples
) -> None:
    payloads = other_opus(resampled(speech, 6), ms, layout)
    pieces = heard(leg("opus"), WideTalker("opus").send(payloads, float(ms)))
    # An encoder of frames so short looks ahead by 2.5 ms instead of 6.5.
    check("opus", speech, laid(pieces), near=NEAR if ms == "20" else 40)


def other_opus(samples: Samples, ms: str, layout: str) -> list[bytes]:
    """Return packets of Opus at 48 kHz."""
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = 48_000, layout, "s16"
    codec.bit_rate = 64_000
    codec.options = {"frame_duration": ms, "application": "audio"}
    codec.open()
    size = round(48 * float(ms))
    channels = 1 if layout == "mono" else 2
    packets = []
    for frame in samples[: samples.size // size * size].reshape(-1, size):
        given = np.repeat(frame, channels).reshape(1, -1)
        made = av.AudioFrame.from_ndarray(given, format="s16", layout=layout)
        made.sample_rate = 48_000
        packets += [bytes(packet) for packet in codec.encode(made)]
    return packets


@pytest.mark.parametrize("name", WIDE)
def test_packets_that_overtook_one_another_are_heard_in_order(name: str, speech: Samples) -> None:
    packets = WideTalker(name).say(speech)
    straight = heard(leg(name), packets)
    chance = random.Random(4)
    mixed = [Timed(timed.arrival + chance.uniform(0, 0.05), timed.packet) for timed in packets]
    mixed = [packets[0], *mixed[1:], *mixed[7::9]]  # some of them twice
    assert heard(leg(name), mixed) == straight


@pytest.mark.parametrize("name", WIDE)
def test_what_is_lost_stays_a_gap_and_what_follows_is_heard(name: str, speech: Samples) -> None:
    packets = WideTalker(name).say(speech)
    lost = set(range(20, len(packets), 25))
    pieces = heard(leg(name), [timed for n, timed in enumerate(packets) if n not in lost])
    assert len(pieces) == len(packets) - len(lost)
    line = laid(pieces)
    holed = speech.copy()
    late = phone_codec.G722Decoder.delay if name == "G722" else phone_codec.OpusDecoder.delay
    for number in lost:
        gap = slice(number * 160 - late, number * 160 - late + 160)
        holed[gap] = 0
        assert not line[gap.start + MARGIN : gap.stop + MARGIN].any()
    check(name, holed, line, ALIKE[name] - 0.05)


@pytest.mark.parametrize("name", WIDE)
def test_what_follows_a_loss_is_no_louder_than_what_was_said(name: str) -> None:
    said = bright(4.0) // 12
    packets = WideTalker(name, rate=16_000).say(said, 10)
    chance = random.Random(1)
    loudest = 0
    for _ in range(3):
        transcoding, kept = leg(name), [one for one in packets if chance.random() > 0.05]
        came = [one for timed in kept for one in transcoding.hear(timed.packet, timed.arrival)]
        came += transcoding.hear_rest(5.0)
        loudest = max(loudest, *(np.abs(one.wide).max() for one in came if one.wide is not None))
    assert loudest < 3 * said.max()


@pytest.mark.parametrize("name", WIDE)
def test_what_comes_after_it_was_given_up_fills_its_gap(name: str, speech: Samples) -> None:
    packets = WideTalker(name).say(speech)
    late = Timed(packets[40].arrival + 0.4, packets[40].packet)
    pieces = heard(leg(name), [*packets[:40], *packets[41:], late, late])
    assert len(pieces) == len(packets)
    check(name, speech, laid(pieces), ALIKE[name] - 0.03)


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("ptime", [10, 20, 60])
def test_what_is_heard_is_had_at_16_khz_as_well_and_in_step(name: str, ptime: int) -> None:
    said, transcoding = bright(3.0), leg(name)
    packets = WideTalker(name, rate=16_000).say(said, ptime)
    pieces = [one for timed in packets for one in transcoding.hear(timed.packet, timed.arrival)]
    narrow = np.concatenate([np.frombuffer(one.packet[HEADER:], np.int16) for one in pieces])
    wide = np.concatenate([one.wide for one in pieces if one.wide is not None])
    assert wide.size == 2 * narrow.size
    assert steps_apart(narrow, wide) == 0
    assert brightness(wide) > 0.8 * brightness(said) > 0.2
    lag, alike = similarity(said[:40_000], wide)
    assert abs(lag) <= 2 * NEAR
    assert alike > BRIGHT[name]


def test_g711_has_nothing_beyond_the_line(speech: Samples) -> None:
    transcoding = leg("G722")
    (one,) = transcoding.hear(build_packet(PCMU, 5, 800, 1, encode("PCMU", speech[:160])), 0.0)
    assert one.wide is None
    assert one.coded is None


@pytest.mark.parametrize("ptime", [20, 60])
@pytest.mark.parametrize("name", WIDE)
def test_what_the_other_side_speaks_too_is_sent_as_it_came(
    name: str, ptime: int, speech: Samples
) -> None:
    ear, mouth = leg(name), leg(name)
    packets = WideTalker(name).say(speech[:9600], ptime)
    sent: list[bytes] = []
    sequence, stamp_at = 60_000, 0xFFFF_FF00
    for timed in packets:
        (one,) = ear.hear(timed.packet, timed.arrival)
        plain = encode("PCMU", np.frombuffer(one.packet[HEADER:], np.int16))
        kind = mouth.terms.send
        sent += mouth.say(build_packet(kind, sequence, stamp_at, 7, plain), one.coded)
        sequence, stamp_at = sequence + 1 & 0xFFFF, stamp_at + len(plain) & 0xFFFF_FFFF
    assert [p[HEADER:] for p in sent] == [timed.packet[HEADER:] for timed in packets]
    steps = {wrap_distance(stamp(b), stamp(a), 32) for a, b in pairwise(sent)}
    assert steps == {CLOCKS[name] * ptime // 1000}
    # What comes of the server itself afterwards goes on behind it.
    own = mouth.say(build_packet(mouth.terms.send, sequence, stamp_at, 7, plain[-160:]))
    assert wrap_distance(stamp(own[0]), stamp(sent[-1]), 32) == CLOCKS[name] * ptime // 1000


@pytest.mark.parametrize(("name", "other"), [("G722", "opus"), ("opus", "G722")])
def test_what_the_other_side_does_not_speak_is_made_for_it(
    name: str, other: str, speech: Samples
) -> None:
    ear, mouth = leg(name), leg(other)
    (first, *_) = WideTalker(name).say(speech[:320])
    (one,) = ear.hear(first.packet, 0.0)
    assert one.coded is not None
    assert ear.sends(one.coded.name)
    assert not mouth.sends(one.coded.name)
    packet = build_packet(mouth.terms.send, 1, 0, 7, encode("PCMU", speech[:160]))
    assert mouth.say(packet, one.coded)[0][HEADER:] == leg(other).say(packet)[0][HEADER:]


@pytest.mark.parametrize("name", WIDE)
def test_nobody_waits_longer_than_three_packets(name: str, speech: Samples) -> None:
    transcoding = leg(name)
    packets = WideTalker(name).say(speech[:1600])
    counts = [len(transcoding.hear(t.packet, t.arrival)) for n, t in enumerate(packets) if n != 2]
    assert counts == [1, 1, 0, 0, 3, 1, 1, 1, 1]


def test_silence_that_opus_does_not_send_is_a_gap(speech: Samples) -> None:
    talker = WideTalker("opus")
    packets = talker.say(speech[:16_000])
    packets += talker.send([b"\x08"])  # a frame that says: nothing
    talker.pause(2.0)
    packets += talker.say(speech[16_000:32_000])
    line = laid(heard(leg("opus"), packets))
    check("opus", speech[:16_000], line[: MARGIN + 16_000])
    lag, alike = similarity(speech[16_000:32_000], line[MARGIN + 32_000 :])
    assert abs(lag - 160) <= NEAR
    assert alike > ALIKE["opus"]


@pytest.mark.parametrize("name", WIDE)
def test_another_stream_is_heard_from_its_first_packet(name: str, speech: Samples) -> None:
    transcoding = leg(name)
    heard(transcoding, WideTalker(name).say(speech[:3200]))
    talker = WideTalker(name, ssrc=99, sequence=7, timestamp=12)
    pieces = heard(transcoding, talker.say(speech))
    assert pieces[0][8:HEADER] == (99).to_bytes(4, "big")
    check(name, speech, laid(pieces))


@pytest.mark.parametrize("name", WIDE)
def test_a_count_that_restarts_is_heard_on(name: str, speech: Samples) -> None:
    talker, payloads = WideTalker(name), coded(name, speech)
    packets = talker.send(payloads[:100])
    talker.sequence = 20_000
    packets += talker.send(payloads[100:])
    check(name, speech, laid(heard(leg(name), packets)))


@pytest.mark.parametrize("name", WIDE)
def test_random_octets_are_counted_and_the_call_goes_on(name: str, speech: Samples) -> None:
    transcoding = leg(name)
    chance = random.Random(5)
    number = NUMBERS[name]
    for _ in range(2000):
        size = chance.choice((0, 1, 3, 40, 200, 1300))
        head = bytes([0x80, chance.choice((number, number | 0x80, chance.randrange(256)))])
        head += chance.randbytes(2) + chance.randbytes(4)
        head += chance.choice((bytes(4), chance.randbytes(4)))
        for piece in transcoding.hear(head + chance.randbytes(size), 0.0):
            assert len(piece.packet) <= HEADER + 2 * 960 or piece.packet[1] & 0x7F != number
        transcoding.hear_rest(-1.0)
    assert transcoding.undecodable > 0
    check(name, speech, laid(heard(transcoding, WideTalker(name, ssrc=9).say(speech))))


@pytest.mark.parametrize("name", WIDE)
def test_g711_of_before_stays_understood(name: str, speech: Samples) -> None:
    transcoding = leg(name)
    payload = encode("PCMU", speech[:160])
    old = build_packet(PCMU, 5, 800, 1, payload)
    assert transcoding.hear(old, 0.0) == [Heard(old, 0.0)]
    # The same source goes on in the other codec: the line is to decide where that lies.
    first = build_packet(NUMBERS[name], 6, 960, 1, coded(name, speech[:160])[0])
    (piece,) = (one.packet for one in transcoding.hear(first, 0.02))
    leap = wrap_distance(int.from_bytes(piece[4:8], "big"), 960, 32)
    assert leap == 0 if name == "G722" else abs(leap) > 8000 * 3600


@pytest.mark.parametrize(("name", "rate"), [("G722", 8000), ("opus", 48_000), ("opus", 8000)])
def test_a_key_keeps_its_place_and_its_length(name: str, rate: int, speech: Samples) -> None:
    transcoding = Transcoding(Codecs(), terms(name, event_rate=rate))
    talker = WideTalker(name)
    packets = talker.say(speech[:3200])
    payloads = [p.payload for p in event_packets("5", clock_rate=rate)]
    packets += talker.press(payloads, EVENTS)
    pieces = heard(transcoding, packets)
    keys = [p for p in pieces if p[1] & 0x7F == EVENTS]
    assert {wrap_distance(stamp(p), stamp(pieces[0]), 32) for p in keys} == {3200}
    lengths = [int.from_bytes(p[HEADER + 2 :], "big") for p in keys]
    assert lengths == [160, 320, 480, 640, 800, 800, 800, 800]
    assert [p[HEADER : HEADER + 2] for p in keys] == [p[:2] for p in payloads]


def stamp(packet: bytes) -> int:
    return int.from_bytes(packet[4:8], "big")


def test_a_key_held_for_seconds_is_one_key_by_either_clock() -> None:
    """At 48 kHz a segment is full after 1.4 s, at 8 kHz after 8.2 s (RFC 4733 2.5.1.3)."""
    transcoding = leg("opus")
    said = [
        piece
        for number, length in enumerate(range(160, 20_000, 160))
        for piece in transcoding.say(build_packet(EVENTS, number, 4000, 1, event(7, length)))
    ]
    assert [int.from_bytes(p[2:4], "big") for p in said] == list(range(len(said)))
    starts = sorted({stamp(p) for p in said})
    assert starts == [4000, 4000 + SEGMENT_LIMIT]
    full = [p for p in said if p[HEADER + 2 :] == b"\xff\xff"]
    assert [stamp(p) for p in full] == [4000]
    ear = leg("opus")
    back = [one.packet for packet in said for one in ear.hear(packet, 0.0)]
    assert len({stamp(p) for p in back}) == 1
    assert int.from_bytes(back[-1][HEADER + 2 :], "big") == 19_840


def test_noise_has_the_clock_of_the_audio(speech: Samples) -> None:
    talker = WideTalker("opus")
    packets = talker.say(speech[:320]) + talker.send([b"\x40"], kind=NOISE)
    pieces = heard(leg("opus"), packets)
    assert pieces[-1][1] & 0x7F == NOISE
    assert pieces[-1][HEADER:] == b"\x40"
    assert wrap_distance(stamp(pieces[-1]), stamp(pieces[0]), 32) == 320


@pytest.mark.parametrize("name", WIDE)
def test_what_comes_before_the_codecs_are_loaded_is_not_lost(name: str, speech: Samples) -> None:
    codecs = Codecs(loaded=False)
    transcoding = Transcoding(codecs, terms(name))
    packets = WideTalker(name).say(speech)
    early = packets[:MOST_EARLY]
    assert [transcoding.hear(t.packet, t.arrival) for t in early] == [[]] * MOST_EARLY
    assert codecs.begun
    assert transcoding.hear_rest(1e9) == []
    codecs.loaded = True
    pieces = transcoding.hear_rest(0.0)
    assert [one.arrival for one in pieces] == [t.arrival for t in early]
    rest = heard(transcoding, packets[MOST_EARLY:])
    check(name, speech, laid([*(one.packet for one in pieces), *rest]))


def said(
    transcoding: Transcoding, samples: Samples, ptime: float = 20, sequence: int = 65_530
) -> list[bytes]:
    """Return what is sent for samples in packets of PCMU."""
    payload, size = encode("PCMU", samples), round(8 * ptime)
    packets: list[bytes] = []
    number = NUMBERS[transcoding.terms.sent.name]
    for index, start in enumerate(range(0, len(payload), size)):
        part = payload[start : start + size]
        packet = build_packet(
            number, sequence + index, 0xFFFF_FF00 + start, 77, part, marker=index == 0
        )
        packets += transcoding.say(packet)
    return packets


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
def test_speech_is_sent_whole_in_packets_that_follow_one_another(
    name: str, ptime: int, speech: Samples
) -> None:
    packets = said(leg(name, ptime), speech, ptime)
    lag, alike = similarity(speech[:38_000], understood(name, packets))
    assert lag < 80  # what the codecs take: the far end knows
    assert alike > ALIKE[name]
    numbers = [int.from_bytes(p[2:4], "big") for p in packets]
    assert numbers == [65_530 + n & 0xFFFF for n in range(len(packets))]
    assert [p[1] >> 7 for p in packets] == [1] + [0] * (len(packets) - 1)
    assert {p[8:HEADER] for p in packets} == {(77).to_bytes(4, "big")}
    steps = [wrap_distance(stamp(b), stamp(a), 32) for a, b in pairwise(packets)]
    spans = [frame_duration(p[HEADER:]) if name == "opus" else len(p) - HEADER for p in packets]
    assert steps == spans[:-1]


@pytest.mark.parametrize("name", WIDE)
def test_a_packet_is_as_long_as_the_far_end_wants_it_or_shorter(name: str, speech: Samples) -> None:
    transcoding = leg(name, 20)
    packets = said(transcoding, speech[:4800], 60)
    assert len(packets) == (30 if name == "opus" else 10)
    assert transcoding.added_packets == len(packets) - 10
    octets = sum(len(packet) - HEADER for packet in packets)
    assert transcoding.added_octets == octets - 4800


@pytest.mark.parametrize("name", WIDE)
def test_the_last_frame_of_a_prompt_is_filled_up(name: str, speech: Samples) -> None:
    packets = said(leg(name), speech[: 1600 + 57])
    assert len(packets) == 11
    if name == "opus":
        assert frame_duration(packets[-1][HEADER:]) == 960


@pytest.mark.parametrize("name", WIDE)
def test_a_gap_in_what_is_sent_stays_a_gap(name: str, speech: Samples) -> None:
    transcoding = leg(name)
    first = said(transcoding, speech[:1600], sequence=10)
    again = build_packet(NUMBERS[name], 25, 0xFFFF_FF00 + 8000, 77, encode("PCMU", speech[:160]))
    (packet,) = transcoding.say(again)
    assert int.from_bytes(packet[2:4], "big") == 25
    ticks = CLOCKS[name] // 8000
    assert wrap_distance(stamp(packet), stamp(first[0]), 32) == 8000 * ticks


@pytest.mark.parametrize("name", WIDE)
def test_a_negotiation_in_mid_call_changes_the_codec_and_keeps_the_count(
    name: str, speech: Samples
) -> None:
    transcoding = leg(name)
    before = said(transcoding, speech[:1600], sequence=10)
    transcoding.agree(terms("PCMU"))
    plain = build_packet(PCMU, 20, 0xFFFF_FF00 + 1600, 77, encode("PCMU", speech[:160]))
    (packet,) = transcoding.say(plain)
    assert packet[HEADER:] == plain[HEADER:]
    assert int.from_bytes(packet[2:4], "big") == 20
    ticks = CLOCKS[name] // 8000
    assert wrap_distance(stamp(packet), stamp(before[0]), 32) == 1600 * ticks
    transcoding.agree(terms(name))
    (packet,) = transcoding.say(
        build_packet(NUMBERS[name], 21, 0xFFFF_FF00 + 1760, 77, encode("PCMU", speech[:160]))
    )
    assert wrap_distance(stamp(packet), stamp(before[0]), 32) == 1600 * ticks + 160


@pytest.mark.parametrize("name", WIDE)
def test_nothing_is_sent_until_the_codecs_are_loaded(name: str, speech: Samples) -> None:
    codecs = Codecs(loaded=False)
    transcoding = Transcoding(codecs, terms(name))
    assert said(transcoding, speech[:1600], sequence=10) == []
    assert codecs.begun
    codecs.loaded = True
    packets = said(transcoding, speech[:1600], sequence=20)
    assert int.from_bytes(packets[0][2:4], "big") == 10
    assert transcoding.added_packets == -10


def test_a_report_counts_by_the_clock_on_the_wire(speech: Samples) -> None:
    transcoding = leg("opus")
    packets = said(transcoding, speech[:1600])
    at = transcoding.stamp(0xFFFF_FF00 + 800)
    assert wrap_distance(at, stamp(packets[0]), 32) == 4800
    assert transcoding.clock_rate == 48_000
