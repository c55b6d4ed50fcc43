"""A call as documents and web applications see it (contracts A9, A10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..errors import PeerError
from ..sip.address import Address
from ..sip.message import Request
from ..sip.uri import SipUri
from .services import Identity

if TYPE_CHECKING:
    from .outbound import OutboundCall

_TOLD_HEADERS: Final = 64
"""Header fields of the INVITE that are passed on."""


def describe_call(call_id: str, request: Request, identity: Identity) -> dict[str, Any]:
    """Return the `call` object of an inbound SIP call, from its INVITE."""
    caller, callee = _uri(request.from_), _uri(request.to)
    return {
        "call_id": call_id,
        "node_id": identity.node_id,
        "segment_id": call_id,
        "call_state": "created",
        "direction": "inbound",
        "type": "sip",
        "from": str(caller or ""),
        "to": str(callee or ""),
        "headers": [
            {"name": name, "value": value}
            for name, value in request.headers.items()
            if name.lower().startswith("x-")
        ][:_TOLD_HEADERS],
        "sip_data": _sip_data(request, caller, callee),
        "project_id": identity.project_id,
        "space_id": identity.space_id,
    }


def describe_placed(call: OutboundCall) -> dict[str, Any]:
    """Return the `call` object of a call that we placed."""
    record, identity = call.resource, call.services.identity
    described: dict[str, Any] = {
        "call_id": call.id,
        "node_id": identity.node_id,
        "segment_id": call.id,
        "call_state": call.state.value,
        "direction": "outbound",
        "type": "sip",
        "from": record.from_,
        "to": record.to,
        "headers": [{"name": name, "value": value} for name, value in call.order.headers],
        "project_id": identity.project_id,
        "space_id": identity.space_id,
    }
    if call.session is not None:
        request = call.session.invite
        described["sip_data"] = _sip_data(request, _uri(request.from_), _uri(request.to))
    parent = call.order.parent
    if parent is not None:
        related = {"call_id": parent.id, "node_id": identity.node_id}
        described["parent"] = {"device_type": "sip", **related}
        described["peer"] = related
    return described


def _sip_data(request: Request, caller: SipUri | None, callee: SipUri | None) -> dict[str, Any]:
    """Return the SIP details, all strings, addresses without their scheme."""
    try:
        target: SipUri | None = request.target
    except PeerError:
        target = None
    contact = _uri(request.contact) if request.contact is not None else None
    data: dict[str, Any] = {}
    for name, uri in (("req", target), ("from", caller), ("to", callee), ("contact", contact)):
        data[f"sip_{name}_host"] = uri.host if uri else ""
        data[f"sip_{name}_uri"] = _bare(uri)
        data[f"sip_{name}_user"] = (uri.user_text or "") if uri else ""
    data["sip_contact_port"] = str(contact.port) if contact and contact.port else ""
    data["sip_contact_params"] = {k: v or "" for k, v in contact.params} if contact else {}
    return data


def _uri(address: Address) -> SipUri | None:
    return address.uri if isinstance(address.uri, SipUri) else None


def _bare(uri: SipUri | None) -> str:
    """Return `user@host:port`, as `sip_data` spells addresses."""
    if uri is None:
        return ""
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    port = f":{uri.port}" if uri.port else ""
    return f"{uri.user_text}@{host}{port}" if uri.user_text else f"{host}{port}"
