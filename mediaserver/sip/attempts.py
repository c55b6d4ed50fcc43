"""The INVITEs of a call that is being placed: what is in them, and over which hop they go."""

from __future__ import annotations

from typing import Final

from mediaserver.sip.core import SUPPORTED, AgentCore
from mediaserver.sip.derived import MAX_FORWARDS
from mediaserver.sip.headers import Headers
from mediaserver.sip.hop import Hop
from mediaserver.sip.keyring import Keyring
from mediaserver.sip.message import Request, Response
from mediaserver.sip.placement import Attempt, Placement
from mediaserver.sip.reinvite import Reinvite
from mediaserver.sip.session_timer import proposal

RELIABLE: Final = ("Supported", "timer, 100rel")
"""What an INVITE of ours with an offer says it understands. Without one, a reliable response would
bring an offer, to be answered at once (RFC 3262 5)."""


class Attempts:
    """Writes INVITEs, and sends those that are too large for UDP around it (RFC 3261 18.1.1)."""

    def __init__(self, core: AgentCore, reinvite: Reinvite) -> None:
        self._core = core
        self._reinvite = reinvite
        self._detours = core.detours

    def write(
        self,
        placement: Placement,
        hop: Hop,
        body: bytes,
        number: int,
        keys: Keyring | None,
        now: float,
    ) -> Attempt:
        """Write the INVITE with this CSeq for `hop`, or for the detour around it.

        In the latter case `hop` is the next to be tried.
        """
        request = self._request(placement, hop, body, number)
        # Asked once for both, for each answer counts its nonce up.
        proof = [] if keys is None else keys.fields(hop, request.method, request.uri)
        for name, value in proof:
            request.headers.add(name, value)
        size = len(request.to_bytes()) if hop in placement.detours else 0
        detour = self._detours.around(hop, size, placement.detours, now)
        if detour is None:
            return Attempt(request, hop)
        placement.hops.insert(0, hop)
        request = self._request(placement, detour, body, number)
        for name, value in proof:
            request.headers.add(name, value)
        return Attempt(request, detour, around=hop)

    def _request(self, placement: Placement, hop: Hop, body: bytes, number: int) -> Request:
        core = self._core
        fields = Headers()
        fields.add("Via", str(core.via(hop)))
        fields.add("Max-Forwards", MAX_FORWARDS)
        fields.add("From", str(placement.caller))
        fields.add("To", str(placement.called))
        fields.add("Call-ID", placement.call_id)
        fields.add("CSeq", f"{number} INVITE")
        contact = core.contact_field(hop, secure=placement.target.scheme == "sips")
        for field in self._reinvite.offer_fields(contact, body):
            fields.add(*(RELIABLE if field is SUPPORTED and body else field))
        for name, value in (*proposal(placement.shortest, placement.interval), *placement.headers):
            fields.add(name, value)
        fields.add("User-Agent", core.user_agent)
        return Request("INVITE", str(placement.target), fields, body)

    def failed(
        self, placement: Placement, attempt: Attempt, response: Response | None, now: float
    ) -> None:
        """Take note of what became of an attempt; `response` is None when nobody was reached."""
        if attempt.around is None:
            return
        if response is None:
            self._detours.close(attempt.hop, now)
        else:
            # Whoever refused over TCP is there, and would do so over UDP, too.
            _leave_out(placement, attempt.around)

    def silent(self, placement: Placement, attempt: Attempt, now: float) -> None:
        """Take note that nothing was heard of an attempt while the next hop waits."""
        if attempt.around is not None and attempt.around in placement.hops:
            self._detours.close(attempt.hop, now)


def _leave_out(placement: Placement, hop: Hop) -> None:
    if hop in placement.hops:
        placement.hops.remove(hop)
