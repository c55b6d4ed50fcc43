"""What we asked a peer to do by REFER, and how it says that went (RFC 3515, RFC 6665)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mediaserver.sip.message import Request

MAX_NEWS: Final = 64
"""NOTIFYs of one REFER that are read; further ones are refused."""

_PACKAGE: Final = "refer"
_SIPFRAG: Final = "message/sipfrag"


@dataclass(slots=True)
class Referral:
    """One REFER and the subscription that comes with it."""

    first_cseq: int
    """Of the REFER as it was sent first: its NOTIFYs may name it by this or, if it had to be sent
    again with credentials, by a later number (RFC 3515 2.4.6)."""
    status: int = 100
    """The latest one they told of what they were asked to do."""
    accepted: bool = False
    """True once the REFER got its 2xx."""
    told: bool = False
    """True once the outcome was reported."""
    news: int = 0
    """How many NOTIFYs came."""

    def concerns(self, news: News) -> bool:
        """True when a NOTIFY of the package is about this REFER."""
        return news.cseq is None or news.cseq >= self.first_cseq


@dataclass(frozen=True, slots=True)
class News:
    """What a NOTIFY of a REFER says."""

    cseq: int | None
    """Of the REFER; None when it is the only one there was."""
    status: int | None
    """The status in the first line of its message/sipfrag; None when there is none."""
    terminated: bool
    """True when it is the last one (RFC 6665 4.1.3)."""

    @classmethod
    def of(cls, notify: Request) -> News | None:
        """Read a NOTIFY; None when it is of another event package."""
        package, _, params = (notify.headers.get("Event") or "").partition(";")
        if package.strip(" \t").lower() != _PACKAGE:
            return None
        state = (notify.headers.get("Subscription-State") or "").partition(";")[0]
        return cls(_id(params), _status(notify), state.strip(" \t").lower() == "terminated")


def _id(params: str) -> int | None:
    for param in params.split(";"):
        name, _, value = param.partition("=")
        if name.strip(" \t").lower() == "id":
            number = value.strip(" \t")
            # What is no number was never a CSeq of ours.
            return int(number) if number.isdecimal() and len(number) <= 10 else -1
    return None


def _status(notify: Request) -> int | None:
    if notify.content_type != _SIPFRAG:
        return None
    words = notify.body[:64].split(b"\n", 1)[0].split(None, 2)
    if len(words) < 2 or words[0].upper() != b"SIP/2.0" or len(words[1]) != 3:
        return None
    return int(words[1]) if b"100" <= words[1] <= b"699" and words[1].isdigit() else None
