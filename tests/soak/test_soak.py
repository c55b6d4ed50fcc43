"""What takes minutes: kills by the dozen, calls by the thousand. `make soak`, not `make test`.

The figures are those of robustness R1, R8, R16 and S25; each test prints what it measured.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from farend.phone import Phone
from farend.receiver import Receiver
from farend.scene import ENDS
from farend.server import PROJECT, Server
from farend.speech import choose, passage
from farend.talker import Talker
from farend.waveform import place

pytestmark = pytest.mark.soak

KILLS, CALLS = 20, 20
"""R1: so many kills under so many calls."""

DELIVERY_KILLS = 200
"""R8: around the delivery of callbacks."""

SHORT_CALLS, CANCELLED, REFUSED = 2000, 2500, 2500
"""R16 and S25."""
ROUNDS, REST = 4, 12.0
"""In so many rounds, with seconds between them in which ports rest and transactions end."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver().start()
    yield receiver
    receiver.stop()


async def talk(server: Server, name: str, payload: bytes) -> None:
    async with Phone.open(server.sip) as phone:
        await phone.call(name)
        await phone.say(Talker().say(payload))
        await asyncio.sleep(60)


def all_ended(receiver: Receiver, ids: set[str]) -> bool:
    """Tell whether the end of each of these recordings was announced."""
    ends = {c.params["recording_id"] for c in receiver.accepted("/r1/caller") if c.state in ENDS}
    return ids <= ends


async def hang_up_all(talks: list[asyncio.Task[None]]) -> None:
    for task in talks:
        task.cancel()
    await asyncio.gather(*talks, return_exceptions=True)


async def test_r1_twenty_kills_under_twenty_calls_lose_half_a_second_at_most(
    tmp_path: Path, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    """Every recording is completed, marked, rendered and announced within 10 s of the restart."""
    payload, sent = passage(choose(speech_files, 2, 4), 12.0)
    url = receiver.url("/r1/${call.sip_data.sip_from_user}")
    steps = [{"record": {"status_url": url, "initial_timeout": 0, "end_silence_timeout": 0}}]
    chance = random.Random(1)
    lost, times = [], []
    server = Server(tmp_path, {"cut": steps})
    server.start()
    for kill in range(KILLS):
        began = len(receiver.accepted("/r1/caller"))
        talks = [asyncio.create_task(talk(server, "cut", payload)) for _ in range(CALLS)]
        await receiver.until(lambda n=began: len(receiver.accepted("/r1/caller")) >= n + CALLS, 20)  # type: ignore[misc]
        all_talk = time.monotonic()
        await asyncio.sleep(1.0 + 8.0 * chance.random())
        server.kill()
        certain = time.monotonic() - all_talk
        await hang_up_all(talks)
        ids = {
            c.params["recording_id"]
            for c in receiver.accepted("/r1/caller")[began:]
            if c.state == "recording"
        }
        await asyncio.to_thread(server.start)
        restarted = time.monotonic()

        await receiver.until(partial(all_ended, receiver, ids), 20)
        times.append(time.monotonic() - restarted)
        for id in ids:
            view = server.get(f"/v1beta1/projects/{PROJECT}/calls/-/recordings/{id}").json
            assert view["state"] == "SUCCEEDED", view
            samples = server.samples(id)
            lost.append(certain - samples.size / 8000)
            heard = sent[: min(samples.size, sent.size) - 4000]
            assert place(heard, samples).exact, (kill, id)
    server.stop()
    print(
        f"\n{KILLS} kills, {len(lost)} recordings: at most {1000 * max(lost):.0f} ms lost; "
        f"all announced at most {max(times):.1f} s after the restart"
    )
    assert len(lost) == KILLS * CALLS
    assert max(lost) <= 0.5
    assert max(times) <= 10


async def test_r8_two_hundred_kills_around_delivery_lose_and_disorder_nothing(
    tmp_path: Path, receiver: Receiver
) -> None:
    """At random instants around the end of calls: every state arrives, in order, ids constant."""
    url = receiver.url("/r8/${call.sip_data.sip_from_user}")
    steps = [{"record": {"status_url": url, "max_length": 0.2}}, {"hangup": {}}]
    chance = random.Random(8)
    settings = {"callbacks": {"schedule": [0.2] * 100}}
    server = Server(tmp_path, {"short": steps}, settings)
    server.start()
    for number in range(DELIVERY_KILLS):

        async def call(user: str) -> None:
            async with Phone.open(server.sip, user=user) as phone:
                await phone.call("short")
                await phone.say(Talker().say(bytes([0x20]) * 1600))
                await asyncio.sleep(5)

        talks = [asyncio.create_task(call(f"k{number}x{n}")) for n in range(3)]
        await asyncio.sleep(0.05 + 0.9 * chance.random())
        server.kill()
        await hang_up_all(talks)
        await asyncio.to_thread(server.start)
    paths = {c.path for c in receiver.all if c.path.startswith("/r8/")}
    for path in sorted(paths):
        await receiver.until_final(path, 30)
    server.stop()
    repeats = 0
    for path in paths:
        accepted = receiver.accepted(path)
        ids = [c.headers["x-mediaserver-delivery"] for c in accepted]
        repeats += len(ids) - len(set(ids))
        sequences = [int(c.headers["x-mediaserver-sequence"]) for c in accepted]
        assert sequences == sorted(sequences), path
        assert {c.state for c in accepted} & ENDS, path
        assert sorted(set(sequences)) == list(range(1, max(sequences) + 1)), path
    print(f"\n{DELIVERY_KILLS} kills: {len(paths)} recordings, {repeats} callbacks sent again")
    assert len(paths) > DELIVERY_KILLS / 2


def kinds_of_open_files(pid: int) -> dict[str, int]:
    """Return how many descriptors of each kind a process has open."""
    found: dict[str, int] = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
        kind = target.partition(":")[0] if ":" in target else Path(target).suffix or target
        found[kind] = found.get(kind, 0) + 1
    return found


def rss_of(pid: int) -> int:
    """Return a process's memory, bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_r16_thousands_of_short_calls_leave_nothing_behind(
    tmp_path: Path, receiver: Receiver
) -> None:
    """2,000 calls of a second, 2,500 that are cancelled and 2,500 that are refused."""
    url = receiver.url("/r16")
    steps = [{"record": {"status_url": url, "max_length": 0.5}}, {"hangup": {}}]
    settings = {"limits": {"max_calls_per_second": 1000}}
    with Server(tmp_path, {"short": steps, "wait": [{"sleep": 60_000}]}, settings) as server:
        server.expected = {"call refused"}  # every port rests for a while
        lane = asyncio.Semaphore(40)

        async def record(number: int) -> None:
            async with lane, Phone.open(server.sip, user=f"c{number}") as phone:
                await phone.call("short")
                await phone.say(Talker().say(bytes([0x20]) * 4800))
                await phone.until_ended(30)

        async def fail(number: int) -> None:
            async with lane, Phone.open(server.sip, user=f"f{number}") as phone:
                for _ in range(100):
                    if number % 2:
                        answer = await phone.invite("short", body=G729_ALONE)
                    else:
                        answer = await phone.give_up("wait")
                    if answer.status != 503:  # every port rests for a while
                        break
                    await asyncio.sleep(0.5)
                assert answer.status == (488 if number % 2 else 487), answer.status

        async def crowd(calls: int, failures: int) -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(max(calls, failures)):
                    if number < calls:
                        group.create_task(record(number))
                    if number < failures:
                        group.create_task(fail(number))

        marks = []
        for _ in range(ROUNDS):
            await crowd(SHORT_CALLS // ROUNDS, (CANCELLED + REFUSED) // ROUNDS)
            await asyncio.sleep(REST)
            marks.append((kinds_of_open_files(server.pid), rss_of(server.pid)))
        await receiver.until(
            lambda: sum(c.state in ENDS for c in receiver.accepted("/r16")) == SHORT_CALLS, 60
        )
        # What grows once has grown by the half of it.
        (before, memory), (after, later) = marks[ROUNDS // 2 - 1], marks[-1]
        print(f"\nRSS after each round: {[rss >> 20 for _, rss in marks]} MiB; open: {after}")
        assert "Task exception was never retrieved" not in server.text()
        assert after.pop("socket") <= before.pop("socket") + 4  # idle HTTP connections
        assert after == before
        assert later - memory < 0.05 * memory


G729_ALONE = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 9 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n"
)


def test_the_speech_here_is_loud_enough(speech_files: tuple[Path, ...]) -> None:
    """A passage that were silent would make every comparison here worthless."""
    _, sent = passage(choose(speech_files, 2, 4), 12.0)
    assert np.abs(sent[:8000].astype(int)).max() > 1000
