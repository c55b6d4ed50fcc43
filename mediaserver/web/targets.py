"""A URL that requests are sent to, taken apart: what goes over the wire, and what must not.

The user and password in it are sent as Basic, and are not part of what is signed (contract A11).
What is signed is the URL a receiver sees: without fragment, and without the scheme's own port.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final

from yarl import URL

MAX_URL: Final = 8 * 1024
"""Characters: what HTTP servers commonly take in a request line."""

SCHEMES: Final = frozenset({"http", "https"})

_SPACE_OR_CONTROL: Final = re.compile(r"[\s\x00-\x1f\x7f]")


class BadUrl(ValueError):
    """This is no URL that a request can be sent to; the message says why and does not repeat it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    url: URL
    """Encoded; no user, password, fragment or default port."""
    authorization: str | None = field(repr=False)
    """The header that carries user and password."""

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read an absolute http or https URL; raises `BadUrl`."""
        if len(text) > MAX_URL:
            raise BadUrl("the URL is too long")
        if _SPACE_OR_CONTROL.search(text):
            raise BadUrl("the URL holds a space or a control character")
        try:
            quoted = URL(text)
            # A URL that needs no quoting goes out letter by letter as the application wrote it:
            # it will check a signature over just that.
            given = URL(text, encoded=True) if text.isascii() else quoted
            return cls._of(quoted, given)
        except BadUrl:
            raise
        except (ValueError, TypeError) as error:
            raise BadUrl("the URL cannot be read") from error

    @classmethod
    def _of(cls, quoted: URL, given: URL) -> Target:
        if quoted.scheme not in SCHEMES:
            raise BadUrl("only http and https URLs are used")
        host = quoted.raw_host
        if not host or "%" in host:
            raise BadUrl("the URL names no host")
        url = URL.build(
            scheme=quoted.scheme,
            host=f"[{host}]" if ":" in host else host,
            port=quoted.explicit_port if not quoted.is_default_port() else None,
            path=given.raw_path or "/",
            query_string=given.raw_query_string,
            encoded=True,
        )
        return cls(url, _basic(quoted.user, quoted.password))

    def follow(self, location: str) -> Target:
        """Return where a redirect leads; raises `BadUrl`. Credentials stay with their origin."""
        try:
            joined = self.url.join(URL(location))
        except (ValueError, TypeError) as error:
            raise BadUrl("the redirect cannot be read") from error
        target = Target.parse(str(joined))
        if self.url.scheme == "https" and target.url.scheme != "https":
            raise BadUrl("the redirect leads from https to http")
        if target.authorization is None and target.origin == self.origin:
            return Target(target.url, self.authorization)
        return target

    @property
    def host(self) -> str:
        """The host, an IPv6 address without brackets."""
        return self.url.raw_host or ""

    @property
    def origin(self) -> str:
        """Scheme, host and port: whose server this is."""
        return str(self.url.origin())

    def __str__(self) -> str:
        """Return what is signed."""
        return str(self.url)


def _basic(user: str | None, password: str | None) -> str | None:
    if user is None and password is None:
        return None
    if ":" in (user or ""):
        # The receiver would take what follows for the password (RFC 7617 2).
        raise BadUrl("the user name in the URL holds a colon")
    return "Basic " + base64.b64encode(f"{user or ''}:{password or ''}".encode()).decode()
