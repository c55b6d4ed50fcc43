"""Which codecs are taken up where G.711 is not the only one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mediaserver.sdp.codec import G722, OPUS, PCMA, PCMU, Codec, with_events
from mediaserver.sdp.description import SessionDescription
from mediaserver.sdp.negotiation import make_answer, make_offer, read_answer
from mediaserver.sdp.session import LocalAudio

LOCAL = LocalAudio(
    address="192.0.2.1",
    port=10_000,
    codecs=with_events((PCMU, PCMA, G722, OPUS)),
    session_id=7,
)
WIDE_FIRST = replace(LOCAL, codecs=with_events((OPUS, G722, PCMU)))
HEAD = ("v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0")
OPUS_LINES = ("a=rtpmap:111 opus/48000/2", "a=rtpmap:110 telephone-event/48000")
PLAIN_EVENTS = "a=rtpmap:101 telephone-event/8000"


def described(*lines: str) -> SessionDescription:
    return SessionDescription.parse("".join(f"{x}\r\n" for x in (*HEAD, *lines)).encode())


EVERYTHING = described(
    "m=audio 4000 RTP/AVP 111 9 8 0 110 101", *OPUS_LINES, PLAIN_EVENTS, "a=ptime:30"
)


def test_g711_is_taken_up_wherever_it_is_offered_and_nothing_dearer_beside_it() -> None:
    answer, session = make_answer(EVERYTHING, LOCAL)
    assert answer.media[0].formats == ("8", "0", "101")
    assert (session.send_codec, session.send_events) == (PCMA, (101, 8000))
    assert set(session.receive) == {8, 0}
    assert not list(answer.media[0].values("maxptime"))


def test_the_others_come_first_if_our_list_begins_with_one() -> None:
    answer, session = make_answer(EVERYTHING, WIDE_FIRST)
    assert answer.media[0].formats == ("111", "9", "110", "101")
    assert (session.send_codec, session.send_events) == (OPUS, (110, 48_000))


@pytest.mark.parametrize(("ptime", "ours"), [(10, 10), (20, 20), (30, 20), (40, 40), (120, 60)])
def test_opus_is_answered_with_what_is_sent_in_frames_it_has(ptime: int, ours: int) -> None:
    offer = described("m=audio 4000 RTP/AVP 111 110", *OPUS_LINES, f"a=ptime:{ptime}")
    answer, session = make_answer(offer, LOCAL)
    media = answer.media[0]
    assert next(iter(media.values("fmtp"))) == (
        "111 maxplaybackrate=16000;sprop-maxcapturerate=16000"
    )
    assert (session.ptime, list(media.values("ptime"))) == (ours, [str(ours)])
    assert list(media.values("maxptime")) == ["120"]
    assert "111 opus/48000/2" in media.values("rtpmap")


def test_g722_needs_no_rtpmap_and_has_the_clock_that_was_misprinted_once() -> None:
    _, session = make_answer(described("m=audio 4000 RTP/AVP 9 101", PLAIN_EVENTS), LOCAL)
    assert (session.send_payload_type, session.send_codec) == (9, Codec("G722", 8000))
    assert session.send_events == (101, 8000)


def test_our_offer_lists_all_with_events_by_the_clock_of_each() -> None:
    media = make_offer(LOCAL).media[0]
    assert list(media.values("rtpmap")) == [
        "0 PCMU/8000", "8 PCMA/8000", "9 G722/8000", "96 opus/48000/2",
        "101 telephone-event/8000", "97 telephone-event/48000",
    ]  # fmt: skip
    again = make_offer(LOCAL, make_offer(LOCAL))
    assert again.media[0] == media


def test_of_an_answer_with_several_codecs_g711_is_sent_and_all_are_understood() -> None:
    offer = make_offer(LOCAL)
    answer = described("m=audio 4000 RTP/AVP 96 0 101", "a=rtpmap:96 opus/48000/2", PLAIN_EVENTS)
    session = read_answer(offer, answer, LOCAL)
    assert session.send_codec == PCMU
    assert session.receive[96] == OPUS


def test_what_the_answer_left_out_and_is_dear_to_hear_is_not_listened_for() -> None:
    session = read_answer(make_offer(LOCAL), described("m=audio 4000 RTP/AVP 0"), LOCAL)
    assert set(session.receive) == {0, 8}
    session = read_answer(make_offer(LOCAL), described("m=audio 4000 RTP/AVP 9"), LOCAL)
    assert session.send_codec == G722
    assert set(session.receive) == {0, 8, 9}
