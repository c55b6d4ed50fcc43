"""`hangup`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ...swml.actions import Hangup

if TYPE_CHECKING:
    from ..performance import Performance

STATUS: Final[Mapping[str, int]] = MappingProxyType({"busy": 486, "decline": 603, "hangup": 480})
"""What a caller who was not answered is told."""


async def hang_up(performance: Performance, action: Hangup) -> dict[str, Any]:
    """End the call; nothing comes after that."""
    call = performance.call
    call.hang_up(action.reason, status=STATUS.get(action.reason, 480))
    await call.unless_over(asyncio.get_running_loop().create_future())
    return {}
