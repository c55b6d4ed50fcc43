"""Calls over bad networks (robustness R11 to R14 and R21), to be made at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np

from .impairment import duplicate, lose, reorder, stall
from .phone import Phone
from .scene import Call, Outcome, Stage
from .speech import passage
from .talker import ROUND, Talker, Timed
from .waveform import FRAME, Samples

LENGTH = 14.28
"""Seconds, as the table of robustness has it."""

JUMP = 600 * 8000
"""Ten minutes of timestamps."""


async def _leave(
    stage: Stage, name: str, packets: Sequence[Timed], sent: Samples, to: str = "bad-network"
) -> Outcome:
    """Call, send packets, hang up 20 ms after the last."""
    async with Phone.open(stage.server.sip, user=name) as phone:
        invited = time.monotonic()
        await phone.call(to)
        await phone.say(packets)
        await asyncio.sleep(0.02)
        return await _hung_up(stage, name, phone, sent, invited)


async def _hung_up(stage: Stage, name: str, phone: Phone, sent: Samples, invited: float) -> Outcome:
    """Hang up; say how long the call was, as far as one of its two ends can tell."""
    least = time.monotonic() - phone.answered_at
    await phone.hang_up()
    most = time.monotonic() - invited
    outcome = await stage.outcome(name, phone, sent)
    outcome.facts |= {"least": least, "most": most}
    return outcome


async def _lossy(stage: Stage, percent: int) -> Outcome:
    payload, sent = passage(stage.speech, LENGTH)
    packets, lost = lose(Talker().say(payload), percent / 100, seed=percent)
    expected = sent.copy()
    for number in lost:
        expected[number * FRAME : (number + 1) * FRAME] = 0
    outcome = await _leave(stage, f"loss-{percent}", packets, expected)
    outcome.facts["lost"] = len(lost)
    return outcome


async def loss_5(stage: Stage) -> Outcome:
    return await _lossy(stage, 5)


async def loss_10(stage: Stage) -> Outcome:
    return await _lossy(stage, 10)


async def loss_30(stage: Stage) -> Outcome:
    return await _lossy(stage, 30)


async def clean(stage: Stage) -> Outcome:
    payload, sent = passage(stage.speech, LENGTH)
    return await _leave(stage, "clean", Talker().say(payload), sent)


async def reordered(stage: Stage) -> Outcome:
    payload, sent = passage(stage.speech, LENGTH)
    packets = reorder(Talker().say(payload), 0.05, seed=5)
    return await _leave(stage, "reordered", packets, sent)


async def duplicated(stage: Stage) -> Outcome:
    payload, sent = passage(stage.speech, LENGTH)
    packets = duplicate(Talker().say(payload), 0.10, seed=10)
    return await _leave(stage, "duplicated", packets, sent)


async def wraps(stage: Stage) -> Outcome:
    """Sequence numbers and timestamps both go over their end, at different instants."""
    payload, sent = passage(stage.speech, LENGTH)
    talker = Talker(sequence=65400, timestamp=2**32 - 50_000)
    return await _leave(stage, "wraps", talker.say(payload), sent)


async def ssrc_change(stage: Stage) -> Outcome:
    payload, sent = passage(stage.speech, LENGTH)
    half = len(payload) // 2 // FRAME * FRAME
    talker = Talker()
    packets = talker.say(payload[:half])
    other = Talker(ssrc=0xBEEF, sequence=40_000, timestamp=0x7000_0000, at=talker.at)
    packets += other.say(payload[half:])
    return await _leave(stage, "ssrc-change", packets, sent)


async def timestamp_jump(stage: Stage) -> Outcome:
    payload, sent = passage(stage.speech, LENGTH)
    half = len(payload) // 2 // FRAME * FRAME
    talker = Talker()
    packets = talker.say(payload[:half])
    talker.timestamp += JUMP
    packets += talker.say(payload[half:])
    return await _leave(stage, "timestamp-jump", packets, sent)


async def timestamp_jump_back(stage: Stage) -> Outcome:
    payload, sent = passage(stage.speech, LENGTH)
    half = len(payload) // 2 // FRAME * FRAME
    talker = Talker(timestamp=JUMP * 2)
    packets = talker.say(payload[:half])
    talker.timestamp -= JUMP
    packets += talker.say(payload[half:])
    return await _leave(stage, "timestamp-jump-back", packets, sent)


async def dtx(stage: Stage) -> Outcome:
    """Three seconds in which nothing is sent at all."""
    return await _spurts(stage, "dtx", comfort=False)


async def dtx_watched(stage: Stage) -> Outcome:
    """The same while a rule listens for the end of speech."""
    return await _spurts(stage, "dtx-watched", comfort=False, to="watched")


async def comfort_noise(stage: Stage) -> Outcome:
    """Three seconds in which comfort noise is sent five times a second."""
    return await _spurts(stage, "comfort-noise", comfort=True)


async def _spurts(stage: Stage, name: str, *, comfort: bool, to: str = "bad-network") -> Outcome:
    payload, sent = passage(stage.speech, 6.0)
    half = len(payload) // 2 // FRAME * FRAME
    talker = Talker()
    packets = talker.say(payload[:half])
    if comfort:
        for _ in range(15):
            packets += talker.press([b"\x3c"], kind=13, lasting=0.2)
    else:
        talker.pause(3.0)
    packets += talker.say(payload[half:])
    gap = np.zeros(3 * 8000, np.int16)
    expected = np.concatenate([sent[:half], gap, sent[half:]])
    return await _leave(stage, name, packets, expected, to)


async def no_packets(stage: Stage) -> Outcome:
    async with Phone.open(stage.server.sip, user="no-packets") as phone:
        invited = time.monotonic()
        await phone.call("bad-network")
        await asyncio.sleep(20.0)
        return await _hung_up(stage, "no-packets", phone, np.zeros(0, np.int16), invited)


async def burst(stage: Stage) -> Outcome:
    """Nothing for 500 ms, then 25 packets at once, four times."""
    payload, sent = passage(stage.speech, LENGTH)
    packets = Talker().say(payload)
    for at in (100, 250, 251 + ROUND * 4, 600):
        packets = stall(packets, at, 0.5)
    return await _leave(stage, "burst", packets, sent)


NETWORK_CALLS: dict[str, Call] = {
    function.__name__.replace("_", "-"): function
    for function in (
        clean, loss_5, loss_10, loss_30, reordered, duplicated, wraps, ssrc_change, timestamp_jump,
        timestamp_jump_back, dtx, dtx_watched, comfort_noise, no_packets, burst,
    )
}  # fmt: skip
