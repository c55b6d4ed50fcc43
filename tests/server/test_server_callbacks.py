"""Callbacks as a web application gets them: shape, order, signatures, and that they do come."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from farend.phone import Phone
from farend.receiver import Callback, Receiver, signatures
from farend.scene import ENDS
from farend.server import PROJECT, SIGNING_KEY, SPACE, Server
from farend.speech import choose, passage, utterance
from farend.talker import Talker
from farend.waveform import place

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ALWAYS = {"call_id", "node_id", "control_id", "state", "url", "recording_id", "record"}
ENDED = {"start_time", "end_time"}
MEASURED = {"duration", "size"}
BUSY = "/callbacks/busy"

CUT = 5
"""Calls that a server is killed in the middle of."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    kinds: dict[str, dict[str, object]] = {
        "plain": {},
        "busy": {},
        "quick": {"max_length": 0.3},
        "silent": {"initial_timeout": 0.5, "format": "mp3", "stereo": True},
    }
    scripts: dict[str, list[object]] = {
        name: [{"record": {"status_url": receiver.url(f"/callbacks/{name}"), **parameters}}]
        for name, parameters in kinds.items()
    }
    scripts["wrong"] = [
        {"record": {"status_url": receiver.url("/callbacks/wrong"), "max_lenght": 3}}
    ]
    password = receiver.url("/callbacks/password?a=%20b").replace("//", "//user:secret@", 1)
    scripts["password"] = [{"record": {"status_url": password, "max_length": 0.3}}]
    server = Server(
        tmp_path_factory.mktemp("callbacks"),
        scripts,
        {"callbacks": {"schedule": [0.2, 0.3, 0.5, 1, 1, 1, 1, 1, 1, 1]}},
    ).start()
    server.expected.add("document cannot be run")  # `wrong` is looked at when it starts, too
    yield server
    server.stop()


async def leave_message(server: Server, user: str, speech: Path) -> tuple[float, float]:
    """Leave a message; return when the call was answered and ended, by the clock on the wall."""
    payload, _ = passage([speech], 1.0)
    async with Phone.open(server.sip) as phone:
        began = time.time()
        await phone.call(user)
        await phone.say(Talker().say(payload))
        await asyncio.sleep(0.02)
        if not phone.ended.is_set():
            await phone.hang_up()
        return began, time.time()


async def test_a_recording_is_announced_twice_in_the_shape_of_the_contract(
    server: Server, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    began, ended = await leave_message(server, "plain", choose(speech_files, 2, 2.2)[0])
    await receiver.until_final("/callbacks/plain")
    first, last = receiver.at("/callbacks/plain")
    for callback in (first, last):
        event = callback.event
        assert set(event) == {
            "event_type", "event_channel", "timestamp", "project_id", "space_id", "params",
        }  # fmt: skip
        assert event["event_type"] == "calling.call.record"
        assert event["event_channel"].startswith("swml:")
        assert UUID.fullmatch(event["event_channel"].removeprefix("swml:"))
        assert event["project_id"] == PROJECT
        assert event["space_id"] == SPACE
        assert isinstance(event["timestamp"], float)
        assert began - 1 < event["timestamp"] < ended + 2
        params = callback.params
        assert params["record"] == {
            "audio": {"format": "wav", "direction": "speak", "stereo": False}
        }
        for name in ("call_id", "control_id", "recording_id"):
            assert UUID.fullmatch(params[name]), name
        id = params["recording_id"]
        assert params["url"] == f"http://{server.host}:{server.http_port}" + (
            f"/api/v1/recordings/{id}/download"
        )
        assert callback.headers["content-type"] == "application/json"
    assert set(first.params) == ALWAYS
    assert first.state == "recording"
    params = last.params
    assert set(params) == ALWAYS | ENDED | MEASURED
    assert last.state == "finished"
    samples = server.samples(params["recording_id"]).size
    assert params["duration"] == samples // 8000
    assert isinstance(params["duration"], int)
    assert params["size"] == server.file(params["recording_id"]).stat().st_size
    assert abs(params["end_time"] - params["start_time"] - samples / 8000) < 0.001
    assert began - 0.1 < params["start_time"] < params["end_time"] < ended + 0.2
    for name in ("call_id", "node_id", "control_id", "recording_id", "url"):
        assert params[name] == first.params[name]
    assert first.event["timestamp"] <= last.event["timestamp"]
    assert first.event["event_channel"] == last.event["event_channel"]


async def test_both_signatures_can_be_recomputed_by_hand(
    server: Server, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    await leave_message(server, "quick", choose(speech_files, 2, 2.2)[0])
    await receiver.until_final("/callbacks/quick")
    for callback in receiver.at("/callbacks/quick"):
        right = signatures(SIGNING_KEY, receiver.url(callback.path), callback.body)
        assert {name: callback.headers[name] for name in right} == right
        wrong = signatures(SIGNING_KEY, receiver.url(callback.path), callback.body + b" ")
        assert {name: callback.headers[name] for name in right} != wrong


async def test_a_password_in_the_url_becomes_basic_authentication_and_is_not_signed(
    server: Server, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    await leave_message(server, "password", choose(speech_files, 2, 2.2)[0])
    path = "/callbacks/password?a=%20b"
    callback = await receiver.until_final(path)
    assert callback.headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="
    right = signatures(SIGNING_KEY, receiver.url(path), callback.body)
    assert {name: callback.headers[name] for name in right} == right


async def test_no_input_is_announced_with_length_and_format(
    server: Server, receiver: Receiver
) -> None:
    async with Phone.open(server.sip) as phone:
        await phone.call("silent")
        await phone.until_ended()
    last = await receiver.until_final("/callbacks/silent")
    assert last.state == "no_input"
    assert last.params["record"]["audio"] == {
        "format": "mp3", "direction": "speak", "stereo": True,
    }  # fmt: skip
    assert last.params["duration"] == 0
    file = server.file(last.params["recording_id"], "mp3")
    assert last.params["size"] == file.stat().st_size > 0


async def test_a_receiver_that_fails_twice_gets_it_again_with_the_same_id_and_in_order(
    server: Server, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    receiver.refusals[BUSY] = [500, 503]
    await leave_message(server, "busy", choose(speech_files, 2, 2.2)[0])
    await receiver.until_final(BUSY)
    seen = receiver.at(BUSY)
    assert [(c.status, c.state) for c in seen] == [
        (500, "recording"), (503, "recording"), (200, "recording"), (200, "finished"),
    ]  # fmt: skip
    ids = [c.headers["x-mediaserver-delivery"] for c in seen]
    assert len(set(ids[:3])) == 1
    assert ids[3] != ids[0]
    assert [c.headers["x-mediaserver-sequence"] for c in seen] == ["1", "1", "1", "2"]
    assert [c.headers["webhook-id"] for c in seen] == ids
    assert len({c.body for c in seen[:3]}) == 1


async def test_a_fault_in_a_script_is_told_to_its_status_url(
    server: Server, receiver: Receiver
) -> None:
    server.expected.add("document refused")
    async with Phone.open(server.sip) as phone:
        answer = await phone.invite("wrong")
        assert answer.status >= 400
    await receiver.until(lambda: bool(receiver.at("/callbacks/wrong")))
    (callback,) = receiver.at("/callbacks/wrong")
    assert callback.event["event_type"] == "calling.script.warning"
    error = callback.params["error"]
    assert error["code"] == "relay_script_method_parameter_undefined"
    assert error["path"].endswith("sections.main[0].record.max_lenght")
    assert "max_lenght" in error["message"]


class Killed:
    """A server that was killed and started again, and what it was in the middle of."""

    def __init__(self, receiver: Receiver, speech: list[Path]) -> None:
        self.receiver = receiver
        self.whole = utterance(speech[0])
        self.cut = passage(speech, 4.0)
        self.spoken = 0.0
        """Seconds that were surely said of what was cut."""
        self.refused: set[str] = set()
        """Ids of callbacks that were not taken before."""
        self.recovered = 0.0
        """Seconds from the start to the end of the last recording that had been cut."""

    async def play_through(self, server: Server) -> None:
        """Leave one message, be in the middle of five, kill, start again."""
        receiver = self.receiver
        receiver.refusals["/killed/ended"] = [500] * 1000
        talks = [asyncio.create_task(self._talk(server)) for _ in range(CUT)]
        await receiver.until(lambda: len(receiver.accepted("/killed/cut")) == CUT)
        began = time.monotonic()
        async with Phone.open(server.sip) as phone:
            await phone.call("ended")
            await phone.say(Talker().say(self.whole[0]))
            await asyncio.sleep(0.02)
            await phone.hang_up()
        await receiver.until(lambda: "recording ended" in server.text())
        await receiver.until(lambda: len(receiver.at("/killed/ended")) >= 2)
        self.spoken = time.monotonic() - began - 0.2
        server.kill()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        self.refused = {c.headers["x-mediaserver-delivery"] for c in receiver.at("/killed/ended")}
        receiver.refusals.pop("/killed/ended")
        await asyncio.to_thread(server.start)
        began = time.monotonic()
        await receiver.until(lambda: len(self.ends()) == CUT, 15)
        self.recovered = time.monotonic() - began
        await receiver.until_final("/killed/ended")

    def ends(self) -> list[Callback]:
        """Return the callbacks that ended recordings which were cut."""
        return [c for c in self.receiver.accepted("/killed/cut") if c.state in ENDS]

    async def _talk(self, server: Server) -> None:
        async with Phone.open(server.sip) as phone:
            await phone.call("cut")
            await phone.say(Talker().say(self.cut[0]))
            await asyncio.sleep(10)


@pytest.fixture(scope="module")
def killed(
    tmp_path_factory: pytest.TempPathFactory,
    receiver: Receiver,
    speech_files: tuple[Path, ...],
) -> Iterator[tuple[Killed, Server]]:
    scripts: dict[str, list[object]] = {
        name: [{"record": {"status_url": receiver.url(f"/killed/{name}")}}]
        for name in ("ended", "cut")
    }
    settings = {"callbacks": {"schedule": [0.3] * 100}}
    with Server(tmp_path_factory.mktemp("killed"), scripts, settings) as server:
        killed = Killed(receiver, choose(speech_files, 2, 4))
        asyncio.run(killed.play_through(server))
        yield killed, server


def test_killed_between_state_and_delivery_it_is_delivered_after_the_restart(
    killed: tuple[Killed, Server], receiver: Receiver
) -> None:
    story, server = killed
    accepted = receiver.accepted("/killed/ended")
    assert [c.state for c in accepted] == ["recording", "finished"]
    assert accepted[0].headers["x-mediaserver-delivery"] in story.refused
    samples = server.samples(accepted[1].params["recording_id"])
    assert place(story.whole[1], samples).exact


def test_r1_killed_in_the_middle_each_recording_is_finished_after_the_restart(
    killed: tuple[Killed, Server],
) -> None:
    """What was said until half a second before is in the file."""
    story, server = killed
    assert story.recovered < 10
    ids = {c.params["recording_id"] for c in story.ends()}
    assert len(ids) == CUT
    assert [c.state for c in story.ends()] == ["finished"] * CUT
    certain = story.cut[1][: round((story.spoken - 0.5) * 8000)]
    assert certain.size > 8000
    for id in ids:
        placement = place(certain, server.samples(id))
        assert placement.exact, placement
        view = server.get(f"/v1beta1/projects/{PROJECT}/calls/-/recordings/{id}").json
        assert view["state"] == "SUCCEEDED"
