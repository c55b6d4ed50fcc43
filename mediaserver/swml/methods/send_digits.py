"""`send_digits`: press keys (contract A8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..actions import SendDigits
from .kinds import Place
from .method import Method, Parameter

MAX_DIGITS: Final = 256
_KEYS: Final = frozenset("0123456789*#ABCDWw")


class Digits:
    """Keys, with `W` for a second's wait and `w` for half of one."""

    def read(self, value: Any, place: Place) -> Any:
        """Return the text."""
        must = "must be a text in quotes of 0-9, A-D, *, #, w (half a second) and W (a second)"
        return place.meant(value, must, _digits)


def _digits(text: str) -> str | None:
    return text if 0 < len(text) <= MAX_DIGITS and _KEYS.issuperset(text) else None


def _build(values: Mapping[str, Any]) -> SendDigits:
    return SendDigits(digits=values["digits"])


SEND_DIGITS: Final = Method(
    name="send_digits",
    parameters=(Parameter("digits", Digits(), required=True),),
    build=_build,
)
