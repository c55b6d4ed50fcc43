"""A request within a dialog, until it has its final answer: challenged, or by another way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediaserver.sip.detour import LARGEST
from mediaserver.sip.dialog import Dialog
from mediaserver.sip.hop import Hop
from mediaserver.sip.keyring import Keyring
from mediaserver.sip.message import Response
from mediaserver.sip.session import Session
from mediaserver.sip.transaction import ClientTransaction, ClientUser, Failure
from mediaserver.sip.uri import SipUri

if TYPE_CHECKING:
    from mediaserver.sip.core import AgentCore


class DialogRequest:
    """See `AgentCore.dialog_request`. It is what its transaction tells, and nobody keeps it else:
    when that is over, both are freed.
    """

    def __init__(
        self,
        core: AgentCore,
        session: Session,
        dialog: Dialog,
        method: str,
        fields: tuple[tuple[str, str], ...],
        body: bytes,
        keys: Keyring | None,
        user: ClientUser,
        *,
        early: bool,
    ) -> None:
        """`dialog` is the session's own or an `early` one of it; `user` hears the final answer."""
        self._core = core
        self._session = session
        self._dialog = dialog
        self._method = method
        self._fields = fields
        self._body = body
        self._keys = keys
        self._user = user
        self._early = early
        self._answered: list[str] = []
        self._around: Hop | None = None
        """The hop over TCP that it has gone by for its size."""
        self._sent: ClientTransaction | None = None

    def send(self, now: float) -> ClientTransaction:
        """Send it, with what answers the challenges that were heard."""
        core, session, dialog = self._core, self._session, self._dialog
        hop = session.hop
        if self._early:
            hop = core.way(session, dialog, session.invite_hop, now)
        request = dialog.request(self._method, core.via(hop), headers=self._fields, body=self._body)
        if self._keys is not None:
            for name, value in self._keys.fields(hop, self._method, request.uri):
                request.headers.add(name, value)
        self._around = self._way_around(hop, len(request.to_bytes()), now)
        if self._around is not None:
            hop = self._around
            request.headers.set("Via", str(core.via(hop)))
        self._sent = core.transactions.request(request, hop, self._hear, now)
        return self._sent

    def _hear(self, outcome: Response | Failure, now: float) -> None:
        sent, session = self._sent, self._session
        assert sent is not None
        wanted = self._method == "BYE" or not session.over
        if outcome is Failure.TRANSPORT and self._around is not None:
            self._core.detours.close(self._around, now)
            again = wanted
        else:
            again = (
                wanted
                and self._keys is not None
                and isinstance(outcome, Response)
                and self._keys.learn(outcome, sent.hop, self._answered)
            )
        if not again:
            self._user(outcome, now)
            return
        following = self.send(now)
        if session.calling is sent:
            session.calling = following

    def _way_around(self, hop: Hop, size: int, now: float) -> Hop | None:
        """The hop for a request of `size` bytes that is too large for `hop` (RFC 3261 18.1.1).

        None: it takes `hop`. Nobody connects to a peer behind a NAT, nor to one that says UDP.
        """
        if size <= LARGEST or hop.transport.reliable or self._session.natted:
            return None
        uri = self._dialog.next_uri
        if not isinstance(uri, SipUri) or (uri.param("transport") or "tcp").lower() != "tcp":
            return None
        core = self._core
        detour = core.over_tcp(hop)
        return None if detour is None else core.detours.around(hop, size, {hop: detour}, now)
