"""`prompt`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...swml.actions import Prompt
from ..prompting import run_prompt

if TYPE_CHECKING:
    from ..performance import Performance


async def prompt(performance: Performance, action: Prompt) -> dict[str, Any]:
    """Play, and collect the digits that are pressed."""
    await performance.pick_up()
    performance.let_time_pass()
    sources = performance.spoken(action)
    return await run_prompt(performance.call, action, sources)
