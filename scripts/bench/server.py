"""The server under test: a process like any operator's, with a configuration of its own."""

from __future__ import annotations

import http.client
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import yaml

from .errors import BenchError
from .machine import on_core
from .options import HOST, Options

START: Final = 30.0
"""Seconds the server may take until it is ready."""

POLL: Final = 0.01
"""Seconds between two looks at whether it is."""

STOP: Final = 60.0
"""Seconds it may take to stop."""


def document(callback_port: int) -> dict[str, object]:
    """Return the SWML all calls get: one recording with every stop condition on.

    The timeouts are contract defaults. The status URL ends in the user that was called, which is
    the stream's number.
    """
    record = {
        "terminators": "#",
        "initial_timeout": 4.0,
        "end_silence_timeout": 5.0,
        "max_length": 3600,
        "status_url": f"http://{HOST}:{callback_port}/${{call.sip_data.sip_req_user}}",
    }
    steps: list[object] = [{"answer": {}}, {"record": record}, {"hangup": {}}]
    return {"version": "1.0.0", "sections": {"main": steps}}


def document_with_clip(callback_port: int, clip: Path, seconds: float) -> dict[str, object]:
    """Return the SWML of calls that are played a clip while both sides are recorded in stereo."""
    record = {
        "stereo": True,
        "direction": "both",
        "status_url": f"http://{HOST}:{callback_port}/${{call.sip_data.sip_req_user}}",
    }
    steps: list[object] = [
        {"answer": {}}, {"record_call": record}, {"play": {"url": str(clip)}},
        {"sleep": round(1000 * seconds)},
    ]  # fmt: skip
    return {"version": "1.0.0", "sections": {"main": steps}}


def document_bridged(callback_port: int, callee_port: int) -> dict[str, object]:
    """Return the SWML of calls that are recorded in stereo and connected on.

    Whom they are connected to is at `callee_port` and has the caller's number too.
    """
    user = "${call.sip_data.sip_req_user}"
    told = f"http://{HOST}:{callback_port}"
    record = {"stereo": True, "direction": "both", "status_url": f"{told}/{user}"}
    connect = {"to": f"sip:{user}@{HOST}:{callee_port}", "status_url": f"{told}/connect/{user}"}
    steps: list[object] = [
        {"answer": {}}, {"record_call": record}, {"connect": connect}, {"hangup": {}},
    ]  # fmt: skip
    return {"version": "1.0.0", "sections": {"main": steps}}


def roomy(calls: int, rate: float) -> dict[str, object]:
    """Return limits that so many calls at such a rate do not reach."""
    return {"max_calls": calls + 100, "max_calls_per_second": int(2 * rate) + 100}


class Server:
    """Runs from construction until the context is left. Everything of it lies in `folder`.

    `limits` are the settings of that name.
    """

    def __init__(
        self,
        options: Options,
        folder: Path,
        limits: Mapping[str, object],
        swml: Mapping[str, object] | None = None,
        formats: Sequence[str] = (),
    ) -> None:
        """`swml` is what calls get, None: `document`; `formats` the setting, if it is not usual."""
        self.key = secrets.token_hex(16)
        self._options = options
        self._log = folder / "server.log"
        self.started_at = time.monotonic()
        script, config = folder / "record.yaml", folder / "config.yaml"
        script.write_text(yaml.safe_dump(dict(swml or document(options.callback_port))))
        settings = self._settings(options, folder, script, limits)
        if formats:
            settings["recording"] = {"formats": list(formats)}
        config.write_text(yaml.safe_dump(settings))
        with self._log.open("wb") as log, on_core(options.server_core):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mediaserver", "serve", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us alone, and we end it
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Return when the server takes calls; BenchError with its last words when it does not."""
        deadline = time.monotonic() + START
        while not self.health():
            if self._process.poll() is not None:
                raise BenchError(f"the server ended at once: {self._last_words()}")
            if time.monotonic() > deadline:
                raise BenchError(f"the server was not ready within {START:.0f} s")
            time.sleep(POLL)

    def health(self) -> dict[str, object]:
        """Return what the server says of itself; nothing while it is not ready."""
        connection = http.client.HTTPConnection(HOST, self._options.http_port, timeout=2)
        try:
            connection.request("GET", "/health")
            response = connection.getresponse()
            said = json.loads(response.read())
            return said if response.status == 200 and isinstance(said, dict) else {}
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()

    def tick_lateness(self) -> tuple[float | None, float | None]:
        """Return how late the media ticks began, p50 and p99 in milliseconds, if that is told."""
        media = self.health().get("media")
        if not isinstance(media, dict):
            return None, None
        return media.get("late_p50_ms"), media.get("late_p99_ms")

    def complaints(self) -> list[str]:
        """Return the errors and tracebacks in the server's log."""
        found: list[str] = []
        for line in self._log.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                if line.startswith("Traceback"):
                    found.append(line)
                continue
            if isinstance(entry, dict) and entry.get("level") in {"error", "critical"}:
                found.append(line[:300])
        return found

    def stop(self) -> None:
        """Ask the server to stop and wait for it; BenchError when it does not."""
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            raise BenchError(f"the server did not stop within {STOP:.0f} s") from None
        if status != 0:
            raise BenchError(f"the server ended with status {status}: {self._last_words()}")

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @staticmethod
    def _listen(port: int) -> str:
        return f"{HOST}:{port}"

    def _settings(
        self, options: Options, folder: Path, script: Path, limits: Mapping[str, object]
    ) -> dict[str, object]:
        return {
            "sip": {"listen": [f"udp:{self._listen(options.sip_port)}"]},
            "rtp": {"ports": f"{options.rtp_first}-{options.rtp_last}"},
            "http": {"listen": self._listen(options.http_port)},
            "data_dir": str(folder / "data"),
            "api_keys": [self.key],
            "outbound": {"allow": ["127.0.0.0/8"]},
            "routes": [{"to": "*", "swml": str(script)}],
            "limits": dict(limits),
            "log": {"format": "json", "level": "info"},
        }

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"
