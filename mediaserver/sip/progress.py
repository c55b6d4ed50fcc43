"""Provisional responses to our INVITE: the branches of a fork, and PRACK (RFC 3261 13.2.2.1, 3262).

A proxy may ring several phones at once. Each answers with a To tag of its own and so has an early
dialog of its own, with its own sequence numbers and, maybe, its own early media.
"""

from __future__ import annotations

from mediaserver.errors import PeerError
from mediaserver.sip.core import SDP, AgentCore
from mediaserver.sip.dialog import Dialog
from mediaserver.sip.grammar import read_number
from mediaserver.sip.message import Response
from mediaserver.sip.placement import MAX_BRANCHES, MAX_RELIABLE, Branch
from mediaserver.sip.session import Session

_LAST_RSEQ = 2**32 - 1
_EARLY_DIALOG_OVER = 199


class Progress:
    """What is heard before the answer."""

    def __init__(self, core: AgentCore) -> None:
        self._core = core

    def heard(self, session: Session, response: Response, now: float) -> bool:
        """Take a 1xx; True when it is news for the application."""
        if response.status == 100:
            return False
        if response.to.tag is None:
            return True
        if response.status == _EARLY_DIALOG_OVER:
            self._over(session, response)
            return True
        branch = self._branch(session, response)
        if branch is None:
            return False
        reliable = bool(session.invite.body) and "100rel" in _options(response)
        if reliable and not self._acknowledge(session, branch, response, now):
            return False
        session.dialog = branch.dialog
        self._core.route(session, session.invite_hop, now)
        if response.content_type == SDP and response.body:
            branch.sdp = response.body
        return True

    def _branch(self, session: Session, response: Response) -> Branch | None:
        dialog = Dialog.of_client(session.invite, response)
        branch = session.branches.get(dialog.key)
        if branch is not None:
            branch.dialog.refresh(response)
        elif len(session.branches) < MAX_BRANCHES:
            branch = session.branches[dialog.key] = Branch(dialog)
            self._core.dialogs[dialog.key] = session
        return branch

    def _over(self, session: Session, response: Response) -> None:
        """This branch ends, while others go on (RFC 6228)."""
        key = Dialog.of_client(session.invite, response).key
        branch = session.branches.pop(key, None)
        self._core.dialogs.pop(key, None)
        if branch is not None and session.dialog is branch.dialog:
            latest = next(reversed(session.branches.values()), None)
            session.dialog = latest.dialog if latest is not None else None

    def _acknowledge(
        self, session: Session, branch: Branch, response: Response, now: float
    ) -> bool:
        """Send the PRACK of a reliable response (RFC 3262 4).

        False for a copy, and for one that others should have come before.
        """
        rseq = _rseq(response)
        late = branch.rseq is not None and rseq != branch.rseq + 1
        if rseq is None or late or branch.reliable >= MAX_RELIABLE:
            return False
        branch.rseq = rseq
        branch.reliable += 1
        # Whatever the PRACK comes to, the INVITE tells how the call goes on.
        self._core.dialog_request(
            session,
            "PRACK",
            _ignore,
            now,
            headers=(("RAck", f"{rseq} {response.cseq}"),),
            branch=branch.dialog,
        )
        return True


def _options(response: Response) -> list[str]:
    return [tag.lower() for tag in response.headers.tokens("Require")]


def _rseq(response: Response) -> int | None:
    try:
        number = read_number(response.headers.get("RSeq") or "", "RSeq")
    except PeerError:
        return None
    return number if 1 <= number <= _LAST_RSEQ else None


def _ignore(_outcome: object, _now: float) -> None:
    pass
