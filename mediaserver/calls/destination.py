"""Beginning to ring whomever a `connect` names (contract A8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ..sip.digest import Credentials
from ..swml.actions import Destination
from .call_state import StateWatch
from .dialing import NotDialled, checked_headers, line_to, spoken
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
                destination.codecs, session.send_codec.name if session is not None else None
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
    if destination.kind not in {"sip", "phone"}:
        raise NotDialled(
            f"{destination.address!r}: this server calls SIP addresses, numbers and streams, "
            f"not a destination of the kind {destination.kind}"
        )
    if destination.webrtc_media:
        raise NotDialled("webrtc_media is not carried out by this server")
    if destination.encryption == "mandatory":
        raise NotDialled("encryption: mandatory cannot be kept: this server speaks plain RTP")
