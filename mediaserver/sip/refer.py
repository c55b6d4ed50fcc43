"""REFER that we send, and the NOTIFYs that tell what came of it (RFC 3515)."""

from __future__ import annotations

from mediaserver.errors import LocalError, PeerError
from mediaserver.sip.address import Address
from mediaserver.sip.core import AgentCore, Fields
from mediaserver.sip.digest import Credentials
from mediaserver.sip.events import ReferAnswered, ReferProgressed
from mediaserver.sip.keyring import Keyring
from mediaserver.sip.message import Response
from mediaserver.sip.outcome import ends_dialog, status_of
from mediaserver.sip.referral import MAX_NEWS, News, Referral
from mediaserver.sip.session import Session, SessionState
from mediaserver.sip.transaction import Failure, ServerTransaction

_TIMER = "refer"


class Refer:
    """What peers are asked to do, and say about it."""

    def __init__(self, core: AgentCore) -> None:
        self._core = core

    def refer(
        self,
        session: Session,
        to: str,
        now: float,
        headers: Fields,
        credentials: Credentials | None,
    ) -> None:
        """See `Agent.refer`."""
        if session.state in (SessionState.ENDING, SessionState.TERMINATED):
            return
        dialog = session.dialog
        if session.state is not SessionState.ESTABLISHED or dialog is None:
            raise LocalError("a REFER needs an established session")
        if session.referral is not None and not session.referral.told:
            raise LocalError("a REFER is under way already")
        try:
            target = Address.parse(to)
        except PeerError as error:
            raise LocalError(f"Refer-To is no address: {error.reason}") from None
        core = self._core
        referral = Referral(dialog.local_cseq + 1)
        keys = None if credentials is None else Keyring(credentials, [session.hop], core.token)
        core.dialog_request(
            session,
            "REFER",
            lambda outcome, now: self._heard(session, referral, outcome, now),
            now,
            headers=(
                core.own_contact(session),
                ("Refer-To", str(target)),
                ("Referred-By", f"<{dialog.local.uri}>"),
                *headers,
            ),
            keyring=keys,
        )
        session.referral = referral

    def _heard(
        self, session: Session, referral: Referral, outcome: Response | Failure, now: float
    ) -> None:
        status = status_of(outcome)
        if status < 200 or session.over:
            return
        core = self._core
        if status < 300:
            referral.accepted = True
            core.emit(ReferAnswered(session, now, status))
            if not referral.news:  # RFC 6665 4.1.2.4: the first NOTIFY comes in 64*T1
                core.wait_for_peer(session, _TIMER, self._silent, now)
            return
        if session.referral is referral:
            session.referral = None
        core.emit(ReferAnswered(session, now, status))
        ends_dialog(core, session, outcome, now)

    def _silent(self, session: Session, now: float) -> None:
        if session.referral is not None:
            self._tell(session, session.referral, 408, now, final=True)
            session.referral = None

    def notified(self, session: Session, transaction: ServerTransaction, now: float) -> None:
        """Deal with a NOTIFY."""
        core = self._core
        news = News.of(transaction.request)
        if news is None:
            core.reply(transaction, 489, now, headers=(("Allow-Events", "refer"),))
            return
        referral = session.referral
        if referral is None or not referral.concerns(news) or referral.news >= MAX_NEWS:
            core.reply(transaction, 481, now)
            return
        core.reply(transaction, 200, now)
        core.stop_timer(session, _TIMER)
        referral.news += 1
        if news.status is not None:
            referral.status = news.status
        if news.terminated:
            session.referral = None
        if news.terminated or news.status is not None:
            final = news.terminated or referral.status >= 200
            self._tell(session, referral, referral.status, now, final=final)

    def _tell(
        self, session: Session, referral: Referral, status: int, now: float, *, final: bool
    ) -> None:
        # Some tell the outcome and terminate the subscription later: once is enough.
        if not referral.told:
            referral.told = final
            self._core.emit(ReferProgressed(session, now, status, final))
