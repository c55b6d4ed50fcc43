"""The CSeq header field (RFC 3261 20.16)."""

from __future__ import annotations

from dataclasses import dataclass

from mediaserver.sip.grammar import bad, is_token, read_number
from mediaserver.sip.limits import CSEQ_LIMIT, MAX_METHOD


@dataclass(frozen=True, slots=True)
class CSeq:
    """A sequence number below 2**31 and the method it counts; methods are case-sensitive."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Read "4711 INVITE"; PeerError 400 otherwise."""
        parts = text.split(None, 2)
        if len(parts) != 2:
            raise bad("CSeq")
        number = read_number(parts[0], "CSeq")
        method = parts[1]
        if number >= CSEQ_LIMIT or not is_token(method) or len(method) > MAX_METHOD:
            raise bad("CSeq")
        return cls(number, method)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"
