"""Two hundred calls between two people at once, all recorded: every sample of every party."""

from __future__ import annotations

import asyncio
import resource
import time
import wave
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from farend.callee import Callee
from farend.crowd import Crowd
from farend.phone import Phone
from farend.processes import open_files, udp_ports
from farend.receiver import Receiver
from farend.scene import ENDS
from farend.server import Server
from farend.speech import choose, encode, passage
from farend.waveform import decode, place

pytestmark = pytest.mark.soak

PAIRS = 200
ROUNDS = 2
SECONDS = 10.0
AT_ONCE = 10
"""Calls that are being set up at a time."""
PORTS = range(24_000, 28_000)
"""For media; those of one round rest while the next is on."""
REST = 40.0
"""Seconds in which ports rest and transactions end."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver().start()
    yield receiver
    receiver.stop()


async def test_two_hundred_bridged_calls_are_heard_and_recorded_to_the_sample(
    tmp_path: Path, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    _, speech = passage(choose(speech_files, 2, 6), SECONDS)
    url = receiver.url("/crowd/${call.sip_data.sip_from_user}")
    script = [
        {"record_call": {"stereo": True, "status_url": url}},
        {"connect": {"to": "${call.headers[0].value}", "answer_on_bridge": True}},
    ]
    # Each says something of his own: the same speech, begun elsewhere.
    payloads = [encode("PCMU", np.roll(speech, 160 * 2 * number)) for number in range(2 * PAIRS)]
    settings = {
        "limits": {"max_calls": 3 * PAIRS, "max_calls_per_second": 1000},
        "rtp": {"ports": f"{PORTS[0]}-{PORTS[-1]}"},
    }
    with Server(tmp_path, {"bridge": script}, settings) as server:
        marks = []
        for round_ in range(ROUNDS):
            await crowd(server, receiver, payloads, round_)
            await asyncio.sleep(REST)
            ports = udp_ports(server.pid) & set(PORTS)
            assert not ports, f"left: RTP ports {sorted(ports)}"
            marks.append(open_files(server.pid))
        print(f"open files after each round: {marks}")
        assert marks[-1].get("socket", 0) <= marks[0].get("socket", 0) + 4  # idle HTTP connections
        assert marks[-1] | {"socket": 0} == marks[0] | {"socket": 0}
        ended = [line for line in server.lines() if line["event"] == "call ended"]
        assert len(ended) == ROUNDS * 2 * PAIRS
        assert sum(line["packets_lost"] for line in ended) == 0


async def crowd(server: Server, receiver: Receiver, payloads: list[bytes], round_: int) -> None:
    """Let all call, talk and hang up; check what each heard and what was recorded."""
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        lane = asyncio.Semaphore(AT_ONCE)

        async def pair(number: int) -> tuple[Phone, Phone]:
            async with lane:
                callee = await stack.enter_async_context(Callee.wait(server.sip))
                user = f"r{round_}p{number}"
                phone = await stack.enter_async_context(Phone.open(server.sip, user=user))
                asking = asyncio.ensure_future(
                    phone.invite("bridge", fields=[f"X-To: {callee.uri}"])
                )
                await callee.take()
                assert (await asking).status == 200
                return phone, callee

        pairs = await asyncio.gather(*(pair(number) for number in range(PAIRS)))
        up = time.monotonic() - began
        await asyncio.sleep(0.5)
        phones = [phone for both in pairs for phone in both]
        talking = Crowd(phones)
        await talking.talk(payloads)
        exact = [talking.heard(n) == payloads[n ^ 1] for n in range(len(phones))]
        await asyncio.gather(*(phone.hang_up() for phone, _ in pairs))
        await asyncio.gather(*(callee.until_ended() for _, callee in pairs))
    paths = [f"/crowd/r{round_}p{number}" for number in range(PAIRS)]
    await receiver.until(
        lambda: all(any(c.state in ENDS for c in receiver.accepted(p)) for p in paths), 180
    )
    right = 0
    for number, path in enumerate(paths):
        id = receiver.accepted(path)[-1].params["recording_id"]
        for channel, payload in enumerate(payloads[2 * number : 2 * number + 2]):
            placement = place(decode("PCMU", payload), one_channel(server.file(id), channel))
            right += placement.exact
    print(
        f"\n{PAIRS} calls up in {up:.1f} s; {sum(exact)} of {len(exact)} parties heard every "
        f"packet; {right} of {2 * PAIRS} channels exact; a turn at most "
        f"{1000 * talking.late:.0f} ms late; {time.monotonic() - began:.0f} s in all"
    )
    assert all(exact), [n for n, ok in enumerate(exact) if not ok]
    assert right == 2 * PAIRS


def one_channel(path: Path, number: int) -> np.ndarray:
    """Return a channel of a wav."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)[:, number]
