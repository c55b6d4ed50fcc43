"""What has become of a request of ours: a response, or none, and what that says of its dialog."""

from __future__ import annotations

from mediaserver.sip.core import AgentCore
from mediaserver.sip.message import Response
from mediaserver.sip.session import EndCause, Session, SessionState
from mediaserver.sip.transaction import Failure

_STATUS = {Failure.TIMEOUT: 408, Failure.TRANSPORT: 503}


def status_of(outcome: Response | Failure) -> int:
    """The status a failure stands for (RFC 3261 8.1.3.1), or that of the response."""
    return outcome.status if isinstance(outcome, Response) else _STATUS[outcome]


def ends_dialog(core: AgentCore, session: Session, outcome: Response | Failure, now: float) -> bool:
    """True when what came of a request of ours has ended the session (RFC 3261 12.2.1.2)."""
    if session.over or not session.accepted or session.state is SessionState.ENDING:
        return False
    status = status_of(outcome)
    if outcome is Failure.TRANSPORT:
        core.end(session, EndCause.TRANSPORT, now)
    elif status in (408, 481):
        if status == 408:
            core.farewell(session, now)
        core.end(session, EndCause.DIALOG_GONE, now)
    else:
        return False
    return True
