"""Somebody in a mix who has no leg: frames of any length, and what is said is said once."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.net.mix_voice import MixVoice


def ramp(count: int, first: int = 1) -> NDArray[np.int16]:
    return np.arange(first, first + count).astype(np.int16)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("ptime", [10, 20, 30, 60])
async def test_it_hears_all_in_frames_of_any_length(ptime: int) -> None:
    voice = MixVoice(8000, ptime)
    for at in range(0, 960, 160):
        voice.speak()
        voice.hear(ramp(160, 1 + at))
    voice.end()
    frames: list[NDArray[np.int16]] = []
    while (frame := await voice.take()) is not None:
        assert frame.number == len(frames)
        frames.append(frame.samples[0])
    assert {frame.size for frame in frames} == {8 * ptime}
    assert np.array_equal(np.concatenate(frames), ramp(960))


async def test_it_does_not_hear_itself() -> None:
    voice = MixVoice(8000, 20)
    saying = asyncio.create_task(voice.play(ramp(200, 1000)))
    await settle()
    heard = []
    for _ in range(3):
        others, said = np.full(160, 77, np.int16), voice.speak()
        others[: said.size] += said
        voice.hear(others)
        frame = await voice.take()
        assert frame is not None
        heard.append(frame.samples[0])
    assert set(np.concatenate(heard).tolist()) == {77}
    assert await saying == 200


async def test_what_is_stopped_tells_how_far_it_came() -> None:
    voice = MixVoice(8000, 20)
    saying = asyncio.create_task(voice.play(ramp(800)))
    await settle()
    assert np.array_equal(voice.speak(), ramp(160))
    voice.stop_playing()
    assert await saying == 160
    assert not voice.speak().size
    voice.end()
    assert await voice.play(ramp(160)) == 0


async def test_a_server_that_takes_nothing_misses_the_oldest() -> None:
    voice = MixVoice(8000, 20)
    for _ in range(60):
        voice.hear(ramp(160))
    assert voice.dropped == 10
    frame = await voice.take()
    assert frame is not None
    assert frame.number == 10
    voice.close()
    assert await voice.take() is None
