"""Before the answer: what a caller hears, and who may share a data folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from farend.phone import Phone
from farend.server import Server


async def test_a_tone_before_the_answer_is_heard_and_the_call_may_still_be_refused(
    tmp_path: Path,
) -> None:
    tone = {"play": {"url": "ring:1:us", "auto_answer": False}}
    server = Server(tmp_path, {"early": [tone, {"hangup": {"reason": "busy"}}]}).start()
    try:
        async with Phone.open(server.sip) as phone:
            assert (await phone.invite("early")).status == 486
            heard = phone.listened()
            assert 7600 <= heard.size <= 8000
            assert np.abs(heard).max() > 1000
    finally:
        server.stop()
    server.assert_clean()


def test_a_second_server_is_kept_out_of_the_data_folder(tmp_path: Path) -> None:
    server = Server(tmp_path, {}).start()
    try:
        config = tmp_path / "second.yaml"
        config.write_text(
            "sip: {listen: ['udp:127.0.0.1:0']}\nhttp: {listen: '127.0.0.1:0'}\n"
            f"data_dir: {server.data}\n"
        )
        command = [sys.executable, "-m", "mediaserver", "serve", "--config", str(config)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert second.returncode == 1
        assert "is in use by another mediaserver" in second.stderr
    finally:
        server.stop()
