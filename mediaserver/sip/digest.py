"""Digest authentication, the side that is challenged (RFC 3261 22, RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from mediaserver.errors import PeerError
from mediaserver.sip.grammar import (
    bad,
    end_of_quote,
    has_any,
    has_control,
    is_token,
    quote,
    split_outside,
    unquote,
)

MAX_CHALLENGES: Final = 8
"""Challenges of one response that are looked at."""

MAX_PARAMS: Final = 32
"""Parameters of one challenge."""

MAX_PARAM: Final = 1_024
"""Characters of a realm, nonce or opaque; a longer one cannot be answered."""

MAX_CREDENTIAL: Final = 256
"""Characters of a name or a password."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and its password, for the one destination they were given for.

    ValueError with a sentence when they cannot be used.
    """

    username: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.username:
            raise ValueError("the SIP user name is empty")
        for what, text in (("user name", self.username), ("password", self.password)):
            if len(text) > MAX_CREDENTIAL:
                raise ValueError(f"the SIP {what} is longer than {MAX_CREDENTIAL} characters")
            if has_control(text):
                raise ValueError(f"the SIP {what} must be one line of text")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sha512_256(data: bytes) -> str:
    return hashlib.new("sha512_256", data).hexdigest()


_HASHES: Final[Mapping[str, Callable[[bytes], str]]] = {
    "sha-256": _sha256,
    "md5": _md5,
    **({"sha-512-256": _sha512_256} if "sha512_256" in hashlib.algorithms_available else {}),
}
_SESSION = "-sess"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One value of a WWW-Authenticate or Proxy-Authenticate that can be answered."""

    realm: str
    nonce: str
    algorithm: str | None = None
    """As written; None: not named, which means MD5."""
    opaque: str | None = None
    qop: bool = False
    """True for qop "auth"; False: none was offered (RFC 2069)."""
    stale: bool = False
    """True when the credentials were right and only the nonce is too old."""

    @classmethod
    def parse(cls, value: str) -> Challenge | None:
        """Read one value; None when it is no challenge that can be answered.

        That is another scheme, an algorithm nobody here knows, qop without "auth", a session
        algorithm without qop, or what breaks the grammar or a limit.
        """
        scheme, _, rest = value.strip(" \t").partition(" ")
        if scheme.lower() != "digest" or has_any(value, "\r\n\0"):
            return None
        try:
            params = _read_params(rest)
        except PeerError:
            return None
        realm, nonce, algorithm = params.get("realm"), params.get("nonce"), params.get("algorithm")
        if realm is None or nonce is None:
            return None
        if any(len(text) > MAX_PARAM for text in (realm, nonce, params.get("opaque", ""))):
            return None
        name = (algorithm or "md5").lower()
        offered = params.get("qop")
        auth = offered is not None and "auth" in [
            word.strip(" \t").lower() for word in offered.split(",")
        ]
        if name.removesuffix(_SESSION) not in _HASHES:
            return None
        if not auth and (offered is not None or name.endswith(_SESSION)):
            return None
        return cls(
            realm=realm,
            nonce=nonce,
            algorithm=algorithm,
            opaque=params.get("opaque"),
            qop=auth,
            stale=params.get("stale", "").lower() == "true",
        )

    def answer(
        self, credentials: Credentials, method: str, uri: str, *, count: int, cnonce: str
    ) -> str:
        """The value of the Authorization or Proxy-Authorization (RFC 7616 3.4).

        `uri` is the Request-URI as written. `count` says how often the nonce was used, this time
        included; `cnonce` stays the same for one nonce.
        """
        name = (self.algorithm or "md5").lower()
        hashed = _HASHES[name.removesuffix(_SESSION)]

        def join(*parts: str) -> str:
            return hashed(":".join(parts).encode("utf-8", "surrogateescape"))

        secret = join(credentials.username, self.realm, credentials.password)
        if name.endswith(_SESSION):
            secret = join(secret, self.nonce, cnonce)
        asked = join(method, uri)
        fields = [
            f"username={quote(credentials.username)}",
            f"realm={quote(self.realm)}",
            f"nonce={quote(self.nonce)}",
            f"uri={quote(uri)}",
        ]
        if self.qop:
            uses = f"{count:08x}"
            response = join(secret, self.nonce, uses, cnonce, "auth", asked)
            fields += [
                f'response="{response}"',
                "qop=auth",
                f"nc={uses}",
                f"cnonce={quote(cnonce)}",
            ]
        else:
            fields.append(f'response="{join(secret, self.nonce, asked)}"')
        if self.algorithm is not None:
            fields.append(f"algorithm={self.algorithm}")
        if self.opaque is not None:
            fields.append(f"opaque={quote(self.opaque)}")
        return "Digest " + ", ".join(fields)


def choose(values: Iterable[str]) -> Challenge | None:
    """The first that can be answered: the peer lists what it likes best first (RFC 8760 2.4)."""
    for value in islice(values, MAX_CHALLENGES):
        challenge = Challenge.parse(value)
        if challenge is not None:
            return challenge
    return None


def _read_params(text: str) -> dict[str, str]:
    """Names in lower case, values without their quotes; PeerError 400 outside the grammar."""
    params: dict[str, str] = {}
    for part in split_outside(text, ",", MAX_PARAMS):
        if not part:
            continue  # an empty element of a list is allowed (RFC 7230 7)
        name, equals, value = part.partition("=")
        name, value = name.rstrip(" \t").lower(), value.lstrip(" \t")
        if not equals or not is_token(name) or name in params:
            raise bad("Challenge")
        quoted = value.startswith('"')
        if end_of_quote(value, 0) != len(value) if quoted else not is_token(value):
            raise bad("Challenge")
        params[name] = unquote(value)
    return params
