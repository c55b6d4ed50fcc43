"""A caller who can be sent elsewhere: REFERs are answered as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from .phone import Phone
from .wire import SipMessage, open_wire


class Transferee(Phone):
    """See the module."""

    referred: asyncio.Queue[SipMessage]
    """REFERs that came, to be answered by `reply`."""

    @classmethod
    @asynccontextmanager
    async def calling(
        cls, server: tuple[str, int], user: str, *fields: str
    ) -> AsyncIterator[Transferee]:
        """Yield one in the middle of a call to `user`; `fields` are of its INVITE."""
        host = "127.0.0.1"
        phone = cls(await open_wire("udp", server, host), server, host, "PCMU", "caller")
        phone.referred = asyncio.Queue()
        try:
            answer = await phone.invite(user, fields=fields)
            assert answer.status == 200, answer
            yield phone
        finally:
            await phone.close()

    async def refer(self) -> SipMessage:
        """Wait for a REFER."""
        return await asyncio.wait_for(self.referred.get(), 8)

    async def reply(self, refer: SipMessage, status: int, *, fields: Iterable[str] = ()) -> None:
        """Answer a REFER."""
        lines = [f"SIP/2.0 {status} X"]
        for name in ("via", "from", "to", "call-id", "cseq"):
            lines += [f"{name.title()}: {value}" for value in refer.get_all(name)]
        host, port = self.local
        lines += [f"Contact: <sip:{self.user}@{host}:{port}>", *fields, "Content-Length: 0"]
        await self.send("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n")

    async def tell(self, first_line: str, *, last: bool) -> None:
        """Tell how far it is with what it was asked, by NOTIFY."""
        self.number += 1
        state = "terminated;reason=noresource" if last else "active;expires=60"
        fields = [
            "Event: refer",
            f"Subscription-State: {state}",
            "Content-Type: message/sipfrag;version=2.0",
        ]
        body = f"SIP/2.0 {first_line}\r\n".encode()
        answer = await self.ask(self.compose("NOTIFY", body=body, fields=fields))
        assert answer.status == 200, answer

    async def _asked(self, message: SipMessage) -> None:
        if message.method == "REFER":
            self.referred.put_nowait(message)
        else:
            await super()._asked(message)
