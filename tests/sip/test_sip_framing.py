from __future__ import annotations

import random

import pytest

from mediaserver.errors import PeerError
from mediaserver.sip.framing import KeepAlive, StreamFramer
from mediaserver.sip.limits import MAX_MESSAGE_BYTES
from mediaserver.sip.message import SipParseError
from mediaserver.sip.replies import refusal

HEAD = (
    b"INFO sip:b@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKx\r\n"
    b"From: <sip:a@example.com>;tag=1\r\n"
    b"To: <sip:b@example.com>;tag=2\r\n"
    b"Call-ID: call\r\n"
    b"CSeq: 1 INFO\r\n"
)


def message(body: bytes = b"", name: bytes = b"Content-Length") -> bytes:
    return HEAD + b"%s: %d\r\n\r\n%s" % (name, len(body), body)


def test_messages_are_cut_by_their_length_alone() -> None:
    first, second = message(b"a\r\n\r\nINFO"), message(b"", b"l ")
    assert StreamFramer().feed(first + second) == [first, second]


def test_one_byte_at_a_time_gives_the_same_messages() -> None:
    first, second = message(b"abc"), message()
    framer = StreamFramer()
    found = []
    for byte in b"\r\n" + first + b"\r\n\r\n" + second:
        found += framer.feed(bytes([byte]))
    assert found == [first, KeepAlive(), second]
    assert framer.buffered == 0


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_gives_the_same_messages(seed: int) -> None:
    chooser = random.Random(seed)
    sent: list[bytes] = [message(bytes(chooser.choices(b"\r\nab", k=n))) for n in (0, 7, 300, 4)]
    stream = b"".join(sent)
    framer = StreamFramer()
    found: list[bytes | KeepAlive] = []
    while stream:
        size = chooser.randint(1, 200)
        found += framer.feed(stream[:size])
        stream = stream[size:]
    assert found == sent


def test_a_folded_length_is_understood() -> None:
    data = HEAD + b"Content-Length:\r\n 3\r\n\r\nabc"
    assert StreamFramer().feed(data) == [data]


def test_a_run_of_keep_alives_is_one_marker() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n\r\n" * 1000) == [KeepAlive()]
    assert framer.feed(b"\r\n") == []
    assert framer.feed(b"\r\n") == [KeepAlive()]
    assert framer.buffered == 0


@pytest.mark.parametrize(
    "lines", [b"", b"l: -1\r\n", b"l: x\r\n", b"l: 1\r\nContent-Length: 1\r\n", b"l:\r\n"]
)
def test_a_length_that_cannot_be_trusted_ends_the_stream(lines: bytes) -> None:
    framer = StreamFramer()
    with pytest.raises(SipParseError) as caught:
        framer.feed(HEAD + lines + b"\r\n")
    answer = refusal(caught.value, to_tag="x")
    assert answer is not None
    assert answer.status == 400
    assert framer.error is caught.value
    assert framer.buffered == 0
    with pytest.raises(PeerError):
        framer.feed(message())


def test_what_was_complete_before_a_fault_is_not_lost() -> None:
    framer = StreamFramer()
    assert framer.feed(message(b"a") + HEAD + b"\r\n") == [message(b"a")]
    assert framer.error is not None
    with pytest.raises(PeerError):
        framer.feed(b"")


def test_a_length_beyond_the_limit_is_refused_before_the_body_comes() -> None:
    with pytest.raises(SipParseError) as caught:
        StreamFramer().feed(HEAD + b"l: 1000000000\r\n\r\n")
    assert caught.value.status == 413
    assert caught.value.method == "INFO"


def test_a_header_section_beyond_the_limit_is_refused() -> None:
    framer = StreamFramer()
    for _ in range(MAX_MESSAGE_BYTES // 1000):
        assert framer.feed(b"x" * 1000) == []
    assert framer.buffered <= MAX_MESSAGE_BYTES
    with pytest.raises(PeerError) as caught:
        framer.feed(b"x" * 1000)
    assert caught.value.status == 413
    assert framer.buffered == 0


def test_a_smaller_limit_can_be_set() -> None:
    framer = StreamFramer(max_message=len(message(b"ab")))
    assert framer.feed(message(b"ab")) == [message(b"ab")]
    with pytest.raises(PeerError):
        framer.feed(message(b"abc"))


def test_the_largest_message_passes() -> None:
    body = b"x" * (MAX_MESSAGE_BYTES - len(message()) - 4)
    data = message(body)
    assert len(data) == MAX_MESSAGE_BYTES
    assert StreamFramer().feed(data) == [data]


def test_a_broken_message_with_a_good_length_leaves_the_stream_whole() -> None:
    broken = b"nonsense\r\nl: 2\r\n\r\nab"
    assert StreamFramer().feed(broken + message()) == [broken, message()]
