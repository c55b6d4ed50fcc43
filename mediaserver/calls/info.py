"""DTMF in SIP INFO: `application/dtmf-relay` and `application/dtmf`."""

from __future__ import annotations


def digit_of(content_type: str, body: bytes) -> str | None:
    """Return the digit of such a body; None when there is none in it."""
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
