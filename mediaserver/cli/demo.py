"""`mediaserver demo`: a server, a call that speaks, every callback, and the file it made."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import tempfile
import wave
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import aiohttp
import numpy as np
import typer
from aiohttp import web
from numpy.typing import NDArray

from .. import log as logging
from ..app import Server
from ..audio.voice import babble
from ..calls.caller import CallPlan
from ..config import Config
from ..errors import LocalError
from ..phone import Phone
from ..sip.uri import SipUri
from .call import read_clip

DOCUMENT: Final = """\
version: 1.0.0
sections:
  main:
    - answer: {{}}
    - record:
        beep: true
        terminators: "#"
        end_silence_timeout: 3
        status_url: {receiver}
    - hangup: {{}}
"""

SPEECH: Final = (
    Path("/usr/share/asterisk/sounds/en_US_f_Allison/vm-intro.wav"),
    Path("/usr/share/asterisk/sounds/en_US_f_Allison/demo-congrats.wav"),
)
"""Recorded speech of Debian's asterisk-core-sounds-en-wav, spoken where it is installed."""

TIMEOUT: Final = 45.0
"""Seconds the whole may take."""


def demo(
    sip_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port for SIP on 127.0.0.1.")
    ] = 15060,
    http_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port for the REST API.")
    ] = 18080,
    callback_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port the callbacks go to.")
    ] = 18081,
    play: Annotated[
        Path | None, typer.Option("--play", help="Audio file to speak instead of ours.")
    ] = None,
) -> None:
    """Show the main job, end to end, on loopback: answer, record, announce, download."""
    logging.configure("warning", "console", False)
    samples = read_clip(play) if play else _speech()
    asyncio.run(_demo(sip_port, http_port, callback_port, samples))


async def _demo(
    sip_port: int, http_port: int, callback_port: int, samples: NDArray[np.int16]
) -> None:
    key = secrets.token_urlsafe(16)
    receiver = f"http://127.0.0.1:{callback_port}/callback"
    try:
        async with asyncio.timeout(TIMEOUT), AsyncExitStack() as stack:
            final = await stack.enter_async_context(_receiver(callback_port))
            folder = Path(tempfile.mkdtemp(prefix="mediaserver-demo-"))
            document = folder / "demo.yaml"
            document.write_text(DOCUMENT.format(receiver=receiver))
            server = Server(_settings(folder, key, document, sip_port, http_port))
            await _start(server, folder)
            stack.push_async_callback(server.stop, grace=5.0)
            print(f"1. A server on sip:127.0.0.1:{sip_port} and http://127.0.0.1:{http_port},")
            print(f"   its data in {folder}")
            print(f"   its API key, made for this demo: {key}")
            await _place_call(sip_port, samples)
            await _show(server, key, folder, await final)
    except TimeoutError:
        raise LocalError(f"the demo did not end within {TIMEOUT:g} seconds") from None


async def _start(server: Server, folder: Path) -> None:
    """Start the server, or leave nothing behind."""
    try:
        await server.start()
    except LocalError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise LocalError(f"{error} (--sip-port and --http-port choose others)") from None


def _settings(folder: Path, key: str, document: Path, sip_port: int, http_port: int) -> Config:
    return Config.model_validate(
        {
            "sip": {"listen": [f"udp:127.0.0.1:{sip_port}", f"tcp:127.0.0.1:{sip_port}"]},
            "rtp": {"ports": "20000-20999"},
            "http": {"listen": f"127.0.0.1:{http_port}"},
            "data_dir": str(folder),
            "api_keys": [key],
            "outbound": {"allow": ["127.0.0.0/8"]},
            "routes": [{"to": "*", "swml": str(document)}],
        }
    )


@asynccontextmanager
async def _receiver(port: int) -> AsyncIterator[asyncio.Future[dict[str, Any]]]:
    """Serve the application's side: print each callback; yield the promise of the last one."""
    final: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def take(request: web.Request) -> web.Response:
        event = await request.json()
        params = event["params"]
        print(f"   callback {event['event_type']}: {params['state']}")
        print("     " + json.dumps(params, indent=2).replace("\n", "\n     "))
        print(f"     X-Signalwire-Signature: {request.headers['X-Signalwire-Signature']}")
        if params["state"] in {"finished", "no_input", "error"} and not final.done():
            final.set_result(params)
        return web.Response()

    app = web.Application()
    app.router.add_post("/callback", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            raise LocalError(
                f"--callback-port: cannot listen on 127.0.0.1:{port}:"
                f" {os.strerror(error.errno or 0).lower()}"
            ) from None
        yield final
    finally:
        await runner.cleanup()


async def _place_call(sip_port: int, samples: NDArray[np.int16]) -> None:
    print(f"2. A SIP call that speaks for {samples.size / 8000:.1f} seconds, then hangs up")
    target = SipUri.parse(f"sip:demo@127.0.0.1:{sip_port}")
    async with Phone.towards(target, lambda line: print(f"   call: {line}")) as phone:
        # The beep comes first; nobody should talk over it.
        speech = np.concatenate([np.zeros(8000, np.int16), samples])
        outcome = await phone.call(target, "sip:you@127.0.0.1", CallPlan(play=speech))
    print(f"   call: {outcome.seconds:.1f} s, {outcome.packets_sent} packets sent")


async def _show(server: Server, key: str, folder: Path, final: dict[str, Any]) -> None:
    """Print the resource and the file, and check that the file is what it says."""
    if final["state"] != "finished":
        raise LocalError(f"the recording ended as {final['state']}, not as finished")
    project, name = server.config.project_id, final["recording_id"]
    url = (
        f"{server.public_url}/v1beta1/projects/{project}/calls/{final['call_id']}/recordings/{name}"
    )
    print(f"3. The resource, from GET {url}")
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session,
        session.get(url) as response,
    ):
        resource = await response.json()
        if response.status != 200:
            raise LocalError(f"GET {url} answered {response.status}")
    more = resource.pop("x-mediaserver")
    print("   " + json.dumps(resource, indent=2).replace("\n", "\n   "))
    parts = more["account"]["milliseconds"].items()
    told = ", ".join(f"{part} {length} ms" for part, length in parts if length)
    print(f"   and in x-mediaserver, beside more: ended by {more['stopReason']}; {told}")
    _show_file(folder, name)


def _show_file(folder: Path, name: str) -> None:
    path = next(folder.glob(f"recordings/*/{name}.wav"))
    with wave.open(str(path)) as file:
        seconds = file.getnframes() / file.getframerate()
    print(f"4. The recording: {path}")
    print(f"   duration {seconds:.2f} s, {path.stat().st_size} bytes")


def _speech() -> NDArray[np.int16]:
    """Return somebody speaking: a recorded voice where one is installed, else our own babble."""
    for path in SPEECH:
        if path.is_file():
            return read_clip(path)[: 8 * 8000]
    return babble("a media server answers calls and records every second of them")
