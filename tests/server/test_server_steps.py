"""Taps, streams, transfers by REFER, detection beside the script, events: from document to wire."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import numpy as np
import pytest

from farend.callee import Callee
from farend.listener import Listener
from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import KEY, Server
from farend.speech import encode, key_payloads
from farend.talker import Talker
from farend.transferee import Transferee
from farend.waveform import Samples, decode, level, sine
from mediaserver.audio.opus import frame_duration

LOUD = -35.0
"""dB of a tone that was heard some of the time; they are said at -12 dB."""

RING = 440.0
"""Hz of one of the tones that are played."""

GIVEN = "${call.headers[0].value}"
"""What the phone's first X- header field says."""

KEY_PRESSED = {"prompt": {"play": "silence:0.1", "initial_timeout": 10}}

TAP = ("uri", "result", "control_id", "rtp_src_addr", "rtp_src_port", "ptime", "codec", "rate")
REFER = ("to", "result", "response_code", "to_response_code")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    def note(name: str, *names: str) -> dict[str, Any]:
        """Tell the receiver of variables."""
        body = {variable: f"${{{variable}}}" for variable in names}
        return {"request": {"url": receiver.url(f"/note/{name}"), "method": "POST", "body": body}}

    told = {"status_url": receiver.url("/told/${call.headers[1].value}")}
    taps = [f"tap_{name}" for name in TAP]
    refers = [f"sip_refer_{name}" for name in REFER]
    connected = ("connect_result", "connect_failed_reason", "return_value")
    stream = {
        "url": GIVEN,
        "control_id": "s",
        "name": "along",
        "track": "both_tracks",
        "codec": "L16@16000h@40i",
        "authorization_bearer_token": "secret-token",
        "custom_parameters": {"order": "${call.headers[1].value}", "kind": "gold"},
        "status_url_method": "GET",
        **told,
    }
    scripts: dict[str, list[object]] = {
        "taps": [
            {"tap": {"uri": f"rtp://127.0.0.1:{GIVEN}", "control_id": "said", "direction": "speak",
                     "codec": "PCMA", "rtp_ptime": 40, **told}},
            note("taps", *taps),
            {"tap": {"uri": "rtp://127.0.0.1:${call.headers[2].value}", "direction": "listen"}},
            {"tap": {"uri": "${call.headers[3].value}", "direction": "both"}},
            note("taps", *taps),
            {"play": {"url": "ring:1:us"}},
            KEY_PRESSED,
            {"stop_tap": {}},
            note("taps", "stop_tap_result"),
            {"stop_tap": {"control_id": "said"}},
            note("taps", "stop_tap_result"),
            {"stop_tap": {"control_id": "said"}},
            note("taps", "stop_tap_result"),
            {"sleep": -1},
        ],
        "stream": [
            {"stream": stream},
            note("stream", "stream_result", "stream_control_id"),
            {"play": {"url": "ring:1:us"}},
            KEY_PRESSED,
            {"stop_stream": {"control_id": "s"}},
            note("stream", "stop_stream_result"),
            {"stop_stream": {}},
            note("stream", "stop_stream_result"),
        ],
        "plain": [{"stream": {"url": GIVEN, **told}}, {"sleep": -1}],
        "nobody": [
            {"tap": {"uri": GIVEN}},
            {"stream": {"url": GIVEN}},
            note("nobody", "tap_result", "stream_result", "tap_uri"),
        ],
        "party": [
            {"connect": {"to": f"stream:{GIVEN}", "name": "bot", "codec": "PCMA@40i",
                         "realtime": True, "authorization_bearer_token": "party-token",
                         "custom_parameters": {"a": "b"}, "status_url_method": "GET",
                         "answer_on_bridge": True, **told}},
            note("party", *connected),
            {"sleep": -1},
        ],
        "brief": [
            {"connect": {"to": f"stream:{GIVEN}", "max_duration": 1, **told}},
            note("party", *connected),
        ],
        "bot": [{"connect": {"to": f"stream:{GIVEN}"}}],
        "wide": [{"connect": {"to": f"stream:{GIVEN}", "codec": "G722"}}],
        "either": [
            {"connect": {"serial": [{"to": f"stream:{GIVEN}"},
                                    {"to": "stream:ws://192.0.2.1/"},
                                    {"to": "${call.headers[1].value}"}]}},
            note("party", *connected),
        ],
        "none": [{"connect": {"to": f"stream:{GIVEN}"}}, note("party", *connected)],
        "refer": [
            {"sip_refer": {"to_uri": "sip:desk@pbx.example.com", "username": "us",
                           "password": "secret", "status_url": receiver.url(f"/told/{GIVEN}")}},
            note(GIVEN, *refers, "return_value"),
            {"sleep": -1},
        ],
        "along": [
            {"detect_machine": {"wait": False, "detectors": "amd", "initial_timeout": 0.3,
                                "status_url": receiver.url("/told/along")}},
            note("along", "detect_result"),
            {"sleep": 800},
            note("along", "detect_result", "detect_machine_beep"),
        ],
        "stay": [{"answer": {}}, {"sleep": -1}],
    }  # fmt: skip
    event = {"user_event": {"event": {"who": "${call.sip_data.sip_to_user}", "count": 2}}}
    document = {"sections": {"main": [event, {"sleep": 300}]}}
    receiver.pages["/events"] = ("application/json", json.dumps(document).encode())
    server = Server(tmp_path_factory.mktemp("steps"), scripts)
    server.add_route("events", receiver.url("/events"), status_url=receiver.url("/told/events"))
    server.add_route("silent", receiver.url("/events"))
    with server:
        yield server


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with Listener.open() as listener:
        yield listener


@asynccontextmanager
async def calling(server: Server, user: str, *values: object) -> AsyncIterator[Phone]:
    """Call a script, telling it values in header fields."""
    async with Phone.open(server.sip) as phone:
        fields = [f"X-Value-{number}: {value}" for number, value in enumerate(values)]
        answer = await phone.invite(user, fields=fields)
        assert answer.status == 200, answer
        yield phone


async def noted(receiver: Receiver, name: str, count: int) -> list[dict[str, Any]]:
    """Wait until a script has told of its variables so often; return what it told."""
    path = f"/note/{name}"
    await receiver.until(lambda: len(receiver.at(path)) >= count)
    return [json.loads(callback.body) for callback in receiver.at(path)]


async def states(receiver: Receiver, path: str, count: int) -> list[dict[str, Any]]:
    """Wait for so many events; return their params."""
    await receiver.until(lambda: len(receiver.accepted(path)) >= count)
    return [callback.params for callback in receiver.accepted(path)]


def queried(receiver: Receiver, path: str) -> list[dict[str, str]]:
    """Return the queries that came for a path."""
    found = [urlsplit(c.path).query for c in list(receiver.all) if c.path.startswith(f"{path}?")]
    return [{name: value for name, (value,) in parse_qs(query).items()} for query in found]


async def command(server: Server, call_id: str, name: str, /, **params: Any) -> tuple[int, Any]:
    """Send a command; return the status and the answer, of a refusal the attribute."""
    base = f"http://{server.host}:{server.http_port}/api/calling/calls"
    sent = {"id": call_id, "command": name, "params": params}
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as client,
        client.post(base, json=sent) as response,
    ):
        answer = await response.json()
        if response.status == 422:
            return 422, answer["errors"][0]["attribute"]
        return response.status, answer.get("id")


async def press(phone: Phone, talker: Talker) -> None:
    await phone.say(talker.press(key_payloads(5), lasting=0.16))


async def until(holds: Any, otherwise: str) -> None:
    async with asyncio.timeout(8):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert holds(), otherwise


class RtpPort:
    """A port that keeps the packets that come."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.source = ("", 0)

    def packets(self) -> list[bytes]:
        found: list[bytes] = []
        while True:
            try:
                data, self.source = self.socket.recvfrom(2048)
            except BlockingIOError:
                return found
            found.append(data)


@pytest.fixture
def ports() -> Iterator[tuple[RtpPort, RtpPort]]:
    pair = RtpPort(), RtpPort()
    yield pair
    for port in pair:
        port.socket.close()


def heard(law: str, packets: list[bytes]) -> Samples:
    return decode(law, b"".join(packet[12:] for packet in packets))


async def test_taps_send_what_each_is_to_where_it_is_to_and_stop(
    server: Server, receiver: Receiver, listener: Listener, ports: tuple[RtpPort, RtpPort]
) -> None:
    said, listened = ports
    values = said.port, "tapped", listened.port, listener.url("/tap")
    async with calling(server, "taps", *values) as phone:
        along = await listener.came()
        talker = Talker()
        await phone.say(talker.say(encode("PCMU", sine(900.0, 1.0, 8000.0))))
        await asyncio.sleep(0.3)
        await press(phone, talker)
        first, last, *stopped = await noted(receiver, "taps", 5)
        packets = said.packets()
        assert {(packet[1] & 0x7F, len(packet)) for packet in packets} == {(8, 12 + 320)}
        assert level(heard("PCMA", packets), 900.0) > LOUD
        assert level(heard("PCMA", packets), RING) < LOUD
        assert first == {
            "tap_uri": f"rtp://127.0.0.1:{said.port}",
            "tap_result": "success",
            "tap_control_id": "said",
            "tap_rtp_src_addr": said.source[0],
            "tap_rtp_src_port": said.source[1],
            "tap_ptime": 40,
            "tap_codec": "PCMA",
            "tap_rate": 8000,
        }
        packets = listened.packets()
        assert {(packet[1] & 0x7F, len(packet)) for packet in packets} == {(0, 12 + 160)}
        assert level(heard("PCMU", packets), RING) > LOUD
        assert level(heard("PCMU", packets), 900.0) < LOUD
        both = decode("PCMU", bytes(along.octets))
        assert level(both, RING) > LOUD
        assert level(both, 900.0) > LOUD
        assert last["tap_uri"] == listener.url("/tap")
        assert last["tap_control_id"] == along.headers["x-mediaserver-control"]
        assert [note["stop_tap_result"] for note in stopped] == ["success", "success", "failed"]
        await asyncio.wait_for(along.over.wait(), 5)
        began, ended = await states(receiver, "/told/tapped", 2)
        assert (began["state"], ended["state"], ended["reason"]) == (
            "tapping", "finished", "stopped",
        )  # fmt: skip
        assert began["tap"] == {"type": "audio", "params": {"direction": "speak"}}
        assert began["device"] == {
            "type": "rtp",
            "params": {"addr": "127.0.0.1", "port": said.port, "codec": "PCMA", "ptime": 40},
        }
        assert (began["control_id"], ended["control_id"]) == ("said", "said")
        said.packets(), listened.packets()
        await asyncio.sleep(0.2)
        assert listened.packets()
        assert not said.packets()
        await phone.hang_up()
    await asyncio.sleep(0.2)
    listened.packets()
    await asyncio.sleep(0.2)
    assert not listened.packets()


async def test_a_stream_sends_messages_as_it_is_told_and_its_events_by_get(
    server: Server, receiver: Receiver, listener: Listener
) -> None:
    async with calling(server, "stream", listener.url("/along"), "streamed") as phone:
        along = await listener.came()
        talker = Talker()
        await phone.say(talker.say(encode("PCMU", sine(900.0, 1.0, 8000.0))))
        await asyncio.sleep(0.3)
        await press(phone, talker)
        begun, stopped, again = await noted(receiver, "stream", 3)
        await phone.until_ended()
        await asyncio.wait_for(along.over.wait(), 5)
    assert begun == {"stream_result": "success", "stream_control_id": "s"}
    assert (stopped, again) == ({"stop_stream_result": "success"}, {"stop_stream_result": "failed"})
    assert along.headers["authorization"] == "Bearer secret-token"
    (start,) = (message["start"] for message in along.of("start"))
    assert start["tracks"] == ["inbound", "outbound"]
    assert start["mediaFormat"] == {"encoding": "audio/x-l16", "sampleRate": 16000, "channels": 1}
    assert start["customParameters"] == {"order": "streamed", "kind": "gold"}
    for track, tone, other in (("inbound", 900.0, RING), ("outbound", RING, 900.0)):
        media = [m["media"] for m in along.of("media") if m["media"]["track"] == track]
        assert {len(base64.b64decode(m["payload"])) for m in media} == {2 * 640}
        octets = b"".join(base64.b64decode(m["payload"]) for m in media)
        samples = np.frombuffer(octets, "<i2")[::2]
        assert level(samples, tone) > LOUD
        assert level(samples, other) < LOUD
    assert [message["dtmf"]["digit"] for message in along.of("dtmf")] == ["5"]
    assert along.messages[-1]["stop"]["reason"] == "stopped"
    await receiver.until(lambda: len(queried(receiver, "/told/streamed")) >= 2)
    told = queried(receiver, "/told/streamed")
    assert [event["state"] for event in told] == ["streaming", "finished"]
    for event in told:
        assert event["event_type"] == "calling.call.stream"
        assert (event["url"], event["name"]) == (listener.url("/along"), "along")


async def test_a_stream_has_defaults_and_ends_with_its_call(
    server: Server, receiver: Receiver, listener: Listener
) -> None:
    async with calling(server, "plain", listener.url(), "plain") as phone:
        along = await listener.came()
        await until(lambda: along.of("media"), "no audio")
        await phone.hang_up()
        await asyncio.wait_for(along.over.wait(), 5)
    start = along.of("start")[0]["start"]
    assert (start["tracks"], start["customParameters"]) == (["inbound"], {})
    assert start["mediaFormat"]["encoding"] == "audio/x-mulaw"
    assert "authorization" not in along.headers
    began, ended = await states(receiver, "/told/plain", 2)
    assert (began["state"], ended["state"], ended["reason"]) == (
        "streaming", "finished", "call_ended",
    )  # fmt: skip


async def test_where_nobody_listens_the_script_learns_it_and_goes_on(
    server: Server, receiver: Receiver, listener: Listener
) -> None:
    async with calling(server, "nobody", listener.url("/no")) as phone:
        (found,) = await noted(receiver, "nobody", 1)
        await phone.until_ended()
    assert found == {
        "tap_result": "failed", "stream_result": "failed", "tap_uri": listener.url("/no"),
    }  # fmt: skip


async def test_a_caller_talks_with_the_server_of_a_stream_until_that_has_gone(
    server: Server, receiver: Receiver, listener: Listener
) -> None:
    before = len(receiver.at("/note/party"))
    listener.hold.clear()
    async with Phone.open(server.sip) as phone:
        fields = [f"X-Url: {listener.url('/echo')}", "X-Name: party"]
        asking = asyncio.ensure_future(phone.invite("party", fields=fields))
        await until(lambda: phone.everything, "no 100")
        await asyncio.sleep(0.2)
        assert not asking.done()
        listener.hold.set()
        assert (await asking).status == 200
        party = await listener.came()
        await phone.say(Talker().say(encode("PCMU", sine(900.0, 1.2, 8000.0))))
        await asyncio.sleep(0.2)
        assert level(phone.received(), 900.0) > LOUD
        assert party.headers["authorization"] == "Bearer party-token"
        start = party.of("start")[0]["start"]
        assert (start["tracks"], start["customParameters"]) == (["inbound"], {"a": "b"})
        assert start["mediaFormat"]["encoding"] == "audio/x-alaw"
        payload = party.of("media")[0]["media"]["payload"]
        assert len(base64.b64decode(payload)) == 320
        await party.close()
        told = (await noted(receiver, "party", before + 1))[before]
        assert told == {
            "connect_result": "connected", "connect_failed_reason": "", "return_value": "connected",
        }  # fmt: skip
        assert not phone.ended.is_set()
        await phone.hang_up()
    await receiver.until(lambda: len(queried(receiver, "/told/party")) >= 2)
    began, ended = queried(receiver, "/told/party")
    assert (began["state"], began["name"]) == ("streaming", "bot")
    assert (ended["state"], ended["reason"]) == ("finished", "closed")


async def test_a_caller_talks_with_the_server_of_a_stream_in_g722(
    server: Server, listener: Listener
) -> None:
    async with calling(server, "wide", listener.url("/echo")) as phone:
        party = await listener.came()
        await phone.say(Talker().say(encode("PCMU", sine(900.0, 0.8, 8000.0))))
        await asyncio.sleep(0.3)
        assert level(phone.received(), 900.0) > LOUD
        start = party.of("start")[0]["start"]
        assert start["mediaFormat"] == {
            "encoding": "audio/g722", "sampleRate": 16_000, "channels": 1,
        }  # fmt: skip
        assert len(base64.b64decode(party.of("media")[0]["media"]["payload"])) == 160
        await phone.hang_up()


async def test_a_play_is_heard_between_what_the_server_of_a_stream_says(
    server: Server, listener: Listener
) -> None:
    tone, packet = sine(900.0, 1.6, 8000.0), 160
    async with calling(server, "bot", listener.url()) as phone:
        party = await listener.came()
        said = encode("PCMU", tone)
        await party.say("media", payload=base64.b64encode(said).decode())
        await party.say("mark", name="said")
        await until(lambda: len(phone.heard) >= 20, "nothing is heard")
        play = {"type": "ringtone", "params": {"name": "us", "duration": 0.5}}
        call_id = party.headers["x-mediaserver-call"]
        asked = await command(server, call_id, "calling.play", control_id="p", play=[play])
        assert asked[0] == 200
        await until(lambda: party.of("mark"), "the rest was not played")
        frames = phone.received()
        frames = frames[: len(frames) // packet * packet].reshape(-1, packet)
        rings = [level(frame, 900.0) < LOUD for frame in frames if frame.any()]
        first = rings.index(True)
        last = len(rings) - 1 - rings[::-1].index(True)
        assert 10 <= first < last < len(rings) - 10
        assert 20 <= last - first + 1 <= 30
        assert rings.count(False) * packet == tone.size, "nothing is lost or said twice"
        await phone.hang_up()


async def test_a_play_without_an_end_does_not_keep_a_stream_silent(
    server: Server, listener: Listener
) -> None:
    async with calling(server, "bot", listener.url()) as phone:
        party = await listener.came()
        play = {"type": "ringtone", "params": {"name": "us", "duration": 0.4}}
        call_id = party.headers["x-mediaserver-call"]
        asked = await command(server, call_id, "calling.play", control_id="p", play=[play], loop=0)
        assert asked[0] == 200
        await until(lambda: len(phone.heard) >= 25, "nothing is heard")
        said = encode("PCMU", sine(900.0, 0.4, 8000.0))
        await party.say("media", payload=base64.b64encode(said).decode())
        await party.say("mark", name="said")
        await until(lambda: party.of("mark"), "the stream is not heard")
        count = len(phone.heard)
        await until(lambda: len(phone.heard) >= count + 10, "the play does not go on")
        frames = phone.received()
        frames = frames[: frames.size // 160 * 160].reshape(-1, 160)
        assert sum(level(frame, 900.0) > LOUD for frame in frames) == 20
        assert level(frames[count + 2 :].ravel(), RING) > LOUD
        stopped = await command(server, call_id, "calling.play.stop", control_id="p")
        assert stopped[0] == 200
        await phone.hang_up()


async def test_a_caller_who_hangs_up_takes_the_stream_with_him(
    server: Server, listener: Listener
) -> None:
    async with calling(server, "party", listener.url(), "left") as phone:
        party = await listener.came()
        await phone.hang_up()
        await asyncio.wait_for(party.over.wait(), 5)
    assert party.messages[-1]["stop"]["reason"] == "call_ended"


async def test_a_stream_that_is_a_party_is_parted_after_max_duration(
    server: Server, receiver: Receiver, listener: Listener
) -> None:
    before = len(receiver.at("/note/party"))
    async with calling(server, "brief", listener.url(), "brief") as phone:
        party = await listener.came()
        told = (await noted(receiver, "party", before + 1))[before]
        assert told["connect_result"] == "connected"
        await asyncio.wait_for(party.over.wait(), 5)
        await phone.until_ended()
    began, ended = await states(receiver, "/told/brief", 2)
    assert (began["state"], ended["state"], ended["reason"]) == (
        "streaming", "finished", "stopped",
    )  # fmt: skip


async def test_the_next_is_called_when_the_server_of_a_stream_does_not_answer(
    server: Server, receiver: Receiver, listener: Listener
) -> None:
    before = len(receiver.at("/note/party"))
    async with (
        Callee.wait(server.sip) as callee,
        calling(server, "either", listener.url("/no"), callee.uri) as phone,
    ):
        await callee.take()
        await asyncio.sleep(0.1)
        await callee.hang_up()
        told = (await noted(receiver, "party", before + 1))[before]
        assert told["connect_result"] == "connected"
        await phone.until_ended()
    async with calling(server, "none", listener.url("/no")) as phone:
        told = (await noted(receiver, "party", before + 2))[before + 1]
        assert (told["connect_result"], told["return_value"]) == ("failed", "failed")
        assert "404: no WebSocket" in told["connect_failed_reason"]
        await phone.until_ended()


async def test_an_application_taps_streams_and_stops_both(
    server: Server, receiver: Receiver, listener: Listener, ports: tuple[RtpPort, RtpPort]
) -> None:
    port, _ = ports
    async with calling(server, "plain", listener.url(), "api") as phone:
        call_id = (await listener.came()).headers["x-mediaserver-call"]
        tap = {"type": "audio", "params": {"direction": "speak"}}
        rtp = {"type": "rtp", "params": {"addr": "127.0.0.1", "port": port.port}}
        pcma = {"codec": "pcma", "ptime": 30}
        status_url = receiver.url("/told/api-tap")

        async def ask(name: str, /, **params: Any) -> tuple[int, Any]:
            return await command(server, call_id, name, **params)

        assert (await ask("calling.tap", control_id="t", tap=tap, device=rtp))[0] == 200
        again = await ask("calling.tap", control_id="t", tap=tap, device=rtp)
        assert again == (422, "control_id")
        private = {"type": "rtp", "params": {"addr": "10.0.0.1", "port": 4000}}
        assert await ask("calling.tap", control_id="u", tap=tap, device=private) == (422, "device")
        socket_device = {"type": "ws", "params": {"uri": listener.url("/tap")}}
        assert (await ask("calling.tap", control_id="w", tap=tap, device=socket_device))[0] == 200
        along = await listener.came()
        await until(lambda: len(along.octets) >= 320, "no audio")
        assert port.packets()
        assert (await ask("calling.tap.stop", control_id="t"))[0] == 200
        assert (await ask("calling.tap.stop", control_id="t"))[0] == 404
        rtp["params"] |= pcma  # type: ignore[operator]
        asked = {"control_id": "v", "tap": tap, "device": rtp, "status_url": status_url}
        assert (await ask("calling.tap", **asked))[0] == 200
        port.packets()
        packets: list[bytes] = []

        def come() -> list[bytes]:
            packets.extend(port.packets())
            return packets[3:]

        await until(come, "no audio")
        assert {(p[1] & 0x7F, len(p)) for p in packets[3:]} == {(8, 12 + 240)}
        rtp["params"] |= {"codec": "opus", "ptime": 60}  # type: ignore[operator]
        asked = {"control_id": "o", "tap": tap, "device": rtp}
        assert (await ask("calling.tap", **asked))[0] == 200
        packets.clear()

        def wide() -> list[bytes]:
            packets.extend(p for p in port.packets() if p[1] & 0x7F == 96)
            return packets[2:]

        await until(wide, "no audio in Opus")
        assert {frame_duration(p[12:]) for p in packets} == {2880}

        url = listener.url("/more")
        params = {"customer": {"tier": 1}}
        assert (await ask("calling.stream", control_id="t", url=url, custom_parameters=params,
                          track="outbound_track", codec="PCMA", name="n",
                          authorization_bearer_token="x"))[0] == 200  # fmt: skip
        more = await listener.came()
        await until(lambda: more.of("media"), "no audio")
        start = more.of("start")[0]["start"]
        assert (start["tracks"], start["customParameters"]) == (["outbound"], params)
        assert more.headers["authorization"] == "Bearer x"
        assert await ask("calling.stream", control_id="t", url=url) == (422, "control_id")
        assert await ask("calling.stream", control_id="y", url=url, codec="GSM") == (422, "codec")
        none = await ask("calling.stream", control_id="y", url=listener.url("/no"))
        assert none == (422, "url")
        assert (await ask("calling.stream.stop", control_id="t"))[0] == 200
        await asyncio.wait_for(more.over.wait(), 5)
        assert (await ask("calling.stream.stop", control_id="t"))[0] == 404
        await phone.hang_up()
        await asyncio.wait_for(along.over.wait(), 5)
    began, ended = await states(receiver, "/told/api-tap", 2)
    assert (began["device"]["params"]["ptime"], ended["reason"]) == (30, "call_ended")


@asynccontextmanager
async def transferring(server: Server, name: str) -> AsyncIterator[Transferee]:
    """Call the script that refers; what comes of it is told as `name`."""
    async with Transferee.calling(server.sip, "refer", f"X-Name: {name}") as phone:
        yield phone


async def test_a_transfer_by_refer_is_told_to_script_and_application_as_it_goes(
    server: Server, receiver: Receiver
) -> None:
    async with transferring(server, "goes") as phone:
        refer = await phone.refer()
        assert refer.get("refer-to") == "<sip:desk@pbx.example.com>"
        await phone.reply(refer, 202)
        await phone.tell("100 Trying", last=False)
        await phone.tell("180 Ringing", last=False)
        assert not receiver.at("/note/goes")
        await phone.tell("200 OK", last=True)
        assert (await noted(receiver, "goes", 1))[0] == {
            "sip_refer_to": "sip:desk@pbx.example.com",
            "sip_refer_result": "success",
            "sip_refer_response_code": "202",
            "sip_refer_to_response_code": "200",
            "return_value": "success",
        }
        await phone.hang_up()
    events = await states(receiver, "/told/goes", 2)
    assert [event["state"] for event in events] == ["inProgress", "success"]
    assert {name: events[1][name] for name in set(events[1]) - {"call_id", "node_id"}} == {
        "state": "success",
        "sip_refer_to": "sip:desk@pbx.example.com",
        "sip_refer_response_code": "202",
        "sip_notify_response_code": "200",
    }


@pytest.mark.parametrize(
    ("line", "result"),
    [("486 Busy Here", "busy"), ("480 Temporarily Unavailable", "noAnswer"),
     ("503 Service Unavailable", "error")],
)  # fmt: skip
async def test_a_transfer_that_leads_nowhere_leaves_the_call_with_the_script(
    server: Server, receiver: Receiver, line: str, result: str
) -> None:
    async with transferring(server, result) as phone:
        await phone.reply(await phone.refer(), 202)
        await phone.tell(line, last=True)
        (learnt,) = await noted(receiver, result, 1)
        assert learnt["sip_refer_result"] == learnt["return_value"] == result
        assert learnt["sip_refer_to_response_code"] == line[:3]
        assert not phone.ended.is_set()


async def test_a_refer_that_is_refused_has_failed(server: Server, receiver: Receiver) -> None:
    async with transferring(server, "refused") as phone:
        await phone.reply(await phone.refer(), 603)
        (learnt,) = await noted(receiver, "refused", 1)
        assert (learnt["sip_refer_result"], learnt["sip_refer_response_code"]) == ("error", "603")
        assert learnt["sip_refer_to_response_code"] == ""


async def test_a_refer_answers_the_challenge_of_the_far_end(
    server: Server, receiver: Receiver
) -> None:
    async with transferring(server, "challenge") as phone:
        challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5'
        await phone.reply(await phone.refer(), 401, fields=[challenge])
        again = await phone.refer()
        found = dict(re.findall(r'(\w+)="?([^",]*)', again.get("authorization")))
        one = hashlib.md5(b"us:r:secret").hexdigest()
        two = hashlib.md5(f"REFER:{found['uri']}".encode()).hexdigest()
        assert found["response"] == hashlib.md5(f"{one}:n:{two}".encode()).hexdigest()
        await phone.reply(again, 202)
        await phone.tell("200 OK", last=True)
        (learnt,) = await noted(receiver, "challenge", 1)
        assert learnt["sip_refer_result"] == "success"


async def test_a_call_that_is_taken_from_its_script_leaves_nothing_of_the_step_behind(
    server: Server, receiver: Receiver, listener: Listener
) -> None:
    swml: dict[str, Any] = {"sections": {"main": [{"hangup": {}}]}}
    async with calling(server, "party", listener.url(), "withdrawn") as phone:
        party = await listener.came()
        call_id = party.headers["x-mediaserver-call"]
        assert (await command(server, call_id, "calling.transfer", dest=swml))[0] == 200
        await asyncio.wait_for(party.over.wait(), 5)
        assert party.messages[-1]["stop"]["reason"] in {"stopped", "call_ended"}
        await phone.until_ended()
    async with transferring(server, "taken") as phone:
        await phone.reply(await phone.refer(), 202)
        (begun,) = await states(receiver, "/told/taken", 1)
        assert (await command(server, begun["call_id"], "calling.transfer", dest=swml))[0] == 200
        await phone.until_ended()
    events = await states(receiver, "/told/taken", 2)
    assert [event["state"] for event in events] == ["inProgress", "cancel"]


async def test_what_is_detected_beside_the_script_is_known_to_its_next_step(
    server: Server, receiver: Receiver
) -> None:
    async with calling(server, "along") as phone:
        first, second = await noted(receiver, "along", 2)
        await phone.until_ended()
    assert first == {"detect_result": "detecting"}
    assert second == {"detect_result": "unknown", "detect_machine_beep": False}


async def test_an_event_of_the_script_goes_to_whoever_hears_of_its_route(
    server: Server, receiver: Receiver
) -> None:
    for user in ("silent", "events"):
        async with Phone.open(server.sip) as phone:
            assert (await phone.invite(user)).status == 480
    await receiver.until(lambda: bool(receiver.at("/told/events")))
    (told,) = receiver.at("/told/events")
    assert told.event["event_type"] == "calling.user_event"
    assert told.params["event"] == {"who": "events", "count": 2}
    assert set(told.params) == {"call_id", "node_id", "event"}


async def test_an_event_is_told_once_to_an_application_that_dialled(
    server: Server, receiver: Receiver
) -> None:
    swml = {"sections": {"main": [{"user_event": {"event": {"a": 1}}}]}}
    async with Callee.wait(server.sip) as callee:
        params = {"from": "sip:us@example.com", "to": callee.uri, "swml": swml,
                  "status_url": receiver.url("/told/dialled")}  # fmt: skip
        sent = json.dumps({"command": "dial", "params": params}).encode()
        assert (await asyncio.to_thread(server.post, "/api/calling/calls", sent)).status == 200
        await callee.take()
        await callee.until_ended()
    await receiver.until(lambda: len(receiver.at("/told/dialled")) >= 2)
    kinds = [callback.event["event_type"] for callback in receiver.at("/told/dialled")]
    assert kinds == ["calling.user_event", "calling.call.state"]
