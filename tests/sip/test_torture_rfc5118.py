"""The 12 messages of RFC 5118 (IPv6), one test each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mediaserver.sip.message import Request, SipParseError, parse_message
from mediaserver.sip.replies import respond
from mediaserver.sip.uri import SipUri

CORPUS = Path(__file__).parent / "torture" / "rfc5118"
EXPECTED = json.loads((CORPUS.parent / "expectations.json").read_text())["rfc5118"]


def octets(name: str) -> bytes:
    return (CORPUS / f"{name}.sip").read_bytes()


def request(name: str) -> Request:
    message = parse_message(octets(name))
    assert isinstance(message, Request)
    return message


def test_every_message_has_an_expectation_and_a_file() -> None:
    assert len(EXPECTED) == 12
    assert {path.stem for path in CORPUS.glob("*.sip")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_parser_does_what_the_table_says(name: str) -> None:
    expected = EXPECTED[name]["parse"]
    if expected == "request":
        answer = parse_message(respond(request(name), 200, to_tag="t").to_bytes())
        assert answer.vias == request(name).vias
    else:
        with pytest.raises(SipParseError) as caught:
            parse_message(octets(name))
        assert caught.value.status == expected


def test_ipv6_good_references_lose_their_brackets_and_get_them_back() -> None:
    message = request("ipv6-good")
    assert message.target.host == "2001:db8::10"
    assert str(message.target) == "sip:[2001:db8::10]"
    assert message.via.host == "2001:db8::9:1"
    assert message.via.sent_by == "[2001:db8::9:1]"
    assert message.contact is not None
    assert str(message.contact.uri) == "sip:caller@[2001:db8::1]"


def test_ipv6_bad_an_address_without_brackets_is_refused() -> None:
    with pytest.raises(SipParseError) as caught:
        parse_message(octets("ipv6-bad"))
    assert caught.value.status == 400
    assert caught.value.method == "REGISTER"


def test_port_ambiguous_a_port_inside_the_brackets_is_address() -> None:
    target = request("port-ambiguous").target
    assert (target.host, target.port) == ("2001:db8::10:5070", None)


def test_port_unambiguous_a_port_behind_the_brackets_is_a_port() -> None:
    target = request("port-unambiguous").target
    assert (target.host, target.port) == ("2001:db8::10", 5070)


@pytest.mark.parametrize("name", ["with-delim", "no-delim"])
def test_via_received_brackets_make_no_difference(name: str) -> None:
    via = request(f"via-received-param-{name}").via
    assert via.host == "2001:db8::9:1"
    assert via.received == "2001:db8::9:255"


def test_ipv6_in_sdp_a_body_with_ipv6_is_carried_whole() -> None:
    message = request("ipv6-in-sdp")
    assert message.target.host == "2001:db8::10"
    assert b"\r\nc=IN IP6 2001:db8::20\r\n" in message.body
    assert len(message.body) == 251


def test_ipv6_in_sdp_the_length_the_rfc_prints_is_beyond_the_message() -> None:
    data = octets("ipv6-in-sdp").replace(b"Content-Length: 251", b"Content-Length: 268")
    with pytest.raises(SipParseError) as caught:
        parse_message(data)
    assert caught.value.status == 400


def test_mult_ip_in_header_both_families_stand_side_by_side() -> None:
    vias = request("mult-ip-in-header").vias
    assert [(via.transport, via.host, via.port) for via in vias] == [
        ("UDP", "2001:db8::9:1", 6050),
        ("UDP", "192.0.2.1", None),
        ("TCP", "2001:db8::9:255", None),
    ]
    assert vias[2].received == "192.0.2.200"


def test_mult_ip_in_sdp_the_body_is_not_looked_into() -> None:
    body = request("mult-ip-in-sdp").body
    assert b"c=IN IP4 192.0.2.1\r\n" in body
    assert b"c=IN IP6 2001:db8::1\r\n" in body


def test_ipv4_mapped_ipv6_a_dotted_tail_is_part_of_the_address() -> None:
    message = request("ipv4-mapped-ipv6")
    assert [(via.host, via.port) for via in message.vias] == [
        ("::ffff:192.0.2.10", 19823),
        ("::ffff:192.0.2.2", None),
    ]
    assert message.contact is not None
    assert message.contact.display_name == "T. desk phone"
    assert isinstance(message.contact.uri, SipUri)
    assert message.contact.uri.host == "::ffff:192.0.2.2"


def test_ipv6_bug_abnf_three_colons_are_read_as_two() -> None:
    odd = request("ipv6-bug-abnf-3-colons")
    good = request("ipv6-correct-abnf-2-colons")
    assert odd.target == good.target
    assert odd.target.host == "2001:db8::192.0.2.1"
    assert odd.to.uri == good.to.uri
