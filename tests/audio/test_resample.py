"""Audio at another rate is the same audio, however it is cut into pieces."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaserver.audio.resample import SPAN, Downsampler, Upsampler

FACTORS = (1, 2, 3, 4, 6)


def tone(hertz: float, rate: int, seconds: float = 0.5) -> NDArray[np.int16]:
    at = np.arange(int(rate * seconds)) / rate
    return (8000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16)


def level(samples: NDArray[np.int16]) -> float:
    """In dB below full scale; without the ends, where the filter begins and stops."""
    middle = samples[samples.size // 4 : -samples.size // 4].astype(np.float64)
    return float(20 * np.log10(np.sqrt((middle**2).mean()) / 32768 + 1e-9))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("way", [Upsampler, Downsampler])
def test_pieces_give_what_the_whole_gives(
    factor: int, way: type[Upsampler] | type[Downsampler]
) -> None:
    samples = np.random.default_rng(1).integers(-9000, 9000, 4800).astype(np.int16)
    whole = way(factor).feed(samples)
    cut = way(factor)
    cuts = np.sort(np.random.default_rng(2).integers(0, 4800, 40))
    pieces = [cut.feed(piece) for piece in np.split(samples, cuts)]
    assert np.array_equal(np.concatenate(pieces), whole)
    assert whole.size == (4800 * factor if way is Upsampler else 4800 // factor)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("way", [Upsampler, Downsampler])
def test_a_single_sample_is_a_piece(factor: int, way: type[Upsampler] | type[Downsampler]) -> None:
    samples = np.random.default_rng(3).integers(-9000, 9000, 120).astype(np.int16)
    cut = way(factor)
    pieces = [cut.feed(piece) for piece in np.split(samples, 120)]
    assert np.array_equal(np.concatenate(pieces), way(factor).feed(samples))


@pytest.mark.parametrize("factor", FACTORS[1:])
def test_a_voice_keeps_its_shape_there_and_back(factor: int) -> None:
    samples = tone(440, 8000) // 2 + tone(2700, 8000) // 2
    back = Downsampler(factor).feed(Upsampler(factor).feed(samples)).astype(np.float64)
    late, given = back[SPAN:3000], samples[: 3000 - SPAN].astype(np.float64)
    assert 10 * np.log10((given**2).mean() / ((late - given) ** 2).mean()) > 40


@pytest.mark.parametrize("factor", FACTORS[1:])
def test_the_level_stays_and_nothing_is_added_above_the_band(factor: int) -> None:
    samples = tone(1000, 8000)
    wide = Upsampler(factor).feed(samples)
    assert level(wide) == pytest.approx(level(samples), abs=0.1)
    spectrum = np.abs(np.fft.rfft(wide[wide.size // 4 : -wide.size // 4].astype(np.float64)))
    spectrum /= spectrum.max()
    hertz = np.fft.rfftfreq(2 * (spectrum.size - 1), 1 / (8000 * factor))
    assert 20 * np.log10(spectrum[hertz > 4400].max()) < -50


@pytest.mark.parametrize("factor", FACTORS[1:])
def test_what_the_lower_rate_cannot_hold_is_left_out(factor: int) -> None:
    high = tone(5200, 8000 * factor)
    assert level(Downsampler(factor).feed(high)) < level(high) - 50


def test_full_scale_is_clipped_and_not_folded() -> None:
    square = np.where(np.arange(800) // 40 % 2, 32767, -32768).astype(np.int16)
    wide = Upsampler(3).feed(square).astype(np.int64)
    assert np.abs(np.diff(wide)).max() < 45_000
