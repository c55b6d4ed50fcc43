"""baresip with SRTP, on a server that takes nothing else: an implementation of others' making."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from farend.baresip import call_with_baresip, heard_by, waiting_baresip
from farend.receiver import Receiver
from farend.scene import Stage
from farend.server import Server
from farend.speech import choose, utterance
from farend.waveform import Samples, place

CALLER = "${call.sip_data.sip_from_user}"
STILL = 2
"""What baresip makes of the G.711 code of zero."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Stage]:
    told = {"status_url": receiver.url(f"/srtp/{CALLER}")}
    connect = {"to": f"sip:called@127.0.0.1:{CALLER}", "answer_on_bridge": True}
    server = Server(
        tmp_path_factory.mktemp("srtp"),
        {
            "mailbox": [{"record": {**told, "initial_timeout": 10}}],
            "bridge": [{"record_call": {"stereo": True, **told}}, {"connect": connect}],
        },
    )
    server.set("rtp", "encryption", "required")
    with server:
        yield Stage(server, receiver, ())


def stilled(samples: Samples) -> Samples:
    """Return samples with the smallest of all as zero."""
    return np.where(np.abs(samples) <= STILL, 0, samples).astype(np.int16)


async def recorded(stage: Stage, caller: str) -> Samples:
    final = await stage.receiver.until_final(f"/srtp/{caller}", 5)
    assert final.state == "finished"
    return stage.server.samples(final.params["recording_id"])


@pytest.mark.interop("baresip", "speech")
async def test_speech_arrives_whole_by_srtp_and_not_at_all_without(
    stage: Stage, tmp_path: Path, speech_files: tuple[Path, ...]
) -> None:
    said = utterance(choose(speech_files, 2.0, 3.0)[0])[1]

    async def call(number: int, caller: str, mediaenc: str) -> str:
        return await call_with_baresip(
            stage.server.sip,
            tmp_path / caller,
            said,
            user="mailbox",
            caller=caller,
            rtp_ports=(34000 + 40 * number, 34039 + 40 * number),
            mediaenc=mediaenc,
        )

    _, _, plain = await asyncio.gather(
        call(0, "beside", "srtp"), call(1, "alone", "srtp-mand"), call(2, "plain", "")
    )
    assert place(said, await recorded(stage, "beside")).exact
    assert place(said, await recorded(stage, "alone")).exact
    assert "488" in plain
    assert not stage.receiver.at("/srtp/plain")


@pytest.mark.interop("baresip", "speech")
async def test_two_baresips_hear_each_other_by_srtp_and_both_are_recorded(
    stage: Stage, tmp_path: Path, speech_files: tuple[Path, ...]
) -> None:
    """Both legs have keys of their own, and the callee's were offered by the server."""
    quiet = np.zeros(4800, np.int16)
    spoken = [utterance(path)[1] for path in choose(speech_files, 2.0, 3.0)[:2]]
    answered, said = sorted(spoken, key=len)  # the caller hangs up at the end of what he says
    longer = np.concatenate([quiet, answered, np.zeros(8 * 8000, np.int16)])
    async with waiting_baresip(
        tmp_path / "b", longer, rtp_ports=(34200, 34239), mediaenc="srtp-mand"
    ) as uri:
        caller = uri.rpartition(":")[2]
        await call_with_baresip(
            stage.server.sip,
            tmp_path / "a",
            np.concatenate([quiet, said, quiet, quiet]),
            user="bridge",
            caller=caller,
            rtp_ports=(34240, 34279),
            hears=True,
            mediaenc="srtp-mand",
        )
    for folder, heard in (("a", answered), ("b", said)):
        placement = place(stilled(heard), stilled(heard_by(tmp_path / folder)))
        assert placement.exact, (folder, placement)
    both = await recorded(stage, caller)
    assert place(said, both[:, 0]).exact
    assert place(answered, both[:, 1]).exact
