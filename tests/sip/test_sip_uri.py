from __future__ import annotations

import pytest

from mediaserver.errors import PeerError
from mediaserver.sip.limits import MAX_PARAMS, MAX_URI
from mediaserver.sip.uri import AbsoluteUri, SipUri, escape_user, parse_uri, read_hostport


def test_every_part_of_a_uri_is_found() -> None:
    uri = SipUri.parse("sips:alice:secret@Example.COM:5061;transport=tcp;lr?Subject=hi&Priority=")
    assert uri == SipUri(
        scheme="sips",
        user="alice",
        password="secret",
        host="example.com",
        port=5061,
        params=(("transport", "tcp"), ("lr", None)),
        headers=(("Subject", "hi"), ("Priority", "")),
    )


@pytest.mark.parametrize(
    "text",
    [
        "sip:example.com",
        "sip:alice@192.0.2.1:5060",
        "sip:+1-212-555-0101@example.com;user=phone",
        "sip:alice;day=tuesday@example.com",
        "sips:alice@[2001:db8::1]:5061;transport=tcp?Subject=a%20b",
        "sip:%61lice@example.com",
        "sip:*72#@example.com",
        "sip:jürgen@example.com",
        "sip:a@host_with_underscore",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(SipUri.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sip:@example.com",
        "sip:a@",
        "sip:a@b@c",
        "sip:a b@example.com",
        "sip:a@exa mple.com",
        "sip:a@example.com;",
        "sip:a@example.com;;lr",
        "sip:a@example.com;=x",
        "sip:a@example.com?",
        "sip:a@example.com?subject",
        "sip:a@example.com:",
        "sip:a@example.com:0",
        "sip:a@example.com:65536",
        "sip:a@example.com:5060x",
        "sip:a@example.com:٥٠٦٠",
        "sip:a%4@example.com",
        "sip:a%zz@example.com",
        "sip:a%@example.com",
        'sip:a"b@example.com',
        "sip:<a>@example.com",
        "sip:a\\b@example.com",
        "sip:a\r\nb@example.com",
        "sip:a\0b@example.com",
        "sip:a\udc80b@example.com",
        "sip:[2001:db8::1",
        "sip:[2001:db8::1]x",
        "sip:[2001:db8::g]",
        "sip:[fe80::1%eth0]",
        "sip:2001:db8::1",
        "1sip:example.com",
        "s\u0131p:example.com",
    ],
)
def test_text_outside_the_grammar_is_a_400(text: str) -> None:
    with pytest.raises(PeerError) as caught:
        SipUri.parse(text)
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["tel:+12125550101", "http://example.com/", "urn:service:sos"])
def test_another_scheme_is_a_416_and_kept_as_text_in_a_header(text: str) -> None:
    with pytest.raises(PeerError) as caught:
        SipUri.parse(text)
    assert caught.value.status == 416
    uri = parse_uri(text)
    assert isinstance(uri, AbsoluteUri)
    assert str(uri) == text


def test_a_scheme_is_read_without_case() -> None:
    assert SipUri.parse("SIP:a@b").scheme == "sip"


def test_a_uri_beyond_the_limit_is_a_414() -> None:
    with pytest.raises(PeerError) as caught:
        SipUri.parse("sip:" + "a" * MAX_URI + "@b")
    assert caught.value.status == 414


def test_parameters_beyond_the_limit_are_refused() -> None:
    SipUri.parse("sip:a@b" + ";p" * MAX_PARAMS)
    with pytest.raises(PeerError):
        SipUri.parse("sip:a@b" + ";p" * (MAX_PARAMS + 1))


def test_a_parameter_is_found_without_case() -> None:
    uri = SipUri.parse("sip:a@b;Transport=TCP;lr")
    assert uri.param("transport") == "TCP"
    assert uri.param("LR") == ""
    assert uri.param("maddr") is None


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("alice", "alice"),
        ("j%C3%BCrgen", "jürgen"),
        ("a%0d%0aX-Evil:%201", "a\ufffd\ufffdX-Evil: 1"),
        ("a%00b", "a\ufffdb"),
        ("a%ff", "a\ufffd"),
        ("%2541", "%41"),
    ],
)
def test_the_text_of_a_user_is_fit_for_a_log_line(user: str, text: str) -> None:
    assert SipUri(host="b", user=user).user_text == text


def test_no_user_has_no_text() -> None:
    assert SipUri(host="b").user_text == ""


@pytest.mark.parametrize("text", ["alice", "a b", "a@b", "a:b>;x\r\n\0", "100%", "jürgen", "#9"])
def test_any_text_can_be_a_user(text: str) -> None:
    uri = SipUri(host="example.com", user=escape_user(text))
    again = SipUri.parse(str(uri))
    assert again == uri
    assert again.host == "example.com"


def test_hosts_are_lower_case_and_ipv6_has_no_brackets() -> None:
    assert read_hostport("EXAMPLE.com") == ("example.com", None)
    assert read_hostport("[2001:DB8::A]:5060") == ("2001:db8::a", 5060)
