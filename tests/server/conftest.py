"""A receiver of callbacks for all tests of a live server, and the long calls, made at once."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from farend.attack_calls import ATTACK_CALLS
from farend.network_calls import NETWORK_CALLS
from farend.receiver import Receiver
from farend.scene import Outcomes, Stage, play_all
from farend.server import Server
from farend.speech import choose, passage

PLAYED = 10.0
"""Seconds of the clip that is played to whoever calls `played`."""


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver().start()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="session")
def hostile(
    tmp_path_factory: pytest.TempPathFactory,
    receiver: Receiver,
    speech_files: tuple[Path, ...],
) -> Iterator[Outcomes]:
    """What became of the calls over bad networks and under attack, all on one server."""
    speech = tuple(choose(speech_files, 2.0, 6.0))
    folder = tmp_path_factory.mktemp("hostile")
    with wave.open(str(folder / "clip.wav"), "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(8000)
        clip.writeframes(passage(speech, PLAYED)[1].astype("<i2").tobytes())
    url = receiver.url("/record/${call.sip_data.sip_from_user}")
    record = {"record": {"initial_timeout": 0, "end_silence_timeout": 0, "status_url": url}}
    scripts: dict[str, list[object]] = {
        "bad-network": [record],
        "watched": [{"record": {"status_url": url}}],
        "attacked": [record],
        "played": [{"play": {"url": str(folder / "clip.wav")}}, {"hangup": {}}],
        "quick": [{"answer": {}}, {"sleep": 5000}],
    }
    with Server(folder, scripts) as server:
        yield asyncio.run(play_all(NETWORK_CALLS | ATTACK_CALLS, Stage(server, receiver, speech)))
