"""`calling.record` and what is done to a recording that runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mediaserver.calls.commands.recording import (
    PauseRecording,
    ResumeRecording,
    StartRecording,
    StopRecording,
)
from mediaserver.calls.recording_order import RecordingOrder
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction, Format, PauseBehavior, Source
from mediaserver.swml.limits import MAX_SECONDS

from .part import ControlId, Keys, Params, Part, Seconds, WebUrl


class Audio(Part):
    """`record.audio` of `calling.record`. Times are seconds; 0 switches a rule off."""

    beep: bool = False
    format: Literal["mp3", "wav", "mp4"] = "mp3"
    stereo: bool = False
    direction: Literal["listen", "speak", "both"] = "speak"
    initial_timeout: Seconds = 4.0
    end_silence_timeout: Seconds = 0.5
    max_length: Annotated[int, Field(ge=0, le=int(MAX_SECONDS))] = 0
    terminators: Keys = "#"
    input_sensitivity: Annotated[float, Field(ge=0, le=100)] = 44.0


class AudioRecording(Part):
    """`record` of `calling.record`."""

    audio: Audio


class Record(Params):
    """Records beside whatever the call's script does."""

    control_id: ControlId
    record: AudioRecording
    status_url: WebUrl | None = None

    def order(self) -> StartRecording:
        """See `Params.order`."""
        audio = self.record.audio
        return StartRecording(
            order=RecordingOrder(
                rules=StopRules(
                    terminators=audio.terminators.upper(),
                    initial_timeout=audio.initial_timeout,
                    end_silence_timeout=audio.end_silence_timeout,
                    max_length=audio.max_length,
                    input_sensitivity=audio.input_sensitivity,
                ),
                format=Format(audio.format),
                direction=Direction(audio.direction),
                stereo=audio.stereo,
                status_url=self.status_url,
                source=Source.CALL_RECORDING,
                control_id=self.control_id,
            ),
            beep_first=audio.beep,
        )


class RecordPause(Params):
    """Records nothing from now on."""

    control_id: ControlId
    behavior: Literal["skip", "silence"] = "skip"

    def order(self) -> PauseRecording:
        """See `Params.order`."""
        return PauseRecording(control_id=self.control_id, behavior=PauseBehavior(self.behavior))


class RecordResume(Params):
    """Records again."""

    control_id: ControlId

    def order(self) -> ResumeRecording:
        """See `Params.order`."""
        return ResumeRecording(control_id=self.control_id)


class RecordStop(Params):
    """Ends a recording."""

    control_id: ControlId

    def order(self) -> StopRecording:
        """See `Params.order`."""
        return StopRecording(control_id=self.control_id)
