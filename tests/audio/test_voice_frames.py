from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.signal_tones import DELAY
from mediaserver.audio.tones import silence, sine
from mediaserver.audio.vad import BLOCK
from mediaserver.audio.voice_frames import VoiceFrames

SPAN = BLOCK * 160


def blocks(samples: NDArray[np.int16]) -> list[NDArray[np.int16]]:
    return [samples[at : at + SPAN] for at in range(0, len(samples) // SPAN * SPAN, SPAN)]


def test_frames_are_given_out_once_no_tone_can_reach_back_to_them() -> None:
    frames = VoiceFrames()
    listened = 0
    for block in blocks(silence(1.0)):
        frames.listen(block)
        listened += BLOCK
        while frames.ripe:
            assert not frames.settle()
        assert frames.settled == max(0, listened - DELAY)
    assert frames.voice_end == frames.sound_end == 0


@pytest.mark.parametrize("hertz", [(440.0,), (697.0, 1209.0)])
def test_the_tone_of_a_network_or_a_key_is_neither_voice_nor_audible(
    hertz: tuple[float, ...],
) -> None:
    frames = VoiceFrames()
    for block in blocks(np.concatenate((silence(0.4), sine(hertz, 1.2)))):
        frames.listen(block)
        while frames.ripe:
            assert not frames.settle()
    assert frames.voice_end == frames.sound_end == 0
