"""Hundreds of phones that talk at the same time, in one thread that counts every packet.

They talk in turns of 20 ms, packets go straight through their sockets, and what comes is kept as it
is: what one `Phone` does by itself would take all the time there is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from .phone import Phone
from .talker import Talker

TURN = 0.02
TAIL = 1.0
"""Seconds for which they listen after the last word."""


class Crowd:
    """Phones in the middle of their calls."""

    def __init__(self, phones: Sequence[Phone]) -> None:
        """From now on what comes is read here."""
        self.late = 0.0
        """Seconds by which a turn began late, at most."""
        self._phones = phones
        self._came: list[list[bytes]] = [[] for _ in phones]
        for phone in phones:
            asyncio.get_running_loop().remove_reader(phone.rtp)

    async def talk(self, payloads: Sequence[bytes]) -> None:
        """Let each phone say its payload, G.711, of the same length for all."""
        packets = [
            [timed.packet for timed in Talker(ssrc=1 + number).say(payload)]
            for number, payload in enumerate(payloads)
        ]
        lines = list(zip(self._phones, packets, self._came, strict=True))
        turns = len(packets[0])
        began = time.monotonic()
        for turn in range(turns + round(TAIL / TURN)):
            wait = began + turn * TURN - time.monotonic()
            self.late = max(self.late, -wait)
            await asyncio.sleep(max(0.0, wait))
            for phone, said, came in lines:
                if turn < turns:
                    phone.rtp.sendto(said[turn], phone.remote_rtp)
                try:
                    while True:
                        came.append(phone.rtp.recv(2048))
                except BlockingIOError:
                    pass

    def heard(self, number: int) -> bytes:
        """Return all that a phone was sent, in the order of its sequence numbers."""
        packets = self._came[number]
        first = int.from_bytes(packets[0][2:4], "big") if packets else 0
        by_number = {
            (int.from_bytes(packet[2:4], "big") - first + 0x8000) & 0xFFFF: packet[12:]
            for packet in packets
            if packet[1] & 0x7F in {0, 8}
        }
        return b"".join(by_number[key] for key in sorted(by_number))
