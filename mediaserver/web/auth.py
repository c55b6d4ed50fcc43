"""API keys: who asks, and what the key opens (contracts B2, B4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final

from aiohttp import web

from .errors import ApiError

LIST: Final = "voice.recordings.list"
GET: Final = "voice.recordings.get"
DELETE: Final = "voice.recordings.delete"
RENDER: Final = "voice.recordings.render"
CONTROL: Final = "voice.calls.control"
READ: Final = "voice.calls.read"
PERMISSIONS: Final = frozenset({LIST, GET, DELETE, RENDER, CONTROL, READ})
"""What a key can be allowed to do; a key given as a bare string may do all of it."""

MAX_CREDENTIALS: Final = 4096
"""Characters of an Authorization header that are looked at; our keys are far shorter."""

_NEEDED: Final = "a valid API key is needed: Authorization: Bearer KEY, or Basic PROJECT_ID:KEY"

CHALLENGES: Final = (
    ("WWW-Authenticate", 'Bearer realm="mediaserver"'),
    ("WWW-Authenticate", 'Basic realm="mediaserver", charset="UTF-8"'),
)
"""What a 401 carries: one challenge for each way to present a key (RFC 9110 11.6.1)."""

Access = Callable[[web.Request], None]
"""Decides on a request before its handler runs: raises `ApiError`, or lets it pass."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key and what it opens. The key is kept out of `repr`, and so out of logs."""

    key: str = field(repr=False)
    permissions: frozenset[str] = PERMISSIONS
    name: str = ""
    """What it is called where it must not be shown."""


class ApiKeys:
    """The keys of a server. With none of them, nobody gets in.

    Keys are compared as keyed digests of equal length, each of them whichever matches, by
    `hmac.compare_digest`: how long it takes says neither how much of a guess is right nor which
    key it is near. The digest's own key is random, so nobody can search for guesses offline.
    """

    def __init__(self, keys: Iterable[ApiKey | str]) -> None:
        self._salt = secrets.token_bytes(32)
        known = [key if isinstance(key, ApiKey) else ApiKey(key) for key in keys]
        self._known = tuple((self._digest(key.key), key) for key in known if key.key)

    def find(self, presented: str) -> ApiKey | None:
        """Return the key that was presented, or None."""
        digest = self._digest(presented)
        found: ApiKey | None = None
        for known, key in self._known:
            if compare_digest(known, digest):
                found = key
        return found

    def authenticate(self, request: web.Request) -> ApiKey:
        """Return the key a request carries; raises `ApiError` 401."""
        given = request.headers.getall("Authorization", [])
        presented = credentials(given[0]) if len(given) == 1 else None
        key = None if presented is None else self.find(presented)
        if key is None:
            raise ApiError(401, _NEEDED, CHALLENGES)
        return key

    def require(self, request: web.Request, permission: str) -> None:
        """Let a request pass whose key has `permission`; raises `ApiError` 401 or 403.

        The answer depends on the key and the route alone, never on whether what is asked for
        exists: a 403 tells nobody that there is something.
        """
        if permission not in self.authenticate(request).permissions:
            raise ApiError(403, f"the API key does not have the permission {permission}")

    def demanding(self, *permissions: str) -> Access:
        """Return the `Access` of a route that needs all of `permissions`."""

        def access(request: web.Request) -> None:
            for permission in permissions:
                self.require(request, permission)

        return access

    def _digest(self, key: str) -> bytes:
        # Headers are bytes that were decoded with surrogates for what is not UTF-8.
        return hashlib.blake2b(key.encode(errors="surrogateescape"), key=self._salt).digest()


def open_to_all(_request: web.Request) -> None:
    """Be the `Access` of a route that shows nothing of anybody."""


def credentials(header: str) -> str | None:
    """Return the key in an Authorization header: a bearer token, or the password of Basic.

    The user name of Basic is not looked at: SignalWire's clients put the project there.
    """
    if len(header) > MAX_CREDENTIALS:
        return None
    scheme, _, rest = header.partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        return rest or None
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(rest, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    _, colon, password = decoded.partition(":")
    return password if colon and password else None
