"""`mediaserver call`: place a call on the same stack, to try things out."""

from __future__ import annotations

import asyncio
import contextlib
import re
import wave
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from ..audio.clip import decode_clip
from ..calls.caller import CallPlan
from ..errors import LocalError, PeerError
from ..phone import Phone
from ..sip.uri import SipUri

RATE = 8000


def call(
    uri: Annotated[str, typer.Argument(help="Whom to call: sip:user@host[:port][;transport=tcp]")],
    play: Annotated[
        Path | None, typer.Option("--play", help="Audio file to speak once answered.")
    ] = None,
    digits: Annotated[
        str | None, typer.Option("--digits", help="DTMF to send then; w waits half a second.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", help="Where to write what is heard, as wav.")
    ] = None,
    hangup_after: Annotated[
        float | None,
        typer.Option("--hangup-after", min=0, help="Seconds after the answer to hang up."),
    ] = None,
    from_: Annotated[
        str, typer.Option("--from", help="Who calls.")
    ] = "sip:caller@mediaserver.invalid",
) -> None:
    """Call a SIP address, speak, press keys, listen.

    Without --hangup-after the call ends when everything was said, or, with nothing to say, when
    the other side hangs up.
    """
    if digits is not None and not re.fullmatch(r"[0-9A-Da-d*#wW]+", digits):
        raise LocalError("--digits: only 0-9, A-D, *, # and w for a pause, for example 12#")
    try:
        target = SipUri.parse(uri)
    except PeerError as error:
        raise LocalError(f"{uri} is no SIP address: {error.reason}") from None
    plan = CallPlan(
        play=None if play is None else _read(play),
        digits=digits,
        hangup_after=hangup_after,
        listen=record is not None,
    )
    asyncio.run(_call(target, from_, plan, record))


async def _call(target: SipUri, from_: str, plan: CallPlan, record: Path | None) -> None:
    async with contextlib.AsyncExitStack() as stack:
        phone = await stack.enter_async_context(Phone.towards(target, print))
        outcome = await phone.call(target, from_, plan)
    print(
        f"{outcome.seconds:.1f} s, ended by {outcome.ended_by};"
        f" {outcome.packets_sent} packets sent, {outcome.packets_received} received"
    )
    if record is not None:
        _write(record, outcome.heard)
        print(f"heard {outcome.heard.size / RATE:.1f} s, written to {record}")


def _read(path: Path) -> NDArray[np.int16]:
    try:
        return decode_clip(path, RATE)
    except PeerError as error:
        raise LocalError(f"--play {path}: {error.reason}") from None
    except OSError as error:
        raise LocalError(f"--play {path}: {error.strerror}") from None


def _write(path: Path, samples: NDArray[np.int16]) -> None:
    try:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.astype("<i2").tobytes())
    except OSError as error:
        raise LocalError(f"--record {path}: {error.strerror}") from None
