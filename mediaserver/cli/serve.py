"""`mediaserver serve`: run the server until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final

import structlog
import typer

from .. import log as logging
from ..app import Server
from ..config import Config, load
from ..config.remarks import remarks
from .collector import collect_when_quiet, spare_calls
from .descriptors import raise_limit

log = structlog.get_logger(__name__)

NO_KEY: Final = (
    "signing_key is not set: one was made for this run, so nobody can verify callbacks and script "
    "requests, and download links end with the process; set signing_key, or "
    "MEDIASERVER_SIGNING_KEY, to 32 random bytes"
)
"""What an operator is told whose server has dealings with others."""


def serve(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The YAML file; without it: loopback, no routes."),
    ] = None,
) -> None:
    """Answer calls. SIGTERM or Ctrl-C: let the calls there are end, then stop; twice: at once."""
    settings = load(config, os.environ)
    logging.configure(settings.log.level, settings.log.format, settings.log.show_numbers)
    for key, remark in remarks(settings):
        log.warning(f"{key}: {remark}")
    if lacks_signing_key(settings):
        log.warning(NO_KEY)
    limits, pairs = settings.limits, settings.rtp.ports.pairs
    raise_limit(min(pairs, limits.calls(pairs)), limits.max_calls_per_second)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings))


def lacks_signing_key(settings: Config) -> bool:
    """Tell whether others may get callbacks and links that are signed with a key nobody knows.

    Not where somebody tries things out on loopback, or where no call and no command is taken.
    """
    if "signing_key" in settings.model_fields_set:
        return False
    hosts = [listen.host for listen in settings.sip.listen]
    alone = (
        all(ip_address(host).is_loopback for host in [*hosts, settings.http.listen.host])
        and settings.http.public_url is None
    )
    return bool(settings.routes or settings.api_keys) and not alone


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's, which is quicker, where it is installed; None for Python's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(settings: Config) -> None:
    server = Server(settings)
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    # Before the start: told to stop meanwhile, it stops as soon as it has started.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await server.start()
    spare_calls()
    collecting = asyncio.create_task(collect_when_quiet(lambda: not server.registry.active))
    await told.wait()
    collecting.cancel()
    told.clear()
    stopping = asyncio.create_task(server.stop())
    again = asyncio.create_task(told.wait())
    await asyncio.wait({stopping, again}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stopping
        await server.stop(grace=0.0)
    again.cancel()
