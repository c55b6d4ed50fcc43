"""Calls from baresip, whose microphone is a wav of recorded speech."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from farend.baresip import call_with_baresip
from farend.scene import Stage
from farend.speech import choose, utterance
from farend.waveform import FRAME, Samples, place, read_wav, similarity
from farend.wide import in_telephone_band

WIDE = {"G722": 0.95, "opus": 0.85}
"""Codecs that are transcoded, and what they leave of speech at 8 kHz at least."""

WAYS = [(law, transport) for law in ("PCMU", "PCMA") for transport in ("udp", "tcp")]


@dataclass(frozen=True)
class Call:
    """What baresip said in a call, and what was recorded of it."""

    sent: Samples
    recorded: Samples


@pytest.fixture(scope="module")
def calls(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory, speech_files: tuple[Path, ...]
) -> dict[str, Call]:
    """Every way to call, and one call with speech as it was recorded, all at once."""
    speech = choose(speech_files, 3.0, 4.0)
    folder = tmp_path_factory.mktemp("baresip")

    async def one(number: int, law: str, transport: str, sent: Samples) -> Call:
        caller = f"baresip-{number}"
        printed = await call_with_baresip(
            stage.server.sip,
            folder / caller,
            sent,
            user="mailbox",
            caller=caller,
            law=law,
            transport=transport,
            rtp_ports=(32000 + 40 * number, 32039 + 40 * number),
        )
        final = await stage.receiver.until_final(f"/record/{caller}", 5)
        assert final.state == "finished", printed
        assert f"audio encoder: {law} " in printed, printed
        file = stage.server.file(final.params["recording_id"])
        return Call(sent, read_wav(file) if law not in WIDE else in_telephone_band(file))

    async def every() -> dict[str, Call]:
        spoken = [utterance(speech[n], law)[1] for n, (law, _) in enumerate(WAYS)]
        made = [one(n, *way, sent) for n, (way, sent) in enumerate(zip(WAYS, spoken, strict=True))]
        made.append(one(len(WAYS), "PCMU", "udp", read_wav(speech[-1])))
        numbers = enumerate(WIDE, len(WAYS) + 1)
        made += [one(number, name, "udp", read_wav(speech[number])) for number, name in numbers]
        names = [*(f"{law} over {transport}" for law, transport in WAYS), "as recorded", *WIDE]
        return dict(zip(names, await asyncio.gather(*made), strict=True))

    return asyncio.run(every())


@pytest.mark.interop("baresip", "speech")
@pytest.mark.parametrize(("law", "transport"), WAYS)
def test_speech_from_baresip_arrives_whole(
    calls: dict[str, Call], law: str, transport: str
) -> None:
    """The microphone has been through G.711 once, so that encoding it again leaves no choice."""
    call = calls[f"{law} over {transport}"]
    placement = place(call.sent, call.recorded)
    assert placement.exact, placement


@pytest.mark.interop("baresip", "speech")
def test_speech_as_it_was_recorded_arrives_in_shape_and_place(calls: dict[str, Call]) -> None:
    """baresip's own encoder decides between two values where G.711 leaves the choice."""
    call = calls["as recorded"]
    lag, alike = similarity(call.sent, call.recorded)
    assert alike > 0.99
    assert call.recorded.size >= lag + call.sent.size


@pytest.mark.interop("baresip", "speech")
@pytest.mark.parametrize("name", WIDE)
def test_speech_in_codecs_that_are_transcoded_arrives_in_shape_and_place(
    calls: dict[str, Call], name: str
) -> None:
    call = calls[name]
    lag, alike = similarity(call.sent, call.recorded)
    assert alike > WIDE[name]
    assert call.recorded.size >= lag + call.sent.size - FRAME
