"""The JSON of answers, as models: what `views` and its like make, for whoever reads it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mediaserver.calls.resource import Status


class Shape(BaseModel):
    """An object of an answer."""

    model_config = ConfigDict(extra="forbid", validate_by_name=False, validate_by_alias=True)


class ErrorStatus(Shape):
    """What went wrong."""

    code: int
    message: str
    status: str
    details: list[Any]


class Error(Shape):
    """What went wrong, in the shape of Google's JSON APIs."""

    error: ErrorStatus


class NamedError(Shape):
    """What went wrong: the name of the status."""

    error: str


class Fault(Shape):
    """What is wrong with one parameter."""

    type: Literal["validation_error"]
    code: Literal["missing_required_parameter", "invalid_parameter"]
    message: str
    attribute: str | None
    url: str


class Faults(Shape):
    """All that is wrong with a request, as the Calling API says it."""

    errors: list[Fault]


class RelayFault(Shape):
    """What is wrong with one parameter."""

    detail: str
    status: Literal["422"]
    title: str
    code: Literal["422"]


class RelayFaults(Shape):
    """What is wrong with a request, as the Relay API says it."""

    errors: list[RelayFault]


class Charge(Shape):
    """A charge; there are none."""

    description: str
    charge: float


class Call(Shape):
    """A call."""

    id: str
    from_: str = Field(alias="from")
    to: str
    direction: Literal["inbound", "outbound", "outbound-api"]
    source: Literal["realtime_api"]
    url: str | None
    charge: float
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    charge_details: list[Charge]
    status: Status | None
    duration: int | None
    duration_ms: int | None
    billing_ms: int | None
    type: Literal["relay_sip_call"]
    parent_id: str | None


class PageLinks(Shape):
    """Where a list goes on."""

    self_: str = Field(alias="self")
    first: str
    next: str | None = None


class CallList(Shape):
    """A page of calls, newest first."""

    links: PageLinks
    data: list[Call]


class RecordingAudio(Shape):
    """One file of a recording."""

    mime_type: Literal["audio/x-wav", "audio/mpeg", "audio/mp4"] = Field(alias="mimeType")
    encoding: Literal[
        "AUDIO_ENCODING_PCM_16BIT", "AUDIO_ENCODING_MP3", "AUDIO_ENCODING_UNSPECIFIED"
    ]
    sample_rate: int = Field(alias="sampleRate")
    size_bytes: int = Field(alias="sizeBytes")
    uri: str | None = None


class RecordingFile(Shape):
    """What tells one file from another."""

    rendition: int
    format: Literal["wav", "mp3", "mp4"]
    direction: Literal["speak", "listen", "both"]
    channel_count: int = Field(alias="channelCount")
    trimmed: bool
    duration: str


class RecordingPause(Shape):
    """A pause, in milliseconds from the recording's start."""

    behavior: Literal["skip", "silence"]
    start_ms: int = Field(alias="startMs")
    end_ms: int | None = Field(default=None, alias="endMs")


class RecordingFailure(Shape):
    """Why a recording is `FAILED`: a word that stays the same, and a sentence."""

    reason: Literal[
        "storage_full",
        "storage_too_slow",
        "storage_error",
        "out_of_files",
        "journal_unusable",
        "encoder_failed",
        "render_timeout",
        "internal",
    ]
    message: str


class RecordingExtension(Shape):
    """What the contract does not know of a recording."""

    control_id: str = Field(alias="controlId")
    direction: Literal["speak", "listen", "both"]
    stop_reason: str | None = Field(default=None, alias="stopReason")
    stop_digit: str | None = Field(default=None, alias="stopDigit")
    failure: RecordingFailure | None = None
    recovered: bool
    pauses: list[RecordingPause]
    audio: list[RecordingFile]
    expires_at: str | None = Field(default=None, alias="expiresAt")
    account: dict[str, Any] | None = None
    sequence: int


class Recording(Shape):
    """A recording."""

    name: str
    state: Literal["PENDING", "SUCCEEDED", "EMPTY", "FAILED"]
    source: Literal["RECORD_ACTION", "CALL_RECORDING"]
    duration: str | None = None
    channel_count: int = Field(alias="channelCount")
    post_processing: list[Literal["TRIM_SILENCE"]] = Field(alias="postProcessing")
    error_code: str | None = Field(default=None, alias="errorCode")
    audio: list[RecordingAudio]
    start_time: str | None = Field(default=None, alias="startTime")
    create_time: str = Field(alias="createTime")
    ready_uri: str | None = Field(default=None, alias="readyUri")
    extension: RecordingExtension = Field(alias="x-mediaserver")


class RecordingList(Shape):
    """A page of recordings, newest first."""

    recordings: list[Recording]
    next_page_token: str | None = Field(default=None, alias="nextPageToken")


class RenditionOrder(Shape):
    """A further file of a recording; what is left out is as the recording has it."""

    format: Literal["wav", "mp3", "mp4"] | None = None
    direction: Literal["speak", "listen", "both"] | None = None
    stereo: bool | None = None
    post_processing: list[Literal["TRIM_SILENCE"]] | None = Field(
        default=None, alias="postProcessing"
    )
    sample_rate: Literal[8000, 16000, 48000] | None = Field(default=None, alias="sampleRate")


class RelayRecording(Shape):
    """A recording, as the Relay API shows it."""

    id: str
    project_id: str
    created_at: str
    updated_at: str
    duration_in_seconds: int
    error_code: str | None = None
    price: float
    price_unit: str
    status: Literal["in-progress", "paused", "processing", "completed", "absent", "failed"]
    url: str
    stereo: bool
    byte_size: int | None = None
    track: Literal["inbound", "outbound", "both"]
    relay_sip_leg_id: str


class RelayRecordingList(Shape):
    """A page of recordings, newest first, as the Relay API shows them."""

    links: PageLinks
    data: list[RelayRecording]


class Peaks(Shape):
    """A waveform in audiowaveform's JSON."""

    version: int
    channels: int
    sample_rate: int
    samples_per_pixel: int
    bits: int
    length: int
    data: list[int]


class MediaHealth(Shape):
    """How the media ticks keep their time."""

    late_p50_ms: float
    late_p99_ms: float
    busy: float
    loop_busy: float


class DiskHealth(Shape):
    """How the disk of recordings stands."""

    free_bytes: int
    reserve_bytes: int


class Health(Shape):
    """Whether new calls may be sent here."""

    status: str
    version: str
    media: MediaHealth | None = None
    disk: DiskHealth | None = None
