"""Collecting digits: how many, how long they may take, and what ends them (contracts A4, A8).

Time is given in seconds of whatever clock the owner has. The owner passes keys on, says when the
prompt is over, and asks again when `due` has come.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a collection ended, as `prompt_result` spells it."""

    DIGITS = "match_digits"
    NO_INPUT = "no_input"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitRules:
    """What is wanted. Seconds."""

    max_digits: int = 1
    terminators: str = ""
    """Keys that end it and are no part of it."""
    digit_timeout: float = 5.0
    """How long another digit may take."""
    initial_timeout: float = 5.0
    """How long the first may take, from the end of the prompt."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of it."""

    outcome: Outcome
    digits: str = ""
    terminator: str = ""


class Collection:
    """One collection of digits."""

    def __init__(self, rules: DigitRules) -> None:
        self._rules = rules
        self._digits = ""
        self._due: float | None = None
        self.result: Collected | None = None
        """What came of it, once it is over."""

    @property
    def begun(self) -> bool:
        """Whether a key was pressed."""
        return bool(self._digits) or self.result is not None

    @property
    def present(self) -> Collected:
        """The digits so far."""
        return Collected(Outcome.DIGITS, self._digits)

    @property
    def due(self) -> float | None:
        """When `expire` is to be called; None: not before something else happens."""
        return None if self.result is not None else self._due

    def listen(self, now: float) -> None:
        """Let the time for the first digit run: the prompt is over."""
        if not self.begun:
            self._due = now + self._rules.initial_timeout

    def press(self, digit: str, now: float) -> Collected | None:
        """Take a key; return what came of it, if that was the last."""
        if self.result is not None:
            return self.result
        digit = digit.upper()
        if digit in self._rules.terminators.upper():
            return self._end(digit)
        self._digits += digit
        if len(self._digits) >= self._rules.max_digits:
            return self._end()
        self._due = now + self._rules.digit_timeout
        return None

    def expire(self, now: float) -> Collected | None:
        """Return what came of it, if its time is over."""
        if self.result is None and self._due is not None and now >= self._due:
            return self._end()
        return self.result

    def _end(self, terminator: str = "") -> Collected:
        outcome = Outcome.DIGITS if self._digits or terminator else Outcome.NO_INPUT
        self.result = Collected(outcome, self._digits, terminator)
        return self.result
