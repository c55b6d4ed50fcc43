"""baresip without a head: it calls, or is called, and sends a wav as its microphone.

It hangs up at the end of the wav. What it hears may be kept, as it comes out of its jitter buffer.
"""

from __future__ import annotations

import asyncio
import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .ports import free_port
from .waveform import Samples, read_wav

MODULES = Path("/usr/lib/baresip/modules")

_WIDE = {"G722": "G722/16000/1", "opus": "opus/48000/2"}
"""How codecs are called whose modules only calls with them load."""

_CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{port}
audio_source aufile,{wav}
audio_srate 8000
audio_channels 1
ausrc_srate 8000
auplay_srate 8000
ausrc_format s16
auenc_format s16
audio_buffer 20-160
rtp_ports {first}-{last}
rtp_stats no
module_path {modules}
module g711.so
{codec}module aufile.so
{hearing}{secrecy}module_tmp account.so
module_app menu.so
"""


def write_wav(path: Path, samples: Samples, channels: int = 1) -> Path:
    """Write samples at 8 kHz, the same on all channels."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.astype("<i2").repeat(channels).tobytes())
    return path


async def call_with_baresip(
    server: tuple[str, int],
    folder: Path,
    samples: Samples,
    *,
    user: str,
    caller: str,
    law: str = "PCMU",
    transport: str = "udp",
    rtp_ports: tuple[int, int] = (32000, 32039),
    hears: bool = False,
    mediaenc: str = "",
) -> str:
    """Call `user` as `caller`, say `samples`, hang up at their end; return what it printed.

    What it `hears` is kept for `heard_by`. `mediaenc` is how it encrypts: `srtp` offers keys beside
    plain RTP, `srtp-mand` SRTP alone.
    """
    codecs = _WIDE.get(law, law)
    account = f"<sip:{caller}@127.0.0.1;transport={transport}>;regint=0;audio_codecs={codecs}"
    if mediaenc:
        account += f";mediaenc={mediaenc}"
    _write_profile(folder, samples, account, rtp_ports, hears=hears, secret=bool(mediaenc))
    uri = f"sip:{user}@{server[0]}:{server[1]};transport={transport}"
    seconds = round(samples.size / 8000 + 3)
    process = await _start(folder, "-e", f"/dial {uri}", "-t", str(seconds))
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds + 10)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError("baresip does not end") from None
    return output.decode(errors="replace")


@asynccontextmanager
async def waiting_baresip(
    folder: Path,
    samples: Samples,
    *,
    law: str = "PCMU",
    rtp_ports: tuple[int, int],
    mediaenc: str = "",
) -> AsyncIterator[str]:
    """Yield the URI of one that answers at once and says `samples`; it keeps what it hears."""
    port = free_port()
    codecs = _WIDE.get(law, law)
    account = f"<sip:called@127.0.0.1>;regint=0;audio_codecs={codecs};answermode=auto"
    if mediaenc:
        account += f";mediaenc={mediaenc}"
    secret = bool(mediaenc)
    _write_profile(folder, samples, account, rtp_ports, port=port, hears=True, secret=secret)
    process = await _start(folder)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(10):
            while b"baresip is ready" not in await process.stdout.readline():
                assert not process.stdout.at_eof(), "baresip does not come up"
        reading = asyncio.create_task(process.stdout.read())  # a full pipe would hold it up
        yield f"sip:called@127.0.0.1:{port}"
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)
    await reading


def heard_by(folder: Path) -> Samples:
    """Return what the only call of the baresip of a folder heard, in G.711."""
    return read_wav(dump_of(folder))


def dump_of(folder: Path) -> Path:
    """Return the wav of what the only call of the baresip of a folder heard."""
    (path,) = folder.glob("dump-*-dec.wav")
    return path


async def _start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        shutil.which("baresip") or "baresip",
        *("-f", str(folder), *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


def _write_profile(
    folder: Path,
    samples: Samples,
    account: str,
    rtp_ports: tuple[int, int],
    *,
    port: int = 0,
    hears: bool = False,
    secret: bool = False,
) -> None:
    """Write what baresip reads at its start."""
    folder.mkdir(parents=True, exist_ok=True)
    wav = write_wav(folder / "microphone.wav", samples, 2 if "opus" in account else 1)
    hearing = f"module sndfile.so\nsnd_path {folder}\n" if hears else ""
    (folder / "config").write_text(
        _CONFIG.format(
            wav=wav,
            first=rtp_ports[0],
            last=rtp_ports[1],
            modules=MODULES,
            port=port,
            hearing=hearing,
            codec="".join(f"module {name.lower()}.so\n" for name in _WIDE if name in account),
            secrecy="module srtp.so\n" if secret else "",
        )
    )
    (folder / "accounts").write_text(f"{account}\n")
    (folder / "contacts").write_text("")
