"""What the interpreter asks the call to do, with every value resolved and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .document import Document


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
    """A country's ringing tone; one cadence cycle when `seconds` is None."""

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
class Speech:
    """A text to be spoken."""

    text: str

    def __str__(self) -> str:
        return f"say:{self.text}"


Source = WebAudio | FileAudio | Ringing | Silence | Speech


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
    say_voice: str
    say_language: str
    say_gender: str

    @property
    def urls(self) -> tuple[str, ...]:
        """The sources as text in one spelling: `ring:2:us`, `silence:0.5`, URLs, file paths."""
        return tuple(str(source) for source in self.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Record until something stops it; the script waits (contract A1). Times are seconds."""

    stereo: bool
    format: str
    """`wav`, `mp3` or `mp4`."""
    direction: str
    """`speak` or `listen`."""
    terminators: str
    """DTMF keys in upper case, each once; empty for none."""
    beep: bool
    input_sensitivity: float
    """0 to 100."""
    initial_timeout: float
    """0 waits for ever."""
    end_silence_timeout: float
    """0 is never."""
    max_length: float | None
    """None is no limit of the script's own."""
    status_url: str | None
    post_processing: tuple[str, ...]
    """What is done to the audio afterwards; empty: what the route says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCall(Record):
    """Record beside the script, which goes on at once; `direction` may be `both`."""

    control_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRecordCall:
    """End a recording that runs beside the script."""

    control_id: str | None
    """None: the one that was started last."""


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
class FetchDocument:
    """Fetch a document by a POST of contract A10's body and tell `arrived`."""

    url: str
    params: Mapping[str, Any]
    path: str
    """Of the step, for errors."""
    arrived: Callable[[Document], None] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """There is nothing left to do: the end of `main`, or a hang-up carried out."""


Action = (
    Answer
    | Play
    | Prompt
    | Record
    | RecordCall
    | StopRecordCall
    | HttpRequest
    | SendDigits
    | Sleep
    | Hangup
    | FetchDocument
    | Finished
)


def _number(value: float) -> str:
    """Write a number without an exponent or a needless fraction."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
