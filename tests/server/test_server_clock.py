"""R10: the wall clock is set back and forward by an hour while calls are recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest

from farend.phone import Phone
from farend.ports import free_block, free_port
from farend.receiver import Receiver
from farend.speech import choose, utterance
from farend.talker import Talker
from farend.waveform import place, read_wav
from mediaserver.app import Server
from mediaserver.clock import SystemClock
from mediaserver.config import load

JUMPS = (3600.0, -3600.0)
"""An hour, in seconds."""


class SetClock(SystemClock):
    """A clock whose wall time can be set."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


@asynccontextmanager
async def running(folder: Path, status_url: str, clock: SetClock) -> AsyncIterator[tuple[str, int]]:
    record = {"status_url": status_url, "initial_timeout": 0, "max_length": 60}
    steps = [{"record": record}, {"hangup": {}}]
    (folder / "record.json").write_text(json.dumps({"sections": {"main": steps}}))
    ports, sip, http = free_block(), free_port(), free_port()
    settings = {
        "sip": {"listen": [f"udp:127.0.0.1:{sip}"]},
        "rtp": {"ports": f"{ports[0]}-{ports[-1]}"},
        "http": {"listen": f"127.0.0.1:{http}"},
        "data_dir": "data",
        "outbound": {"allow": ["127.0.0.0/8"]},
        "callbacks": {"schedule": [1.5] * 20},
        "routes": [{"to": "*", "swml": "record.json"}],
    }
    (folder / "config.yaml").write_text(json.dumps(settings))
    server = Server(load(folder / "config.yaml", {}), clock)
    await server.start()
    try:
        yield "127.0.0.1", sip
    finally:
        await server.stop(grace=5.0)


async def bend(folder: Path, receiver: Receiver, speech: Path, jump: float) -> None:
    path = f"/clock/{jump:+.0f}"
    # What waits for its next attempt at the jump, and what comes after it, is refused once.
    receiver.refusals[path] = [500, 200, 500]
    payload, sent = utterance(speech)
    clock = SetClock()
    async with running(folder, receiver.url(path), clock) as sip, Phone.open(sip) as phone:
        called = monotonic()
        await phone.call("anybody")
        talking = asyncio.create_task(phone.say(Talker().say(payload)))
        await asyncio.sleep(1.0)
        clock.ahead = jump
        await talking
        await asyncio.sleep(0.05)
        await phone.hang_up()
        at_most = monotonic() - called
        end = await receiver.until_final(path, 20)
    params = end.params
    assert [c.state for c in receiver.accepted(path)] == ["recording", "finished"]
    refused, *_ = attempts = receiver.at(path)
    # By another clock than the server's; a delay is by up to a fifth shorter than it says.
    assert [c.state for c in attempts[:2]] == ["recording"] * 2
    assert attempts[1].at - refused.at >= 1.2
    # However late a busy phone is: no shorter than what it said, no longer than its call.
    assert sent.size / 8000 - 0.1 <= params["end_time"] - params["start_time"] <= at_most
    id = params["recording_id"]
    wav = folder / "data" / "recordings" / id[:2] / f"{id}.wav"
    assert place(sent, read_wav(wav)).exact


@pytest.fixture(scope="module")
def bent(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, speech_files: tuple[Path, ...]
) -> dict[float, BaseException | None]:
    """How it went with each jump; both are made at once, each on a server of its own."""
    speech = choose(speech_files, 2, 4)[0]

    async def bend_all() -> list[BaseException | None]:
        return await asyncio.gather(
            *(bend(tmp_path_factory.mktemp("clock"), receiver, speech, jump) for jump in JUMPS),
            return_exceptions=True,
        )

    return dict(zip(JUMPS, asyncio.run(bend_all()), strict=True))


@pytest.mark.parametrize("jump", JUMPS)
def test_r10_an_hour_more_or_less_bends_no_recording_and_loses_no_callback(
    bent: dict[float, BaseException | None], jump: float
) -> None:
    error = bent[jump]
    if error is not None:
        raise error
