"""The text of session descriptions. Invariant of the fuzz: a PeerError 400 or a description."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediaserver.errors import PeerError
from mediaserver.sdp.description import (
    MAX_BYTES,
    MAX_FORMATS,
    MAX_LINES,
    MAX_MEDIA,
    Connection,
    SessionDescription,
)

FULL = b"""v=0
o=jdoe 2890844526 2890842807 IN IP4 10.47.16.5
s=SDP Seminar
i=A Seminar
u=http://www.example.com/seminars/sdp.pdf
e=j.doe@example.com (Jane Doe)
p=+1 617 555-6011
c=IN IP4 198.51.100.1/127
b=X-YZ:128
t=2873397496 2873404696
r=7d 1h 0 25h
z=2882844526 -1h
k=clear:x
a=recvonly
a=tool:x:y
m=audio 49170/2 RTP/AVP 0 8 97
i=voice
c=IN IP4 198.51.100.2
c=IN IP4 198.51.100.3
b=AS:64
k=prompt:
a=rtpmap:97 iLBC/8000
a=frobnicate
m=video 51372 RTP/AVP 99
a=rtpmap:99 h263-1998/90000
"""


def test_a_whole_description_is_read() -> None:
    read = SessionDescription.parse(FULL)
    assert (read.origin.username, read.origin.session_id) == ("jdoe", "2890844526")
    assert (read.origin.version, read.origin.host) == (2890842807, "10.47.16.5")
    assert read.name == "SDP Seminar"
    audio = read.media[0]
    assert (audio.kind, audio.port, audio.count, audio.protocol) == ("audio", 49170, 2, "RTP/AVP")
    assert audio.formats == ("0", "8", "97")
    assert [str(a) for a in audio.attributes] == ["rtpmap:97 iLBC/8000", "frobnicate"]
    assert list(read.values("tool", audio)) == ["x:y"]


def test_the_first_connection_of_a_media_line_counts_and_the_session_s_is_inherited() -> None:
    read = SessionDescription.parse(FULL)
    assert read.connection_of(read.media[0]) == Connection("198.51.100.2")
    assert read.connection_of(read.media[1]) == Connection("198.51.100.1")


def test_line_ends_may_be_crlf_or_lf_and_empty_lines_may_follow() -> None:
    assert SessionDescription.parse(FULL.replace(b"\n", b"\r\n")) == SessionDescription.parse(FULL)
    assert SessionDescription.parse(FULL + b"\r\n\n") == SessionDescription.parse(FULL)


def test_what_is_written_reads_back_the_same() -> None:
    read = SessionDescription.parse(FULL)
    assert SessionDescription.parse(str(read).encode()) == read


HEAD = "v=0\no=- 1 1 IN IP4 a.example\ns=-\nt=0 0\n"


@pytest.mark.parametrize(
    "text",
    [
        "v=0\no=- 1 1 IN IP4 h\ns=\nt=0 0\n",
        "v=0\no=- 1 1 IN IP4 h\ns= \nc=IN IP4 h\nt=0 0\n",
        "v=0\no=two words 1 1 IN IP4 h\ns=-\nt=0 0\n",
        "v=0\no=- not-a-number 1 IN IP4 h\ns=-\nt=0 0\n",
        "v=0\no=- 1 1 IN IP6 2001:db8::1\ns=-\na=x\nt=0 0\n",
        HEAD + "a=\na=:x\n",
        HEAD + "c=IN IP4 sip.example.com\nm=audio 0 RTP/AVP 0\n",
        HEAD + "c=ATM NSAP 47.0091\n",
        HEAD + "m=image 9 udptl t38\n",
        "v=0\no=- 1 1 IN IP4 h\ns=caf\xe9\nt=0 0\n",
    ],
)
def test_what_ordinary_peers_send_is_accepted(text: str) -> None:
    SessionDescription.parse(text.encode("latin-1"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("\r\n\r\n", "empty"),
        ("hello", "a letter"),
        ("v=0\n\no=- 1 1 IN IP4 h\ns=-\nt=0 0", "a letter"),
        ("v=1\no=- 1 1 IN IP4 h\ns=-\nt=0 0", "version must be 0"),
        ("o=- 1 1 IN IP4 h\nv=0\ns=-\nt=0 0", "must begin"),
        ("v=0\ns=-\no=- 1 1 IN IP4 h\nt=0 0", "must begin"),
        ("v=0\no=- 1 1 IN IP4 h\nt=0 0", "must begin"),
        ("v=0\no=- 1 1 IN IP4 h\ns=-\nm=audio 1 RTP/AVP 0", "no t="),
        ("v=0\no=- 1 IN IP4 h\ns=-\nt=0 0", "six fields"),
        ("v=0\no=- 1 x IN IP4 h\ns=-\nt=0 0", "not a number"),
        ("v=0\no=- 1 " + "9" * 5000 + " IN IP4 h\ns=-\nt=0 0", "not a number"),
        (HEAD + "x=1", "unknown"),
        (HEAD + "A=1", "unknown"),
        (HEAD + "v=0", "unknown"),
        (HEAD + "m=audio 1 RTP/AVP 0\nt=0 0", "unknown under m="),
        (HEAD + "m=audio 1 RTP/AVP 0\ng=1", "unknown under m="),
        (HEAD + " a=x", "a letter"),
        (HEAD + "a=b\rc", "control"),
        (HEAD + "a=b\0c", "control"),
        (HEAD + "c=IN IP4", "three fields"),
        (HEAD + "c=IN IP4 1.2.3", "no address"),
        (HEAD + "c=IN IP4 256.1.1.1", "no address"),
        (HEAD + "c=IN IP6 ::1%eth0", "no address"),
        (HEAD + "c=IN IP4 a/b@c", None),
        (HEAD + "c=IN IP4 a@c", "no address"),
        (HEAD + "c=IN IP4 " + "a" * 256, "no address"),
        (HEAD + "m=audio 1 RTP/AVP", "m= needs"),
        (HEAD + "m=audio x RTP/AVP 0", "port"),
        (HEAD + "m=audio -1 RTP/AVP 0", "port"),
        (HEAD + "m=audio 65536 RTP/AVP 0", "port"),
        (HEAD + "m=audio 1/0 RTP/AVP 0", "number of ports"),
        (HEAD + "m=audio 1/x RTP/AVP 0", "number of ports"),
        (HEAD + "m=audio ² RTP/AVP 0", "ASCII"),
        (HEAD + "m=audio 1 RTP/AVP" + " 0" * (MAX_FORMATS + 1), "formats"),
        (HEAD + "m=audio 1 RTP/AVP 0\n" * (MAX_MEDIA + 1), "m-lines"),
        (HEAD + "a=x\n" * MAX_LINES, "lines"),
        (HEAD + "a=" + "x" * MAX_BYTES, "larger"),
    ],
)
def test_what_is_no_description_is_refused_with_400(text: str, why: str | None) -> None:
    if why is None:
        SessionDescription.parse(text.encode())
        return
    with pytest.raises(PeerError, match=why) as refused:
        SessionDescription.parse(text.encode())
    assert refused.value.status == 400


def test_an_error_names_the_line_and_repeats_nothing_of_it() -> None:
    with pytest.raises(PeerError, match="line 5: this type is unknown") as refused:
        SessionDescription.parse((HEAD + "x=secret").encode())
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "nowhere"),
    [
        ("0.0.0.0", True),
        ("::", True),
        ("x.invalid", True),
        ("INVALID.", True),
        ("notinvalid", False),
        ("192.0.2.1", False),
    ],
)
def test_an_address_that_takes_nothing_is_known(host: str, nowhere: bool) -> None:
    assert Connection(host).is_nowhere is nowhere


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet="vosctma=:0 1/\r\n", max_size=200))
def test_any_text_is_read_or_refused(data: bytes | str) -> None:
    raw = data if isinstance(data, bytes) else data.encode()
    _read_or_refuse(raw)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("aaaicbkm"), st.text(max_size=30)), max_size=12))
def test_any_lines_under_a_good_head_are_read_or_refused(lines: list[tuple[str, str]]) -> None:
    _read_or_refuse((HEAD + "".join(f"{a}={b}\n" for a, b in lines)).encode("utf-8", "replace"))


def test_a_mutated_description_is_read_or_refused() -> None:
    random_ = random.Random(8866)
    for _ in range(3_000):
        data = bytearray(FULL)
        for _ in range(random_.randint(1, 8)):
            at = random_.randrange(len(data))
            match random_.randrange(4):
                case 0:
                    data[at] = random_.randrange(256)
                case 1:
                    del data[at : at + random_.randrange(1, 20)]
                case 2:
                    data[at:at] = data[random_.randrange(len(data)) :][:30]
                case _:
                    data[at:at] = random_.choice([b"\r", b"\n", b"=", b"/", b"\xff", b"9" * 40])
        _read_or_refuse(bytes(data))


def _read_or_refuse(data: bytes) -> None:
    status = None
    try:
        read = SessionDescription.parse(data)
    except PeerError as error:
        status = error.status
    else:
        assert SessionDescription.parse(str(read).encode()) == read
    assert status in {None, 400}


@pytest.mark.parametrize(
    "body",
    [
        "a=" + "x:" * 30_000,
        "a=x\n" * 900,
        "c=IN IP4 " + "1." * 25_000,
        "m=audio 1 RTP/AVP " + "0 " * 25_000,
        "\n" * 60_000,
        "\r" * 60_000,
    ],
)
def test_the_largest_bodies_are_read_in_linear_time(body: str) -> None:
    started = time.process_time()
    _read_or_refuse((HEAD + body).encode())
    assert time.process_time() - started < 0.5
