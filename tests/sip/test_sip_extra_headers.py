"""Which header fields somebody outside may add to a request of ours."""

from __future__ import annotations

import pytest

from mediaserver.sip.extra_headers import MAX_NAME, MAX_VALUE, check


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Account", "4711"),
        ("P-Asserted-Identity", '"B\xfcro" <sip:100@example.org>'),
        ("Subject", ""),
        ("X-" + "a" * (MAX_NAME - 2), "x" * MAX_VALUE),
        ("Diversion", "<sip:a@b>;reason=unconditional"),
    ],
)
def test_what_is_nobody_elses_may_be_set(name: str, value: str) -> None:
    check(name, value)


@pytest.mark.parametrize(
    "name",
    [
        "Via", "v", "FROM", "f", "To", "t", "Call-ID", "i", "cseq", "Contact", "m",
        "Max-Forwards", "Route", "Record-Route", "Content-Type", "c", "Content-Length", "l",
        "Content-Whatever", "Authorization", "Proxy-Authorization", "Require", "Supported", "k",
        "Session-Expires", "x", "Refer-To", "r", "User-Agent", "Proxy-Require", "Replaces",
    ],
)  # fmt: skip
def test_what_the_stack_writes_cannot_be_set(name: str) -> None:
    with pytest.raises(ValueError, match="the server's own"):
        check(name, "x")


@pytest.mark.parametrize("name", ["", "A B", "X:", "X-\xe4", "X-A\r\nVia", "x" * (MAX_NAME + 1)])
def test_a_name_is_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="must be a token"):
        check(name, "x")


@pytest.mark.parametrize("value", ["a\r\nVia: x", "a\nb", "\0", "a\tb", "\x85", "\udc80"])
def test_a_value_is_one_line_of_text(value: str) -> None:
    with pytest.raises(ValueError, match="a line of text"):
        check("X-A", value)


def test_a_value_has_a_length() -> None:
    with pytest.raises(ValueError, match="longer than 1024 bytes"):
        check("X-A", "\xe4" * (MAX_VALUE // 2 + 1))
