from __future__ import annotations

import pytest

from mediaserver.errors import PeerError
from mediaserver.sip.cseq import CSeq


@pytest.mark.parametrize(
    ("text", "number", "method"),
    [("1 INVITE", 1, "INVITE"), ("0009\t ACK", 9, "ACK"), ("2147483647 x", 2**31 - 1, "x")],
)
def test_number_and_method_are_found(text: str, number: int, method: str) -> None:
    assert CSeq.parse(text) == CSeq(number, method)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "INVITE", "-1 INVITE", "1 INVITE x", "1 IN(VITE", "2147483648 INVITE"),
        *("9" * 5000 + " INVITE", "+1 INVITE", "1_0 INVITE", "1 " + "M" * 65, "\u0661 INVITE"),
    ],
)
def test_text_outside_the_grammar_is_a_400(text: str) -> None:
    with pytest.raises(PeerError) as caught:
        CSeq.parse(text)
    assert caught.value.status == 400


def test_it_is_written_as_it_is_sent() -> None:
    assert str(CSeq(3, "BYE")) == "3 BYE"
