"""What is noted of a line: where packets were lost, keys held, the call on hold."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from farend.impairment import duplicate, lose, reorder
from farend.speech import event, key_payloads
from farend.talker import KINDS, SLOT, Heard, Talker, Timed
from mediaserver.rtp.spans import FOREVER, MOST, MOST_HOLDS, WINDOW, Kind, Spans, pack, unpack

Noise = Callable[[float], bytes]
REACH = 8400
FRAME = 160


@pytest.fixture
def kept(heard: Heard) -> Heard:
    """A line of which notes are taken."""
    heard.lines.spans.keep(SLOT, 0)
    return heard


def notes(heard: Heard) -> NDArray[np.int64]:
    return unpack(heard.lines.spans.take(SLOT, whole=True))


def marked(spans: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """Return for each sample whether it counts as lost."""
    lost = np.zeros(size, np.bool_)
    for kind, start, end in spans:
        if kind in {Kind.LOST, Kind.FILLED}:
            lost[start:end] = kind == Kind.LOST
    return lost


def test_nothing_is_noted_of_a_clean_stream(kept: Heard, talker: Talker, noise: Noise) -> None:
    kept.feed(talker.say(noise(3.0)), until=3.5)
    assert notes(kept).size == 0
    assert not kept.lines.spans.dirty


@pytest.mark.parametrize("seed", range(4))
def test_what_is_lost_is_noted_to_the_sample_in_any_disorder(
    kept: Heard, talker: Talker, noise: Noise, seed: int
) -> None:
    packets, missing = lose(talker.say(noise(8.0)), 0.15, seed)
    kept.feed(duplicate(reorder(packets, 0.1, seed), 0.1, seed), until=9.0)
    lost = marked(notes(kept), 64_000)
    expected = np.zeros((400, FRAME), np.bool_)
    expected[missing] = True
    assert np.array_equal(lost, expected.reshape(-1))


def test_what_was_written_as_lost_is_taken_back_when_it_comes(
    kept: Heard, talker: Talker, noise: Noise
) -> None:
    packets = talker.say(noise(2.0))
    late = [Timed(packets[n].arrival + 0.4, packets[n].packet) for n in (40, 42)]
    rest = [p for n, p in enumerate(packets) if n not in {40, 41, 42}]
    kept.feed([p for p in rest if p.arrival < 0.95], until=0.98)
    before = notes(kept)
    kept.feed([*[p for p in rest if p.arrival >= 0.95], *late, late[0]], until=2.5)
    spans = np.concatenate([before, notes(kept)])
    assert marked(before, 16_000).sum() == 3 * FRAME
    lost = np.flatnonzero(marked(spans, 16_000))
    assert (lost[0], lost[-1] + 1, lost.size) == (41 * FRAME, 42 * FRAME, FRAME)
    assert len(spans) == 3, "a copy of what came late is noted once"


def test_silence_that_was_never_sent_is_not_lost(kept: Heard, talker: Talker, noise: Noise) -> None:
    packets = talker.say(noise(1.0))
    talker.pause(2.0)
    packets += talker.say(noise(1.0))
    kept.feed(packets, until=4.5)
    assert notes(kept).size == 0


def test_of_a_pause_with_losses_only_the_lost_packets_are_lost(
    kept: Heard, talker: Talker, noise: Noise
) -> None:
    packets = talker.say(noise(1.0))[:-2]
    talker.pause(2.0)
    packets += talker.say(noise(1.0))
    kept.feed(packets, until=4.5)
    assert notes(kept).tolist() == [[Kind.LOST, 48 * FRAME, 50 * FRAME]]


def test_packets_lost_just_before_a_key_are_lost_and_the_key_is_none(
    kept: Heard, talker: Talker, noise: Noise
) -> None:
    packets = talker.say(noise(1.0))[:-1]
    packets += talker.press(key_payloads(5), lasting=0.16)
    packets += talker.say(noise(1.0))
    kept.feed(packets, until=3.0)
    assert sorted(notes(kept).tolist()) == [
        [Kind.LOST, 49 * FRAME, 50 * FRAME],
        [Kind.KEY, 50 * FRAME, 55 * FRAME],
    ]


@pytest.mark.parametrize("rate", [8000, 48000])
def test_a_key_is_as_long_as_its_events_say_at_any_clock(
    talker: Talker, noise: Noise, rate: int
) -> None:
    heard = Heard()
    heard.lines.expect(SLOT, KINDS, {101: rate})
    heard.lines.spans.keep(SLOT, 0)
    packets = talker.say(noise(1.0))
    keys = talker.press(key_payloads(7, frames=10, step=rate // 50), lasting=0.2)
    chance = random.Random(3)
    packets += [key for key in keys[1:] if chance.random() < 0.7] + keys[:1]
    packets += talker.say(noise(1.0))
    heard.feed(packets, until=3.0)
    spans = notes(heard)
    keys_down = [np.arange(a, b) for kind, a, b in spans if kind == Kind.KEY]
    assert np.array_equal(np.sort(np.concatenate(keys_down)), np.arange(8000, 9600))
    # Events that were lost took no other time than the key's.
    assert all(8000 <= a <= b <= 9600 for _, a, b in spans)


def test_a_key_held_for_longer_than_one_event_can_say_is_as_long_as_its_segments(
    kept: Heard, talker: Talker, noise: Noise
) -> None:
    packets = talker.say(noise(0.2))
    began, at = talker.timestamp, talker.at
    pieces = [(0, n * FRAME) for n in range(1, 410)] + [(0xFFFF, n * FRAME) for n in range(1, 42)]
    for number, (offset, duration) in enumerate(pieces):
        talker.timestamp, talker.at = began + offset, at + 0.02 * number
        packets += talker.press([event(3, duration)], lasting=0)
    kept.feed(packets, until=10.0)
    assert notes(kept).tolist() == [
        [Kind.KEY, 1600, 1600 + 409 * FRAME],
        [Kind.KEY, 1600 + 0xFFFF, 1600 + 0xFFFF + 41 * FRAME],
    ]


def test_a_key_is_never_longer_than_time(kept: Heard, talker: Talker, noise: Noise) -> None:
    packets = talker.say(noise(1.0)) + talker.press([event(5, 0xFFFF)])
    kept.feed(packets, until=2.0)
    ((_, start, end),) = notes(kept).tolist()
    assert end - start <= 5 * FRAME


def test_a_hold_lasts_until_it_is_taken_back() -> None:
    spans = Spans(REACH)
    spans.open(0)
    spans.hold(0, held=False, position=5)
    spans.keep(0, 10)
    for held, position in ((False, 20), (True, 100), (True, 150), (False, 200)):
        spans.hold(0, held=held, position=position)
    assert unpack(spans.take(0)).tolist() == [
        [Kind.HELD, 100, FOREVER],
        [Kind.FREED, 200, FOREVER],
    ]


def test_a_leg_kept_while_it_is_on_hold_is_on_hold_from_then_on() -> None:
    spans = Spans(REACH)
    spans.open(0)
    spans.hold(0, held=True, position=5)
    spans.keep(0, 10)
    assert unpack(spans.take(0)).tolist() == [[Kind.HELD, 10, FOREVER]]
    spans.release(0)
    spans.hold(0, held=False, position=50)
    spans.keep(0, 80)
    assert unpack(spans.take(0)).tolist() == [[Kind.FREED, 80, FOREVER]]


def test_nothing_is_noted_of_a_leg_that_is_not_kept() -> None:
    spans = Spans(REACH)
    spans.open(0)
    spans.lose(0, 0, 160)
    spans.press(0, 5, 100)
    spans.press_on(0, 5, 800, unit=1.0, until=10_000)
    assert not spans.dirty
    assert spans.take(0) == b""


def test_beyond_the_most_only_sums_are_noted() -> None:
    spans = Spans(REACH)
    spans.open(0)
    spans.keep(0, 0)
    written = b""
    count = MOST + 20_000
    for n in range(count):
        spans.lose(0, 320 * n, 320 * n + 160)
        if n % 50 == 0:
            written += spans.take(0)
    written += spans.take(0, whole=True)
    records = unpack(written)
    assert (records[:, 2] - records[:, 1]).sum() == 160 * count
    assert len(records) <= MOST + 320 * 20_000 // WINDOW + 1
    ends = np.concatenate([[0], records[:-1, 2]])
    assert (records[:, 1] >= ends).all()


def test_a_far_end_cannot_fill_the_disk_by_holding() -> None:
    spans = Spans(REACH)
    spans.open(0)
    spans.keep(0, 0)
    for n in range(3 * MOST_HOLDS):
        spans.hold(0, held=n % 2 == 0, position=n)
    assert len(unpack(spans.take(0))) == MOST_HOLDS


def test_a_record_cut_short_is_no_record() -> None:
    data = pack([(1, 2, 3), (4, 5, 6)])
    assert unpack(data[:-1]).tolist() == [[1, 2, 3]]
    assert unpack(b"").shape == (0, 3)
