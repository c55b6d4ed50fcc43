"""Calls that came of an INVITE of ours and that nobody wants (RFC 3261 13.2.2.4).

Several phones of a fork may answer, and a hop that was given up may speak after all. Each such call
is ended as it should be, one by one.
"""

from __future__ import annotations

from typing import Final

from mediaserver.sip.core import AgentCore, credentials_of
from mediaserver.sip.derived import cancel_of
from mediaserver.sip.dialog import Dialog
from mediaserver.sip.hop import Hop
from mediaserver.sip.message import Request, Response
from mediaserver.sip.placement import Attempt
from mediaserver.sip.session import Session
from mediaserver.sip.transaction import Failure

MAX_STRAYS: Final = 16
"""Calls that are ended for one session; a peer that invents more is ignored."""


class Strays:
    """Ends what is not wanted."""

    def __init__(self, core: AgentCore) -> None:
        self._core = core

    def heard(
        self, session: Session, attempt: Attempt, outcome: Response | Failure, now: float
    ) -> None:
        """A hop that was given up speaks after all: what it began is ended."""
        if isinstance(outcome, Failure) or outcome.status >= 300:
            return
        if outcome.status >= 200:
            self.end(session, attempt.request, attempt.hop, outcome, now)
        elif not attempt.cancelled:
            attempt.cancelled = True
            core = self._core
            core.transactions.request(cancel_of(attempt.request), attempt.hop, _ignore, now)
            if attempt.transaction is not None:
                core.give_up(attempt.transaction, now)

    def end(
        self, session: Session, invite: Request, hop: Hop, response: Response, now: float
    ) -> None:
        """Acknowledge a 2xx, or a copy of it, and end the call it made."""
        core = self._core
        stray = Dialog.of_client(invite, response)
        number = invite.cseq.number
        fields = credentials_of(invite)
        ack = stray.request("ACK", core.via(hop), cseq=number, headers=fields)
        core.send(hop, ack.to_bytes())
        key = stray.key
        if key not in session.strays and len(session.strays) < MAX_STRAYS:
            session.strays.add(key)
            core.transactions.request(stray.request("BYE", core.via(hop)), hop, _ignore, now)


def _ignore(_outcome: object, _now: float) -> None:
    pass
