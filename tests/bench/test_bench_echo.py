"""What comes back to the streams is counted, put in place and compared."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from scripts.bench.echo import Comparison, Ears, Line
from scripts.bench.speech import DECODE, FRAME, load_voice
from scripts.bench.streams import Streams, port_of

FIRST = 26_900
VOICE = load_voice()


@pytest.fixture
def streams() -> Iterator[Streams]:
    made = Streams(VOICE, 4, FIRST)
    yield made
    made.close()


def packet(number: int, payload: bytes = bytes(FRAME)) -> bytes:
    stamp = (0xFFFFFF00 + FRAME * number) & 0xFFFFFFFF
    return struct.pack("!BBHII", 0x80, 0, (65530 + number) & 0xFFFF, stamp, 1) + payload


def hear(
    streams: Streams, server: socket.socket, numbers: Iterable[int], *, stream: int = 2
) -> Ears:
    ears = Ears(streams)
    ears.expect(stream, server.getsockname()[1])
    for number in numbers:
        payload = VOICE.codes[FRAME * number : FRAME * (number + 1)].tobytes()
        server.sendto(packet(number, payload), ("127.0.0.1", port_of(stream, FIRST)))
    ears.finish()
    return ears


def test_packets_are_counted_across_the_wrap_of_their_numbers(
    streams: Streams, server: socket.socket
) -> None:
    ears = hear(streams, server, range(12))
    assert ears.packets.tolist() == [0, 0, 12, 0]
    assert (ears.gaps.sum(), ears.disordered, ears.strangers) == (0, 0, 0)


def test_a_number_that_never_came_is_a_gap(streams: Streams, server: socket.socket) -> None:
    assert hear(streams, server, [0, 1, 4, 5, 7]).gaps.tolist() == [0, 0, 3, 0]


def test_a_gap_between_two_sweeps_is_seen(streams: Streams, server: socket.socket) -> None:
    ears = hear(streams, server, [0, 1])
    server.sendto(packet(4), ("127.0.0.1", port_of(2, FIRST)))
    ears.finish()
    assert ears.gaps[2] == 2


def test_packets_out_of_order_are_seen(streams: Streams, server: socket.socket) -> None:
    assert hear(streams, server, [0, 2, 1, 3]).disordered == 1


def test_a_packet_that_came_twice_is_seen(streams: Streams, server: socket.socket) -> None:
    ears = hear(streams, server, [0, 1, 1, 2])
    assert (ears.disordered, ears.gaps[2]) == (1, 0)


def test_a_packet_from_elsewhere_is_a_stranger(streams: Streams, server: socket.socket) -> None:
    ears = hear(streams, server, [0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.sendto(packet(1), ("127.0.0.1", port_of(2, FIRST)))
    ears.finish()
    assert (ears.strangers, ears.packets[2]) == (1, 1)


def test_what_was_heard_stands_where_its_timestamps_say(
    streams: Streams, server: socket.socket
) -> None:
    before = time.monotonic()
    ears = hear(streams, server, [0, 1, 3])
    ((stream, line),) = ears.kept()
    expected = DECODE[VOICE.codes[: 4 * FRAME]].copy()
    expected[2 * FRAME : 3 * FRAME] = 0
    assert stream == 2
    assert np.array_equal(line.samples, expected)
    assert (line.arrival > before - 0.01).all()
    assert (line.arrival < time.monotonic() + 0.01).all()


def relayed(delays: list[float], *, shift: int = 0) -> Comparison:
    """Compare a line heard `shift` samples out of step, each packet so much later than sent."""
    count = len(delays)
    said = VOICE.said(8000, count)
    line = Line(
        samples=said[shift:],
        position=np.arange(count - 1) * FRAME,
        arrival=np.array([100.0 + 0.02 * n + delays[n] for n in range(count - 1)]),
    )
    comparison = Comparison()
    comparison.partner(3, line, said, lambda n: 100.0 + 0.02 * n, (0.0, 1000.0))
    return comparison


def test_delay_is_from_when_a_packet_went_to_when_it_came() -> None:
    delays = [0.001 * (n % 7) for n in range(50)]
    comparison = relayed(delays)
    assert comparison.wrong == []
    assert comparison.delays == pytest.approx(delays[:-1])


def test_delay_counts_from_the_sample_not_from_its_packet() -> None:
    # Cut anew half a packet later: what can be heard first was said 10 ms into its packet.
    comparison = relayed([0.015] * 50, shift=FRAME // 2)
    assert comparison.delays == pytest.approx([0.005] * 49)


def test_only_the_steady_state_counts_for_the_delay() -> None:
    said = VOICE.said(8000, 10)
    line = Line(said, np.arange(10) * FRAME, np.arange(10, dtype=np.float64) * 0.02 + 0.01)
    comparison = Comparison()
    comparison.partner(0, line, said, lambda n: 0.02 * n, (0.05, 0.15))
    assert len(comparison.delays) == 5


def test_a_wrong_sample_is_told(streams: Streams) -> None:
    prompt = VOICE.prompt(0, 10)
    heard = prompt.copy()
    heard[700] += 4
    comparison = Comparison()
    comparison.prompt(0, Line(heard, np.zeros(1, np.int64), np.zeros(1)), prompt)
    assert comparison.wrong == ["stream 0: 1 samples heard are not the prompt's"]
