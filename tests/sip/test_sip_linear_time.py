"""The time to read hostile text grows with its length, not with its square.

Each case is timed at one size and at eight times that size. Linear growth takes 8 times as long and
quadratic growth 64 times; the line is drawn between them, and the best of several tries counts, so
that a busy machine does not matter.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from mediaserver.errors import PeerError
from mediaserver.sip.address import Address
from mediaserver.sip.framing import StreamFramer
from mediaserver.sip.grammar import (
    end_of_quote,
    find_param,
    has_bad_escape,
    read_params,
    readable,
    split_outside,
    unquote,
)
from mediaserver.sip.message import parse_message
from mediaserver.sip.section import has_stray_control
from mediaserver.sip.uri import SipUri
from mediaserver.sip.via import Via

T = TypeVar("T")

SMALL = 8_000
FACTOR = 8
LINE = 24
HEAD = (
    b"INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
)

PIECES = (
    '"', '\\"', '"\\', '"\\"', "\\", "<", ">", "<>", '"<"', ",", ";", ",;", "=", ";a=", ";a", ":",
    "%", "%4", "%41", "@", "?", "&a=b", "[", "]", "::", "/", " ", "\t ", "\0", "\x7f", "\udc80",
    "\u00a0", "9", "0", "a", "sip:", "<sip:a@b>,", "SIP/2.0/UDP a,", 'a="\\\\"',
)  # fmt: skip
READERS: dict[str, Callable[[str], object]] = {
    "quote": lambda text: end_of_quote('"' + text, 0),
    "unquote": lambda text: unquote(f'"{text}"'),
    "split": lambda text: split_outside(text, ",", 10**9),
    "split_quoted": lambda text: split_outside(f'"",{text}', ";", 10**9),
    "params": lambda text: read_params(text, "x"),
    "find_param": lambda text: find_param((("a", f'"{text}"'),), "b"),
    "escape": has_bad_escape,
    "control": lambda text: has_stray_control('"' + text),
    "readable": readable,
    "address": Address.parse,
    "named_address": lambda text: Address.parse(f'"a" <sip:b@c>;x="{text}"'),
    "addresses": Address.parse_list,
    "via": lambda text: Via.parse("SIP/2.0/UDP " + text),
    "uri": lambda text: SipUri._of_parts("sip", text),
}
MESSAGES: dict[str, bytes] = {
    "empty_lines": b"\r\n",
    "header_lines": b"a:b\r\n",
    "bare_lines": b"a\r\n",
    "folded_lines": b" a\r\n",
    "folded_blanks": b" \r\n",
    "carriage_returns": b"\r",
    "line_feeds": b"\n",
    "ends": b"\r\n\r",
    "vias": b"v: SIP/2.0/UDP a\r\n",
    "contacts": b"m: <sip:a@b>,<sip:c@d>\r\n",
    "lengths": b"l: 1\r\n",
    "bytes": b"\xff",
    "nuls": b"\x00",
}


def seconds(read: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.thread_time()
        with contextlib.suppress(PeerError):
            read()
        best = min(best, time.thread_time() - start)
    return best


def growth(read: Callable[[T], object], small: T, large: T) -> float:
    """How many times longer `large` takes; below a tenth of a millisecond all is noise."""
    return seconds(lambda: read(large)) / max(seconds(lambda: read(small)), 1e-4)


def assert_linear(read: Callable[[T], object], small: T, large: T) -> None:
    # A pause of the machine can spoil one comparison, hardly three in a row.
    assert any(growth(read, small, large) < LINE for _ in range(3))


@pytest.mark.parametrize("reader", READERS)
def test_a_scanner_is_linear(reader: str) -> None:
    for piece in PIECES:
        text = piece * SMALL * FACTOR
        assert_linear(READERS[reader], text[:SMALL], text[: SMALL * FACTOR])


@pytest.mark.parametrize("case", MESSAGES)
@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["open", "ended"])
@pytest.mark.parametrize("head", [b"", HEAD], ids=["bare", "headed"])
def test_a_message_is_read_in_linear_time(case: str, end: bytes, head: bytes) -> None:
    filling = MESSAGES[case] * SMALL * FACTOR
    small = head + filling[: SMALL - 400] + end
    assert_linear(parse_message, small, head + filling[: SMALL * FACTOR - 400] + end)


@pytest.mark.parametrize("case", MESSAGES)
def test_a_stream_that_trickles_is_searched_once(case: str) -> None:
    def trickle(size: int) -> None:
        framer = StreamFramer()
        stream = HEAD + MESSAGES[case] * (size // len(MESSAGES[case]))
        for at in range(0, len(stream), 16):
            framer.feed(stream[at : at + 16])

    assert_linear(trickle, SMALL // 2, SMALL // 2 * FACTOR)


def test_the_measure_can_tell_linear_from_quadratic() -> None:
    def quadratic(text: str) -> None:
        for at in range(0, len(text), 8):
            text.find("never", at)

    assert growth(len, "a" * SMALL, "a" * SMALL * FACTOR) < LINE
    assert any(growth(quadratic, "a" * SMALL, "a" * SMALL * FACTOR) > LINE for _ in range(3))
