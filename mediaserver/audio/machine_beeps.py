"""Which single tones are the beep of an answering machine?

A beep is a tone of one frequency and level, not too short and not too long, by itself: the notes of
a melody and the three tones of SIT (ITU-T E.180) have another close by. Where networks have
their ringing, busy and dial tones, and at the frequency of a calling fax, it has to follow a voice
and, if a network could have sent it, not to come back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from .single_tone import CNG_HZ, Tone
from .tones import DTMF_HZ

BEEP_SECONDS: Final = (0.11, 2.5)
"""Lengths of a beep, found to 10 ms; what is longer is a dial tone, a modem or a test."""
BEEP_HZ: Final = (380.0, 2650.0)
BEEP_SWING_DB: Final = 3.0
"""Most by which a beep goes up and down; a note on a piano or a bell dies away by more."""
BEEP_SPREAD_HZ: Final = 6.0
BEEP_SPREAD: Final = 0.008
"""Most by which its frequency does: the greater of Hz and a share."""
BEEP_PURE: Final = 0.35
"""Least share of its time for which hardly anything else is heard."""
PROGRESS_HZ: Final = (380.0, 500.0)
"""Where networks have their ringing, busy and dial tones (ITU-T E.180)."""
PROGRESS_SECONDS: Final = (0.19, 0.7)
"""Lengths of a beep there: a ringing tone of one frequency lasts 0.8 s at least, a vowel that
happens to stand still less than 0.17 s."""
PROGRESS_PURE: Final = 0.6
"""Least share of its time for which hardly anything else is heard, there."""
APART: Final = 0.1
"""Seconds before and after a beep without another tone: a melody and SIT have none."""
PROGRESS_APART: Final = 0.8
"""Seconds after which a tone of a network that comes back is another one."""
SIGNAL_SECONDS: Final = 0.08
"""Length from which on a tone that stands still is somebody's signal, and no vowel."""
KEY_SHARE: Final = 0.035
"""How far from a key's frequencies two tones are that are none; Q.24 wants no more."""
SAME_TONE: Final = 0.03
"""Share by which the frequencies of two tones differ at most if they are the same."""


def in_progress_band(tone: Tone) -> bool:
    """Tell whether it may be a network's ringing, busy or dial tone."""
    return PROGRESS_HZ[0] <= tone.hertz <= PROGRESS_HZ[1]


def is_beep(tone: Tone, rate: int = 8000) -> bool:
    """Tell whether an ended tone may be an answering machine's beep."""
    shortest, longest = BEEP_SECONDS
    if in_progress_band(tone):
        shortest, longest = PROGRESS_SECONDS
        if tone.above is not None or tone.pure < PROGRESS_PURE:
            return False
    return (
        BEEP_HZ[0] <= tone.hertz <= BEEP_HZ[1]
        and shortest <= tone.seconds(rate) <= longest
        and tone.swing_db <= BEEP_SWING_DB
        and tone.pure >= BEEP_PURE
        and _stands_still(tone)
        and not is_key(tone)
    )


def is_key(tone: Tone) -> bool:
    """Tell whether two tones together are those of a key (ITU-T Q.23)."""
    above = tone.above
    return above is not None and any(
        abs(tone.hertz - low) <= KEY_SHARE * low and abs(above - high) <= KEY_SHARE * high
        for low, high in DTMF_HZ.values()
    )


def _stands_still(tone: Tone) -> bool:
    return tone.spread_hz <= max(BEEP_SPREAD_HZ, BEEP_SPREAD * tone.hertz)


class Beeps:
    """Tells beeps by what comes before and after them. Positions are those of the stream."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._candidate: Tone | None = None
        self._before: Tone | None = None
        self._alone = True  # nothing belonged to it

    @property
    def waiting(self) -> bool:
        """Whether what may be a beep is waited for."""
        return self._candidate is not None

    def take(
        self, ended: list[Tone], current: Tone | None, now: int, *, spoken: bool
    ) -> Tone | None:
        """Return the beep there was, once it is sure that nothing came after it.

        `now` is the position up to which all tones are known, `spoken` whether a voice was heard.
        """
        for tone in filter(self._is_signal, ended):
            beep = self._follow(tone)
            self._note(tone, spoken=spoken)
            if beep is not None:
                return beep
        if current is not None and self._is_signal(current):
            return self._follow(current)
        candidate = self._candidate
        if candidate is not None and now >= candidate.end + self._wait(candidate):
            self._candidate = None
            return candidate
        return None

    def _follow(self, tone: Tone) -> Tone | None:
        """Take the candidate for a beep, or for none, by the tone that follows it."""
        candidate = self._candidate
        if candidate is None or self._goes_on(candidate, tone):
            return None
        self._candidate = None
        return None if self._belongs(candidate, tone) else candidate

    def _note(self, tone: Tone, *, spoken: bool) -> None:
        """Note a tone that ended, by itself or as the rest of the one before."""
        before = self._before
        if before is not None and self._goes_on(before, tone):
            tone = replace(
                tone,
                begin=before.begin,
                swing_db=max(before.swing_db, tone.swing_db),
                spread_hz=max(before.spread_hz, tone.spread_hz),
            )
        else:
            self._alone = before is None or not self._belongs(before, tone)
        self._before = tone
        self._candidate = tone if self._alone and self._may_be(tone, spoken=spoken) else None

    def _may_be(self, tone: Tone, *, spoken: bool) -> bool:
        others = in_progress_band(tone) or CNG_HZ[0] <= tone.hertz <= CNG_HZ[1]
        return is_beep(tone, self._rate) and (spoken or not others)

    def _wait(self, tone: Tone) -> int:
        seconds = PROGRESS_APART if in_progress_band(tone) else APART
        # A tone that begins is known as one some time later.
        return round((seconds + SIGNAL_SECONDS + 0.04) * self._rate)

    def _is_signal(self, tone: Tone) -> bool:
        return tone.seconds(self._rate) >= SIGNAL_SECONDS and _stands_still(tone)

    def _goes_on(self, one: Tone, other: Tone) -> bool:
        """Whether a tone is the rest of the one before, that noise has parted from it."""
        return other.begin - one.end <= APART * self._rate and _same(one, other)

    def _belongs(self, one: Tone, other: Tone) -> bool:
        """Whether a tone and the next are parts of something else."""
        pause = other.begin - one.end
        if in_progress_band(one) and _same(one, other):
            return pause <= PROGRESS_APART * self._rate
        return pause <= APART * self._rate


def _same(one: Tone, other: Tone) -> bool:
    if (one.above is None) != (other.above is None):
        return False
    return abs(other.hertz - one.hertz) <= SAME_TONE * one.hertz
