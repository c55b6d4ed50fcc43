"""The 49 messages of RFC 4475, one test each; the headings are those of the RFC."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mediaserver.errors import PeerError
from mediaserver.sip.framing import StreamFramer
from mediaserver.sip.message import Request, Response, SipParseError, parse_message
from mediaserver.sip.replies import refusal, respond
from mediaserver.sip.uri import AbsoluteUri, SipUri

CORPUS = Path(__file__).parent / "torture" / "rfc4475"
EXPECTED = json.loads((CORPUS.parent / "expectations.json").read_text())["rfc4475"]
ACCEPTED = [name for name, row in EXPECTED.items() if isinstance(row["parse"], str)]


def octets(name: str) -> bytes:
    return (CORPUS / f"{name}.sip").read_bytes()


def request(name: str) -> Request:
    message = parse_message(octets(name))
    assert isinstance(message, Request)
    return message


def response(name: str) -> Response:
    message = parse_message(octets(name))
    assert isinstance(message, Response)
    return message


def refused(name: str) -> SipParseError:
    with pytest.raises(SipParseError) as caught:
        parse_message(octets(name))
    return caught.value


def sip(uri: SipUri | AbsoluteUri) -> SipUri:
    assert isinstance(uri, SipUri)
    return uri


def test_every_message_has_an_expectation_and_a_file() -> None:
    assert len(EXPECTED) == 49
    assert {path.stem for path in CORPUS.glob("*.sip")} == set(EXPECTED)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_must_be_accepted_is(name: str) -> None:
    message = parse_message(octets(name))
    assert type(message).__name__.lower() == EXPECTED[name]["parse"]


@pytest.mark.parametrize("name", [name for name in EXPECTED if name not in ACCEPTED])
def test_what_must_be_refused_is_and_can_be_answered(name: str) -> None:
    error = refused(name)
    assert error.status == EXPECTED[name]["parse"]
    answer = refusal(error, to_tag="t")
    if EXPECTED[name]["answer"] == "discard":
        assert answer is None
    else:
        assert answer is not None
        assert answer.status in EXPECTED[name]["answer"]
        assert answer.headers.get_all("Via")


@pytest.mark.parametrize("name", [n for n, row in EXPECTED.items() if row["parse"] == "request"])
def test_the_answer_to_every_accepted_request_can_be_read_again(name: str) -> None:
    asked = request(name)
    answer = parse_message(respond(asked, 200, to_tag="ours").to_bytes())
    assert isinstance(answer, Response)
    assert answer.vias == asked.vias
    assert answer.headers.get("From") == asked.headers.get("From")
    assert answer.call_id == asked.call_id
    assert answer.cseq == asked.cseq
    assert answer.to.tag == (asked.to.tag or "ours")


# 3.1.1 Valid messages


def test_wsinv_folded_and_spaced_headers_mean_what_they_say() -> None:
    message = request("wsinv")
    assert message.method == "INVITE"
    assert message.target.user == "vivekg"
    assert message.target.params == (("unknownparam", None),)
    assert str(message.to.uri) == "sip:vivekg@chair-dnrc.example.com"
    assert message.to.tag == "1918181833n"
    assert message.from_.display_name == 'J Rosenberg \\"'
    assert message.from_.tag == "98asjd8"
    assert message.max_forwards == 68
    assert (message.cseq.number, message.cseq.method) == (9, "INVITE")
    assert [(via.transport, via.host, via.branch) for via in message.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert message.headers.get("Subject") == ""
    assert message.headers.get("newfangledheader") == "newfangled value continued newfangled value"
    assert message.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert sip(message.routes[0].uri).param("unknownwith") == "value"
    assert message.contact is not None
    assert message.contact.display_name == 'Quoted string ""'
    assert message.contact.params == (
        ("newparam", "newvalue"),
        ("secondparam", None),
        ("q", "0.33"),
    )
    assert message.content_type == "application/sdp"
    assert len(message.body) == 150
    assert message.body.endswith(b"a=rtpmap:31 LPC\r\n")


def test_intmeth_every_token_character_is_taken() -> None:
    message = request("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.target.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.target.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.target.host == "example.com"
    assert message.via.branch == "z9hG4bK-.!%66*_+`'~"
    assert message.to.display_name == "BEL:\ufffd NUL:\ufffd DEL:\ufffd"
    assert message.from_.display_name == "token1~` token2'+_ token3*%!.-"
    assert message.from_.param("fromParam''~+*_!.-%") == "работающий"
    assert message.from_.tag == "_token~1'+`*%!-."
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.cseq.number == 139122385
    assert message.max_forwards == 255
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_intmeth_escaped_octets_are_echoed_as_they_came() -> None:
    message = request("intmeth")
    answer = respond(message, 501, to_tag="t").to_bytes()
    assert b'To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:' in answer


def test_esc01_escapes_are_undone_once_and_only_in_uris() -> None:
    message = request("esc01")
    assert message.target.user == "sips%3Auser%40example.com"
    assert message.target.user_text == "sips:user@example.com"
    assert message.target.host == "example.net"
    assert sip(message.to.uri).user_text == "user"
    assert sip(message.from_.uri).user_text == "I have spaces"
    assert message.contact is not None
    uri = sip(message.contact.uri)
    assert uri.user_text == "caller"
    assert uri.params == (("%6C%72", None), ("n%61me", "v%61lue%25%34%31"))
    assert message.content_type == "application/sdp"
    assert len(message.body) == 150


def test_escnull_an_escaped_null_does_not_shorten_a_user() -> None:
    message = request("escnull")
    assert sip(message.to.uri).user == "null-%00-null"
    assert sip(message.to.uri).user_text == "null-\ufffd-null"
    assert [sip(contact.uri).user for contact in message.contacts] == ["%00", "%00%00"]
    assert message.body == b""


def test_esc02_percent_is_no_escape_outside_uris() -> None:
    message = request("esc02")
    assert message.method == "RE%47IST%45R"
    assert message.to.display_name == "%Z%45"
    assert message.from_.display_name == "%Z%45"
    assert [sip(contact.uri).user for contact in message.contacts] == ["alias1", "alias3"]
    assert message.headers.get("C%6Fntact") == "<sip:alias2@host2.example.com>"
    assert message.via.branch == "z9hG4bK209%fzsnel234"


def test_lwsdisp_a_name_may_touch_its_bracket() -> None:
    message = request("lwsdisp")
    assert message.from_.display_name == "caller"
    assert str(message.from_.uri) == "sip:caller@example.com"
    assert message.from_.tag == "323"


def test_longreq_long_values_are_kept_whole() -> None:
    message = request("longreq")
    assert message.to.display_name == f"I have a user name of {'extreme' * 10} proportion"
    uri = sip(message.to.uri)
    assert uri.port == 6000
    assert uri.param("unknownparam1") == f"very{'long' * 20}value"
    assert uri.param(f"longparam{'name' * 25}") == "shortvalue"
    assert uri.param(f"very{'long' * 25}ParameterNameWithNoValue") == ""
    assert sip(message.from_.uri).user == "amazinglylongcallername" * 5
    assert message.from_.tag == f"12{'982' * 50}424"
    assert message.call_id == f"longreq.one{'really' * 20}longcallid"
    assert len(message.vias) == 34
    assert [via.host for via in message.vias[:33]] == [
        f"sip{number}.example.com" for number in range(33, 0, -1)
    ]
    assert message.vias[33].received == "192.0.2.5"
    assert message.vias[33].branch == f"very{'long' * 50}branchvalue"
    assert message.headers.get(f"unknown-{'LONG' * 20}-name") is not None


def test_dblreq_what_follows_the_body_in_a_datagram_is_ignored() -> None:
    message = request("dblreq")
    assert message.method == "REGISTER"
    assert message.body == b""
    assert message.call_id == "dblreq.0ha0isndaksdj99sdfafnl3lk233412"
    assert len(message.vias) == 1


def test_dblreq_over_a_stream_is_two_requests() -> None:
    framer = StreamFramer()
    frames = framer.feed(octets("dblreq"))
    assert [bytes(frame).split(b" ", 1)[0] for frame in frames if isinstance(frame, bytes)] == [
        b"REGISTER",
        b"INVITE",
    ]
    # the second one says 150 octets and has 153
    assert framer.buffered == 3


def test_semiuri_a_semicolon_before_the_at_sign_is_the_users() -> None:
    message = request("semiuri")
    assert message.target.user_text == "user;par=u@example.net"
    assert message.target.host == "example.com"
    assert message.target.params == ()
    assert message.headers.tokens("Accept") == [
        "application/sdp",
        "application/pkcs7-mime",
        "multipart/mixed",
        "multipart/signed",
        "message/sip",
        "message/sipfrag",
    ]


def test_transports_unknown_transports_below_the_top_are_accepted() -> None:
    message = request("transports")
    assert [via.transport for via in message.vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]
    assert message.call_id == "transports.kijh4akdnaqjkwendsasfdj"


def test_mpart01_a_binary_body_is_framed_by_its_length() -> None:
    message = request("mpart01")
    assert message.method == "MESSAGE"
    assert len(message.body) == 553
    assert b"\x00" in message.body
    assert message.body.endswith(b"\r\n--7a9cbec02ceef655--\r\n")
    assert message.content_type == "multipart/mixed"
    assert message.via.wants_rport
    assert message.via.rport is None
    assert sip(message.routes[0].uri).port == 5080


def test_unreason_a_reason_phrase_may_be_any_utf8() -> None:
    message = response("unreason")
    assert message.status == 200
    assert message.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
    assert len(message.body) == 154


def test_noreason_a_reason_phrase_may_be_empty() -> None:
    message = response("noreason")
    assert (message.status, message.reason) == (100, "")
    assert message.to_bytes().startswith(b"SIP/2.0 100 \r\n")


# 3.1.2 Invalid messages


def test_badinv01_separators_without_values_are_refused() -> None:
    assert refused("badinv01").status == 400


def test_clerr_a_length_beyond_the_datagram_is_refused() -> None:
    assert refused("clerr").status == 400


def test_clerr_over_a_stream_waits_for_the_rest() -> None:
    framer = StreamFramer()
    assert framer.feed(octets("clerr")) == []
    assert framer.buffered == len(octets("clerr"))


def test_ncl_a_negative_length_is_refused_and_ends_a_stream() -> None:
    assert refused("ncl").status == 400
    with pytest.raises(PeerError) as caught:
        StreamFramer().feed(octets("ncl"))
    assert caught.value.status == 400


def test_scalar02_a_number_too_large_for_its_field_is_refused() -> None:
    error = refused("scalar02")
    assert error.status == 400
    assert error.reason == "Bad CSeq"


def test_scalar02_only_the_cseq_is_fatal() -> None:
    data = octets("scalar02").replace(b"36893488147419103232", b"1")
    message = parse_message(data)
    assert message.max_forwards is None
    assert message.contact is not None
    assert message.contact.param("expires") == "280297596632815"


def test_scalarlg_an_unreadable_response_is_discarded() -> None:
    error = refused("scalarlg")
    assert error.method is None
    assert error.request_headers is None


def test_quotbal_an_open_quote_is_refused() -> None:
    assert refused("quotbal").status == 400


def test_ltgtruri_brackets_around_a_request_uri_are_refused() -> None:
    assert refused("ltgtruri").status == 400


def test_lwsruri_white_space_in_a_request_uri_is_refused() -> None:
    assert refused("lwsruri").status == 400


def test_lwsstart_two_spaces_in_a_request_line_are_refused() -> None:
    assert refused("lwsstart").status == 400


def test_trws_white_space_after_the_version_is_refused() -> None:
    assert refused("trws").status == 400


def test_escruri_headers_in_a_request_uri_are_refused() -> None:
    assert refused("escruri").status == 400


def test_baddate_a_date_nobody_needs_does_no_harm() -> None:
    message = request("baddate")
    assert message.headers.get("Date") == "Fri, 01 Jan 2010 16:00:00 EST"


def test_regbadct_a_question_mark_outside_brackets_is_refused() -> None:
    assert refused("regbadct").status == 400


def test_badaspec_white_space_inside_brackets_is_refused() -> None:
    assert refused("badaspec").status == 400


def test_baddn_a_comma_in_a_bare_name_is_refused() -> None:
    assert refused("baddn").status == 400


def test_badvers_another_version_is_a_505_with_the_same_headers() -> None:
    error = refused("badvers")
    assert error.status == 505
    answer = refusal(error, to_tag="x")
    assert answer is not None
    assert answer.headers.get("Via") == "SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw"
    assert answer.headers.get("To") == "T. Watson <sip:t.watson@example.org>;tag=x"
    assert answer.headers.get("CSeq") == "1 OPTIONS"


def test_mismatch01_the_method_of_the_cseq_must_be_that_of_the_request() -> None:
    assert refused("mismatch01").status == 400


def test_mismatch02_an_unknown_method_is_a_501_first() -> None:
    assert refused("mismatch02").status == 501


def test_bigcode_a_status_above_699_is_discarded() -> None:
    assert refused("bigcode").request_headers is None


# 3.2 Transaction layer semantics


def test_badbranch_a_bare_cookie_is_no_transaction_identifier() -> None:
    message = request("badbranch")
    assert message.via.branch == "z9hG4bK"
    assert not message.via.has_cookie


# 3.3 Application-layer semantics


def test_insuf_missing_headers_are_refused_with_what_there_is() -> None:
    error = refused("insuf")
    assert error.status == 400
    answer = refusal(error, to_tag="x")
    assert answer is not None
    assert [name for name, _ in answer.headers.items()] == ["Via", "CSeq"]


def test_unkscm_an_unknown_scheme_is_a_416() -> None:
    assert refused("unkscm").status == 416


def test_novelsc_a_known_scheme_we_do_not_speak_is_a_416() -> None:
    assert refused("novelsc").status == 416


def test_unksm2_other_schemes_in_headers_are_kept_as_text() -> None:
    message = request("unksm2")
    assert message.to.uri == AbsoluteUri("isbn", "2983792873")
    assert message.from_.uri == AbsoluteUri("http", "//www.example.com")
    assert message.from_.tag == "3234233"
    assert message.contact is not None
    assert message.contact.uri == AbsoluteUri("name", "John_Smith")


def test_bext01_required_extensions_are_listed() -> None:
    message = request("bext01")
    assert message.headers.tokens("Require") == [
        "nothingSupportsThis",
        "nothingSupportsThisEither",
    ]
    assert message.via.transport == "TLS"


def test_invut_an_unknown_body_is_carried_with_its_type() -> None:
    message = request("invut")
    assert message.content_type == "application/unknownformat"
    assert message.body == b'<audio>\r\n <pcmu port="443"/>\r\n</audio>\r\n'


def test_regaut01_an_unknown_authorization_is_kept_as_text() -> None:
    message = request("regaut01")
    assert message.headers.get("Authorization") == "NoOneKnowsThisScheme opaque-data=here"


def test_multi01_a_second_value_of_a_single_field_is_refused() -> None:
    error = refused("multi01")
    assert error.status == 400
    answer = refusal(error, to_tag="x")
    assert answer is not None
    assert [name for name, _ in answer.headers.items()] == ["Via", "From", "To", "Call-ID", "CSeq"]
    assert answer.headers.get("CSeq") == "5 INVITE"


def test_mcl01_two_lengths_are_refused_and_end_a_stream() -> None:
    assert refused("mcl01").status == 400
    with pytest.raises(PeerError):
        StreamFramer().feed(octets("mcl01"))


def test_bcast_a_response_meant_for_others_shows_it_in_its_second_via() -> None:
    message = response("bcast")
    assert [via.host for via in message.vias] == ["192.0.2.198", "255.255.255.255"]


def test_zeromf_max_forwards_may_be_zero() -> None:
    assert request("zeromf").max_forwards == 0


def test_cparam01_a_parameter_behind_a_bare_uri_is_the_headers() -> None:
    contact = request("cparam01").contact
    assert contact is not None
    assert contact.params == (("unknownparam", None),)
    assert sip(contact.uri).params == ()
    assert sip(contact.uri).user == "+19725552222"


def test_cparam02_a_parameter_inside_brackets_is_the_uris() -> None:
    contact = request("cparam02").contact
    assert contact is not None
    assert contact.params == ()
    assert sip(contact.uri).params == (("unknownparam", None),)


def test_regescrt_headers_of_a_bracketed_uri_are_kept_escaped() -> None:
    contact = request("regescrt").contact
    assert contact is not None
    assert sip(contact.uri).headers == (("Route", "%3Csip:sip.example.com%3E"),)
    assert str(contact) == "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"


def test_sdp01_the_accept_header_is_there_for_the_application() -> None:
    assert request("sdp01").headers.tokens("Accept") == ["text/nobodyKnowsThis"]


# 3.4 Backward compatibility


def test_inv2543_an_rfc_2543_request_is_accepted() -> None:
    message = request("inv2543")
    assert message.via.branch is None
    assert not message.via.has_cookie
    assert message.from_.tag is None
    assert message.max_forwards is None
    assert message.contact is None
    assert message.to.param("user") == "phone"
    assert sip(message.to.uri).params == ()
    assert sip(message.from_.uri).param("user") == "phone"
    assert sip(message.record_routes[0].uri).param("maddr") == "ss1.example.com"
    assert message.body.endswith(b"m=audio 49217 RTP/AVP 0\r\n")
