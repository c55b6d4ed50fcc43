"""Who answered: a person, an answering machine, a fax? (contract A8 `detect_machine`)

A person says a word or two and waits. A machine talks: for longer, in more words, and at its end
it beeps. Everything is decided on the line, in samples of it, by what was heard up to there:

- *Voice* is what is heard of one, without the tones of networks and keys (`audio.voice_frames`). A
  stretch of it of 100 ms or more, with no pause of more than 60 ms in it, is a *word*; what is
  shorter is none. Fluent speech runs words together: so counted are its phrases rather, and how
  long the voice itself lasted, pauses left out, tells more.
- An *utterance* is words with less than `end_silence_timeout` between them. One that has
  `machine_voice_threshold` seconds of voice, or `machine_words_threshold` words, is a machine's;
  one that ends before is a person's. None until `initial_timeout` is nobody knows whose.
- A *beep* (`audio.single_tone`), by itself, is a machine's. One that networks might send as well
  has to follow a voice, and not to come back.
- A machine is *ready* after its beep, or when it has been silent for `machine_ready_timeout`. In
  noise the voice detector misses words: what is audible all the same is no silence either, for
  some seconds.
- The tone of a fax is a fax, whatever was heard before.

`timeout` ends it all. The owner feeds what is final, and says how far time has passed where nothing
was received.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .loudness import FRAMES_PER_SECOND
from .machine_beeps import BEEP_SECONDS, Beeps
from .single_tone import FaxTone, Tone, ToneTracker, fax_tone
from .vad import BLOCK
from .voice_frames import VoiceFrames
from .words import Words

LAG: Final = 0.25
"""Seconds that packets are waited for before what they would bring counts as silence."""

HELD_FRAMES: Final = 3 * FRAMES_PER_SECOND
"""How long after a machine's last word what is audible, and may be words missed in noise, is no
silence; after who may be a person a third of that."""

_NEVER: Final = 1 << 62


class Verdict(StrEnum):
    """Who it is, as `detect_result` spells it."""

    MACHINE = "machine"
    HUMAN = "human"
    FAX = "fax"
    UNKNOWN = "unknown"


class Event(StrEnum):
    """What a detector tells, as `detect.params.event` spells it."""

    MACHINE = "MACHINE"
    HUMAN = "HUMAN"
    UNKNOWN = "UNKNOWN"
    READY = "READY"
    """The machine takes a message now."""
    NOT_READY = "NOT_READY"
    """It talks again."""
    CED = "CED"
    CNG = "CNG"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRules:
    """How to tell (contract A8). Seconds; 0 switches a threshold or a time limit off."""

    amd: bool = True
    """Whether machines and persons are told apart."""
    fax: FaxTone | None = FaxTone.CED
    """The tone of which fax is listened for."""
    initial_timeout: float = 4.5
    end_silence_timeout: float = 1.0
    machine_ready_timeout: float | None = None
    """None: as `end_silence_timeout`."""
    machine_voice_threshold: float = 1.25
    machine_words_threshold: int = 6
    timeout: float = 30.0
    detect_message_end: bool = False
    """Whether a machine's beep, or the end of what it says, is waited for."""
    detect_interruptions: bool = False
    """Whether a machine that talks again after that is listened to, until it beeps."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found out, at a position of the line."""

    event: Event
    position: int
    beep: bool = False
    """Whether a beep was heard by then."""


class MachineDetector:
    """Listens to one line from `start` on. Positions are samples on the line."""

    def __init__(self, rules: MachineRules, start: int, rate: int = 8000) -> None:
        self.verdict: Verdict | None = None
        """Who it is, as soon as that is known."""
        self.beep = False
        """Whether a beep was heard."""
        self.done_at: int | None = None
        """Position at which all was found out."""
        self._rules = rules
        self._start = start
        self._rate = rate
        self._frame = rate // FRAMES_PER_SECOND
        self._lag = round(LAG * rate)
        self._voice = VoiceFrames(rate)
        self._tones = ToneTracker(rate)
        self._beeps = Beeps(rate)
        self._words = Words()
        self._rest = np.empty(0, np.int16)
        self._frames = 0
        self._ready = False
        self._told: list[Finding] = []
        self._limit = self._after(start, rules.timeout) if rules.timeout else _NEVER

    @property
    def fed(self) -> int:
        """Position up to which the line was fed."""
        return self._start + self._frames * self._frame + len(self._rest)

    @property
    def wake(self) -> int:
        """Position up to which there is nothing new to be found out."""
        if self.done_at is not None:
            return _NEVER
        return min(self._limit, self.fed + BLOCK * self._frame)

    def feed(self, samples: NDArray[np.int16]) -> list[Finding]:
        """Take what follows on the line; however it is cut, the same is found out."""
        block = BLOCK * self._frame
        data = np.concatenate((self._rest, samples)) if self._rest.size else samples
        whole = len(data) // block * block
        for at in range(0, whole, block):
            if self.done_at is not None:
                break
            self._listen(data[at : at + block])
        self._rest = data[whole:].copy()
        return self._take_told()

    def elapse(self, decided: int) -> list[Finding]:
        """Let time pass up to `decided` without anything to be heard after what was fed.

        What is LAG behind that counts as silence for good: a far end may send nothing in pauses,
        and what it said last, a word or a beep, is over then.
        """
        found: list[Finding] = []
        while self.done_at is None and decided - self.fed > self._lag:
            missing = min(decided - self.fed - self._lag, self._rate)
            found += self.feed(np.zeros(missing, np.int16))
        if decided > self.fed:
            self._expire(decided)
        return found + self._take_told()

    def _take_told(self) -> list[Finding]:
        told, self._told = self._told, []
        return told

    def _after(self, position: int, seconds: float) -> int:
        return position + round(seconds * self._rate)

    def _listen(self, block: NDArray[np.int16]) -> None:
        """Judge the frames of one block, and what has ripened since the one before."""
        if self._rules.amd:
            self._voice.listen(block)
        self._frames += BLOCK
        ended = self._tones.listen(block)
        current = self._tones.current
        self._look_for_fax(ended, current)
        if self.done_at is None and self._rules.amd:
            now = self._frames * self._frame
            spoken = self._words.first is not None
            beep = self._beeps.take(ended, current, now, spoken=spoken)
            if beep is not None:
                self._hear_beep(self._start + round(beep.end))
        while self.done_at is None and self._voice.ripe:
            self._settle()
        if self.done_at is None and self._start + self._frames * self._frame >= self._limit:
            self._expire(self._limit)

    def _settle(self) -> None:
        """Let one more frame pass, voice or none."""
        frame = self._voice.settled
        if self._voice.settle():
            new_word = self._words.hear(frame)
            if new_word and self._ready:
                self._ready = False
                self._tell(Event.NOT_READY, self._at(frame + 1))
            if self.verdict is None and self._talks_like_a_machine():
                self._find_machine(self._at(frame + 1))
        self._expire(self._at(frame + 1))

    def _at(self, frame: int) -> int:
        return self._start + frame * self._frame

    def _talks_like_a_machine(self) -> bool:
        rules, words = self._rules, self._words
        voice = words.voice / FRAMES_PER_SECOND
        return bool(
            (rules.machine_voice_threshold and voice >= rules.machine_voice_threshold)
            or (rules.machine_words_threshold and words.count >= rules.machine_words_threshold)
        )

    def _expire(self, now: int) -> None:
        """See whether something has been waited for long enough by `now`."""
        if self.done_at is not None:
            return
        due, event = self._next_due()
        if due <= now and due < self._limit and not self._holds():
            if event is Event.READY:
                self._be_ready(due)
            else:
                assert event is not None
                self.verdict = Verdict.HUMAN if event is Event.HUMAN else Verdict.UNKNOWN
                self._tell(event, due)
                self._finish(due)
        elif self._limit <= now:
            self._time_out()

    def _next_due(self) -> tuple[int, Event | None]:
        """Return when the silence will tell something, and what."""
        rules, words = self._rules, self._words
        if not rules.amd or self._ready:
            return _NEVER, None
        if words.end is None:
            if not rules.initial_timeout:
                return _NEVER, None
            return self._after(self._start, rules.initial_timeout), Event.UNKNOWN
        end = max(words.end, self._voice.voice_end)
        held = words.end + (HELD_FRAMES if self.verdict else HELD_FRAMES // 3)
        end = max(end, min(held, self._voice.sound_end))
        silence = rules.end_silence_timeout
        if self.verdict is None:
            return self._after(self._at(end), max(silence, 0.1)), Event.HUMAN
        if rules.machine_ready_timeout is not None:
            silence = rules.machine_ready_timeout
        return self._after(self._at(end), max(silence, 0.1)), Event.READY

    def _holds(self) -> bool:
        """Whether something is heard that has to be over before silence counts."""
        tone = self._tones.current
        if tone is not None and tone.seconds(self._rate) <= BEEP_SECONDS[1]:
            return True
        return self._beeps.waiting or self._words.begun(self._voice.settled)

    def _time_out(self) -> None:
        if self.verdict is None:
            self.verdict = Verdict.UNKNOWN
            if self._rules.amd:
                self._tell(Event.UNKNOWN, self._limit)
        self._finish(self._limit)

    def _find_machine(self, position: int) -> None:
        self.verdict = Verdict.MACHINE
        self._tell(Event.MACHINE, position)
        if not (self._rules.detect_message_end or self._rules.detect_interruptions):
            self._finish(position)

    def _hear_beep(self, position: int) -> None:
        self.beep = True
        if self.verdict is None:
            self._find_machine(position)
        if self.done_at is None:
            self._tell(Event.READY, position)
            self._finish(position)

    def _be_ready(self, position: int) -> None:
        self._ready = True
        self._tell(Event.READY, position)
        if not self._rules.detect_interruptions:
            self._finish(position)

    def _look_for_fax(self, ended: list[Tone], current: Tone | None) -> None:
        wanted = self._rules.fax
        if wanted is None:
            return
        found = [tone for tone in ended if fax_tone(tone, wanted, self._rate)]
        if current is not None and fax_tone(current, wanted, self._rate, ended=False):
            found.append(current)
        if found:
            position = self._start + found[0].end
            self.verdict = Verdict.FAX
            self._tell(Event(wanted.value), position)
            self._finish(position)

    def _tell(self, event: Event, position: int) -> None:
        self._told.append(Finding(event, position, self.beep))

    def _finish(self, position: int) -> None:
        self.done_at = position
