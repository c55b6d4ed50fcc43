"""Draws docs/sensitivity.svg: what `input_sensitivity` does. `python -m scripts.sensitivity_plot`.

The left side shows the setting itself; the right side what follows from it: the softest voice that
is heard on a silent line and in hiss. The voice is that of Debian's asterisk-core-sounds-en-wav.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from mediaserver.audio.vad import DEFAULT_SENSITIVITY, SpeechDetector, vad_setting
from scripts.interop_tools import ASTERISK_SPEECH

PLOT: Final = Path(__file__).resolve().parent.parent / "docs" / "sensitivity.svg"

VOICE: Final = ASTERISK_SPEECH / "vm-intro.wav"

SENSITIVITIES: Final = tuple(range(0, 101, 4))
HEARD_SHARE: Final = 0.25
"""Share of the voice's frames that must be heard, for the voice to be heard."""
NOISE_DBOV: Final = -45.0

WIDTH: Final = 360.0
HEIGHT: Final = 230.0
LEFT: Final = 52.0
TOP: Final = 34.0
GAP: Final = 92.0

Points = Sequence[tuple[float, float]]


def softest(sensitivity: float, noise_dbov: float | None = None) -> float:
    """Return the least level of a voice, in dBov, that is heard; in steps of 1 dB."""
    with wave.open(str(VOICE)) as file:
        voice = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    voice *= 32768 / np.sqrt((voice[np.abs(voice) > 100] ** 2).mean())
    hiss = np.random.default_rng(1).normal(0, 1, 3 * 8000 + len(voice))
    hiss *= 32768 * 10 ** ((-96.0 if noise_dbov is None else noise_dbov) / 20)
    for dbov in range(-75, -10):
        line = hiss.copy()
        line[-len(voice) :] += voice * 10 ** (dbov / 20)
        samples = np.clip(np.round(line), -32768, 32767).astype(np.int16)
        samples = samples[: len(samples) // 160 * 160]
        detector = SpeechDetector(vad_setting(sensitivity))
        stretch = detector.listen(samples)
        if len(stretch.heard(150, detector.frames)) >= HEARD_SHARE * (detector.frames - 150):
            return float(dbov)
    return -10.0


def _panel(
    at: float,
    title: str,
    lower: float,
    upper: float,
    lines: Sequence[tuple[str, str, Points]],
    right: tuple[float, float, str, str, Points] | None = None,
) -> list[str]:
    """Return a panel: axes in dBov on the left, its lines, and one on a scale of its own."""

    def x(value: float) -> float:
        return at + value / 100 * WIDTH

    def scale(low: float, high: float) -> Callable[[float], float]:
        return lambda value: TOP + HEIGHT * (high - value) / (high - low)

    def draw(points: Points, y: Callable[[float], float], color: str) -> str:
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>'

    y = scale(lower, upper)
    parts = [f'<text x="{at}" y="{TOP - 14}" font-weight="bold">{title}</text>']
    for value in range(round(lower), round(upper) + 1, 10):
        parts.append(
            f'<line x1="{at}" x2="{at + WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            f'stroke="#ddd"/><text x="{at - 6}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{value}</text>"
        )
    for value in (0, 25, 50, 75, 100):
        parts.append(
            f'<text x="{x(value):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{value}</text>'
        )
    default = x(DEFAULT_SENSITIVITY)
    parts.append(
        f'<line x1="{default:.1f}" x2="{default:.1f}" y1="{TOP}" y2="{TOP + HEIGHT}" '
        'stroke="#888" stroke-dasharray="4 4"/>'
    )
    legend = [(color, label) for color, label, _ in lines]
    parts += [draw(points, y, color) for color, _, points in lines]
    if right is not None:
        low, high, color, label, points = right
        other = scale(low, high)
        parts.append(draw(points, other, color))
        for value in range(round(low), round(high) + 1, 2):
            parts.append(
                f'<text x="{at + WIDTH + 6}" y="{other(value) + 4:.1f}" fill="{color}">'
                f"{value}</text>"
            )
        legend.append((color, label))
    for n, (color, label) in enumerate(legend):
        parts.append(
            f'<text x="{at + 8}" y="{TOP + HEIGHT - 12 - 16 * n:.1f}" fill="{color}">{label}</text>'
        )
    return parts


def draw() -> str:
    """Return the plot as SVG."""
    settings = [(s, vad_setting(s)) for s in range(101)]
    floor = [(s, setting.floor_dbov) for s, setting in settings]
    margin = [(s, setting.margin_db) for s, setting in settings]
    modes = ", ".join(f"{vad_setting(s).mode} from {s}" for s in (0, 25, 50, 75))
    quiet = [(s, softest(s)) for s in SENSITIVITIES]
    noisy = [(s, softest(s, NOISE_DBOV)) for s in SENSITIVITIES]
    second = LEFT + WIDTH + GAP
    parts = _panel(
        LEFT,
        f"The setting (mode {modes})",
        -80,
        -30,
        [("#1f5fa8", "floor, dBov", floor)],
        (0, 10, "#b8451f", "margin over the noise, dB (right)", margin),
    )
    parts += _panel(
        second,
        "The softest voice that is heard, dBov",
        -80,
        -30,
        [
            ("#1f5fa8", "on a silent line", quiet),
            ("#b8451f", f"in hiss at {NOISE_DBOV:.0f} dBov", noisy),
        ],
    )
    width, height = second + WIDTH + 30, TOP + HEIGHT + 46
    parts.append(
        f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">input_sensitivity '
        f"(default {DEFAULT_SENSITIVITY:.0f}, dashed)</text>"
    )
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    PLOT.write_text(draw())
