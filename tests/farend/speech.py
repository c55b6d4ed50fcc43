"""What far ends say: recorded speech, in the shape G.711 leaves it in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mediaserver.audio.g711 import encode_alaw, encode_ulaw

from .waveform import FRAME, Samples, decode, read_wav

NOT_SPEECH = ("beep", "ascending-2tone", "descending-2tone", "silence", "tt-monkeys")
"""How the names of prompts begin in which nobody speaks."""


def prompt_files(folder: Path) -> tuple[Path, ...]:
    """Return the prompts of a voice, sorted, that are speech of a second or longer at 8 kHz."""
    second = 44 + 2 * 8000
    return tuple(
        path
        for path in sorted(folder.rglob("*.wav"))
        if not path.stem.startswith(NOT_SPEECH)
        and path.parent.name != "silence"
        and path.stat().st_size >= second
    )


def encode(law: str, samples: Samples) -> bytes:
    """Return `samples` as G.711 payload."""
    return encode_alaw(samples) if law == "PCMA" else encode_ulaw(samples)


def whole_frames(samples: Samples) -> Samples:
    """Return the samples, silence behind them up to a whole number of packets."""
    return np.concatenate([samples, np.zeros(-samples.size % FRAME, np.int16)])


def utterance(path: Path, law: str = "PCMU") -> tuple[bytes, Samples]:
    """Return recorded speech as payload, and as the samples whoever decodes that must have."""
    payload = encode(law, whole_frames(read_wav(path)))
    return payload, decode(law, payload)


def passage(paths: Sequence[Path], seconds: float, law: str = "PCMU") -> tuple[bytes, Samples]:
    """Return `seconds` of speech, one file after the other, without any silence of theirs longer
    than a frame, so that the place of every frame can be told."""
    parts = []
    wanted = round(seconds * 8000)
    for path in paths:
        frames = whole_frames(read_wav(path)).reshape(-1, FRAME)
        loud = np.abs(frames.astype(np.int32)).max(axis=1) > 300
        parts.append(frames[loud].reshape(-1))
        if sum(part.size for part in parts) >= wanted:
            break
    samples = np.concatenate(parts)[:wanted]
    assert samples.size == wanted, "not enough speech"
    payload = encode(law, samples)
    return payload, decode(law, payload)


def choose(paths: Sequence[Path], shortest: float, longest: float) -> list[Path]:
    """Return the recordings of a length, in seconds."""
    return [p for p in paths if shortest <= (p.stat().st_size - 44) / 16000 <= longest]


def event(code: int, duration: int, *, end: bool = False) -> bytes:
    """Return the payload of a telephone event (RFC 4733 section 2.3)."""
    return bytes([code, (0x80 if end else 0) | 10]) + duration.to_bytes(2, "big")


def key_payloads(code: int, *, frames: int = 5, step: int = 160, ends: int = 3) -> list[bytes]:
    """Return the payloads of one key: an update each 20 ms, then copies of its end."""
    updates = [event(code, step * (n + 1)) for n in range(frames)]
    return updates + [event(code, step * frames, end=True)] * ends
