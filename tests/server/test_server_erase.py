"""S23, seen from outside: what is deleted is gone, to the last byte under the data directory."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from farend.phone import Phone
from farend.receiver import Receiver
from farend.server import PROJECT, Server
from farend.speech import choose, key_payloads, passage, utterance
from farend.talker import Talker
from farend.waveform import Samples, place
from mediaserver.recording.journal import open_journal

POUND = 11
RECORD = {"terminators": "#", "initial_timeout": 0, "end_silence_timeout": 0}


def resource(id: str) -> str:
    return f"/v1beta1/projects/{PROJECT}/calls/-/recordings/{id}"


def holders(folder: Path, needle: bytes) -> list[str]:
    """Return the files below a folder that hold a needle, or whose name does."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if needle in os.fsencode(path.name) or (path.is_file() and needle in path.read_bytes())
    ]


def stretch(sent: Samples) -> bytes:
    """Return a piece out of the middle of what was said, as a journal or a wav holds it."""
    loudest = int(np.abs(sent.astype(np.int32)).argmax())
    piece = sent[loudest : loudest + 400]
    assert np.abs(piece.astype(np.int32)).max() > 1000
    return piece.astype("<i2").tobytes()


async def leave_message(server: Server, user: str, speech: Path) -> Samples:
    payload, sent = utterance(speech)
    async with Phone.open(server.sip) as phone:
        await phone.call(user)
        await phone.say(Talker().say(payload))
        await asyncio.sleep(0.02)
        await phone.hang_up()
    return sent


async def ended(server: Server, count: int = 1) -> list[str]:
    """Return the ids of recordings when so many have come to their end."""
    async with asyncio.timeout(15):
        while True:
            ids = [
                line["recording_id"]
                for line in server.lines()
                if line["event"] == "recording ended"
            ]
            if len(ids) >= count:
                return ids
            await asyncio.sleep(0.05)


async def call_over(server: Server) -> None:
    async with asyncio.timeout(15):
        while "call ended" not in server.text():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_of_a_deleted_recording_only_the_tombstone_is_left(
    tmp_path: Path, receiver: Receiver, speech_files: Sequence[Path]
) -> None:
    url = receiver.url("/erase/needle-in-a-url")
    receiver.refusals["/erase/needle-in-a-url"] = [500] * 100  # so that its callbacks wait
    steps = [{"record": RECORD | {"status_url": url, "stereo": True, "format": "mp4"}}]
    server = Server(tmp_path, {"mailbox": steps})
    with server:
        sent = await leave_message(server, "mailbox", choose(speech_files, 1.0, 3.0)[0])
        (id,) = await ended(server)
        await call_over(server)
        needle = stretch(sent)
        assert len(holders(server.data, needle)) >= 1  # the journal; a wav in stereo interleaves
        assert len([name for name in holders(server.data, id.encode()) if id in name]) >= 3
        await receiver.until(lambda: bool(receiver.at("/erase/needle-in-a-url")))

        shown = await asyncio.to_thread(server.get, resource(id) + "?view=BASIC")
        deleted = await asyncio.to_thread(server.get, resource(id), method="DELETE")
        assert deleted.status == 200
        assert deleted.json == shown.json
        assert (await asyncio.to_thread(server.get, resource(id))).status == 404
        again = await asyncio.to_thread(server.get, resource(id), method="DELETE")
        assert again.status == 404
        download = f"/api/v1/recordings/{id}/download"
        assert (await asyncio.to_thread(server.get, download)).status == 404
        assert server.files() == []
        assert list((server.data / "journals").iterdir()) == []
        tried = len(receiver.at("/erase/needle-in-a-url"))
        await asyncio.sleep(2.0)  # its next attempts would have been made
        assert len(receiver.at("/erase/needle-in-a-url")) <= tried + 1
    for what in (needle, b"needle-in-a-url"):
        assert holders(server.data, what) == []
    with closing(sqlite3.connect(server.data / "mediaserver.sqlite3")) as database:
        rows = database.execute("SELECT id, reason, deleted_by FROM tombstones").fetchall()
        assert rows == [(id, "request", "api_keys[0]")]
        for table in ("recordings", "outbox", "erasures"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_while_the_call_goes_on_one_goes_and_the_next_is_whole(
    tmp_path: Path, receiver: Receiver, speech_files: Sequence[Path]
) -> None:
    record = RECORD | {"status_url": receiver.url("/erase/both")}
    steps = [{"record": record}, {"record": record}]
    speech = choose(speech_files, 1.0, 3.0)
    (one, first), (two, second) = utterance(speech[0]), passage(speech[1:], 3.0)
    with Server(tmp_path, {"mailbox": steps}) as server:
        async with Phone.open(server.sip) as phone:
            await phone.call("mailbox")
            talker = Talker()
            began = time.monotonic()
            await phone.say([*talker.say(one), *talker.press(key_payloads(POUND))])
            await receiver.until(lambda: len(receiver.at("/erase/both")) == 3)
            (gone,) = await ended(server)
            talker.pause(time.monotonic() - began - talker.at)
            talking = asyncio.create_task(phone.say(talker.say(two)))
            deleted = await asyncio.to_thread(
                server.get, f"/api/relay/rest/recordings/{gone}", method="DELETE"
            )
            assert (deleted.status, deleted.body) == (204, b"")
            assert not talking.done()
            refused = await asyncio.to_thread(
                server.get, resource(receiver.at("/erase/both")[-1].params["recording_id"]),
                method="DELETE",
            )  # fmt: skip
            assert refused.status == 400
            assert refused.json["error"]["status"] == "FAILED_PRECONDITION"
            assert holders(server.data, stretch(first)) == []
            await talking
            await asyncio.sleep(0.02)
            await phone.hang_up()
        _, kept = await ended(server, 2)
        await call_over(server)
        assert place(second, server.samples(kept)).exact
        assert holders(server.data, stretch(first)) == []
        assert {path.name.partition(".")[0] for path in server.files()} == {kept}
        (folder,) = (server.data / "journals").iterdir()
        with open_journal(folder / "speak.journal") as journal:
            assert place(second, journal.read(journal.header.first, journal.end)).exact
        assert (await asyncio.to_thread(server.get, resource(kept), method="DELETE")).status == 200
        assert list((server.data / "journals").iterdir()) == []
        assert server.files() == []


async def test_what_expired_while_the_server_was_down_is_gone_soon_after_its_start(
    tmp_path: Path, speech_files: Sequence[Path]
) -> None:
    settings = {"recording": {"retention": 0.5}}
    server = Server(tmp_path, {"mailbox": [{"record": RECORD}]}, settings)
    with server:
        sent = await leave_message(server, "mailbox", choose(speech_files, 1.0, 3.0)[0])
        (id,) = await ended(server)
        await call_over(server)
        assert (await asyncio.to_thread(server.get, resource(id))).status == 200
    await asyncio.sleep(0.6)
    with server:
        async with asyncio.timeout(10):
            while server.files() or any((server.data / "journals").iterdir()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await asyncio.to_thread(server.get, resource(id))).status == 404
    assert holders(server.data, stretch(sent)) == []
    with closing(sqlite3.connect(server.data / "mediaserver.sqlite3")) as database:
        rows = database.execute("SELECT id, reason, deleted_by FROM tombstones").fetchall()
        assert rows == [(id, "retention", None)]
