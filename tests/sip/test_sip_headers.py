from __future__ import annotations

import pytest

from mediaserver.errors import LocalError
from mediaserver.sip.headers import Headers


def test_names_have_no_case_and_compact_forms_are_resolved() -> None:
    headers = Headers([("v", "1"), ("VIA", "2"), ("i", "x"), ("X-y", "z")])
    assert headers.get_all("Via") == ["1", "2"]
    assert headers.get("call-id") == "x"
    assert list(headers.items()) == [("Via", "1"), ("Via", "2"), ("Call-ID", "x"), ("X-y", "z")]
    assert "V" in headers
    assert "from" not in headers
    assert headers.get("From") is None


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("i", "Call-ID"),
        ("m", "Contact"),
        ("e", "Content-Encoding"),
        ("l", "Content-Length"),
        ("c", "Content-Type"),
        ("f", "From"),
        ("s", "Subject"),
        ("k", "Supported"),
        ("t", "To"),
        ("v", "Via"),
        ("x", "Session-Expires"),
        ("r", "Refer-To"),
    ],
)
def test_every_compact_name_is_spelled_out(short: str, long: str) -> None:
    for name in (short, short.upper()):
        assert list(Headers([(name, "x")]).items()) == [(long, "x")]


def test_setting_replaces_all_in_the_place_of_the_first() -> None:
    headers = Headers([("P", "1"), ("Q", "2"), ("p", "3")])
    headers.set("p", "4")
    assert list(headers.items()) == [("p", "4"), ("Q", "2")]
    headers.set("Z", "5")
    assert list(headers.items())[-1] == ("Z", "5")


def test_removing_drops_every_row() -> None:
    headers = Headers([("P", "1"), ("Q", "2"), ("p", "3")])
    headers.remove("P")
    headers.remove("nothing")
    assert list(headers.items()) == [("Q", "2")]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "\r\n x"])
def test_a_value_that_could_start_another_line_is_never_taken(value: str) -> None:
    headers = Headers()
    with pytest.raises(LocalError):
        headers.add("X", value)
    with pytest.raises(LocalError):
        headers.set("X", value)
    assert len(headers) == 0


def test_a_value_that_has_no_bytes_is_never_taken() -> None:
    with pytest.raises(LocalError):
        Headers([("X", "\ud800")])


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "ä"])
def test_a_name_that_is_no_token_is_never_taken(name: str) -> None:
    with pytest.raises(LocalError):
        Headers([(name, "x")])


def test_tokens_are_split_and_empty_ones_dropped() -> None:
    headers = Headers([("k", "timer , 100rel,"), ("Supported", ""), ("supported", "path")])
    assert headers.tokens("Supported") == ["timer", "100rel", "path"]


def test_what_was_read_is_forgotten_when_its_rows_change() -> None:
    headers = Headers([("To", "1")])
    assert headers.typed("to", lambda: headers.get("To")) == "1"
    headers.set("t", "2")
    assert headers.typed("to", lambda: headers.get("To")) == "2"
    headers.remove("T")
    assert headers.typed("to", lambda: headers.get("To")) is None
    headers.copy_from(Headers([("To", "3")]), "To")
    assert headers.typed("to", lambda: headers.get("To")) == "3"
    headers.add("From", "4")
    assert headers.typed("to", lambda: "read again") == "3"


def test_a_copy_is_independent() -> None:
    headers = Headers([("A", "1")])
    twin = headers.copy()
    assert twin == headers
    twin.add("B", "2")
    assert twin != headers
    assert "B" not in headers
