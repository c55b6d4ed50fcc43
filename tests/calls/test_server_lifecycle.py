"""A whole server in this process: what it opened is closed again, however it ends."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mediaserver.app import Server
from mediaserver.config import load
from mediaserver.errors import LocalError
from mediaserver.recording.journal import JournalHeader, create, offset
from mediaserver.recording.journal_end import journal_end
from mediaserver.recording.resource import Direction

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP {}\r\n"
)


def make(folder: Path, sip: int = 0, http: int = 0) -> Server:
    document = {"version": "1.0.0", "sections": {"main": [{"answer": {}}, {"sleep": 600_000}]}}
    (folder / "wait.json").write_text(json.dumps(document))
    settings = {
        "sip": {"listen": [f"tcp:127.0.0.1:{sip or 13_998}", f"udp:127.0.0.1:{sip or 13_998}"]},
        "rtp": {"ports": "35000-35399"},
        "http": {"listen": f"127.0.0.1:{http or 13_999}"},
        "data_dir": "data",
        "limits": {"max_calls_per_second": 10_000},
        "routes": [{"to": "*", "swml": "wait.json"}],
    }
    (folder / "config.yaml").write_text(json.dumps(settings))
    return Server(load(folder / "config.yaml", {}))


def open_files() -> set[str]:
    """Return what this process has open, but what Python and the loop keep for themselves."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:") or "mediaserver" in target or "journal" in target:
            found.add(f"{name} {target}")
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - descriptors tell nobody when they are closed
            await asyncio.sleep(0.02)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Check that what is done inside leaves no task and no descriptor."""
    await asyncio.to_thread(int)  # the executor and its pipes are the loop's own
    tasks, files = asyncio.all_tasks(), open_files()
    yield
    await until(lambda: not asyncio.all_tasks() - tasks and not open_files() - files)


@pytest.mark.parametrize("busy", ["sip", "http", "database"])
async def test_a_start_that_fails_half_way_leaves_nothing_open(tmp_path: Path, busy: str) -> None:
    async with nothing_left():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            for sock in (udp, tcp):
                sock.bind(("127.0.0.1", 0))
            tcp.listen()
            server = make(
                tmp_path,
                sip=udp.getsockname()[1] if busy == "sip" else 0,
                http=tcp.getsockname()[1] if busy == "http" else 0,
            )
            if busy == "database":
                (tmp_path / "data").mkdir()
                (tmp_path / "data" / "mediaserver.sqlite3").write_bytes(b"no database" * 1000)
            with pytest.raises(LocalError):
                await server.start()


@pytest.mark.parametrize("way", ["refused", "cancelled", "never acknowledged"])
async def test_ports_and_descriptors_come_back(tmp_path: Path, way: str) -> None:
    """Robustness S25, with fewer calls."""
    async with nothing_left():
        server = make(tmp_path)
        await server.start()
        files = open_files()
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
                phone.bind(("127.0.0.1", 0))
                phone.setblocking(False)
                for number in range(100):
                    _call(phone, server, number, way)
                    await asyncio.sleep(0)
                await until(lambda: server.registry.total == 100)
                if way == "never acknowledged":
                    await server.registry.drain(0.0)
                await until(lambda: not server.registry.active)
                await until(lambda: not server.media.legs and not server.media.pool.resting)
            assert server.media.pool.in_use == 0
            # The database opens files as it likes until it is closed.
            assert _kinds(open_files()) == _kinds(files)
        finally:
            await server.stop(grace=0.0)


@pytest.mark.parametrize("listen", [None, b"", b"\0" * 5000])
def test_a_journal_of_one_side_alone_tells_where_a_recording_ends(
    tmp_path: Path, listen: bytes | None
) -> None:
    """After a crash: nothing was sent to the party, or the first of it just then."""
    folder = tmp_path / "journals/leg"
    header = JournalHeader(
        leg_id="leg", direction=Direction.SPEAK, rate=8000, first=1000, wall_us=0
    )
    descriptor = create(folder / "speak.journal", header)
    os.pwrite(descriptor, bytes(2 * 500), offset(header, 1000))
    os.close(descriptor)
    if listen is not None:
        (folder / "listen.journal").write_bytes(listen)
    assert journal_end(folder) == 1500
    (folder / "speak.journal").unlink()
    with pytest.raises(LocalError, match=r"leg/speak\.journal"):
        journal_end(folder)


def _kinds(files: set[str]) -> tuple[int, int]:
    """Return how many sockets and how many journals there are."""
    return sum("socket:" in f for f in files), sum(".journal" in f for f in files)


def _call(phone: socket.socket, server: Server, number: int, way: str) -> None:
    body = SDP.format(96 if way == "refused" else 0)
    methods = ["INVITE", "CANCEL"] if way == "cancelled" else ["INVITE"]
    for method in methods:
        offer = body if method == "INVITE" else ""
        text = (
            f"{method} sip:x@127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{phone.getsockname()[1]};branch=z9hG4bK{number};rport\r\n"
            f"From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: {number}\r\n"
            f"CSeq: 1 {method}\r\nContact: <sip:a@127.0.0.1>\r\nMax-Forwards: 70\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(offer)}\r\n\r\n{offer}"
        )
        phone.sendto(text.encode(), ("127.0.0.1", server.sip.bound[1].port))
