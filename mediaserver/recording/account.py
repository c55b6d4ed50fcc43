"""Where every millisecond of a recording came from.

A recording of what the party says is accounted for under seven names; each of its samples counts
under the first of these that holds:

=============  ============================================================================
`paused`       a pause that is silent in the file
`held`         the far end had the call on hold
`dtmf`         a key was held down, as its telephone events say (RFC 4733)
`lost`         packets were sent and never came; the file is silent there
`concealed`    lost, and made up for from what was around it: nothing is, so always 0
`speech`       a talk spurt
`silence`      the rest: what was quiet, noise, or never sent
=============  ============================================================================

Of a recording of what the party hears alone it is `paused`, `sent` (something was played to it)
and `silence`. Their milliseconds add up to the recording's duration, exactly. Pauses that were
left out of the file, and silence that was trimmed off, are no part of it and are told apart.

A talk spurt is what the rules of the recording heard as speech (`audio.vad`), with gaps of up to
`HANGOVER` in it, which one does not hear as pauses (ITU-T P.56 gives it the same 200 ms).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..audio.loudness import FRAMES_PER_SECOND
from ..audio.vad import BLOCK, ONSET_FRAMES, SpeechDetector, vad_setting
from ..rtp.spans import Kind
from .intervals import Intervals, common, joined, length, part, without
from .resource import Pause, PauseBehavior

HANGOVER: Final = 0.2
"""Seconds between two stretches of speech that are still one talk spurt."""

MOST_SPURTS: Final = 500
"""Talk spurts that are listed; more are counted, and their time is."""

_CHUNK: Final = 250 * BLOCK
"""Frames listened to at a time: twenty seconds."""

Reader = Callable[[int, int], NDArray[np.int16]]
"""`read(start, end)`: the samples of one side of the leg's journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What of a leg's line is accounted for, in samples of the line."""

    start: int
    end: int
    rate: int
    pauses: Sequence[Pause] = ()
    """All of them ended, in order, within `start` and `end`."""
    kept: tuple[int, int] | None = None
    """What was not trimmed off, in samples from the beginning, skipped pauses left out; None: all.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What became of a stretch."""

    milliseconds: Mapping[str, int]
    """By name, see above."""
    skipped: int
    """Milliseconds of pauses that are no part of it."""
    trimmed: int
    """Milliseconds of silence that are no part of it."""
    spurts: tuple[tuple[int, int], ...] = ()
    """The first MOST_SPURTS talk spurts: milliseconds from the start of the stretch, in which
    pauses count."""
    spurts_in_all: int = 0
    spoken_until: int | None = None
    """Milliseconds from the start to the end of the last frame heard as speech."""


def account_spoken(
    read: Reader, spans: NDArray[np.int64], stretch: Stretch, sensitivity: float
) -> Account:
    """Account for what the party said; `spans` are the leg's, shape (n, 3)."""
    parts = _between_pauses(stretch)
    spurts: Intervals = []
    spoken_until = None
    for start, end in parts:
        frames, frame = _listen(read, start, end, stretch.rate, sensitivity)
        if frames:
            spoken_until = start + (frames[-1] + 1) * frame
            spurts += _spurts(frames, start, frame)
    layers = {
        "paused": _pauses(stretch, PauseBehavior.SILENCE),
        "held": _held(spans, stretch.end),
        "dtmf": _of_kind(spans, Kind.KEY),
        "lost": without(_of_kind(spans, Kind.LOST), _of_kind(spans, Kind.FILLED)),
        "concealed": [],
        "speech": spurts,
    }
    per_second = 1000 / stretch.rate
    return _account(
        stretch,
        layers,
        spurts=tuple(
            (round((a - stretch.start) * per_second), round((b - stretch.start) * per_second))
            for a, b in spurts[:MOST_SPURTS]
        ),
        spurts_in_all=len(spurts),
        spoken_until=(
            None if spoken_until is None else round((spoken_until - stretch.start) * per_second)
        ),
    )


def account_sent(read: Reader, stretch: Stretch) -> Account:
    """Account for what was sent to the party."""
    sent: Intervals = []
    for start, end in _between_pauses(stretch):
        sent += _sounding(read, start, end, stretch.rate // FRAMES_PER_SECOND)
    return _account(
        stretch, {"paused": _pauses(stretch, PauseBehavior.SILENCE), "sent": joined(sent)}
    )


def shares(samples: Mapping[str, int], rate: int) -> dict[str, int]:
    """Return counts of samples in milliseconds that add up to those of their sum, rounded down.

    Each is rounded down, and what is then missing goes to those that lost most by it.
    """
    total = sum(samples.values()) * 1000 // rate
    exact = {name: divmod(count * 1000, rate) for name, count in samples.items()}
    whole = {name: milliseconds for name, (milliseconds, _) in exact.items()}
    by_rest = sorted(exact, key=lambda name: -exact[name][1])
    for name in by_rest[: total - sum(whole.values())]:
        whole[name] += 1
    return whole


def _account(
    stretch: Stretch,
    layers: Mapping[str, Intervals],
    *,
    spurts: tuple[tuple[int, int], ...] = (),
    spurts_in_all: int = 0,
    spoken_until: int | None = None,
) -> Account:
    """Give every sample that is part of the file to the first layer it lies in."""
    skips = _pauses(stretch, PauseBehavior.SKIP)
    whole = without(joined([(stretch.start, stretch.end)]), skips)
    rest = whole if stretch.kept is None else part(whole, *stretch.kept)
    trimmed = length(whole) - length(rest)
    samples: dict[str, int] = {}
    for name, layer in layers.items():
        samples[name] = length(common(rest, layer))
        rest = without(rest, layer)
    samples["silence"] = length(rest)
    return Account(
        milliseconds=shares(samples, stretch.rate),
        skipped=length(skips) * 1000 // stretch.rate,
        trimmed=trimmed * 1000 // stretch.rate,
        spurts=spurts,
        spurts_in_all=spurts_in_all,
        spoken_until=spoken_until,
    )


def _pauses(stretch: Stretch, behavior: PauseBehavior) -> Intervals:
    return joined(
        (pause.start, stretch.end if pause.end is None else pause.end)
        for pause in stretch.pauses
        if pause.behavior is behavior
    )


def _between_pauses(stretch: Stretch) -> Intervals:
    """Return what was recorded: after each pause the detector begins anew, as the recorder did."""
    pauses = joined(
        (pause.start, stretch.end if pause.end is None else pause.end) for pause in stretch.pauses
    )
    return without(joined([(stretch.start, stretch.end)]), pauses)


def _of_kind(spans: NDArray[np.int64], kind: Kind) -> Intervals:
    chosen = spans[spans[:, 0] == kind, 1:]
    return joined((start, end) for start, end in chosen.tolist())


def _held(spans: NDArray[np.int64], end: int) -> Intervals:
    """Return when the leg was on hold: from each HELD to the next FREED."""
    held: Intervals = []
    since = None
    for kind, position, _ in spans[(spans[:, 0] == Kind.HELD) | (spans[:, 0] == Kind.FREED)]:
        if since is not None:
            held.append((since, int(position)))
        since = int(position) if kind == Kind.HELD else None
    if since is not None:
        held.append((since, end))
    return joined(held)


def _listen(
    read: Reader, start: int, end: int, rate: int, sensitivity: float
) -> tuple[list[int], int]:
    """Return the frames of a stretch that are heard as speech, and how many samples one has."""
    detector = SpeechDetector(vad_setting(sensitivity), rate)
    frame = rate // FRAMES_PER_SECOND
    frames = (end - start) // frame
    heard: list[int] = []
    while detector.frames < frames:
        looked = detector.frames
        upto = min(frames, looked + _CHUNK)
        samples = read(start + (looked - detector.lead) * frame, start + upto * frame)
        heard += detector.listen(samples).heard(looked, upto)
    return heard, frame


def _spurts(frames: Sequence[int], start: int, frame: int) -> Intervals:
    """Return the talk spurts that frames heard as speech make up."""
    # The first frame is heard once enough others were loud, and those are part of the spurt.
    onset = ONSET_FRAMES - 1
    stretches = ((max(0, number - onset) * frame, (number + 1) * frame) for number in frames)
    gap = round(HANGOVER * FRAMES_PER_SECOND) * frame
    return [(start + a, start + b) for a, b in joined(stretches, gap)]


def _sounding(read: Reader, start: int, end: int, frame: int) -> Intervals:
    """Return the frames that have a sample other than 0; the last may be short."""
    sounding: Intervals = []
    for at in range(start, end, _CHUNK * frame):
        samples = read(at, min(at + _CHUNK * frame, end))
        starts = np.arange(0, samples.size, frame)
        loud = np.add.reduceat(samples != 0, starts) > 0
        sounding += [(at + int(n), min(at + int(n) + frame, end)) for n in starts[loud]]
    return sounding
