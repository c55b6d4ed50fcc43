"""Session timers: a call whose far end is gone does not last for ever (RFC 4028).

One side refreshes the session at half its interval, by UPDATE or re-INVITE. Where no refresh comes,
the other ends the call shortly before the interval is over. A caller that leaves it open who is to
refresh has us do it: then a call that lives is not ended because the far end forgot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mediaserver.errors import PeerError
from mediaserver.sip.core import ALLOW, SUPPORTED, AgentCore, Fields
from mediaserver.sip.grammar import read_number, read_params
from mediaserver.sip.message import Request, Response
from mediaserver.sip.outcome import ends_dialog, status_of
from mediaserver.sip.session import EndCause, Expiry, Session, SessionState
from mediaserver.sip.transaction import Failure

INTERVAL: Final = 1_800
"""Seconds we propose (RFC 4028 4)."""

SHORTEST: Final = 90
"""Seconds that are not too short for us; less would not be allowed (RFC 4028 5)."""

LONGEST: Final = 86_400
"""Seconds that we raise our proposal to when a peer finds it too short."""

AGAIN: Final = 10.0
"""Seconds until a refresh is tried again that was refused."""

_REFRESH = "refresh"
_EXPIRE = "expire"
_NO_UPDATE = frozenset((405, 420, 501))


@dataclass(frozen=True, slots=True)
class _Told:
    """A Session-Expires."""

    interval: int
    refresher: str | None


def too_short(request: Request) -> bool:
    """True when the interval of an INVITE or UPDATE is to be refused with 422 (RFC 4028 9)."""
    told = _read(request)
    return told is not None and told.interval < SHORTEST and _supports(request)


def min_se(response: Response) -> int | None:
    """What a 422 wants our interval to be at least; None when it cannot be."""
    number = _number(response.headers.get("Min-SE"))
    return number if number is not None and SHORTEST <= number <= LONGEST else None


def proposal(shortest: int, interval: int | None = None) -> Fields:
    """The headers of an INVITE that begins a call; `shortest` is what a 422 asked for.

    `interval` are the seconds wanted, None for ours; less or more than may be is the nearest.
    """
    wanted = INTERVAL if interval is None else min(max(interval, SHORTEST), LONGEST)
    expires = ("Session-Expires", str(max(wanted, shortest)))
    return (expires,) if shortest <= SHORTEST else (expires, ("Min-SE", str(shortest)))


class SessionTimers:
    """Refreshes what is ours to refresh, and ends what nobody refreshes.

    `reinvite` offers the SDP of a session again, and calls `agreed` or `refused`.
    """

    def __init__(self, core: AgentCore, reinvite: Callable[[Session, bytes, float], None]) -> None:
        self._core = core
        self._reinvite = reinvite

    # What is said

    def request_fields(self, session: Session) -> Fields:
        """The headers of a re-INVITE or UPDATE of ours."""
        expiry = session.expiry
        if expiry is None:
            return ()
        refresher = "uac" if expiry.ours else "uas"
        value = f"{expiry.interval};refresher={refresher}"
        if expiry.shortest > SHORTEST:
            return (("Session-Expires", value), ("Min-SE", str(expiry.shortest)))
        return (("Session-Expires", value),)

    def answer_fields(self, session: Session, request: Request, now: float) -> Fields:
        """Agree to what an INVITE or UPDATE of theirs says; the headers of its 2xx (RFC 4028 9)."""
        told = _read(request)
        able = _supports(request)
        if told is not None:
            ours = told.refresher == "uas" or told.refresher is None or not able
            self._set(session, Expiry(max(told.interval, SHORTEST), ours), now)
        elif session.expiry is not None:
            self._set(session, session.expiry, now)
        if session.expiry is None:
            return ()
        refresher = "uas" if session.expiry.ours else "uac"
        value = ("Session-Expires", f"{session.expiry.interval};refresher={refresher}")
        return (value,) if session.expiry.ours else (value, ("Require", "timer"))

    # What is heard

    def agreed(self, session: Session, response: Response, now: float) -> None:
        """Take the 2xx to an INVITE or UPDATE of ours (RFC 4028 7.2)."""
        told = _read(response)
        if told is None:
            self._set(session, None, now)
            return
        expiry = Expiry(max(told.interval, SHORTEST), told.refresher != "uas")
        if session.expiry is not None:
            expiry.shortest = session.expiry.shortest
        self._set(session, expiry, now)

    def refused(self, session: Session, response: Response | None, now: float) -> None:
        """A refresh came to nothing; the session stays until it expires (RFC 4028 10)."""
        expiry = session.expiry
        if expiry is None or session.over:
            return
        wanted = min_se(response) if response is not None and response.status == 422 else None
        if wanted is not None and wanted > expiry.interval:
            expiry.interval = expiry.shortest = wanted
            self._refresh(session, now)
        else:
            self._core.set_timer(session, _REFRESH, now + AGAIN, self._refresh)

    # What is done

    def _set(self, session: Session, expiry: Expiry | None, now: float) -> None:
        core = self._core
        session.expiry = expiry
        core.stop_timer(session, _REFRESH)
        core.stop_timer(session, _EXPIRE)
        if expiry is None or session.over:
            return
        if expiry.ours:
            core.set_timer(session, _REFRESH, now + expiry.interval / 2, self._refresh)
        # RFC 4028 10: some time before the end, so that the BYE still finds everybody.
        patience = expiry.interval - min(32.0, expiry.interval / 3)
        core.set_timer(session, _EXPIRE, now + patience, self._expired)

    def _refresh(self, session: Session, now: float) -> None:
        if session.state is not SessionState.ESTABLISHED:
            return
        if session.allows("UPDATE"):
            core = self._core
            core.dialog_request(
                session,
                "UPDATE",
                lambda outcome, now: self._heard(session, outcome, now),
                now,
                headers=(
                    core.own_contact(session),
                    ALLOW,
                    SUPPORTED,
                    *self.request_fields(session),
                ),
            )
        elif session.sdp:
            self._reinvite(session, session.sdp, now)

    def _heard(self, session: Session, outcome: Response | Failure, now: float) -> None:
        status = status_of(outcome)
        if status < 200 or session.over:
            return
        if isinstance(outcome, Response) and status < 300:
            assert session.dialog is not None
            session.dialog.refresh(outcome)
            self._core.route(session, session.hop, now)
            session.note_methods(outcome)
            self.agreed(session, outcome, now)
        elif status in _NO_UPDATE:
            session.methods -= {"UPDATE"}
            self._refresh(session, now)
        elif not ends_dialog(self._core, session, outcome, now):
            self.refused(session, outcome if isinstance(outcome, Response) else None, now)

    def _expired(self, session: Session, now: float) -> None:
        if session.state is SessionState.ESTABLISHED:
            self._core.farewell(session, now, 'SIP;cause=408;text="Session Expired"')
            self._core.end(session, EndCause.DIALOG_GONE, now)


def _supports(request: Request) -> bool:
    return "timer" in (tag.lower() for tag in request.headers.tokens("Supported"))


def _read(message: Request | Response) -> _Told | None:
    """The Session-Expires of a message; None when it has none that can be read."""
    value = message.headers.get("Session-Expires")
    if value is None:
        return None
    text, semicolon, tail = value.partition(";")
    interval = _number(text.strip(" \t"))
    if interval is None:
        return None
    try:
        params = read_params(tail, "Session-Expires") if semicolon else ()
    except PeerError:
        return None
    refreshers = [v.lower() for name, v in params if name.lower() == "refresher" and v is not None]
    return _Told(interval, next((r for r in refreshers if r in ("uac", "uas")), None))


def _number(text: str | None) -> int | None:
    try:
        return read_number((text or "").partition(";")[0].strip(" \t"), "Delta Seconds")
    except PeerError:
        return None
