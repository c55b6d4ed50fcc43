from __future__ import annotations

import pytest

from mediaserver.errors import PeerError
from mediaserver.sip.address import Address
from mediaserver.sip.limits import MAX_LIST_VALUES
from mediaserver.sip.uri import AbsoluteUri, SipUri


@pytest.mark.parametrize(
    ("text", "name", "uri", "tag"),
    [
        ("sip:a@b", "", "sip:a@b", None),
        ("sip:a@b;tag=1", "", "sip:a@b", "1"),
        ("<sip:a@b>;tag=1", "", "sip:a@b", "1"),
        ("<sip:a@b;tag=2>;tag=1", "", "sip:a@b;tag=2", "1"),
        ("Alice<sip:a@b>", "Alice", "sip:a@b", None),
        ("Alice of Wonderland  <sip:a@b>", "Alice of Wonderland", "sip:a@b", None),
        ("Müller (home) <sip:a@b>", "Müller (home)", "sip:a@b", None),
        ('"Alice, \\"A\\" <x>" <sip:a@b> ; TAG = 7', 'Alice, "A" <x>', "sip:a@b", "7"),
        ('"" <sip:a@b>', "", "sip:a@b", None),
        ('"Alice"<tel:+1>', "Alice", "tel:+1", None),
        ('sip:a@b;x="<;,>";tag=9', "", "sip:a@b", "9"),
    ],
)
def test_name_uri_and_tag_are_found(text: str, name: str, uri: str, tag: str | None) -> None:
    address = Address.parse(text)
    assert address.display_name == name
    assert str(address.uri) == uri
    assert address.tag == tag


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "Alice",
        '"Alice" sip:a@b',
        '"Alice <sip:a@b>',
        '"Alice\\" <sip:a@b>',
        "<sip:a@b",
        "<sip:a@b> x",
        "<sip:a@b>;",
        "<sip:a@b>;;tag=1",
        "<sip:a@b>;ta g=1",
        "<sip:a@b>;tag=1 2",
        '<sip:a@b>;x="1',
        '<sip:a@b>;x="1"2',
        "< sip:a@b>",
        "<<sip:a@b>>",
        "Bell, A <sip:a@b>",
        "Bell; A <sip:a@b>",
        "sip:a@b?Subject=x",
        "sip:a@b, sip:c@d",
        "a@b",
    ],
)
def test_text_outside_the_grammar_is_a_400(text: str) -> None:
    with pytest.raises(PeerError) as caught:
        Address.parse(text)
    assert caught.value.status == 400


def test_a_list_is_split_outside_quotes_and_brackets() -> None:
    found = Address.parse_list('"Bell, A" <sip:a,1@b>;q=0.1, sip:c@d;z="1,2" , <tel:+1>')
    assert [address.display_name for address in found] == ["Bell, A", "", ""]
    assert found[0].param("q") == "0.1"
    assert found[1].param("Z") == "1,2"
    assert found[2].uri == AbsoluteUri("tel", "+1")


@pytest.mark.parametrize("text", ["<sip:a@b>,", ",<sip:a@b>", "<sip:a@b>,,<sip:c@d>"])
def test_an_empty_value_in_a_list_is_refused(text: str) -> None:
    with pytest.raises(PeerError):
        Address.parse_list(text)


def test_a_list_beyond_the_limit_is_refused() -> None:
    Address.parse_list(",".join(["<sip:a@b>"] * MAX_LIST_VALUES))
    with pytest.raises(PeerError):
        Address.parse_list(",".join(["<sip:a@b>"] * (MAX_LIST_VALUES + 1)))


def test_a_new_tag_takes_the_place_of_the_old() -> None:
    address = Address.parse("<sip:a@b>;tag=1;x").with_tag("2")
    assert str(address) == "<sip:a@b>;x;tag=2"


def test_an_empty_tag_is_no_tag() -> None:
    assert Address.parse("<sip:a@b>;tag=").tag is None


@pytest.mark.parametrize("name", ['"', "\\", 'a "b" \\c', "a, b; <c>", "привет"])
def test_any_name_survives_quoting(name: str) -> None:
    address = Address(SipUri(host="b", user="a"), display_name=name)
    assert Address.parse(str(address)) == address


def test_a_name_is_fit_for_a_log_line() -> None:
    assert (
        Address.parse('"a\\\0\udc80\x1b\u202e" <sip:a@b>').display_name
        == "a\ufffd\ufffd\ufffd\u202e"
    )
