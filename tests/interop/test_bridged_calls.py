"""Calls between two programs of others, with this server in the middle."""

from __future__ import annotations

import asyncio
import hashlib
import wave
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from farend.baresip import call_with_baresip, dump_of, heard_by, waiting_baresip
from farend.phone import Phone
from farend.ports import free_port
from farend.receiver import Receiver
from farend.scene import Stage
from farend.server import Server
from farend.sipp import run_sipp, waiting_sipp
from farend.speech import choose, utterance
from farend.waveform import Samples, place, similarity
from farend.wide import resampled

LEAD = 0.6
"""Seconds of silence before what is said, until the two are joined."""

WIDE = {"G722": 0.95, "opus": 0.95}
"""Codecs beyond the telephone's, and what they leave of speech."""

STILL = 2
"""What baresip makes of the G.711 code of zero."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Stage]:
    """A switchboard: whoever calls is connected to the port that his name says."""
    caller = "${call.sip_data.sip_from_user}"
    callee = f"sip:called@127.0.0.1:{caller}"
    recorded = {"stereo": True, "status_url": receiver.url(f"/bridged/{caller}")}

    def connect(**more: object) -> dict[str, object]:
        return {"connect": {"to": callee, "answer_on_bridge": True, **more}}

    server = Server(
        tmp_path_factory.mktemp("switchboard"),
        {
            "bridge": [{"record_call": recorded}, connect()],
            "wide": [{"answer": {"codecs": "G722,OPUS"}}, {"record_call": recorded}, connect()],
            "trunk": [connect(username="me", password="secret")],
            "brief": [connect(timeout=1), {"hangup": {"reason": "busy"}}],
        },
    ).start()
    yield Stage(server, receiver, ())
    server.stop()


def channels(path: Path) -> tuple[Samples, Samples]:
    """Return what is left and what is right in a wav."""
    left, right = tracks(path)[1].T
    return left, right


def tracks(path: Path) -> tuple[int, Samples]:
    """Return the sample rate of a wav, and its samples, one column a channel."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return file.getframerate(), samples.reshape(-1, file.getnchannels())


def stilled(samples: Samples) -> Samples:
    """Return samples with the smallest of all as zero."""
    return np.where(np.abs(samples) <= STILL, 0, samples).astype(np.int16)


@pytest.mark.interop("baresip", "speech")
async def test_two_baresips_hear_each_other_and_both_are_recorded(
    stage: Stage, tmp_path: Path, speech_files: tuple[Path, ...]
) -> None:
    """Each hears every sample that the other said, and so do both channels of the recording."""
    quiet = np.zeros(round(LEAD * 8000), np.int16)
    said, answered = (utterance(path)[1] for path in choose(speech_files, 3.0, 4.0)[:2])
    longer = np.concatenate([quiet, answered, np.zeros(8 * 8000, np.int16)])
    async with waiting_baresip(tmp_path / "b", longer, rtp_ports=(33000, 33039)) as uri:
        caller = uri.rpartition(":")[2]
        await call_with_baresip(
            stage.server.sip,
            tmp_path / "a",
            np.concatenate([quiet, said, quiet, quiet]),
            user="bridge",
            caller=caller,
            rtp_ports=(33040, 33079),
            hears=True,
        )
        final = await stage.receiver.until_final(f"/bridged/{caller}", 5)
    left, right = channels(stage.server.file(final.params["recording_id"]))
    assert place(said, left).exact
    assert place(answered, right).exact
    for sent, who in ((answered, "a"), (said, "b")):
        placement = place(stilled(sent), stilled(heard_by(tmp_path / who)))
        assert placement.exact, (who, placement)


@pytest.mark.interop("baresip", "speech")
async def test_two_baresips_hear_each_other_in_the_codec_that_both_speak(
    stage: Stage, tmp_path: Path, speech_files: tuple[Path, ...]
) -> None:
    """The recording has that codec's sample rate."""
    quiet = np.zeros(round(LEAD * 8000), np.int16)
    said, answered = (utterance(path)[1][:12_000] for path in choose(speech_files, 3.0, 4.0)[:2])
    longer = np.concatenate([quiet, answered, np.zeros(8 * 8000, np.int16)])

    async def call(name: str, uri: str, first: int) -> None:
        caller = uri.rpartition(":")[2]
        printed = await call_with_baresip(
            stage.server.sip,
            tmp_path / name / "a",
            np.concatenate([quiet, said, quiet]),
            user="wide",
            caller=caller,
            law=name,
            rtp_ports=(first, first + 39),
            hears=True,
        )
        assert f"audio encoder: {name} " in printed, printed
        final = await stage.receiver.until_final(f"/bridged/{caller}", 5)
        rate, recorded = tracks(stage.server.file(final.params["recording_id"]))
        assert rate == 16_000
        for sent, who, channel in ((said, "b", 0), (answered, "a", 1)):
            assert similarity(sent, resampled(recorded[:, channel], 0.5))[1] > WIDE[name]
            rate_there, there = tracks(dump_of(tmp_path / name / who))
            assert similarity(sent, resampled(there[:, 0], 8000 / rate_there))[1] > WIDE[name]

    async with AsyncExitStack() as waiting:
        calls = []
        for number, name in enumerate(WIDE):
            first = 33_200 + 80 * number
            called = waiting_baresip(
                tmp_path / name / "b", longer, law=name, rtp_ports=(first, first + 39)
            )
            calls.append(call(name, await waiting.enter_async_context(called), first + 40))
        await asyncio.gather(*calls)


@pytest.mark.interop("sipp")
async def test_sipp_is_called_in_every_way_that_calls_cross(stage: Stage, tmp_path: Path) -> None:
    """A challenge, hold, an answer that meets our CANCEL: all at once."""

    async def challenged() -> None:
        port = free_port()
        uri = f"sip:called@127.0.0.1:{port}"
        secret = hashlib.md5(b"me:far:secret").hexdigest()
        asked = hashlib.md5(f"INVITE:{uri}".encode()).hexdigest()
        response = hashlib.md5(f"{secret}:abc123:{asked}".encode()).hexdigest()
        folder = tmp_path / "challenge"
        async with (
            waiting_sipp("challenge.xml", folder, port, {"response": response}),
            Phone.open(stage.server.sip, user=str(port)) as phone,
        ):
            await phone.call("trunk")
            await phone.hang_up()

    async def held() -> None:
        port = free_port()
        async with waiting_sipp("answer.xml", tmp_path / "called", port):
            values = {"caller": str(port)}
            await run_sipp(
                "hold.xml", stage.server.sip, tmp_path / "hold", user="bridge", values=values
            )

    async def cancelled_too_late() -> None:
        port = free_port()
        async with (
            waiting_sipp("answer_after_cancel.xml", tmp_path / "late", port),
            Phone.open(stage.server.sip, user=str(port)) as phone,
        ):
            assert (await phone.invite("brief")).status == 486

    await asyncio.gather(challenged(), held(), cancelled_too_late())
