"""Beginning to ring whomever a `connect` names (contract A8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ..sip.digest import Credentials
from ..swml.actions import Destination
from .call_state import StateWatch
from .dialing import NotDialled, checked_headers, line_to, spoken
from .encryption import encryption_of
from .exchange import DialOrder
from .stream_peer import StreamPeer

if TYPE_CHECKING:
    from .call import Call
    from .outbound import OutboundCall

Peer: TypeAlias = "OutboundCall | StreamPeer"


def place(call: Call, destination: Destination) -> Peer:
    """Begin to ring somebody; NotDialled, LocalError when that cannot be."""
    if destination.kind == "stream":
        return StreamPeer(call, destination)
    _check_carried_out(destination)
    record = call.resource
    caller = record.from_ if record.direction == "inbound" else record.to
    line = line_to(destination.address, destination.from_, caller, call.services.trunk_for)
    credentials = line.credentials
    if destination.username is not None:
        credentials = Credentials(destination.username, destination.password or "")
    session = call.media.session if call.media is not None else None
    watch = None
    if destination.call_state_url is not None:
        watch = StateWatch(destination.call_state_url, destination.call_state_events)
    return call.exchange.place(
        DialOrder(
            target=line.target,
            from_=line.from_,
            from_name=destination.from_name or "",
            to=destination.address,
            headers=checked_headers(destination.headers),
            codecs=spoken(
                destination.codecs,
                call.services.codecs,
                session.send_codec if session is not None else None,
            ),
            encryption=encryption_of(
                destination.encryption, line.encryption, call.services.encryption
            ),
            credentials=credentials,
            session_interval=(
                None if destination.session_timeout is None else round(destination.session_timeout)
            ),
            timeout=destination.timeout,
            watch=watch,
            parent=call,
            policy=call.policy,
        )
    )


def _check_carried_out(destination: Destination) -> None:
    """Raise NotDialled for what this server does not do."""
    if destination.kind == "queue":
        raise NotDialled(
            f"queue:{destination.address}: this server has no queues; join_conference lets callers "
            "wait with music until somebody comes"
        )
    if destination.kind == "resource":
        raise NotDialled(
            f"{destination.address}: this server has no resource addresses; name a number or "
            "sip:USER@HOST"
        )
    if destination.webrtc_media:
        raise NotDialled(
            "webrtc_media: this server has neither ICE nor DTLS; leave it out, or call by the "
            "sip: address of a WebRTC gateway"
        )
