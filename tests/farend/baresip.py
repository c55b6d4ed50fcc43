"""baresip without a head: it calls, sends a wav as its microphone, and hangs up."""

from __future__ import annotations

import asyncio
import shutil
import wave
from pathlib import Path

from .waveform import Samples

MODULES = Path("/usr/lib/baresip/modules")

_CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:0
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
module aufile.so
module_tmp account.so
module_app menu.so
"""


def write_wav(path: Path, samples: Samples) -> Path:
    """Write samples at 8 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.astype("<i2").tobytes())
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
) -> str:
    """Call `user` as `caller`, say `samples`, hang up at their end; return what it printed."""
    _write_profile(folder, samples, caller, law, transport, rtp_ports)
    uri = f"sip:{user}@{server[0]}:{server[1]};transport={transport}"
    seconds = round(samples.size / 8000 + 3)
    process = await asyncio.create_subprocess_exec(
        shutil.which("baresip") or "baresip",
        *("-f", str(folder), "-e", f"/dial {uri}", "-t", str(seconds)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds + 10)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError("baresip does not end") from None
    return output.decode(errors="replace")


def _write_profile(
    folder: Path,
    samples: Samples,
    caller: str,
    law: str,
    transport: str,
    rtp_ports: tuple[int, int],
) -> None:
    """Write what baresip reads at its start."""
    folder.mkdir(parents=True, exist_ok=True)
    wav = write_wav(folder / "microphone.wav", samples)
    (folder / "config").write_text(
        _CONFIG.format(wav=wav, first=rtp_ports[0], last=rtp_ports[1], modules=MODULES)
    )
    account = f"<sip:{caller}@127.0.0.1;transport={transport}>;regint=0;audio_codecs={law}\n"
    (folder / "accounts").write_text(account)
    (folder / "contacts").write_text("")
