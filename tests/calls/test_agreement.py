"""What a call and its far end agree on, before and after either has offered anything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from mediaserver.calls.agreement import Agreement
from mediaserver.calls.negotiation import Negotiation
from mediaserver.errors import PeerError
from mediaserver.sip.session import Session

SESSION = cast(Session, SimpleNamespace(invite=SimpleNamespace(call_id="c")))


class Offers:
    """A negotiation that takes `fits`, and refuses the rest."""

    def __init__(self) -> None:
        self.accepted: list[bytes] = []

    def respond(self, offer: bytes) -> bytes:
        self.accept(offer)
        return b"answer"

    def accept(self, answer: bytes) -> None:
        if answer != b"fits":
            raise PeerError(488, "no")
        self.accepted.append(answer)


class Far:
    """The far end, as signalling has it, and the call that is told of changes."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.changes = 0

    def answer(self, session: Session, body: bytes) -> None:
        self.heard.append(("answer", body))

    def reject(self, session: Session, status: int, **_: Any) -> None:
        self.heard.append(("reject", status))

    def changed(self) -> None:
        self.changes += 1


def agreement(far: Far) -> Agreement:
    return Agreement(cast(Any, far), far.changed)


def test_a_re_invite_before_there_is_a_leg_is_refused() -> None:
    far = Far()
    agreement(far).reinvited(SESSION, b"fits")
    assert far.heard == [("reject", 488)]
    assert not far.changes


def test_a_re_invite_is_answered_and_the_call_is_told_or_all_stays_as_it_was() -> None:
    far = Far()
    agreed = agreement(far)
    agreed.begin(cast(Negotiation, Offers()))
    agreed.reinvited(SESSION, b"fits")
    agreed.reinvited(SESSION, b"does not")
    assert far.heard == [("answer", b"answer"), ("reject", 488)]
    assert far.changes == 1


def test_only_an_ack_with_a_body_says_anything() -> None:
    far, offers = Far(), Offers()
    agreed = agreement(far)
    agreed.acknowledged(b"fits")
    assert not agreed.begun
    agreed.begin(cast(Negotiation, offers))
    agreed.acknowledged(b"")
    assert (far.changes, offers.accepted) == (0, [])
    agreed.acknowledged(b"fits")
    assert (far.changes, offers.accepted) == (1, [b"fits"])
    with pytest.raises(PeerError):
        agreed.acknowledged(b"does not")
