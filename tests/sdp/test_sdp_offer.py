"""Offers of ours, for delayed offers and for calls we make, and the answers to them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mediaserver.errors import PeerError
from mediaserver.sdp.codec import PCMA, PCMU, TELEPHONE_EVENT
from mediaserver.sdp.description import SessionDescription
from mediaserver.sdp.negotiation import (
    Direction,
    LocalAudio,
    make_answer,
    make_offer,
    read_answer,
)

PEER = "198.51.100.9"


def described(*media: str) -> SessionDescription:
    """Return the peer's description with these lines under a usual session part."""
    head = ("v=0", f"o=- 1 1 IN IP4 {PEER}", "s=-", f"c=IN IP4 {PEER}", "t=0 0")
    return SessionDescription.parse("".join(f"{x}\r\n" for x in (*head, *media)).encode())


def test_an_offer_names_all_we_speak_in_our_order(local: LocalAudio) -> None:
    offer = make_offer(local, version=5)
    assert str(offer) == (
        "v=0\r\no=- 7 5 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        "m=audio 10000 RTP/AVP 0 8 101\r\n"
        "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
        "a=ptime:20\r\na=sendrecv\r\n"
    )


def test_the_two_sides_of_this_module_understand_each_other(local: LocalAudio) -> None:
    peer = replace(local, address=PEER, port=4000, codecs=(PCMA, TELEPHONE_EVENT), ptime=30)
    offer = make_offer(local)
    answer, theirs = make_answer(offer, peer)
    ours = read_answer(offer, answer, local)
    assert (theirs.remote_rtp, ours.remote_rtp) == (("192.0.2.1", 10_000), (PEER, 4000))
    assert theirs.send_codec == ours.send_codec == PCMA
    assert theirs.send_events == ours.send_events == (101, 8000)
    assert theirs.ptime == ours.ptime == 20


def test_a_later_offer_keeps_numbers_lines_and_version(local: LocalAudio) -> None:
    theirs = described(
        "m=video 6 RTP/AVP 99",
        "m=audio 4 RTP/AVPF 96 97",
        "a=rtpmap:96 PCMA/8000",
        "a=rtpmap:97 telephone-event/48000",
    )
    answer, _ = make_answer(theirs, local)
    offer = make_offer(local, answer)
    assert [(m.kind, m.port, m.protocol) for m in offer.media] == [
        ("video", 0, "RTP/AVP"),
        ("audio", 10_000, "RTP/AVPF"),
    ]
    # PCMU is new and gets its static number; 96 and 97 mean what they meant (RFC 3264 8.3.2).
    assert offer.media[1].formats == ("0", "96", "97")
    assert list(offer.media[1].values("rtpmap"))[2] == "97 telephone-event/48000"
    assert offer.origin.version == answer.origin.version + 1
    assert make_offer(local, offer) == offer


def test_a_number_in_use_is_not_given_to_another_codec(local: LocalAudio) -> None:
    theirs = described(
        "m=audio 4 RTP/AVP 8 0 101",
        "a=rtpmap:8 PCMU/8000",
        "a=rtpmap:0 G729/8000",
        "a=rtpmap:101 PCMU/8000",
    )
    answer, _ = make_answer(theirs, local)
    again = make_offer(local, answer).media[0]
    assert list(again.values("rtpmap")) == [
        "8 PCMU/8000",
        "96 PCMA/8000",
        "97 telephone-event/8000",
    ]


def test_a_peer_that_used_up_all_numbers_does_not_break_an_offer(local: LocalAudio) -> None:
    numbers = range(96, 128)
    theirs = described(
        f"m=audio 4 RTP/AVP {' '.join(map(str, numbers))}",
        *(f"a=rtpmap:{n} PCMU/8000" for n in numbers),
    )
    answer, _ = make_answer(theirs, local)
    assert make_offer(local, answer).media[0].formats == ("96", "8")


def test_an_offer_after_all_audio_was_taken_down_adds_a_line(local: LocalAudio) -> None:
    offer = make_offer(local, make_offer(replace(local, port=0)))
    assert [(m.kind, m.port) for m in offer.media] == [("audio", 0), ("audio", 10_000)]


def test_we_send_by_the_answer_s_numbers_and_receive_by_ours(local: LocalAudio) -> None:
    offer = make_offer(local)
    session = read_answer(
        offer,
        described(
            "m=audio 4 RTP/AVP 100 110",
            "a=rtpmap:100 PCMA/8000",
            "a=rtpmap:110 telephone-event/8000",
            "a=ptime:40",
        ),
        local,
    )
    assert (session.send_payload_type, session.send_codec) == (100, PCMA)
    assert session.send_events == (110, 8000)
    assert dict(session.receive) == {100: PCMA, 0: PCMU, 8: PCMA}
    assert dict(session.receive_events) == {110: 8000, 101: 8000}
    assert session.ptime == 40


def test_our_own_meaning_of_a_number_wins_when_receiving(local: LocalAudio) -> None:
    answer = described("m=audio 4 RTP/AVP 101 0", "a=rtpmap:101 PCMA/8000")
    session = read_answer(make_offer(local), answer, local)
    assert session.send_payload_type == 101
    assert dict(session.receive) == {0: PCMU, 8: PCMA}
    assert dict(session.receive_events) == {101: 8000}


def test_an_answer_that_leaves_out_rtpmaps_means_those_of_the_offer(local: LocalAudio) -> None:
    session = read_answer(make_offer(local), described("m=audio 4 RTP/AVP 0 101"), local)
    assert session.send_events == (101, 8000)


@pytest.mark.parametrize(
    ("line", "direction", "held"),
    [
        ("a=sendrecv", "sendrecv", False),
        ("a=recvonly", "sendonly", False),
        ("a=sendonly", "recvonly", True),
        ("a=inactive", "inactive", True),
        ("c=IN IP4 0.0.0.0", "recvonly", True),
    ],
)
def test_the_answer_s_direction_is_mirrored(
    local: LocalAudio, line: str, direction: str, held: bool
) -> None:
    session = read_answer(make_offer(local), described("m=audio 4 RTP/AVP 0", line), local)
    assert (session.direction, session.held) == (direction, held)


def test_we_never_do_more_than_we_offered(local: LocalAudio) -> None:
    quiet = replace(local, direction=Direction.RECVONLY)
    session = read_answer(make_offer(quiet), described("m=audio 4 RTP/AVP 0"), quiet)
    assert session.direction is Direction.RECVONLY


def test_ports_are_shared_only_when_both_say_so(local: LocalAudio) -> None:
    session = read_answer(make_offer(local), described("m=audio 4 RTP/AVP 0", "a=rtcp-mux"), local)
    assert session.rtcp_mux is False


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((), "number of m-lines"),
        (("m=audio 4 RTP/AVP 0", "m=audio 4 RTP/AVP 0"), "number of m-lines"),
        (("m=audio 0 RTP/AVP 0",), "port 0"),
        (("m=video 4 RTP/AVP 0",), "not audio"),
        (("m=audio 4 RTP/AVPF 0",), "another profile"),
        (("m=audio 4 RTP/SAVP 0",), "profile"),
        (("m=audio 4 RTP/AVP 18",), "no codec"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(
    local: LocalAudio, lines: tuple[str, ...], why: str
) -> None:
    with pytest.raises(PeerError, match=why) as refused:
        read_answer(make_offer(local), described(*lines), local)
    assert refused.value.status == 488
