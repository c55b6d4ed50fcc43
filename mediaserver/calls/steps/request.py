"""`request`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...swml.actions import HttpRequest
from ..requesting import run_request

if TYPE_CHECKING:
    from ..performance import Performance


async def request(performance: Performance, action: HttpRequest) -> dict[str, Any]:
    """Ask a web application; the call may be unanswered meanwhile."""
    return await run_request(performance.call, action)
