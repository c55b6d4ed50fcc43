"""Calls over TLS with SRTP: those that come, and those that the server places."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from farend.certificates import Authority
from farend.phone import Phone
from farend.ports import free_port
from farend.receiver import Receiver
from farend.secure_phone import SecurePhone
from farend.server import Server
from farend.speech import choose, passage
from farend.talker import Talker

CALLER = "${call.sip_data.sip_from_user}"
TLS_PORT = free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    certificate, key = authority.vouch("server")
    record = {"status_url": receiver.url(f"/tls/{CALLER}"), "initial_timeout": 0}
    note = {"request": {"url": receiver.url(f"/tls/{CALLER}/${{connect_result}}"),
                        "method": "POST", "body": {"why": "${connect_failed_reason}"}}}  # fmt: skip
    server = Server(
        folder,
        {
            "mailbox": [{"record": record}],
            "onward": [
                {"connect": {"to": f"sips:mailbox@127.0.0.1:{TLS_PORT}", "answer_on_bridge": True}},
                note,
            ],
            "wrong": [
                {"connect": {"to": f"sip:mailbox@localhost:{TLS_PORT};transport=tls"}},
                note,
            ],
        },
    )
    server.set("rtp", "encryption", "required")
    server.set(
        "sip",
        "listen",
        [
            f"udp:127.0.0.1:{server.sip_port}",
            f"tcp:127.0.0.1:{server.sip_port}",
            f"tls:127.0.0.1:{TLS_PORT}",
        ],
    )
    files = {"certificate": certificate, "key": key, "ca": authority.ca}
    server.set("sip", "tls", {name: path.name for name, path in files.items()})
    with server:
        yield server


async def test_a_call_over_tls_with_srtp_is_recorded_to_the_sample(
    server: Server, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    payload, said = passage(choose(speech_files, 2, 4), 1.0)
    async with SecurePhone.open(("127.0.0.1", TLS_PORT), transport="tls", user="safe") as phone:
        assert isinstance(phone, SecurePhone)
        await phone.call("mailbox")
        assert phone.encrypted
        assert phone.remote_target.endswith(f"@127.0.0.1:{TLS_PORT};transport=tls")
        await phone.say(Talker().say(payload))
        await phone.hang_up()
    end = await receiver.until_final("/tls/safe")
    recorded = server.samples(end.params["recording_id"])
    assert recorded.tobytes().find(said[:-160].tobytes()) >= 0


async def test_a_call_is_connected_on_over_tls_to_a_sips_uri(server: Server) -> None:
    async with SecurePhone.open(("127.0.0.1", TLS_PORT), transport="tls", user="on") as phone:
        assert (await phone.invite("onward")).status == 200
        await phone.hang_up()


async def test_a_certificate_for_another_name_fails_the_call_with_a_sentence(
    server: Server, receiver: Receiver
) -> None:
    async with SecurePhone.open(("127.0.0.1", TLS_PORT), transport="tls", user="off") as phone:
        asking = asyncio.create_task(phone.invite("wrong"))
        await receiver.until(lambda: bool(receiver.at("/tls/off/failed")))
        asking.cancel()
    sentence = f"the certificate of 127.0.0.1:{TLS_PORT} is for 127.0.0.1, not for localhost"
    (told,) = receiver.at("/tls/off/failed")
    assert sentence in told.body.decode()
    assert any(sentence in json.dumps(line) for line in server.lines())


async def test_a_sips_uri_is_not_served_in_clear(server: Server) -> None:
    async with Phone.open(server.sip, transport="tcp") as phone:
        answer = await phone.ask(phone.compose("OPTIONS", uri="sips:mailbox@127.0.0.1"))
        assert answer.status == 416
        assert "must come over TLS" in answer.get("warning")


async def test_what_is_no_handshake_ends_at_the_door_and_is_told_once(server: Server) -> None:
    def told() -> list[dict[str, object]]:
        return [line for line in server.lines() if line["event"] == "TLS handshakes failed"]

    async def knock() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", TLS_PORT)
        writer.write(b"OPTIONS sip:x SIP/2.0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"SIP" not in await asyncio.wait_for(reader.read(), 5)
        writer.close()

    await asyncio.gather(*(knock() for _ in range(40)))
    (line,) = told()
    assert line["peer"] == "127.0.0.1"
    async with SecurePhone.open(("127.0.0.1", TLS_PORT), transport="tls", user="then") as phone:
        assert (await phone.invite("mailbox")).status == 200
        await phone.hang_up()
