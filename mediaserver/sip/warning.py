"""The Warning header field: what more there is to say of an answer (RFC 3261 20.43)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mediaserver.errors import PeerError
from mediaserver.sip.grammar import end_of_quote, quote, read_number, readable, unquote

MAX_TEXT: Final = 256
"""Characters of a warning's text, as it is sent and as it is read."""


@dataclass(frozen=True, slots=True)
class WarningValue:
    """One warning."""

    code: int
    """Three digits: 3xx is about the session description, 399 anything else."""
    agent: str
    """Who warns: a host, or a name that stands for one."""
    text: str
    """For people."""

    def __str__(self) -> str:
        return f"{self.code} {self.agent} {quote(readable(self.text[:MAX_TEXT]))}"

    @classmethod
    def first(cls, values: Iterable[str]) -> WarningValue | None:
        """Return the first warning in the Warning header fields of a message, if one is to be read.

        What is none is no fault of the message: it is for people alone.
        """
        for value in values:
            code, _, rest = value.strip().partition(" ")
            agent, _, text = rest.strip().partition(" ")
            text = text.lstrip()
            if len(code) != 3 or not agent or not text.startswith('"'):
                continue
            try:
                said = unquote(text[: end_of_quote(text, 0)])
                return cls(read_number(code, "Warning"), agent, readable(said[:MAX_TEXT]))
            except PeerError:
                continue
        return None
