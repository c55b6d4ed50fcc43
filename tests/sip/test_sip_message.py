from __future__ import annotations

import pytest

from mediaserver.errors import LocalError
from mediaserver.sip.headers import Headers
from mediaserver.sip.limits import MAX_HEADERS, MAX_LINE, MAX_MESSAGE_BYTES, MAX_VIAS
from mediaserver.sip.message import Request, Response, SipParseError, parse_message
from mediaserver.sip.replies import refusal, respond

REQUIRED = (
    b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx",
    b"From: <sip:a@example.com>;tag=1",
    b"To: <sip:b@example.com>",
    b"Call-ID: call@192.0.2.1",
    b"CSeq: 1 INVITE",
)
START = b"INVITE sip:b@example.com SIP/2.0"


def datagram(*lines: bytes, start: bytes = START, body: bytes = b"") -> bytes:
    return b"\r\n".join((start, *lines, b"", body))


def request(*extra: bytes, body: bytes = b"") -> Request:
    message = parse_message(datagram(*REQUIRED, *extra, body=body))
    assert isinstance(message, Request)
    return message


def refused(data: bytes, *, stream: bool = False) -> SipParseError:
    with pytest.raises(SipParseError) as caught:
        parse_message(data, stream=stream)
    return caught.value


# reading


def test_empty_lines_before_a_message_are_ignored() -> None:
    assert parse_message(b"\r\n\r\n" + datagram(*REQUIRED)) == request()


def test_a_folded_line_is_one_value_with_single_spaces() -> None:
    message = request(b"Subject: one \r\n\t two\r\n   \r\n three")
    assert message.headers.get("Subject") == "one two  three"


def test_a_datagram_without_length_is_body_to_its_end() -> None:
    assert request(body=b"a\r\n\r\nb").body == b"a\r\n\r\nb"


def test_octets_beyond_the_length_are_dropped() -> None:
    assert request(b"Content-Length: 2", body=b"abcd").body == b"ab"


@pytest.mark.parametrize(
    "line",
    [
        *(b"l: 5", b"l: -1", b"l: +1", b"l: 1 1", b"l: 0x1", b"l:", b"l: 1,1", b"l: " + b"9" * 400),
        *(b"l: 0\r\nContent-Length: 0", "l: \u0661".encode()),
    ],
)
def test_a_length_that_cannot_be_true_is_a_400(line: bytes) -> None:
    error = refused(datagram(*REQUIRED, line, body=b"abcd"))
    assert error.status == 400
    assert error.method == "INVITE"


def test_a_stream_must_declare_its_length() -> None:
    assert refused(datagram(*REQUIRED), stream=True).status == 400
    parse_message(datagram(*REQUIRED, b"l: 0"), stream=True)


@pytest.mark.parametrize("index", range(len(REQUIRED)))
def test_every_mandatory_header_is_missed(index: int) -> None:
    lines = [line for at, line in enumerate(REQUIRED) if at != index]
    assert refused(datagram(*lines)).status == 400


@pytest.mark.parametrize("index", range(1, len(REQUIRED)))
def test_a_second_value_of_a_single_header_is_a_400(index: int) -> None:
    assert refused(datagram(*REQUIRED, REQUIRED[index])).status == 400


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"INVITE",
        b"INVITE sip:b@example.com",
        b"INVITE sip:b@example.com SIP/2",
        b"INVITE sip:b@example.com SIP/2.0 ",
        b"INVITE  sip:b@example.com SIP/2.0",
        b" INVITE sip:b@example.com SIP/2.0",
        b"INVITE\tsip:b@example.com\tSIP/2.0",
        b"INV(TE sip:b@example.com SIP/2.0",
        b"INVITE sip:b@example.com HTTP/1.1",
        b"INVITE sip:b@example.com\x00 SIP/2.0",
        b"INVITE <sip:b@example.com> SIP/2.0",
        b"INVITE sip:b@example.com?a=b SIP/2.0",
        b"M" * 65 + b" sip:b@example.com SIP/2.0",
    ],
)
def test_a_broken_request_line_is_a_400(start: bytes) -> None:
    assert refused(datagram(*REQUIRED, start=start)).status == 400


def test_a_version_is_read_without_case_and_others_are_a_505() -> None:
    parse_message(datagram(*REQUIRED, start=b"INVITE sip:b@example.com sip/2.0"))
    error = refused(datagram(*REQUIRED, start=b"INVITE sip:b@example.com SIP/2.1"))
    assert (error.status, error.method) == (505, "INVITE")


def test_a_scheme_we_do_not_speak_is_a_416() -> None:
    assert refused(datagram(*REQUIRED, start=b"INVITE tel:+1 SIP/2.0")).status == 416


def test_a_request_uri_too_long_is_a_414() -> None:
    start = b"INVITE sip:" + b"b" * 3000 + b"@example.com SIP/2.0"
    assert refused(datagram(*REQUIRED, start=start)).status == 414


@pytest.mark.parametrize(
    "line",
    [
        b"No colon here",
        b": no name",
        b"A b: name with a space",
        "Naïve: name".encode(),
        b"X: bare\rreturn",
        b"X: bare\nline feed",
        b"X: nul\x00",
        b'X: "escaped \\\x00 outside" \x00',
        b"X: escaped \\\x00 but not quoted",
        b"X: bell\x07",
        b"X: delete\x7f",
    ],
)
def test_a_line_that_is_no_header_is_a_400(line: bytes) -> None:
    assert refused(datagram(*REQUIRED, line)).status == 400


@pytest.mark.parametrize(
    "line",
    [
        b"Via: SIP/2.0/UDP",
        b"Contact: <sip:",
        b"Route: <sip:a@b>,",
        b"Record-Route: x",
        b"Max-Forwards: many",
        b"Max-Forwards: -1",
    ],
)
def test_a_header_that_routing_needs_must_be_readable(line: bytes) -> None:
    assert refused(datagram(*REQUIRED, line)).status == 400


def test_a_contact_star_is_no_address() -> None:
    assert request(b"Contact: *").contacts == ()
    assert request(b"Contact: *").contact is None
    assert refused(datagram(*REQUIRED, b"Contact: *, <sip:a@b>")).status == 400


@pytest.mark.parametrize("start", [b"SIP/2.0 200 OK", b"SIP/2.0 200", b"sip/2.0 200 "])
def test_a_response_is_read(start: bytes) -> None:
    message = parse_message(datagram(*REQUIRED, start=start))
    assert isinstance(message, Response)
    assert message.status == 200


@pytest.mark.parametrize(
    "start", [b"SIP/2.0 99 x", b"SIP/2.0 700 x", b"SIP/2.0 2000 x", b"SIP/2.0 1a0 x", b"SIP/2.0"]
)
def test_a_response_that_is_none_cannot_be_answered(start: bytes) -> None:
    error = refused(datagram(*REQUIRED, start=start))
    assert error.method is None
    assert refusal(error, to_tag="x") is None


@pytest.mark.parametrize(
    "data", [b"", b"\r\n\r\n", b"\0", b"\0\0\0\0", b"\xff" * 40, b"GET / HTTP"]
)
def test_noise_cannot_be_answered(data: bytes) -> None:
    assert refusal(refused(data), to_tag="x") is None


def test_a_message_cut_off_in_its_headers_is_answered_from_what_came() -> None:
    answer = refusal(refused(datagram(*REQUIRED)[:-4]), to_tag="x")
    assert answer is not None
    assert answer.status == 400
    assert answer.headers.get("Call-ID") == "call@192.0.2.1"


def test_an_ack_is_never_answered() -> None:
    error = refused(datagram(b"Via: SIP/2.0/UDP a", start=b"ACK sip:b SIP/2.0"))
    assert error.method == "ACK"
    assert refusal(error, to_tag="x") is None


def test_headers_behind_a_broken_one_still_come_back_in_the_answer() -> None:
    answer = refusal(refused(datagram(b"broken", *REQUIRED)), to_tag="x")
    assert answer is not None
    parsed = parse_message(answer.to_bytes())
    assert isinstance(parsed, Response)
    assert (parsed.status, parsed.to.tag, parsed.cseq.number) == (400, "x", 1)


# limits


def test_a_message_beyond_the_limit_is_not_looked_at() -> None:
    error = refused(datagram(*REQUIRED, body=b"x" * MAX_MESSAGE_BYTES))
    assert (error.status, error.method) == (413, None)


def test_header_fields_beyond_the_limit_are_a_400() -> None:
    room = MAX_HEADERS - len(REQUIRED)
    request(*[b"X: y"] * room)
    assert refused(datagram(*REQUIRED, *[b"X: y"] * (room + 1))).status == 400


def test_broken_lines_count_towards_the_limit() -> None:
    error = refused(datagram(*[b"broken"] * 5000, *REQUIRED))
    assert error.method is None  # whatever is behind so much noise is not looked at


def test_a_line_beyond_the_limit_is_a_400() -> None:
    request(b"X: " + b"y" * (MAX_LINE - 3))
    assert refused(datagram(*REQUIRED, b"X: " + b"y" * MAX_LINE)).status == 400
    folded = b"X: " + b"\r\n y" * MAX_LINE
    assert refused(datagram(*REQUIRED, folded)).status == 400


def test_vias_beyond_the_limit_are_a_400() -> None:
    request(*[REQUIRED[0]] * (MAX_VIAS - 1))
    assert refused(datagram(*REQUIRED, *[REQUIRED[0]] * MAX_VIAS)).status == 400


# writing


def test_a_request_is_written_with_the_length_of_its_body() -> None:
    headers = Headers([("v", "SIP/2.0/UDP a"), ("Content-Length", "99"), ("Note", "jürgen")])
    lines = Request("INFO", "sip:b@c", headers, b"abc").to_bytes().decode().split("\r\n")
    assert lines == [
        "INFO sip:b@c SIP/2.0",
        "Via: SIP/2.0/UDP a",
        "Note: jürgen",
        "Content-Length: 3",
        "",
        "abc",
    ]


@pytest.mark.parametrize("text", ["a\r\nX: y", "a\n", "a\0"])
def test_a_start_line_is_never_written_in_two_lines(text: str) -> None:
    with pytest.raises(LocalError):
        Request("INFO", f"sip:{text}").to_bytes()
    with pytest.raises(LocalError):
        Response(200, text).to_bytes()
    with pytest.raises(LocalError):
        respond(request(), 200, to_tag=text)
    with pytest.raises(LocalError):
        respond(request(), 200, headers=[("X", text)])


def test_octets_that_are_not_text_are_echoed_as_they_came() -> None:
    message = request(b"Record-Route: <sip:a@b>;x=\xff\xfe")
    assert b"Record-Route: <sip:a@b>;x=\xff\xfe\r\n" in respond(message, 200).to_bytes()


def test_a_response_copies_what_it_must_and_no_more() -> None:
    message = request(
        b"Via: SIP/2.0/TCP second", b"Record-Route: <sip:r;lr>", b"Subject: s", b"Timestamp: 5"
    )
    answer = respond(message, 200, to_tag="mine", body=b"v=0", content_type="application/sdp")
    assert list(answer.headers.items()) == [
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"),
        ("Via", "SIP/2.0/TCP second"),
        ("From", "<sip:a@example.com>;tag=1"),
        ("To", "<sip:b@example.com>;tag=mine"),
        ("Call-ID", "call@192.0.2.1"),
        ("CSeq", "1 INVITE"),
        ("Record-Route", "<sip:r;lr>"),
        ("Content-Type", "application/sdp"),
    ]
    assert (answer.status, answer.reason, answer.body) == (200, "OK", b"v=0")
    trying = respond(message, 100)
    assert "Record-Route" not in trying.headers
    assert trying.headers.get("Timestamp") == "5"
    assert trying.to.tag is None
    assert "Record-Route" not in respond(message, 486).headers


def test_a_tag_the_request_has_is_kept() -> None:
    data = datagram(*REQUIRED).replace(b"To: <sip:b@example.com>", b"To: <sip:b@example.com>;tag=2")
    message = parse_message(data)
    assert isinstance(message, Request)
    assert respond(message, 200, to_tag="other").to.tag == "2"


@pytest.mark.parametrize(("status", "reason"), [(486, "Busy Here"), (499, "Request Failed")])
def test_a_status_has_a_default_reason(status: int, reason: str) -> None:
    assert respond(request(), status).reason == reason
    assert respond(request(), status, "Mine").reason == "Mine"
