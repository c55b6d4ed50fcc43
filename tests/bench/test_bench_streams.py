"""What the generator sends: every stream on its own, though many leave by one socket."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest

from scripts.bench.speech import FRAME, load_voice
from scripts.bench.streams import GROUPS, SHARED, Streams, port_of, sockets_of

FIRST = 26_300
VOICE = load_voice()
COUNT = 70 * GROUPS
"""More streams in a group than share a socket."""


@pytest.fixture(scope="module")
def streams() -> Iterator[Streams]:
    made = Streams(VOICE, COUNT, FIRST)
    yield made
    made.close()


def take(sock: socket.socket) -> tuple[int, int, int, bytes, int]:
    data, address = sock.recvfrom(2048)
    _, sequence, stamp, ssrc = struct.unpack("!HHII", data[:12])
    return sequence, stamp, ssrc, data[12:], address[1]


def test_packets_of_a_stream_follow_each_other(streams: Streams, server: socket.socket) -> None:
    one = 5
    streams.begin(one, server.getsockname())
    for _ in range(3):
        streams.send(one)
    streams.end(one)
    packets = [take(server) for _ in range(3)]
    assert {port for *_, port in packets} == {port_of(one, FIRST)}
    assert len({ssrc for _, _, ssrc, *_ in packets}) == 1
    for (sequence, stamp, *_), (later, later_stamp, *_) in pairwise(packets):
        assert (later - sequence) & 0xFFFF == 1
        assert (later_stamp - stamp) & 0xFFFFFFFF == FRAME
    start = streams.starts[one]
    said = b"".join(payload for *_, payload, _ in packets)
    assert said == VOICE.codes[start : start + 3 * FRAME].tobytes()
    assert streams.packets[one] == 3


def test_streams_of_one_socket_go_where_each_was_told(streams: Streams) -> None:
    group = [GROUPS * number + 7 for number in range(70)]
    with_room = [stream for stream in group if port_of(stream, FIRST) == port_of(7, FIRST)]
    assert len(with_room) == SHARED
    ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in group]
    try:
        for stream, end in zip(group, ends, strict=True):
            end.bind(("127.0.0.1", 0))
            end.settimeout(5)
            streams.begin(stream, end.getsockname())
        streams.send(7)
        for stream, end in zip(group, ends, strict=True):
            *_, payload, port = take(end)
            start = streams.starts[stream]
            assert payload == VOICE.codes[start : start + FRAME].tobytes()
            assert port == port_of(stream, FIRST)
    finally:
        for stream, end in zip(group, ends, strict=True):
            streams.end(stream)
            end.close()


def test_a_stream_that_ended_is_silent(streams: Streams, server: socket.socket) -> None:
    streams.begin(9, server.getsockname())
    streams.send(9)
    streams.end(9)
    streams.send(9)
    take(server)
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        take(server)


def test_it_is_known_when_each_packet_went(streams: Streams, server: socket.socket) -> None:
    streams.send(11)
    streams.begin(11, server.getsockname())
    streams.send(11)
    streams.send(11)
    sent = streams.sent_at(11)
    assert [sent(0), sent(1)] == streams.turns[11][-2:]
    streams.end(11)


def test_all_ports_lie_in_the_range_that_was_asked_for() -> None:
    ports = {port_of(stream, 0) for stream in range(COUNT)}
    assert ports <= set(range(sockets_of(COUNT)))
