"""A `mediaserver serve` of its own: a process with its folder, its ports and its log."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from .ports import free_block, free_port
from .waveform import read_wav

KEY = "test-key-that-opens-everything"
SIGNING_KEY = "test-signing-key-0123456789"
PROJECT = "6d3a7a0c-0d52-4a0e-9c0a-3b1f0c9f2f11"
SPACE = "1c0e2a9e-7c58-4b59-8a52-0f4f1d1c7f22"

STARTING, STOPPING = 60.0, 30.0
"""Seconds these may take on a machine that has much else to do."""

FILE_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(wav|mp3|mp4|peaks)")


@dataclass(frozen=True)
class Answer:
    """What an HTTP request brought."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Server:
    """A running server; `scripts` maps the user that is called to the steps of its `main`."""

    def __init__(
        self,
        folder: Path,
        scripts: Mapping[str, Sequence[object]],
        settings: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`environment` is added to ours."""
        self._environment = {**os.environ, **(environment or {})}
        self.folder = folder
        self.host = "127.0.0.1"
        self.sip_port = free_port()
        self.http_port = free_port()
        self.rtp_ports = free_block()
        self.data = folder / "data"
        self.log = folder / "server.log"
        self._kills = 0
        self.expected: set[str] = set()
        """Events that may be logged as errors."""
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "config.yaml"
        self._write(scripts, settings or {})

    def _write(
        self, scripts: Mapping[str, Sequence[object]], settings: Mapping[str, object]
    ) -> None:
        routes: list[dict[str, str]] = []
        for user, steps in scripts.items():
            name = f"script-{len(routes)}.json"
            document = {"version": "1.0.0", "sections": {"main": list(steps)}}
            (self.folder / name).write_text(json.dumps(document))
            routes.append({"to": user, "swml": name})
        config: dict[str, object] = {
            "sip": {
                "listen": [
                    f"udp:{self.host}:{self.sip_port}",
                    f"tcp:{self.host}:{self.sip_port}",
                ]
            },
            "rtp": {"ports": f"{self.rtp_ports[0]}-{self.rtp_ports[-1]}"},
            "http": {"listen": f"{self.host}:{self.http_port}"},
            "data_dir": "data",
            "project_id": PROJECT,
            "space_id": SPACE,
            "api_keys": [KEY],
            "signing_key": SIGNING_KEY,
            "outbound": {"allow": ["127.0.0.0/8"]},
            "routes": routes,
            "log": {"format": "json", "level": "info"},
        }
        config.update(settings)
        self._config.write_text(yaml.safe_dump(config))

    def add_route(self, user: str, swml: str, **settings: str) -> None:
        """Let another script answer for `user`: a URL; before the server starts."""
        config = yaml.safe_load(self._config.read_text())
        config["routes"].append({"to": user, "swml": swml, **settings})
        self._config.write_text(yaml.safe_dump(config))

    def set(self, section: str, key: str, value: object) -> None:
        """Set one setting more; before the server starts."""
        config = yaml.safe_load(self._config.read_text())
        config.setdefault(section, {})[key] = value
        self._config.write_text(yaml.safe_dump(config))

    @property
    def sip(self) -> tuple[str, int]:
        """Where SIP is spoken, over UDP and TCP."""
        return self.host, self.sip_port

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Server:
        """Start the process and wait until it says that it is well."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mediaserver", "serve", "--config", str(self._config)],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment,
            )
        deadline = time.monotonic() + STARTING
        while not self.is_well():
            assert self._process.poll() is None, f"the server ended:\n{self.text()}"
            if time.monotonic() > deadline:
                said = self.text()
                self.kill()
                raise AssertionError(f"the server does not come up:\n{said}")
            time.sleep(0.05)
        return self

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop it; after a failure, without more questions."""
        if kind is None:
            self.stop()
        elif self.is_alive():
            self.kill()

    def is_well(self) -> bool:
        """Tell whether /health answers 200."""
        try:
            return self.get("/health", key=None).status == 200
        except OSError:
            return False

    def is_alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        """Ask it to stop."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for its end; return its exit status."""
        assert self._process is not None
        return self._process.wait(timeout)

    def kill(self) -> None:
        """End it as a crash would; what it says after a new start is in a log of its own."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        self._kills += 1
        self.log = self.folder / f"server-{self._kills}.log"

    def stop(self) -> None:
        """Stop it if it runs, and check that it neither failed nor said that something did."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self.terminate()
            try:
                status = self.wait(STOPPING)
            except subprocess.TimeoutExpired:
                said = self.text()
                self.kill()
                raise AssertionError(f"does not stop:\n{said[-6000:]}") from None
            assert status == 0, f"exit status {status}:\n{self.text()}"
        self.assert_clean()

    def text(self) -> str:
        """Return its log."""
        return self.log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """Return its log, one JSON object a line; AssertionError for a line that is none."""
        lines = []
        # Only LF ends a line: U+2028 and such within a value must not.
        for line in self.log.read_bytes().decode("utf-8").split("\n"):
            if line:
                try:
                    value = json.loads(line)
                except ValueError:
                    raise AssertionError(f"a line of the log is not JSON: {line[:500]}") from None
                assert isinstance(value, dict), line
                lines.append(value)
        return lines

    def assert_clean(self) -> None:
        """Check that no exception and no error reached the log, but those that are `expected`."""
        text = self.text()
        assert "Traceback" not in text, text[-6000:]
        bad = [
            line
            for line in self.lines()
            if line.get("level") in {"error", "critical"} and line["event"] not in self.expected
        ]
        assert not bad, bad

    def get(
        self,
        path: str,
        *,
        key: str | None = KEY,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask the REST API; `path` is sent as it stands."""
        connection = http.client.HTTPConnection(self.host, self.http_port, timeout=10)
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        try:
            connection.request(method, path, headers=sent)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def post(self, path: str, body: bytes, *, key: str | None = KEY) -> Answer:
        """Send JSON to the REST API."""
        connection = http.client.HTTPConnection(self.host, self.http_port, timeout=10)
        sent = {"Content-Type": "application/json"}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        try:
            connection.request("POST", path, body=body, headers=sent)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def file(self, recording_id: str, extension: str = "wav") -> Path:
        """Return the path of a recording's file."""
        return self.data / "recordings" / recording_id[:2] / f"{recording_id}.{extension}"

    def samples(self, recording_id: str) -> NDArray[np.int16]:
        """Return the samples of a recording."""
        return read_wav(self.file(recording_id))

    def files(self) -> list[Path]:
        """Return every file of every recording."""
        return sorted(p for p in (self.data / "recordings").rglob("*") if p.is_file())
