"""R10: the wall clock is set back and forward by an hour while calls are recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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

HOUR = 3600.0


class SetClock(SystemClock):
    """A clock whose wall time can be set."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


@asynccontextmanager
async def running(
    folder: Path, receiver: Receiver, clock: SetClock
) -> AsyncIterator[tuple[str, int]]:
    record = {"status_url": receiver.url("/clock"), "initial_timeout": 0, "max_length": 60}
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


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_r10_an_hour_more_or_less_bends_no_recording_and_loses_no_callback(
    tmp_path: Path, receiver: Receiver, speech_files: tuple[Path, ...], jump: float
) -> None:
    receiver.all.clear()
    # What waits for its next attempt at the jump, and what comes after it, is refused once.
    receiver.refusals["/clock"] = [500, 200, 500]
    payload, sent = utterance(choose(speech_files, 2, 4)[0])
    clock = SetClock()
    async with running(tmp_path, receiver, clock) as sip, Phone.open(sip) as phone:
        await phone.call("anybody")
        talking = asyncio.create_task(phone.say(Talker().say(payload)))
        await asyncio.sleep(1.0)
        clock.ahead = jump
        await talking
        await asyncio.sleep(0.05)
        await phone.hang_up()
        end = await receiver.until_final("/clock", 20)
    params = end.params
    assert [c.state for c in receiver.accepted("/clock")] == ["recording", "finished"]
    refused, *_ = attempts = receiver.at("/clock")
    # By another clock than the server's; a delay is by up to a fifth shorter than it says.
    assert [c.state for c in attempts[:2]] == ["recording"] * 2
    assert attempts[1].at - refused.at >= 1.2
    assert params["end_time"] > params["start_time"]
    assert params["end_time"] - params["start_time"] == pytest.approx(sent.size / 8000, abs=0.3)
    id = params["recording_id"]
    wav = tmp_path / "data" / "recordings" / id[:2] / f"{id}.wav"
    assert place(sent, read_wav(wav)).exact
