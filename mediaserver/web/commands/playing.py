"""`calling.play` and what is done to a play that runs."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from mediaserver.audio.tones import CADENCES
from mediaserver.calls.commands.playing import (
    ChangeVolume,
    PausePlay,
    ResumePlay,
    StartPlay,
    StopPlay,
)
from mediaserver.calls.playback import PlayOrder
from mediaserver.recording.resource import Direction
from mediaserver.swml.actions import Ringing, Silence, Source, Speaker, Speech, WebAudio
from mediaserver.swml.limits import MAX_PLAY_URLS, MAX_SECONDS, MAX_SPEECH, MAX_TONE_SECONDS

from .part import ControlId, Line, Params, Part, WebUrl


def _known_country(name: str) -> str:
    if name not in CADENCES:
        raise ValueError(f"must be one of {', '.join(CADENCES)}")
    return name


Volume = Annotated[float, Field(ge=-40, le=40)]
"""Gain in dB."""

Country = Annotated[
    str, AfterValidator(_known_country), Field(json_schema_extra={"enum": sorted(CADENCES)})
]

Duration = Annotated[float, Field(gt=0, le=MAX_TONE_SECONDS)]

Gender = Literal["male", "female"]


class AudioParams(Part):
    """Where the audio is."""

    url: WebUrl


class TtsParams(Part):
    """What is said; what is left out is as the command has it."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_SPEECH)]
    language: Line | None = None
    gender: Gender | None = None
    voice: Line | None = None


class SilenceParams(Part):
    """How long, in seconds."""

    duration: Duration


class RingtoneParams(Part):
    """A country's ringing tone; without a `duration` until it is stopped."""

    name: Country
    duration: Duration | None = None


class AudioItem(Part):
    """A file that is fetched."""

    type: Literal["audio"]
    params: AudioParams

    def source(self, _speaker: Speaker) -> Source:
        """Return what is to be played."""
        return WebAudio(self.params.url)


class TtsItem(Part):
    """A text that is spoken."""

    type: Literal["tts"]
    params: TtsParams

    def source(self, speaker: Speaker) -> Source:
        """Return what is to be played; `speaker` where nothing else is said."""
        given = self.params
        return Speech(
            given.text,
            Speaker(
                language=given.language or speaker.language,
                gender=given.gender or speaker.gender,
                voice=given.voice or speaker.voice,
            ),
        )


class SilenceItem(Part):
    """Nothing, for a while."""

    type: Literal["silence"]
    params: SilenceParams

    def source(self, _speaker: Speaker) -> Source:
        """Return what is to be played."""
        return Silence(self.params.duration)


class RingtoneItem(Part):
    """A ringing tone."""

    type: Literal["ringtone"]
    params: RingtoneParams

    def source(self, _speaker: Speaker) -> Source:
        """Return what is to be played."""
        return Ringing(self.params.name, self.params.duration or math.inf)


Item = Annotated[AudioItem | TtsItem | SilenceItem | RingtoneItem, Field(discriminator="type")]


class Play(Params):
    """Plays beside whatever the call's script does; what was played until then is over."""

    control_id: ControlId
    play: Annotated[list[Item], Field(min_length=1, max_length=MAX_PLAY_URLS)]
    volume: Volume = 0.0
    direction: Literal["listen", "speak", "both"] = "listen"
    loop: Annotated[int, Field(ge=0, le=int(MAX_SECONDS))] = 1
    language: Line = "en-US"
    voice: Line | None = None
    gender: Gender = "female"
    status_url: WebUrl | None = None

    def order(self) -> StartPlay:
        """See `Params.order`."""
        speaker = Speaker(language=self.language, gender=self.gender, voice=self.voice)
        return StartPlay(
            order=PlayOrder(
                sources=tuple(item.source(speaker) for item in self.play),
                volume=self.volume,
                loop=self.loop,
                direction=Direction(self.direction),
                control_id=self.control_id,
                status_url=self.status_url,
            )
        )


class PlayPause(Params):
    """Plays nothing from now on, and keeps the place."""

    control_id: ControlId

    def order(self) -> PausePlay:
        """See `Params.order`."""
        return PausePlay(control_id=self.control_id)


class PlayResume(Params):
    """Plays on from there."""

    control_id: ControlId

    def order(self) -> ResumePlay:
        """See `Params.order`."""
        return ResumePlay(control_id=self.control_id)


class PlayVolume(Params):
    """Plays louder or softer."""

    control_id: ControlId
    volume: Volume

    def order(self) -> ChangeVolume:
        """See `Params.order`."""
        return ChangeVolume(control_id=self.control_id, volume=self.volume)


class PlayStop(Params):
    """Ends a play."""

    control_id: ControlId

    def order(self) -> StopPlay:
        """See `Params.order`."""
        return StopPlay(control_id=self.control_id)
