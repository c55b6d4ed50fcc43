"""What a call that the server places is offered."""

from __future__ import annotations

import pytest

from mediaserver.calls.dialing import NotDialled, spoken
from mediaserver.sdp.codec import G722, OPUS, PCMA, PCMU, Codec

ALL = (PCMU, PCMA, G722, OPUS)


@pytest.mark.parametrize(
    ("known", "preferred", "offered"),
    [
        (ALL, None, "PCMU PCMA"),
        (ALL, PCMA, "PCMA PCMU"),
        (ALL, OPUS, "opus PCMU PCMA"),
        (ALL, G722, "G722 PCMU PCMA"),
        ((OPUS, PCMU, G722), None, "opus PCMU G722"),
        ((OPUS, PCMU, G722), PCMU, "PCMU opus G722"),
        ((PCMA,), PCMU, "PCMA"),
    ],
)
def test_without_a_list_what_the_caller_speaks_comes_first_and_g711_is_enough(
    known: tuple[Codec, ...], preferred: Codec | None, offered: str
) -> None:
    assert " ".join(spoken((), known, preferred)) == offered


def test_a_list_is_taken_as_it_is() -> None:
    assert spoken(("opus", "PCMA", "G729"), ALL, PCMU) == ("opus", "PCMA")
    with pytest.raises(
        NotDialled, match="none of the codecs G729 is spoken here; PCMU, PCMA, G722"
    ):
        spoken(("G729",), ALL)
