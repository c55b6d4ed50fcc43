"""What an application asks of calls, drawn at random."""

from __future__ import annotations

from random import Random

from mediaserver.calls.call_state import CallState, StateWatch
from mediaserver.calls.collecting import CollectOrder
from mediaserver.calls.collection import DigitRules
from mediaserver.calls.commands import EndReason
from mediaserver.calls.commands.bridging import DisconnectCall
from mediaserver.calls.commands.collecting import StartCollect, StartInputTimers, StopCollect
from mediaserver.calls.commands.detecting import StartDetection, StopDetection
from mediaserver.calls.commands.dialling import DialCall
from mediaserver.calls.commands.ending import EndCall
from mediaserver.calls.commands.playing import (
    ChangeVolume,
    PausePlay,
    ResumePlay,
    StartPlay,
    StopPlay,
)
from mediaserver.calls.commands.recording import (
    PauseRecording,
    ResumeRecording,
    StartRecording,
    StopRecording,
)
from mediaserver.calls.commands.referring import ReferCall
from mediaserver.calls.commands.streaming import StartStream, StopStream
from mediaserver.calls.commands.tapping import StartTap, StopTap
from mediaserver.calls.commands.telling import TellEvent
from mediaserver.calls.commands.updating import FinalStatus, TransferCall, UpdateCall
from mediaserver.calls.detection import DetectOrder
from mediaserver.calls.document_source import DocumentSource
from mediaserver.calls.playback import PlayOrder
from mediaserver.calls.recording_order import RecordingOrder
from mediaserver.calls.referring import ReferOrder
from mediaserver.calls.source import Source
from mediaserver.calls.streaming import StreamOrder
from mediaserver.calls.tapping import TapOrder
from mediaserver.recording.recorder import StopRules
from mediaserver.recording.resource import Direction, Format, PauseBehavior
from mediaserver.recording.resource import Source as RecordingSource
from mediaserver.swml.actions import Ringing, Silence, WebAudio
from mediaserver.swml.actions import Source as AudioSource

from . import documents

APP = documents.APP


def source() -> Source:
    return Source(DocumentSource(url=f"{APP}/random"), f"{APP}/faults")


def dial(random: Random) -> DialCall:
    return DialCall(
        to=documents.address(random),
        from_="sip:app@example.com",
        source=source(),
        timeout=random.choice([2.0, 20.0]),
        watch=StateWatch(f"{APP}/state", frozenset(CallState)),
        digits=random.choice(["", "", "1w2"]),
    )


def order(random: Random) -> object:
    control_id = random.choice("ab")
    live = random.choice([None, "t"])
    return random.choice(
        [
            StartPlay(order=_play(random, control_id)),
            PausePlay(control_id=control_id),
            ResumePlay(control_id=control_id),
            ChangeVolume(control_id=control_id, volume=3.0),
            StopPlay(control_id=control_id),
            StartCollect(order=_collect(random)),
            StartInputTimers(control_id="c"),
            StopCollect(control_id="c"),
            StartDetection(order=DetectOrder(control_id="d", status_url=f"{APP}/detect")),
            StopDetection(control_id="d"),
            StartTap(order=TapOrder(uri="rtp://192.0.2.9:4000", control_id=live)),
            StopTap(control_id="t"),
            StartStream(
                order=StreamOrder(
                    url="wss://app.example/s",
                    control_id=live,
                    bidirectional=random.random() < 0.5,
                )
            ),
            StopStream(control_id="t"),
            StartRecording(order=_recording(random, control_id), beep_first=random.random() < 0.4),
            PauseRecording(control_id=control_id, behavior=random.choice([*PauseBehavior])),
            ResumeRecording(control_id=control_id),
            StopRecording(control_id=control_id),
            EndCall(reason=random.choice([*EndReason])),
            DisconnectCall(),
            UpdateCall(source=source()),
            UpdateCall(status=random.choice([*FinalStatus])),
            UpdateCall(status_url=f"{APP}/state"),
            TransferCall(source=source()),
            ReferCall(order=ReferOrder(to="sip:x@192.0.2.9", status_url=f"{APP}/refer")),
            TellEvent(event={"x": 1}),
        ]
    )


def _play(random: Random, control_id: str) -> PlayOrder:
    kinds: tuple[AudioSource, ...] = (
        Silence(0.5),
        Ringing("us", 3.0),
        WebAudio(f"{APP}/x.wav"),
    )
    return PlayOrder(
        sources=tuple(random.choice(kinds) for _ in range(random.randint(1, 3))),
        loop=random.choice([1, 1, 2, 0]),
        direction=random.choice([*Direction]),
        control_id=control_id,
        status_url=f"{APP}/play",
    )


def _collect(random: Random) -> CollectOrder:
    return CollectOrder(
        control_id="c",
        rules=DigitRules(max_digits=3, terminators="#", digit_timeout=1.0, initial_timeout=3.0),
        start_input_timers=random.random() < 0.5,
        partial_results=random.random() < 0.5,
        continuous=random.random() < 0.3,
        status_url=f"{APP}/collect",
    )


def _recording(random: Random, control_id: str) -> RecordingOrder:
    return RecordingOrder(
        rules=StopRules(max_length=random.choice([30.0, 2.0])),
        format=Format.WAV,
        direction=random.choice([*Direction]),
        stereo=random.random() < 0.5,
        status_url=f"{APP}/record",
        source=RecordingSource.CALL_RECORDING,
        control_id=control_id,
    )
