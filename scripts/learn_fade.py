"""Learns mediaserver/audio/fade_votes.py: `PYTHONPATH=tests python -m scripts.learn_fade FOLDER...`

Each folder holds prompts of one voice (wav, 8 kHz, 16 bit, mono), such as Debian's
asterisk-core-sounds-en-wav, -fr-wav, -it-wav and asterisk-prompt-it-menardi-wav, of which what is
committed was learned. Three prompts of six are used (the second, third and fifth) and a crowd of
the sixth ones, so that tests have others. Takes some ten minutes.

Speech is put on a line, quiet or in noise; the recorder tells which frame it heard last, and the
clean speech where it ended (`farend.active_level`). Then the votes are moved, by the gradient,
to where more of the likelihood lies within 120 ms of the truth.
"""

from __future__ import annotations

import sys
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farend.active_level import active_power, spoken
from farend.noises import NOISES
from farend.speech import prompt_files
from mediaserver.audio.fade import FADE_FRAMES, FADE_LEAD, traits
from mediaserver.audio.g711 import decode_ulaw, encode_ulaw
from mediaserver.audio.vad import DEFAULT_SENSITIVITY, SpeechDetector, vad_setting

RATE: Final = 8000
FRAME: Final = 160
PHASES: Final = (1, 2, 4)
CROWD_PHASE: Final = 5
CONDITIONS: Final = (
    *((("", 0.0),) * 2),
    *((noise, snr) for noise in NOISES for snr in (20.0, 10.0, 10.0)),
    *((noise, 15.0) for noise in ("babble", "street")),
)
CLICKS: Final = 0.05
"""Share of cases with a click in the pause."""
CUTS: Final = 0.05
"""Share of cases, of those with little noise, in which the voice stops within a word."""
AHEAD: Final = (75, 50, 30, 18)
"""Frames looked at: as many as timeouts of various lengths allow."""
KINDS: Final = 8
REACH: Final = 6
STEPS: Final = 6000
BATCH: Final = 256
RATE_OF_LEARNING: Final = 0.02
NEAR: Final = (4.7, 6.2)
"""Frames from the truth that are right, and from which on they are wrong."""
DECAY: Final = 1e-5

Array = NDArray[np.float64]
Weights = list[Array]
"""KIND, KIND_BIAS, VOTE, VOTE_BIAS and FIT of `audio.fade_votes`."""


@dataclass(frozen=True, slots=True)
class Case:
    """What followed a last heard frame, and how many frames later the voice ended."""

    samples: NDArray[np.int16]
    loudest: float
    floor: float
    truth: float


def prompts(folder: Path, phases: Sequence[int]) -> Iterator[Array]:
    """Yield every sixth prompt's speech, from each of the phases."""
    for number, path in enumerate(prompt_files(folder)):
        if number % 6 not in phases:
            continue
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
        try:
            yield spoken(samples)
        except (AssertionError, IndexError):
            continue  # a beep, or music


def heard(speech: Array, noise: Array, rng: np.random.Generator) -> Case | None:
    """Return the case of speech after a second of the line; clicks and floors are by chance."""
    line = noise.copy()
    line[RATE : RATE + len(speech)] += speech
    end = RATE + len(speech)
    if rng.random() < CLICKS:
        at, count = end + int(rng.uniform(0.1, 1.2) * RATE), int(rng.integers(20, 160))
        click = rng.normal(0, 1, count) * np.exp(-np.arange(count) / rng.uniform(10, 60))
        line[at : at + count] += click * np.abs(speech).max() * 10 ** rng.uniform(-1.0, 0.0)
    whole = np.clip(np.round(line), -32768, 32767).astype(np.int16)
    samples = decode_ulaw(encode_ulaw(whole[: len(whole) // FRAME * FRAME]))
    detector = SpeechDetector(vad_setting(DEFAULT_SENSITIVITY))
    last = detector.listen(samples).last(0, end // FRAME + 2)
    if last is None:
        return None
    begin = last + 1 - FADE_LEAD
    after = samples[begin * FRAME : (begin + FADE_LEAD + FADE_FRAMES) * FRAME]
    rows = samples.astype(np.float64).reshape(-1, FRAME)[max(0, last - 74) : last + 1]
    floor = FRAME * 32768.0**2 * 10 ** (-5.32 - (rng.random() < 0.5) * rng.uniform(0, 1.7))
    return Case(after, float((rows**2).sum(axis=1).max()), floor, end / FRAME - last - 1)


def cases(folder: Path, crowd: Sequence[Array], rng: np.random.Generator) -> list[Case]:
    """Return every prompt in every condition, some softer, some cut off within a word."""
    found = []
    for speech in prompts(folder, PHASES):
        power = active_power(speech)
        for noise, snr in CONDITIONS:
            voice, gain = speech, 1.0
            if not noise and rng.random() < 0.5:
                gain = 10 ** -rng.uniform(0, 1)
            if snr != 10.0 and rng.random() < CUTS:
                voice = _cut(speech, power, rng)
            line = np.zeros(len(voice) + 4 * RATE)
            if noise:
                sound = NOISES[noise](len(line), rng, crowd)
                line = sound * np.sqrt(power / 10 ** (snr / 10) / (sound**2).mean())
            case = heard(voice * gain, line, rng)
            if case is not None:
                found.append(case)
    return found


def crowd_of(folder: Path) -> list[Array]:
    """Return the speech that a crowd is made of, at an active level of 1."""
    return [speech / np.sqrt(active_power(speech)) for speech in prompts(folder, (CROWD_PHASE,))]


def _cut(speech: Array, power: float, rng: np.random.Generator) -> Array:
    blocks = (speech[: len(speech) // 80 * 80].reshape(-1, 80) ** 2).mean(axis=1)
    loud = [n for n in range(50, len(blocks)) if blocks[n - 6 : n].min() > power / 4]
    return speech[: 80 * loud[int(rng.integers(len(loud)))]] if loud else speech


def forward(weights: Weights, found: Array) -> tuple[Array, Array, Array]:
    """Return the likelihoods of ends, the frames' kinds, and those with the edges repeated."""
    kind, kind_bias, vote, vote_bias, fit = weights
    length = found.shape[1]
    count = length - length // 5 + 1
    kinds = np.tanh(found @ kind + kind_bias)
    votes = np.cumsum(kinds @ vote + vote_bias, axis=1)
    chances = np.pad(votes, ((0, 0), (1, 0)))[:, :count]
    around = np.pad(kinds, ((0, 0), (REACH, REACH), (0, 0)), mode="edge")
    for at, row in enumerate(fit):
        chances = chances + around[:, at : at + count] @ row
    likely = np.exp(chances - chances.max(axis=1, keepdims=True))
    return likely / likely.sum(axis=1, keepdims=True), kinds, around


def gradient(weights: Weights, found: Array, truth: Array) -> tuple[float, Weights]:
    """Return the mean of minus the log of the likelihood near the truth, and its gradient."""
    kind, _, vote, _, fit = weights
    likely, kinds, around = forward(weights, found)
    count = likely.shape[1]
    apart = np.abs(np.arange(count) - truth[:, None])
    near = np.clip((NEAR[1] - apart) / (NEAR[1] - NEAR[0]), 0.0, 1.0)
    right = (likely * near).sum(axis=1, keepdims=True)
    by_chance = -likely * (near - right) / (right + 1e-4) / len(found)
    by_vote = np.zeros(kinds.shape[:2])
    by_vote[:, : count - 1] = by_chance[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    by_around, by_fit = np.zeros_like(around), np.empty_like(fit)
    for at, row in enumerate(fit):
        by_fit[at] = np.einsum("ne,neh->h", by_chance, around[:, at : at + count])
        by_around[:, at : at + count] += by_chance[:, :, None] * row
    by_kind = by_around[:, REACH:-REACH] + by_vote[:, :, None] * vote
    by_kind[:, 0] += by_around[:, :REACH].sum(axis=1)
    by_kind[:, -1] += by_around[:, -REACH:].sum(axis=1)
    by_sum = by_kind * (1.0 - kinds**2)
    return float(-np.log(right + 1e-4).mean()), [
        np.einsum("ntf,nth->fh", found, by_sum) + 2 * DECAY * kind,
        by_sum.sum(axis=(0, 1)),
        np.einsum("nt,nth->h", by_vote, kinds) + 2 * DECAY * vote,
        np.array(by_vote.sum()),
        by_fit + 2 * DECAY * fit,
    ]


def learn(found: dict[int, Array], truth: Array, rng: np.random.Generator) -> Weights:
    """Return the votes, by Adam with a clipped gradient and a rate that falls to nothing."""
    width = found[AHEAD[0]].shape[2]
    weights: Weights = [
        rng.normal(0, 0.3, (width, KINDS)),
        np.zeros(KINDS),
        rng.normal(0, 0.1, KINDS),
        np.array(0.0),
        rng.normal(0, 0.05, (2 * REACH + 1, KINDS)),
    ]
    means = [np.zeros_like(weight) for weight in weights]
    squares = [np.zeros_like(weight) for weight in weights]
    usable = {a: np.flatnonzero((truth > -6) & (truth < a - a // 5 + 3)) for a in AHEAD}
    for step in range(1, STEPS + 1):
        ahead = AHEAD[0] if rng.random() < 0.5 else AHEAD[int(rng.integers(1, len(AHEAD)))]
        chosen = rng.choice(usable[ahead], BATCH)
        loss, slopes = gradient(weights, found[ahead][chosen], truth[chosen])
        steepness = np.sqrt(sum(float((slope**2).sum()) for slope in slopes))
        pace = RATE_OF_LEARNING * min(1.0, 2.0 * (STEPS - step) / STEPS + 0.005)
        for n, slope in enumerate(slopes):
            clipped = slope / max(1.0, steepness)
            means[n] = 0.9 * means[n] + 0.1 * clipped
            squares[n] = 0.999 * squares[n] + 0.001 * clipped**2
            speed = np.sqrt(squares[n] / (1 - 0.999**step)) + 1e-8
            weights[n] = weights[n] - pace * means[n] / (1 - 0.9**step) / speed
        if step % 500 == 0:
            print(step, round(loss, 4), file=sys.stderr)
    return weights


def source(weights: Weights) -> str:
    """Return the votes as a module."""
    kind, kind_bias, vote, vote_bias, fit = weights

    def row(values: Array) -> str:
        return "(" + ", ".join(f"{value:.3f}" for value in values) + ")"

    def table(values: Array) -> str:
        rows = "".join(f"        {row(line)},\n" for line in values)
        return f"np.array(\n    (\n{rows}    )\n)"

    return f'''"""How traits of frames make votes on whether a voice goes on, see `audio.fade`.

Learned by `python -m scripts.learn_fade`, from speech in noise; not to be changed by hand.
"""

from __future__ import annotations

from typing import Final

import numpy as np

KIND: Final = {table(kind)}
"""How much each trait (a row) makes a frame one of each kind (a column) ..."""
KIND_BIAS: Final = np.array({row(kind_bias)})
"""... and that without any; a kind is the hyperbolic tangent of the sum."""
VOTE: Final = np.array({row(vote)})
"""How much each kind speaks for an end that is later than the frame ..."""
VOTE_BIAS: Final = {float(vote_bias):.3f}
"""... and how much any frame does."""
FIT: Final = {table(fit)}
"""How well an end fits frames of each kind, from {REACH} before to {REACH} after (a row each)."""
'''


def main(folders: Sequence[str]) -> int:
    """Learn from the prompts in these folders; print the module."""
    if not folders:
        print(__doc__, file=sys.stderr)
        return 2
    found = []
    crowd = crowd_of(Path(folders[0]))
    for number, folder in enumerate(folders):
        found += cases(Path(folder), crowd, np.random.default_rng([7, number]))
    truth = np.array([case.truth for case in found])
    print(len(found), "cases", file=sys.stderr)
    by_ahead = {
        ahead: np.array(
            [
                traits(case.samples[: (FADE_LEAD + ahead) * FRAME], FRAME, case.loudest, case.floor)
                for case in found
            ]
        )
        for ahead in AHEAD
    }
    print(source(learn(by_ahead, truth, np.random.default_rng(7))), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
