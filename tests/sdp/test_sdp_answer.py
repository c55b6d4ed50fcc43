"""Answers to offers that peers send (RFC 3264)."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from mediaserver.errors import PeerError
from mediaserver.sdp.codec import COMFORT_NOISE, PCMA, PCMU, Codec
from mediaserver.sdp.description import SessionDescription
from mediaserver.sdp.negotiation import AudioSession, Direction, LocalAudio, make_answer
from mediaserver.sdp.refusal import DescriptionRefused

PEER = "198.51.100.9"
C = f"c=IN IP4 {PEER}"


def described(*media: str, session: tuple[str, ...] = (C,)) -> SessionDescription:
    """Return an offer of these lines under a usual session part."""
    head = ("v=0", f"o=- 1 1 IN IP4 {PEER}", "s=-", "t=0 0", *session)
    return SessionDescription.parse("".join(f"{x}\r\n" for x in (*head, *media)).encode())


def agreed(local: LocalAudio, *media: str, session: tuple[str, ...] = (C,)) -> AudioSession:
    return make_answer(described(*media, session=session), local)[1]


def refusal(local: LocalAudio, *media: str, session: tuple[str, ...] = (C,)) -> DescriptionRefused:
    with pytest.raises(DescriptionRefused) as refused:
        make_answer(described(*media, session=session), local)
    assert refused.value.status == 488
    return refused.value


def test_a_plain_offer_is_answered_in_full(local: LocalAudio) -> None:
    offer = described(
        "m=audio 4000 RTP/AVP 8 0 3 101",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=sendrecv",
    )
    answer, session = make_answer(offer, local)
    assert str(answer) == (
        "v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        "m=audio 10000 RTP/AVP 8 0 101\r\n"
        "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
        "a=ptime:20\r\na=sendrecv\r\n"
    )
    assert session == AudioSession(
        remote_rtp=(PEER, 4000),
        remote_rtcp=(PEER, 4001),
        rtcp_mux=False,
        receive={8: PCMA, 0: PCMU},
        send_payload_type=8,
        send_codec=PCMA,
        receive_events={101: 8000},
        send_events=(101, 8000),
        comfort_noise=frozenset({13}),
        ptime=20,
        direction=Direction.SENDRECV,
        held=False,
    )


@pytest.mark.parametrize(
    ("formats", "maps", "receive"),
    [
        ("0", (), {0: PCMU}),
        ("8", (), {8: PCMA}),
        ("96", ("96 PCMU/8000",), {96: PCMU}),
        ("96 0", ("96 pcmu/8000/1",), {96: PCMU, 0: PCMU}),
        ("111 8", ("111 opus/48000/2",), {8: PCMA}),
        ("0", ("0 PCMA/8000",), {0: PCMA}),
        ("0", ("0 PCMU",), {0: PCMU}),
        ("0 96", ("96 PCMU/16000", "97 PCMU/8000"), {0: PCMU}),
        ("96", ("96 PCMA/8000", "96 opus/48000/2"), {96: PCMA}),
        ("0 x 999 ² -1", (), None),
        ("0 x 999 -1 000000000000", (), {0: PCMU}),
        ("8 0 8", (), {8: PCMA, 0: PCMU}),
    ],
)
def test_codecs_are_known_by_static_number_or_by_name(
    local: LocalAudio, formats: str, maps: tuple[str, ...], receive: dict[int, Codec] | None
) -> None:
    lines = (f"m=audio 4000 RTP/AVP {formats}", *(f"a=rtpmap:{m}" for m in maps))
    if receive is None:
        with pytest.raises(PeerError, match="400"):
            described(*lines)
        return
    session = agreed(local, *lines)
    assert list(session.receive.items()) == list(receive.items())
    assert session.send_payload_type == next(iter(receive))


@pytest.mark.parametrize(
    ("maps", "listed", "receive", "send"),
    [
        (("97 Telephone-Event/8000",), "0 97", {97: 8000}, (97, 8000)),
        (("97 telephone-event/48000",), "0 97", {97: 48000}, (97, 48000)),
        (("97 telephone-event/16000",), "0 97", {97: 16000}, (97, 16000)),
        (
            ("97 telephone-event/48000", "98 telephone-event/8000"),
            "0 98",
            {97: 48000, 98: 8000},
            (98, 8000),
        ),
        ((), "0", {}, None),
    ],
)
def test_dtmf_is_taken_at_the_offered_number_and_clock(
    local: LocalAudio,
    maps: tuple[str, ...],
    listed: str,
    receive: dict[int, int],
    send: tuple[int, int] | None,
) -> None:
    numbers = " ".join(m.split()[0] for m in maps)
    offer = described(f"m=audio 4 RTP/AVP 0 {numbers}", *(f"a=rtpmap:{m}" for m in maps))
    answer, session = make_answer(offer, local)
    assert " ".join(answer.media[0].formats) == listed
    assert (session.receive_events, session.send_events) == (receive, send)


def test_dtmf_is_not_answered_by_a_side_that_does_not_speak_it(local: LocalAudio) -> None:
    offer = described("m=audio 4 RTP/AVP 0 97", "a=rtpmap:97 telephone-event/8000")
    answer, session = make_answer(offer, replace(local, codecs=(PCMU,)))
    assert answer.media[0].formats == ("0",)
    assert (session.receive_events, session.send_events) == ({}, None)


def test_comfort_noise_is_known_but_answered_only_when_wanted(local: LocalAudio) -> None:
    offer = described("m=audio 4 RTP/AVP 0 13 98", "a=rtpmap:98 CN/8000")
    answer, session = make_answer(offer, local)
    assert answer.media[0].formats == ("0",)
    assert session.comfort_noise == {13, 98}
    answer, _ = make_answer(offer, replace(local, codecs=(PCMU, COMFORT_NOISE)))
    assert answer.media[0].formats == ("0", "13", "98")


def test_thirteen_is_audio_where_the_peer_says_so(local: LocalAudio) -> None:
    session = agreed(local, "m=audio 4 RTP/AVP 13", "a=rtpmap:13 PCMU/8000")
    assert (dict(session.receive), session.comfort_noise) == ({13: PCMU}, frozenset())


@pytest.mark.parametrize(
    ("lines", "direction", "held"),
    [
        ((), "sendrecv", False),
        (("a=sendrecv",), "sendrecv", False),
        (("a=sendonly",), "recvonly", True),
        (("a=inactive",), "inactive", True),
        (("a=recvonly",), "sendonly", False),
        (("a=SENDONLY",), "recvonly", True),
        (("c=IN IP4 0.0.0.0",), "recvonly", True),
        (("c=IN IP4 0.0.0.0", "a=sendrecv"), "recvonly", True),
        (("c=IN IP4 0.0.0.0", "a=sendonly"), "recvonly", True),
        (("c=IN IP4 0.0.0.0", "a=recvonly"), "inactive", True),
        (("c=IN IP4 0.0.0.0", "a=inactive"), "inactive", True),
        (("c=IN IP6 ::",), "recvonly", True),
        (("c=IN IP6 hold.invalid",), "recvonly", True),
    ],
)
def test_every_spelling_of_hold_is_understood_and_mirrored(
    local: LocalAudio, lines: tuple[str, ...], direction: str, held: bool
) -> None:
    answer, session = make_answer(described("m=audio 4 RTP/AVP 0", *lines), local)
    assert (session.direction, session.held) == (direction, held)
    assert direction in [str(a) for a in answer.media[0].attributes]
    nowhere = bool(lines) and lines[0].startswith("c=")
    assert session.remote_rtp == (None if nowhere else (PEER, 4))
    assert session.remote_rtcp == (None if nowhere else (PEER, 5))


@pytest.mark.parametrize(
    ("mine", "theirs", "answered"),
    [
        ("sendonly", "sendrecv", "sendonly"),
        ("sendonly", "sendonly", "inactive"),
        ("inactive", "sendrecv", "inactive"),
        ("recvonly", "recvonly", "inactive"),
        ("recvonly", "sendonly", "recvonly"),
    ],
)
def test_the_answer_never_does_more_than_we_want(
    local: LocalAudio, mine: str, theirs: str, answered: str
) -> None:
    session = agreed(
        replace(local, direction=Direction(mine)), "m=audio 4 RTP/AVP 0", f"a={theirs}"
    )
    assert session.direction == answered


def test_session_attributes_are_inherited_and_overridden_by_the_media_s(local: LocalAudio) -> None:
    common = (C, "a=sendonly", "a=ptime:30")
    assert agreed(local, "m=audio 4 RTP/AVP 0", session=common).direction == "recvonly"
    assert agreed(local, "m=audio 4 RTP/AVP 0", session=common).ptime == 30
    session = agreed(local, "m=audio 4 RTP/AVP 0", "a=recvonly", "a=ptime:40", session=common)
    assert (session.direction, session.ptime) == ("sendonly", 40)
    own = agreed(local, "m=audio 4 RTP/AVP 0", "c=IN IP4 203.0.113.5", "c=IN IP4 203.0.113.6")
    assert own.remote_rtp == ("203.0.113.5", 4)


@pytest.mark.parametrize(
    ("lines", "ptime"),
    [
        ((), 20),
        (("ptime:10",), 10),
        (("ptime:5",), 10),
        (("ptime:30",), 30),
        (("ptime:20.0",), 20),
        (("ptime:100",), 60),
        (("ptime:99999999999999999999",), 20),
        (("ptime:0",), 20),
        (("ptime:x",), 20),
        (("ptime",), 20),
        (("maxptime:10",), 10),
        (("maxptime:40",), 20),
        (("ptime:60", "maxptime:40"), 40),
        (("PTIME: 40",), 40),
    ],
)
def test_packets_are_as_long_as_the_peer_wants_within_reason(
    local: LocalAudio, lines: tuple[str, ...], ptime: int
) -> None:
    answer, session = make_answer(
        described("m=audio 4 RTP/AVP 0", *(f"a={x}" for x in lines)), local
    )
    assert session.ptime == ptime
    assert list(answer.media[0].values("ptime")) == [str(ptime)]


@pytest.mark.parametrize(
    ("lines", "rtcp"),
    [
        ((), (PEER, 5)),
        (("rtcp:9",), (PEER, 9)),
        (("rtcp:9 IN IP4 203.0.113.5",), ("203.0.113.5", 9)),
        (("rtcp:9 in ip4 203.0.113.5",), ("203.0.113.5", 9)),
        (("rtcp:9 IN IP6 2001:db8::1",), (PEER, 5)),
        (("rtcp:9 IN IP4 224.0.0.1",), (PEER, 5)),
        (("rtcp:9 IN IP4 0.0.0.0",), (PEER, 5)),
        (("rtcp:9 IN",), (PEER, 5)),
        (("rtcp:0",), (PEER, 5)),
        (("rtcp:70000",), (PEER, 5)),
        (("rtcp:x",), (PEER, 5)),
        (("rtcp",), (PEER, 5)),
        (("rtcp:9", "rtcp-mux"), (PEER, 4)),
    ],
)
def test_rtcp_goes_where_the_peer_says(
    local: LocalAudio, lines: tuple[str, ...], rtcp: tuple[str, int]
) -> None:
    answer, session = make_answer(
        described("m=audio 4 RTP/AVP 0", *(f"a={x}" for x in lines)), local
    )
    assert session.remote_rtcp == rtcp
    assert session.rtcp_mux is ("rtcp-mux" in lines)
    assert session.rtcp_mux is ("rtcp-mux" in [str(a) for a in answer.media[0].attributes])


def test_there_is_no_rtcp_after_the_last_port(local: LocalAudio) -> None:
    assert agreed(local, "m=audio 65535 RTP/AVP 0").remote_rtcp is None


def test_ports_are_not_shared_with_numbers_that_look_like_rtcp(local: LocalAudio) -> None:
    # RFC 5761 section 4: with the marker bit set 72 is the type of a sender report.
    session = agreed(local, "m=audio 4 RTP/AVP 72", "a=rtpmap:72 PCMU/8000", "a=rtcp-mux")
    assert (session.rtcp_mux, session.remote_rtcp) == (False, (PEER, 5))


def test_the_first_acceptable_audio_is_taken_and_the_others_keep_their_place(
    local: LocalAudio,
) -> None:
    offer = described(
        "m=video 6 RTP/AVP 99",
        "a=rtpmap:99 H264/90000",
        "m=audio 8 RTP/SAVP 0",
        "m=audio 10 RTP/AVP 18",
        "m=audio 12/2 RTP/AVPF 8",
        "m=audio 14 RTP/AVP 0",
        "m=application 16 UDP/DTLS/SCTP webrtc-datachannel",
    )
    answer, session = make_answer(offer, local)
    assert session.remote_rtp == (PEER, 12)
    assert [(m.kind, m.port, m.protocol, m.formats) for m in answer.media] == [
        ("video", 0, "RTP/AVP", ("99",)),
        ("audio", 0, "RTP/SAVP", ("0",)),
        ("audio", 0, "RTP/AVP", ("18",)),
        ("audio", 10_000, "RTP/AVPF", ("8",)),
        ("audio", 0, "RTP/AVP", ("0",)),
        ("application", 0, "UDP/DTLS/SCTP", ("webrtc-datachannel",)),
    ]
    assert SessionDescription.parse(str(answer).encode()) == answer


@pytest.mark.parametrize(
    ("lines", "why", "code"),
    [
        ((), "no m-line", 304),
        (("m=audio 4 RTP/AVP 18",), "no codec", 305),
        (("m=audio 4 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), "no codec", 305),
        (("m=audio 4 RTP/AVP 13",), "no codec", 305),
        (("m=audio 4 RTP/AVP 9",), "no codec", 305),
        (("m=audio 0 RTP/AVP 0",), "port 0", 399),
        (("m=video 4 RTP/AVP 0",), "not audio", 304),
        (("m=audio 4 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x"), "profile", 302),
        (("m=audio 4 UDP/TLS/RTP/SAVPF 0",), "profile", 302),
        (("m=audio 4 udp 0",), "profile", 302),
        (("m=audio 4 RTP/AVP 0", "c=IN IP6 2001:db8::1"), "other IP version", 301),
        (("m=audio 4 RTP/AVP 0", "c=IN IP4 224.2.1.1/127"), "multicast", 330),
        (("m=audio 4 RTP/AVP 0", "c=IN IP4 255.255.255.255"), "broadcast", 330),
        (("m=audio 4 RTP/AVP 0", "c=ATM NSAP 47.0091"), "Internet", 300),
    ],
)
def test_an_offer_without_audio_for_us_is_refused_with_488(
    local: LocalAudio, lines: tuple[str, ...], why: str, code: int
) -> None:
    refused = refusal(local, *lines)
    assert (why in refused.reason, refused.code) == (True, code)


def test_the_code_of_a_refusal_is_that_of_the_audio_not_of_the_video_beside_it(
    local: LocalAudio,
) -> None:
    assert refusal(local, "m=video 6 RTP/AVP 96", "m=audio 4 RTP/AVP 18").code == 305


def test_an_offer_without_an_address_is_refused(local: LocalAudio) -> None:
    assert "no c= line" in refusal(local, "m=audio 4 RTP/AVP 0", session=()).reason


def test_an_address_may_be_a_name_which_is_not_looked_up(local: LocalAudio) -> None:
    session = agreed(local, "m=audio 4 RTP/AVP 0", session=("c=IN IP4 media.example.com",))
    assert session.remote_rtp == ("media.example.com", 4)


def test_an_ipv6_side_answers_ipv6(local: LocalAudio) -> None:
    answer, session = make_answer(
        described("m=audio 4 RTP/AVP 0", session=("c=IN IP6 2001:db8::2",)),
        replace(local, address="2001:db8::1"),
    )
    assert session.remote_rtp == ("2001:db8::2", 4)
    assert "o=- 7 1 IN IP6 2001:db8::1\r\n" in str(answer)
    assert "c=IN IP6 2001:db8::1\r\n" in str(answer)


def test_the_version_goes_up_only_when_the_answer_changed(local: LocalAudio) -> None:
    talk = described("m=audio 4 RTP/AVP 0")
    hold = described("m=audio 4 RTP/AVP 0", "a=sendonly")
    first, _ = make_answer(talk, local)
    again, _ = make_answer(talk, local, first)
    held, _ = make_answer(hold, local, again)
    still, _ = make_answer(hold, local, held)
    back, _ = make_answer(talk, local, still)
    assert [d.origin.version for d in (first, again, held, still, back)] == [1, 1, 2, 2, 3]
    assert again == first


BASE = (
    "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\na=ptime:20\r\n"
    "m=audio 4000/2 RTP/AVP 0 8 96 101 13\r\na=rtpmap:96 PCMU/8000\r\n"
    "a=rtpmap:101 telephone-event/48000\r\na=rtcp:4001 IN IP4 198.51.100.9\r\na=rtcp-mux\r\n"
    "a=maxptime:60\r\na=sendonly\r\nm=video 0 RTP/AVP 99\r\nc=IN IP6 ::\r\n"
)
PIECES = (
    "0",
    "65535",
    "127",
    "96",
    "/",
    " ",
    ":",
    "IN IP6 ::1",
    "\r\nm=audio 9 RTP/AVP 0",
    "é",
    "-",
)


def test_a_mutated_offer_is_answered_or_refused(local: LocalAudio) -> None:
    random_ = random.Random(3264)
    answered, refusals = 0, set()
    for _ in range(3_000):
        text = BASE
        for _ in range(random_.randint(1, 5)):
            at = random_.randrange(len(text))
            end = at + random_.choice((0, 0, 1, 1, 2, 9))
            text = text[:at] + random_.choice((*PIECES, "")) + text[end:]
        try:
            offer = SessionDescription.parse(text.encode())
            answer, session = make_answer(offer, local)
        except PeerError as error:
            refusals.add(error.status)
            continue
        answered += 1
        assert len(answer.media) == len(offer.media)
        assert session.send_payload_type in session.receive
        assert not session.receive.keys() & (session.receive_events.keys() | session.comfort_noise)
        assert SessionDescription.parse(str(answer).encode()) == answer
    assert answered > 300
    assert refusals == {400, 488}


def test_the_largest_offers_are_answered_in_linear_time(local: LocalAudio) -> None:
    formats = " ".join(str(n) for n in range(128))
    maps = [f"a=rtpmap:{n % 128} X{n}/8000" for n in range(900)]
    started = time.process_time()
    for _ in range(5):
        make_answer(described(*[f"m=audio 4 RTP/AVP {formats}"] * 31, *maps), local)
    assert time.process_time() - started < 0.5
