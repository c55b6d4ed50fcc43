"""`send_digits`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ...swml.actions import SendDigits
from ..keys import press

if TYPE_CHECKING:
    from ..call import Call
    from ..performance import Performance

WAITS: Final[Mapping[str, float]] = MappingProxyType({"W": 1.0, "w": 0.5, ",": 0.5})
"""Seconds that are waited for among keys."""


async def send_digits(performance: Performance, action: SendDigits) -> dict[str, Any]:
    """Press keys, with waits in between."""
    await performance.pick_up()
    performance.let_time_pass()
    await dial(performance.call, action.digits)
    return {"send_digits_result": "success"}


async def dial(call: Call, digits: str) -> None:
    """Press `digits` on a call; `W`, `w` and a comma are waits."""
    for stretch in re.findall(r"[Ww,]|[^Ww,]+", digits):
        seconds = WAITS.get(stretch)
        await call.unless_over(press(call, stretch) if seconds is None else asyncio.sleep(seconds))
