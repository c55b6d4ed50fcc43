"""Every packet that crosses a bridge is compared, to the bit, with what the other party said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from scripts.bench.crossing import Crossing
from scripts.bench.echo import Ears
from scripts.bench.load import Heard
from scripts.bench.speech import FRAME, load_voice
from scripts.bench.streams import Streams

FIRST = 27_700
VOICE = load_voice()
ALWAYS = (0.0, 1000.0)
SENT = 30


@pytest.fixture(scope="module")
def streams() -> Iterator[Streams]:
    made = Streams(VOICE, 2, FIRST)
    made.packets[:] = SENT
    for group in range(2):
        made.turns[group] = [100.0 + 0.02 * n for n in range(SENT)]
    # Where everybody speaks, so that any packet can be found.
    loud = int(np.flatnonzero(_variety() > 40)[0]) * FRAME
    made.starts[:] = [loud, loud + 5 * FRAME]
    yield made
    made.close()


def _variety() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    frames = VOICE.codes[: VOICE.codes.size // FRAME * FRAME].reshape(-1, FRAME)
    return np.array([np.unique(frame).size for frame in frames[:3000]])


def packet(streams: Streams, number: int, *, stamp: int = 0xFFFF_FF00) -> bytes:
    """Return packet `number` that stream 1 sent, as stream 0 may hear it."""
    at = streams.starts[1] + FRAME * number
    head = bytes(4) + ((stamp + FRAME * number) % 2**32).to_bytes(4, "big") + bytes(4)
    return head + VOICE.codes[at : at + FRAME].tobytes()


def hear(streams: Streams, packets: Sequence[bytes], *, late: float = 0.01, cut: int = 7) -> Heard:
    crossing = Crossing(streams, VOICE)
    for begin in range(0, len(packets), cut):
        some = packets[begin : begin + cut]
        crossing.take(
            np.zeros(len(some), np.int64),
            np.frombuffer(b"".join(some), np.uint8).reshape(len(some), -1),
            np.array([100.0 + late + 0.02 * (begin + n) for n in range(len(some))]),
        )
    return crossing.heard(Ears(streams), ALWAYS)


def of_stream_0(heard: Heard) -> list[str]:
    return [fault for fault in heard.wrong if fault.startswith("stream 0")]


def test_all_that_was_said_is_right_and_its_delay_known(streams: Streams) -> None:
    heard = hear(streams, [packet(streams, n) for n in range(SENT)])
    assert of_stream_0(heard) == []
    assert (heard.begins[0], heard.begins_at[0]) == (0, 100.0)
    assert heard.delays == pytest.approx([0.01] * SENT)


def test_hearing_may_begin_later_than_speaking(streams: Streams) -> None:
    heard = hear(streams, [packet(streams, n) for n in range(4, SENT)], late=0.09)
    assert of_stream_0(heard) == []
    assert (heard.begins[0], heard.begins_at[0]) == (4 * FRAME, 100.08)


@pytest.mark.parametrize("gone", [12, SENT - 1])
def test_a_packet_that_did_not_cross_is_missed(streams: Streams, gone: int) -> None:
    heard = hear(streams, [packet(streams, n) for n in range(SENT) if n != gone])
    assert "1 are missing" in of_stream_0(heard)[0]


def test_a_single_wrong_bit_is_seen(streams: Streams) -> None:
    packets = [packet(streams, n) for n in range(SENT)]
    packets[20] = packets[20][:-1] + bytes([packets[20][-1] ^ 1])
    assert "1 are something else" in of_stream_0(hear(streams, packets))[0]


def test_what_was_said_at_another_time_is_wrong(streams: Streams) -> None:
    packets = [packet(streams, n, stamp=9 + (n > 15)) for n in range(SENT)]
    assert "14 are something else" in of_stream_0(hear(streams, packets))[0]


def test_what_nobody_said_is_seen(streams: Streams) -> None:
    assert "nothing its partner said" in of_stream_0(hear(streams, [bytes(172)] * 5))[0]


def test_what_came_before_the_first_word_is_compared_too(streams: Streams) -> None:
    before = packet(streams, -1)[:12] + bytes([255]) * FRAME
    heard = hear(streams, [before, *(packet(streams, n) for n in range(SENT))])
    assert "1 are something else" in of_stream_0(heard)[0]
