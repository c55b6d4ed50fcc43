"""The application that the server's callbacks go to: it remembers who was told what."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from dataclasses import dataclass

from aiohttp import web

from .options import HOST
from .process import Channel


@dataclass(frozen=True, slots=True)
class Listening:
    """Told when callbacks can be taken."""


@dataclass(frozen=True, slots=True)
class Told:
    """What has been told so far."""

    finished: dict[int, str]
    """Stream to the URL of its recording."""
    states: dict[str, int]
    """How often each state was told, of recordings and of connecting on."""
    other: dict[int, str]
    """Stream to a final state that is not `finished`."""
    waits: list[float]
    """Seconds from the end of each recording until its end was announced."""


class _Application:
    def __init__(self) -> None:
        self.finished: dict[int, str] = {}
        self.other: dict[int, str] = {}
        self.states: Counter[str] = Counter()
        self.waits: list[float] = []

    async def take(self, request: web.Request) -> web.Response:
        stream = int(request.match_info["stream"])
        event = json.loads(await request.read())
        params = event["params"]
        state = str(params["state"])
        self.states[state] += 1
        if state == "finished":
            self.finished[stream] = str(params["url"])
        elif state != "recording":
            self.other[stream] = state
        if "end_time" in params:
            self.waits.append(event["timestamp"] - params["end_time"])
        return web.Response()

    async def take_connect(self, request: web.Request) -> web.Response:
        event = json.loads(await request.read())
        self.states[str(event["params"]["connect_state"])] += 1
        return web.Response()

    def told(self) -> Told:
        return Told(dict(self.finished), dict(self.states), dict(self.other), list(self.waits))


def receive(port: int, channel: Channel) -> None:
    """Body of the process: take callbacks; every message is answered by what came so far."""
    os.nice(10)  # the generator, on the same core, comes first
    asyncio.run(_serve(port, channel))


async def _serve(port: int, channel: Channel) -> None:
    application = _Application()
    app = web.Application()
    app.router.add_post("/{stream:[0-9]+}", application.take)
    app.router.add_post("/connect/{stream:[0-9]+}", application.take_connect)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, backlog=4096).start()
    over = asyncio.Event()

    def asked() -> None:
        try:
            channel.recv()
            channel.send(application.told())
        except (EOFError, OSError):
            over.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(channel.fileno(), asked)
    channel.send(Listening())
    await over.wait()
    loop.remove_reader(channel.fileno())
    await runner.cleanup()
