"""The token that carries a list on: the place the last page ended at, sealed with its list.

It is base64url over an 8-octet digest, `created_at` as 8 octets, and the recording's id. The
digest is no secret: it says of a token that it is whole and of this list, not that the asker may
see the list; that is for the API key.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

from mediaserver.errors import PeerError

MAX_TOKEN: Final = 256
"""Characters. Ours have about 70; more is not even decoded."""

_DIGEST: Final = 8


class Position(NamedTuple):
    """A place in a list sorted by these two: nothing moves when rows before it come or go."""

    created_at: int
    """Microseconds since 1970-01-01 UTC."""
    id: str


def write_token(position: Position, project_id: str, call_id: str | None) -> str:
    """Return the token for what follows `position` in the list of this parent."""
    payload = struct.pack(">q", position.created_at) + position.id.encode()
    sealed = _digest(payload, project_id, call_id) + payload
    return urlsafe_b64encode(sealed).rstrip(b"=").decode()


def read_token(token: str, project_id: str, call_id: str | None) -> Position:
    """Return the position in a token of this parent's list, or raise `PeerError` 400."""
    refused = PeerError(400, "the page token is not one given for this list")
    if len(token) > MAX_TOKEN or not token.isascii():
        raise refused
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error:
        raise refused from None
    digest, payload = sealed[:_DIGEST], sealed[_DIGEST:]
    if len(payload) < struct.calcsize(">q") or digest != _digest(payload, project_id, call_id):
        raise refused
    (created_at,) = struct.unpack_from(">q", payload)
    position = Position(created_at, payload[8:].decode(errors="replace"))
    # One spelling each: base64 decoders overlook what is not of their alphabet.
    if write_token(position, project_id, call_id) != token:
        raise refused
    return position


def _digest(payload: bytes, project_id: str, call_id: str | None) -> bytes:
    parent = json.dumps([project_id, call_id]).encode()
    digest = hashlib.blake2b(parent, digest_size=_DIGEST, person=b"recordings")
    digest.update(payload)
    return digest.digest()
