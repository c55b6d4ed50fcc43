"""The process that evaluates the expressions of scripts, as it is inside.

Asked by `script_process` over its standard input, which is a socket, one expression after the
other. A question or an answer is four octets of length and JSON. What is not done after CPU_LIMIT
seconds of CPU time is ended by the kernel, and the process with it: some functions of the engine
cannot be interrupted.
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import time
from typing import Any, Final

from mediaserver.swml.javascript import EngineFault, evaluate

CPU_LIMIT: Final = 0.4
"""Seconds; an expression has 150 ms (contract A9), and what it is given has to be read."""

LENGTH: Final = struct.Struct(">I")


def packed(message: object) -> bytes:
    """Return a message as it goes through the socket."""
    data = json.dumps(message, default=str).encode()
    return LENGTH.pack(len(data)) + data


def receive(peer: socket.socket) -> Any:
    """Return the next message; EOFError when there is none."""
    (length,) = LENGTH.unpack(_exactly(peer, LENGTH.size))
    return json.loads(_exactly(peer, length))


def _exactly(peer: socket.socket, length: int) -> bytes:
    parts = []
    while length:
        part = peer.recv(min(length, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def main() -> None:
    """Evaluate what is asked until the server is gone."""
    # Ctrl-C, and a SIGTERM to the whole service, are for the server.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=0) as server:
        while True:
            try:
                expression, roots = receive(server)
            except (EOFError, ConnectionError):
                return
            server.sendall(packed(_answer(expression, roots)))


def _answer(expression: str, roots: Any) -> dict[str, Any]:
    """Return value or fault, and the seconds of CPU time it took."""
    began = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT)
    try:
        found = {"value": evaluate(expression, roots)}
    except EngineFault as fault:
        found = {"fault": str(fault)}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return {**found, "seconds": time.process_time() - began}
