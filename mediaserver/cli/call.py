"""`mediaserver call`: place a call on the same stack, to try things out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import wave
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from ..calls.caller import CallPlan
from ..errors import LocalError, PeerError
from ..phone import Phone
from ..sip.address import Address
from ..sip.uri import SipUri
from .usage import UsageFault

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
        raise UsageFault("--digits: only 0-9, A-D, *, # and w for a pause, for example 12#")
    try:
        target = SipUri.parse(uri)
    except PeerError:
        raise UsageFault(f"{uri} is no SIP address such as sip:user@192.0.2.10:5060") from None
    try:
        Address.parse(from_)
    except PeerError:
        raise UsageFault(f"--from: {from_} is no SIP address such as sip:me@example.com") from None
    if record is not None:
        _check_writable(record)
    plan = CallPlan(
        play=None if play is None else read_clip(play),
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


def read_clip(path: Path) -> NDArray[np.int16]:
    """Return the samples of the file that `--play` names; LocalError if there are none."""
    if path.is_dir():
        raise LocalError(f"--play {path}: is a folder; it must be an audio file")
    if not path.is_file():
        raise LocalError(f"--play {path}: there is no such file")
    # Not for all commands: `serve` may never need the decoders.
    from ..audio.clip import decode_clip

    try:
        return decode_clip(path, RATE)
    except PeerError as error:
        raise LocalError(f"--play {path}: {error.reason}") from None


def _check_writable(path: Path) -> None:
    """Find out before the call that nothing could be kept of it."""
    place = path if path.exists() else path.parent
    if path.is_dir():
        raise LocalError(f"--record {path}: is a folder; it must be a file")
    if not place.exists():
        raise LocalError(f"--record {path}: there is no folder {place}")
    if not os.access(place, os.W_OK):
        raise LocalError(f"--record {path}: cannot be written, for want of rights to {place}")


def _write(path: Path, samples: NDArray[np.int16]) -> None:
    try:
        with path.open("wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.astype("<i2").tobytes())
    except OSError as error:
        raise LocalError(f"--record {path}: {error.strerror}") from None
