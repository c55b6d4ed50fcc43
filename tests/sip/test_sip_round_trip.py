"""What is written can be read again and means the same."""

from __future__ import annotations

import string

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediaserver.sip.address import Address
from mediaserver.sip.cseq import CSeq
from mediaserver.sip.grammar import end_of_quote, quote, unquote
from mediaserver.sip.headers import Headers
from mediaserver.sip.message import Request, Response, parse_message
from mediaserver.sip.uri import SipUri, escape_user
from mediaserver.sip.via import Via

TOKENS = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=20)
PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30)
PORTS = st.none() | st.integers(1, 65_535)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z][a-z0-9]{0,5})?", fullmatch=True)
HOSTS = NAMES | st.ip_addresses().map(str)
ESCAPED = st.text(min_size=1, max_size=12).map(escape_user)
URI_PARAMS = st.lists(
    st.tuples(
        st.text(string.ascii_letters + "-_.!~*'()[]/:&+$", min_size=1, max_size=8),
        st.none() | st.text(string.ascii_letters + string.digits, min_size=1, max_size=8),
    ),
    max_size=3,
).map(tuple)
PARAMS = st.lists(
    st.tuples(
        TOKENS.filter(lambda t: t.lower() != "rport"), st.none() | TOKENS | PRINTABLE.map(quote)
    ),
    max_size=3,
).map(tuple)
URIS = st.builds(
    SipUri,
    host=HOSTS,
    user=st.none() | ESCAPED,
    port=PORTS,
    scheme=st.sampled_from(["sip", "sips"]),
    params=URI_PARAMS,
)
ADDRESSES = st.builds(Address, uri=URIS, display_name=PRINTABLE, params=PARAMS)
VIAS = st.builds(
    Via, transport=st.sampled_from(["UDP", "TCP", "TLS"]), host=HOSTS, port=PORTS, params=PARAMS
)
# A busy machine is no finding.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
FREE_TEXT = PRINTABLE.map(lambda text: text.strip(" \t"))


@CALM
@given(URIS)
def test_a_uri_comes_back(uri: SipUri) -> None:
    assert SipUri.parse(str(uri)) == uri


@CALM
@given(st.text(max_size=40))
def test_a_quoted_string_comes_back(text: str) -> None:
    quoted = quote(text)
    assert end_of_quote(quoted + '"tail', 0) == len(quoted)
    assert unquote(quoted) == text


@CALM
@given(ADDRESSES)
def test_an_address_comes_back(address: Address) -> None:
    assert Address.parse(str(address)) == address


@CALM
@given(st.lists(ADDRESSES, min_size=1, max_size=4))
def test_a_list_of_addresses_comes_back(addresses: list[Address]) -> None:
    assert Address.parse_list(", ".join(map(str, addresses))) == tuple(addresses)


@CALM
@given(st.lists(VIAS, min_size=1, max_size=4))
def test_a_list_of_vias_comes_back(vias: list[Via]) -> None:
    assert Via.parse_list(",".join(map(str, vias))) == tuple(vias)


@CALM
@given(
    method=TOKENS.filter(lambda text: text.upper() != "SIP"),
    uri=URIS,
    vias=st.lists(VIAS, min_size=1, max_size=3),
    sender=ADDRESSES,
    receiver=ADDRESSES,
    call_id=TOKENS,
    number=st.integers(0, 2**31 - 1),
    note=FREE_TEXT,
    body=st.binary(max_size=100),
)
def test_a_request_comes_back(
    method: str,
    uri: SipUri,
    vias: list[Via],
    sender: Address,
    receiver: Address,
    call_id: str,
    number: int,
    note: str,
    body: bytes,
) -> None:
    headers = Headers([("Via", str(via)) for via in vias])
    headers.add("From", str(sender))
    headers.add("To", str(receiver))
    headers.add("Call-ID", call_id)
    headers.add("CSeq", str(CSeq(number, method)))
    headers.add("Note", f'"{note}"' if note.isalnum() else quote(note))
    request = Request(method, str(uri), headers, body)
    again = parse_message(request.to_bytes(), stream=True)
    assert isinstance(again, Request)
    assert (again.method, again.target, again.body) == (method, uri, body)
    assert again.vias == tuple(vias)
    assert (again.from_, again.to, again.call_id) == (sender, receiver, call_id)
    assert again.cseq == CSeq(number, method)
    assert again.headers.get("Note") == headers.get("Note")


@CALM
@given(status=st.integers(100, 699), reason=FREE_TEXT, via=VIAS, address=ADDRESSES)
def test_a_response_comes_back(status: int, reason: str, via: Via, address: Address) -> None:
    headers = Headers([("Via", str(via)), ("From", str(address)), ("To", str(address))])
    headers.add("Call-ID", "c")
    headers.add("CSeq", "1 INVITE")
    again = parse_message(Response(status, reason, headers).to_bytes())
    assert isinstance(again, Response)
    assert (again.status, again.reason) == (status, reason)
    assert again.vias == (via,)
