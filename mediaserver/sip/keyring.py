"""Whose challenges are answered with the credentials of a call, and with which nonce.

Credentials belong to the destination somebody named for them. A challenge counts only when it
answers a request that went to one of that destination's own addresses, and of all its realms only
the first: what a party behind it asks for is not what the credentials were given for. Nothing is
ever redirected, and no request that comes in is answered with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mediaserver.sip.digest import Challenge, Credentials, choose
from mediaserver.sip.hop import Hop
from mediaserver.sip.message import Response

MAX_STALE: Final = 3
"""Nonces one request is answered with; a peer whose nonces are always stale gets no more."""

_FIELDS: Final[Mapping[int, tuple[str, str]]] = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}

CREDENTIAL_FIELDS: Final = tuple(answers for _, answers in _FIELDS.values())
"""The header fields credentials are in."""


@dataclass(slots=True)
class _Held:
    """A challenge that later requests answer of their own accord."""

    challenge: Challenge
    cnonce: str
    count: int = 0


class Keyring:
    """The credentials for one destination, and what it asked for last."""

    def __init__(
        self, credentials: Credentials, hops: Iterable[Hop], token: Callable[[], str]
    ) -> None:
        """`hops` lead to the destination; `token` gives random text."""
        self._credentials = credentials
        self._hosts = frozenset(hop.remote[0] for hop in hops)
        self._token = token
        self._realm: str | None = None
        self._held: dict[str, _Held] = {}

    def serves(self, hop: Hop) -> bool:
        """True when `hop` leads to the destination the credentials are for."""
        return hop.remote[0] in self._hosts

    def learn(self, response: Response, hop: Hop, answered: list[str]) -> bool:
        """Take the challenge of a 401 or 407 to a request over `hop`.

        True when the request is to be sent again with `fields`. `answered` is the request's
        own, empty at first: a second challenge is only answered when it says that the nonce was
        stale, or the credentials are wrong.
        """
        names = _FIELDS.get(response.status)
        if names is None or not self.serves(hop):
            return False
        asks, answers = names
        challenge = choose(response.headers.get_all(asks))
        if challenge is None or self._realm not in (None, challenge.realm):
            return False
        before = answered.count(answers)
        if before and not (challenge.stale and before < MAX_STALE):
            return False
        answered.append(answers)
        self._realm = challenge.realm
        self._held[answers] = _Held(challenge, self._token())
        return True

    def fields(self, hop: Hop, method: str, uri: str) -> list[tuple[str, str]]:
        """The credentials for a request over `hop`; none before a challenge, or to others."""
        if not self.serves(hop):
            return []
        fields: list[tuple[str, str]] = []
        for name, held in self._held.items():
            held.count += 1
            value = held.challenge.answer(
                self._credentials, method, uri, count=held.count, cnonce=held.cnonce
            )
            fields.append((name, value))
        return fields
