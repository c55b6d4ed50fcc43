"""baresip over TLS with SRTP, there and back: an implementation of others' making."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farend.baresip import call_with_baresip
from farend.certificates import Authority
from farend.ports import free_port
from farend.receiver import Receiver
from farend.server import Server
from farend.speech import choose, utterance
from farend.waveform import place

TLS_PORT = free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = Authority(folder).vouch("server")
    record = {"status_url": receiver.url("/tls/baresip"), "initial_timeout": 10}
    server = Server(folder, {"mailbox": [{"record": record}]})
    server.set("rtp", "encryption", "required")
    server.set("sip", "listen", [f"tls:127.0.0.1:{TLS_PORT}"])
    server.set("sip", "tls", {"certificate": certificate.name, "key": key.name})
    with server:
        yield server


@pytest.mark.interop("baresip", "speech")
async def test_speech_arrives_whole_over_tls_and_srtp(
    server: Server, receiver: Receiver, tmp_path: Path, speech_files: tuple[Path, ...]
) -> None:
    said = utterance(choose(speech_files, 2.0, 3.0)[0])[1]
    printed = await call_with_baresip(
        ("127.0.0.1", TLS_PORT),
        tmp_path / "caller",
        said,
        user="mailbox",
        caller="caller",
        transport="tls",
        rtp_ports=(34280, 34319),
        mediaenc="srtp-mand",
    )
    assert receiver.at("/tls/baresip"), printed
    final = await receiver.until_final("/tls/baresip", 5)
    assert final.state == "finished"
    assert place(said, server.samples(final.params["recording_id"])).exact
