"""Parsing returns a message or raises SipParseError, whatever the octets; nothing else, ever.

The seed is fixed, so a failure comes back. `MEDIASERVER_FUZZ=full` mutates 100,000 messages.
"""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

import pytest

from mediaserver.errors import PeerError
from mediaserver.sip.framing import StreamFramer
from mediaserver.sip.message import Request, Response, SipParseError, parse_message
from mediaserver.sip.replies import refusal, respond

SEED = 4475
COUNT = 100_000 if os.environ.get("MEDIASERVER_FUZZ") == "full" else 4_000
CORPUS = [path.read_bytes() for path in sorted((Path(__file__).parent / "torture").glob("*/*.sip"))]
SPICE = (
    *(bytes([octet]) for octet in b'\r\n\t "\\<>;,:=@?&%/[]*+-0\x00\x07\x7f\x80\xc3\xff'),
    *(b"\r\n", b"\r\n\r\n", b"\r\n ", b'\\"', b";;", b"%0d%0a", b"SIP/2.0", b"sip:", b"Via: "),
    *(
        b"Content-Length: ",
        b"l: -1\r\n",
        b"CSeq: ",
        b"9" * 40,
        b"To: ",
        b"\xed\xa0\x80",
        b"\xe2\x80\xa8",
    ),
)


def mutate(data: bytes, chooser: random.Random) -> bytes:
    """One to eight small wounds: an octet changed, a piece cut, doubled, moved or put in."""
    for _ in range(chooser.randint(1, 8)):
        at = chooser.randrange(len(data) + 1)
        size = chooser.choice((1, 1, 2, 8, 40))
        match chooser.randrange(6):
            case 0:
                data = data[:at] + bytes([chooser.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[at + size :]
            case 2:
                data = data[:at] + data[at : at + size] * chooser.choice((2, 3, 50)) + data[at:]
            case 3:
                data = data[:at] + chooser.choice(SPICE) + data[at:]
            case 4:
                data = data[:at] + chooser.choice(SPICE) + data[at + size :]
            case 5:
                other = chooser.choice(CORPUS)
                data = data[:at] + other[chooser.randrange(len(other)) :]
    return data


def use(message: Request | Response) -> None:
    """Touch everything a parsed message promises; none of it may raise."""
    _ = (message.via, message.vias, message.from_.tag, message.to.tag, message.call_id)
    _ = (message.cseq, message.contact, message.max_forwards, message.content_type)
    _ = (message.routes, message.record_routes, message.headers.tokens("Require"))
    for via in message.vias:
        _ = (via.branch, via.rport, via.received, str(via.with_source("192.0.2.1", 5060)))
    again = parse_message(message.to_bytes())
    assert again.vias == message.vias
    assert again.body == message.body
    if isinstance(message, Request):
        message.target.user_text.encode()  # never a lone surrogate
        answer = parse_message(respond(message, 200, to_tag="t").to_bytes())
        assert answer.cseq == message.cseq


def test_a_mutated_message_is_read_or_refused() -> None:
    chooser = random.Random(SEED)
    read = 0
    for _ in range(COUNT):
        data = mutate(chooser.choice(CORPUS), chooser)
        try:
            message = parse_message(data, stream=chooser.random() < 0.2)
        except SipParseError as error:
            answer = refusal(error, to_tag="t")
            if answer is not None:
                written = answer.to_bytes()
                assert written.count(b"\r\n\r\n") == 1
                assert written.endswith(b"\r\n\r\n")
        else:
            read += 1
            use(message)
    assert COUNT // 20 < read < COUNT  # the wounds are neither all deadly nor all harmless


def test_a_mutated_stream_is_framed_or_refused() -> None:
    chooser = random.Random(SEED)
    refused = 0
    for _ in range(COUNT // 10):
        framer = StreamFramer()
        stream = b"".join(mutate(chooser.choice(CORPUS), chooser) for _ in range(3))
        while stream and framer.error is None:
            size = chooser.choice((1, 10, 1000))
            with contextlib.suppress(PeerError):
                assert b"" not in framer.feed(stream[:size])
            stream = stream[size:]
        if framer.error is not None:
            refused += 1
            assert framer.error.status in (400, 413)
            assert framer.buffered == 0
    assert refused


def test_random_octets_are_refused() -> None:
    chooser = random.Random(SEED)
    for _ in range(COUNT // 4):
        with pytest.raises(SipParseError):
            parse_message(chooser.randbytes(chooser.randrange(200)))
