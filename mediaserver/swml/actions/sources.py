"""What can be played."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebAudio:
    """Audio at an http or https URL; `user:password@` may be in it."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class FileAudio:
    """Audio in a file; a relative path has no `..` in it."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Ringing:
    """A country's ringing tone; one cadence cycle when `seconds` is None.

    Infinite seconds ring until somebody stops it.
    """

    country: str
    """Two letters, lower case."""
    seconds: float | None = None

    def __str__(self) -> str:
        return (
            f"ring:{self.country}"
            if self.seconds is None
            else (f"ring:{_number(self.seconds)}:{self.country}")
        )


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing, for some seconds."""

    seconds: float

    def __str__(self) -> str:
        return f"silence:{_number(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who says something, as far as it was said."""

    language: str = "en-US"
    """A BCP 47 tag."""
    gender: str = "female"
    voice: str | None = None
    """The name that an engine has for it, such as `Polly.Salli` or `en-US-Wavenet-C`."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A text to be spoken."""

    text: str
    speaker: Speaker = Speaker()

    def __str__(self) -> str:
        return f"say:{self.text}"


Source = WebAudio | FileAudio | Ringing | Silence | Speech


def _number(value: float) -> str:
    """Write a number without an exponent or a needless fraction."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
