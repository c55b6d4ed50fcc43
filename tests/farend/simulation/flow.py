"""One flow from its seed to what is left of it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from ..quick_time import QuickLoop
from .aftermath import aftermath
from .town import Town


@contextmanager
def logged() -> Iterator[list[str]]:
    """Collect what is logged with a traceback."""
    found: list[str] = []

    def take(_logger: object, _name: str, line: MutableMapping[str, Any]) -> Any:
        error = line.get("exc_info")
        if isinstance(error, BaseException):
            found.append("".join(traceback.format_exception(error)))
        elif error:
            found.append(f"{line['event']}\n{traceback.format_exc()}")
        raise structlog.DropEvent

    processors = structlog.get_config()["processors"]
    before = processors[:]
    processors[:] = [take]
    try:
        yield found
    finally:
        processors[:] = before


def flow(seed: int) -> tuple[list[str], Town]:
    """Let a flow happen; return what is wrong afterwards."""
    unhandled: list[str] = []

    def note(_loop: object, context: dict[str, Any]) -> None:
        unhandled.append(f"{context.get('message')}: {context.get('exception')!r}")

    async def live() -> tuple[list[str], Town]:
        asyncio.get_running_loop().set_exception_handler(note)
        town = Town(seed)
        try:
            await town.live()
        except Exception as error:
            town.faults.append(repr(error))
        return aftermath(town), town

    with logged() as faults, asyncio.Runner(loop_factory=QuickLoop) as runner:
        wrong, town = runner.run(live())
    return wrong + faults + unhandled, town
