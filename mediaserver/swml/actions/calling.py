"""What is done to this call alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer the call."""

    max_duration: int
    """Seconds after which the call is ended."""
    codecs: tuple[str, ...] = ()
    """Names in order of preference; empty for whatever is spoken."""
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """Play sources one after the other."""

    sources: tuple[Source, ...]
    volume: float
    """Gain in dB, -40 to 40."""
    auto_answer: bool
    """Answer first; otherwise it is early media."""
    status_url: str | None
    say_voice: str | None
    """Of speech, as are the next two; None: as the variables of these names say."""
    say_language: str | None
    say_gender: str | None

    @property
    def urls(self) -> tuple[str, ...]:
        """The sources as text in one spelling: `ring:2:us`, `silence:0.5`, URLs, file paths."""
        return tuple(str(source) for source in self.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Play sources and collect digits meanwhile and afterwards. Times are seconds."""

    sources: tuple[Source, ...]
    volume: float
    """Gain in dB, -40 to 40."""
    max_digits: int
    terminators: str
    digit_timeout: float
    initial_timeout: float
    """From the end of what is played."""
    status_url: str | None
    say_voice: str | None
    """See `Play`."""
    say_language: str | None
    say_gender: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """Ask a web application something."""

    url: str
    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    timeout: float
    """Seconds for all of it; 0: as long as the server allows."""
    save_variables: bool
    """Whether the fields of a JSON answer become variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDigits:
    """Press keys; `W` waits a second, `w` half of one."""

    digits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """Wait; None is until the call ends."""

    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangup:
    """End the call; `reason` is `hangup`, `busy` or `decline`."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SipRefer:
    """Send the far end elsewhere by a REFER (RFC 3515)."""

    to_uri: str
    """A `sip:` or `sips:` URI."""
    status_url: str | None
    username: str | None = field(default=None, repr=False)
    """For a challenge of the far end."""
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectMachine:
    """Find out who answered. Times are seconds."""

    detectors: frozenset[str]
    """Of `amd` and `fax`, at least one."""
    detect_message_end: bool
    """Go on to the beep, or the end of what the machine says."""
    initial_timeout: float
    """Silence at the beginning after which nothing can be said."""
    end_silence_timeout: float
    """Silence that ends what is said."""
    machine_ready_timeout: float
    """Silence after which a machine has finished its greeting."""
    machine_voice_threshold: float
    """Of voice without a pause, which only a machine has."""
    machine_words_threshold: int
    """Words in one utterance, which only a machine has."""
    timeout: float
    """Of all of it."""
    tone: str
    """`CED` or `CNG`: which end of a fax is listened for."""
    wait: bool
    """Whether the script waits for the result."""
    status_url: str | None
    """Not None unless `wait`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserEvent:
    """Tell whoever follows the call something of the script's own."""

    event: Mapping[str, Any]
    """At most 64 KiB as JSON."""
