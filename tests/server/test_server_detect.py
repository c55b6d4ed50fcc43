"""Who calls, by what is heard: `detect_machine` from document to wire."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import Server
from farend.speech import choose, encode, utterance, whole_frames
from farend.talker import Talker
from farend.waveform import read_wav
from mediaserver.audio.tones import silence, sine

CASES = ("machine", "person", "fax", "along")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    def script(name: str) -> list[object]:
        detect = {"status_url": receiver.url(f"/detect/{name}"), "detect_message_end": True}
        if name == "along":
            detect["wait"] = False
        found = "${detect_result}-${detect_machine_beep}"
        record = {"max_length": 0.1, "status_url": receiver.url(f"/found/{name}-{found}")}
        return [{"detect_machine": detect}, {"record": record}, {"sleep": 10_000}]

    with Server(tmp_path_factory.mktemp("detect"), {n: script(n) for n in CASES}) as server:
        yield server


def said(name: str, speech: tuple[Path, ...]) -> bytes:
    """Return what a far end says, after it was answered, as payload."""
    if name == "fax":
        return encode("PCMU", np.concatenate([silence(1.0), sine([2100], 1.6)]))
    if name == "person":
        return utterance(choose(speech, 1.0, 1.1)[0])[0]
    greeting = read_wav(choose(speech, 2.5, 3.5)[0])
    beep = sine([1000], 0.4)
    return encode(
        "PCMU", whole_frames(np.concatenate([silence(0.3), greeting, silence(0.4), beep]))
    )


async def test_the_script_and_the_application_learn_who_it_is(
    server: Server, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    async def call(name: str) -> None:
        async with Phone.open(server.sip) as phone:
            await phone.call(name)
            await phone.say(Talker().say(said(name, speech_files)))
            await receiver.until(lambda: events(name)[-1:] == ["finished"], 8, f"{name} goes on")

    def events(name: str) -> list[str]:
        callbacks = receiver.accepted(f"/detect/{name}")
        return [callback.params["detect"]["params"]["event"] for callback in callbacks]

    await asyncio.gather(*[call(name) for name in CASES])
    assert events("machine") == events("along") == ["MACHINE", "READY", "finished"]
    assert events("person") == ["HUMAN", "finished"]
    assert events("fax") == ["CED", "finished"]
    learnt = (
        "machine-machine-true",
        "person-human-false",
        "fax-fax-false",
        "along-detecting-false",
    )
    await receiver.until(lambda: all(receiver.at(f"/found/{found}") for found in learnt))
    last = receiver.accepted("/detect/machine")[-1]
    assert last.event["event_type"] == "calling.call.detect"
    assert last.params["detect"] == {
        "type": "machine", "params": {"event": "finished", "beep": True},
    }  # fmt: skip
    assert set(last.params) == {"call_id", "node_id", "control_id", "detect"}
