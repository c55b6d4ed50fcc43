"""Keys: pressed in the way the far end takes them, and read from SIP INFO."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .call import Call

INFO_GAP: Final = 0.24
"""Seconds from one digit sent by INFO to the next."""


async def press(call: Call, digits: str) -> None:
    """Press keys on a call; done when the last is over.

    They go as telephone events (RFC 4733) where those were agreed upon, else by INFO to whoever
    allows that, else as tones.
    """
    media, session = call.media, call.session
    assert media is not None
    events = media.session is not None and media.session.send_events is not None
    if events or session is None or not session.allows("INFO"):
        await media.send_digits(digits)
        return
    for digit in digits:
        body = f"Signal={digit}\r\nDuration=160\r\n".encode()
        call.services.signalling.info(session, "application/dtmf-relay", body)
        await asyncio.sleep(INFO_GAP)


def digit_of(content_type: str, body: bytes) -> str | None:
    """Return the digit of an INFO's body, None when there is none in it.

    Read are `application/dtmf-relay` and `application/dtmf`.
    """
    kind = content_type.partition(";")[0].strip().lower()
    text = body[:64].decode("ascii", "replace")
    if kind == "application/dtmf-relay":
        for line in text.splitlines():
            name, _, value = line.partition("=")
            if name.strip().lower() == "signal":
                text = value
                break
        else:
            return None
    elif kind != "application/dtmf":
        return None
    digit = text.strip().upper()
    return digit if len(digit) == 1 and digit in "0123456789*#ABCD" else None
