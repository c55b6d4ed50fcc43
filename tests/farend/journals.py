"""Journals as a call leaves them, jobs to render them, and what is heard in the files."""

from __future__ import annotations

import os
import uuid
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mediaserver.recording.journal import JournalHeader, create, journal_name, offset
from mediaserver.recording.rendering import RenderJob, Target
from mediaserver.recording.resource import Direction, Format

FIRST = 1000
"""Position of a journal's first sample on its line."""
RATE = 8000

Samples = NDArray[np.int16]


def write_journal(
    data: Path,
    samples: Samples,
    direction: Direction = Direction.SPEAK,
    rate: int = RATE,
    *,
    wide: bool = False,
) -> Path:
    """Write one side of the leg's journal; `wide`, that at 16 kHz."""
    path = data / "journals" / "leg" / journal_name(direction, wide=wide)
    rate, first = (16_000, 2 * FIRST) if wide else (rate, FIRST)
    header = JournalHeader(leg_id="leg", direction=direction, rate=rate, first=first, wall_us=0)
    fd = create(path, header)
    os.pwrite(fd, samples.astype("<i2").tobytes(), offset(header, first))
    os.close(fd)
    return path


def job_for(data: Path, samples: int, *formats: Format, **changes: Any) -> RenderJob:
    """Return the job of a recording of so many samples, of the party's voice as a wav."""
    sample_rate = changes.pop("sample_rate", None)
    job = RenderJob(
        data_dir=str(data),
        recording_id=str(uuid.uuid4()),
        journal="journals/leg",
        rate=RATE,
        start=FIRST,
        end=FIRST + samples,
        targets=tuple(
            Target(format=form, sample_rate=sample_rate) for form in formats or (Format.WAV,)
        ),
        direction=Direction.SPEAK,
        stereo=False,
    )
    return replace(job, **changes)


def tone(hz: float, seconds: float, rate: int = RATE, amplitude: float = 9000.0) -> Samples:
    """Return a sine."""
    time = np.arange(round(seconds * rate)) / rate
    return np.rint(amplitude * np.sin(2 * np.pi * hz * time)).astype(np.int16)


def wav_samples(path: Path, rate: int = RATE) -> Samples:
    """Return the samples by the standard library's reader, shape (n, channels)."""
    with wave.open(str(path)) as file:
        assert (file.getsampwidth(), file.getframerate()) == (2, rate)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels()).astype(np.int16)


def played(path: Path) -> tuple[NDArray[np.float64], int]:
    """Return what a player hears, shape (channels, n), full scale 1, and its sample rate."""
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        channels = container.streams.audio[0].channels
        parts: list[NDArray[Any]] = [f.to_ndarray() for f in container.decode(audio=0)]
    heard = np.concatenate(parts, axis=1)
    if heard.dtype == np.int16:  # of a wav, its channels interleaved
        return heard.reshape(-1, channels).T / 32768.0, rate
    return heard.astype(np.float64), rate


def loudness(heard: NDArray[np.float64], rate: int, hz: float) -> NDArray[np.float64]:
    """Return the amplitude of one tone every 5 ms, each measured over 20 ms around it."""
    step, width = rate // 200, rate // 50
    at = np.arange(width)
    wave = np.exp(-2j * np.pi * hz * at / rate) * np.hanning(width)
    padded = np.pad(heard, (width // 2, width))
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[: len(heard) : step]
    amplitudes: NDArray[np.float64] = 2.0 * np.abs(frames @ wave) / np.hanning(width).sum()
    return amplitudes


def stretches(heard: NDArray[np.float64], rate: int, hz: float) -> list[tuple[float, float]]:
    """Return where a tone sounds, in seconds: from and until half of its loudest."""
    loud = loudness(heard, rate, hz)
    on = np.concatenate(([False], loud > loud.max() / 2, [False])).astype(int)
    begins, ends = (np.flatnonzero(np.diff(on) == step) / 200 for step in (1, -1))
    return list(zip(begins.tolist(), ends.tolist(), strict=True))
