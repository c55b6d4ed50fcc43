"""What a live server answers to what it cannot do (RFC 3261 8.2, 9.2, 12.2.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from farend.phone import Phone
from farend.server import Server
from farend.wire import SipMessage

VIDEO = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\nm=video 4002 RTP/AVP 96\r\n"
    b"a=rtpmap:96 VP8/90000\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(
        tmp_path_factory.mktemp("refusals"),
        {
            "mailbox": [{"answer": {}}, {"sleep": 10000}],
            "once": [{"answer": {}}, {"sleep": 10000}],
            "busy": [{"hangup": {"reason": "busy"}}],
            "declines": [{"hangup": {"reason": "decline"}}],
            "slow": [{"sleep": 5000}, {"answer": {}}],
            "g729": [{"answer": {"codecs": "G729"}}],
        },
    ).start()
    yield server
    server.stop()


def target(server: Server, user: str = "mailbox") -> str:
    return f"sip:{user}@{server.host}:{server.sip_port}"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_404_nobody_by_that_name(server: Server, transport: str) -> None:
    async with Phone.open(server.sip, transport=transport) as phone:
        answer = await phone.invite("nobody")
        assert answer.status == 404
        assert "tag=" in answer.get("to")
        assert "no route" in answer.get("warning")


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "REFER"])
async def test_405_a_known_method_that_is_not_for_us(server: Server, method: str) -> None:
    async with Phone.open(server.sip) as phone:
        answer = await phone.ask(phone.compose(method, uri=target(server)))
        assert answer.status == 405
        if method == "REGISTER":
            assert "nobody registers here" in answer.get("warning")
        assert {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS"} <= {
            name.strip() for name in answer.get("allow").split(",")
        }


async def test_501_a_method_nobody_knows(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        answer = await phone.ask(phone.compose("DANCE", uri=target(server)))
        assert answer.status == 501


async def test_415_a_body_that_is_no_sdp(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        answer = await phone.invite("mailbox", body=b"hello", fields=["Content-Type: text/plain"])
        assert answer.status == 415
        assert "application/sdp" in answer.get("accept")


async def test_416_a_scheme_that_is_not_ours(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        phone.number = 1
        answer = await phone.ask(
            phone.compose("INVITE", uri="http://example.com/", body=phone.offer())
        )
        assert answer.status == 416


async def test_420_an_extension_we_do_not_have(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        answer = await phone.invite("mailbox", fields=["Require: 100rel, siprec"])
        assert answer.status == 420
        unsupported = ",".join(answer.get_all("unsupported"))
        assert {name.strip() for name in unsupported.split(",")} == {"100rel", "siprec"}


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "CANCEL"])
async def test_481_nothing_to_do_it_to(server: Server, method: str) -> None:
    async with Phone.open(server.sip) as phone:
        fields = [] if method == "CANCEL" else [f"To: <{target(server)}>;tag=none"]
        answer = await phone.ask(phone.compose(method, uri=target(server), fields=fields))
        assert answer.status == 481


async def test_481_a_reinvite_of_an_unknown_call(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        answer = await phone.invite("mailbox", fields=[f"To: <{target(server)}>;tag=none"])
        assert answer.status == 481


async def test_482_the_same_request_by_another_way(server: Server) -> None:
    async with Phone.open(server.sip) as phone, Phone.open(server.sip) as other:
        await phone.call("mailbox")
        other.call_id, other.tag, other.from_ = phone.call_id, phone.tag, phone.from_
        assert (await other.invite("mailbox")).status == 482
        await phone.hang_up()


async def test_483_is_for_proxies_and_max_forwards_0_is_served(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        answer = await phone.invite("mailbox", fields=["Max-Forwards: 0"])
        assert answer.status == 200
        await phone.hang_up()


async def test_486_and_603_as_the_script_says(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        assert (await phone.invite("busy")).status == 486
        assert (await phone.invite("declines")).status == 603


async def test_487_a_call_that_is_cancelled(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        inviting = asyncio.create_task(
            phone.invite("slow", fields=[f"Via: {via(phone, 'z9hG4bKcancelled')}"])
        )
        await asyncio.sleep(0.3)
        answer = await phone.ask(
            phone.compose(
                "CANCEL",
                uri=target(server, "slow"),
                fields=[f"Via: {via(phone, 'z9hG4bKcancelled')}"],
            )
        )
        assert answer.status == 200
        assert (await inviting).status == 487


def via(phone: Phone, branch: str) -> str:
    host, port = phone.local
    return f"SIP/2.0/UDP {host}:{port};branch={branch};rport"


@pytest.mark.parametrize("body", [VIDEO, VIDEO.replace(b"RTP/AVP", b"RTP/SAVPX")])
async def test_488_no_codec_in_common(server: Server, body: bytes) -> None:
    async with Phone.open(server.sip) as phone:
        answer = await phone.invite("mailbox", body=body)
        assert answer.status == 488
        code, why = (305, "has no codec that is spoken here")
        if b"SAVPX" in body:
            code, why = (302, "needs a profile other than RTP/AVP and RTP/SAVP")
        sentence = f"no audio can be accepted: m-line 1 {why}; m-line 2 is not audio"
        assert answer.get("warning") == f'{code} {server.host} "{sentence}"'
        assert sentence in [line.get("error") for line in server.lines()]


async def test_488_none_of_the_codecs_the_script_asks_for(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        answer = await phone.invite("g729")
        assert answer.status == 488
        assert answer.get("warning").startswith(f"305 {server.host} ")
        assert "G729" in answer.get("warning")


async def test_488_a_reinvite_that_cannot_be_met_leaves_the_call_as_it_was(
    server: Server,
) -> None:
    async with Phone.open(server.sip) as phone:
        await phone.call("mailbox")
        refused = await phone.invite("mailbox", body=VIDEO)
        assert refused.status == 488
        assert refused.get("warning").startswith(f'305 {server.host} "no audio can be accepted: ')
        assert (await phone.invite("mailbox")).status == 200
        await phone.hang_up()


async def test_400_sdp_that_is_none(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        answer = await phone.invite("mailbox", body=b"this is no SDP\r\n")
        assert answer.status == 400
        assert answer.get("warning").startswith(f'399 {server.host} "SDP line 1: ')


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq"])
async def test_400_a_header_that_must_be_there_is_not(server: Server, name: str) -> None:
    async with Phone.open(server.sip) as phone:
        request = phone.compose("OPTIONS", uri=target(server), drop=[name])
        await phone.send(request)
        await asyncio.sleep(0.2)
        assert [answer.split(b" ")[1] for answer in phone.everything] == [b"400"]


async def test_500_a_cseq_that_goes_back(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        phone.number = 10
        await phone.call("mailbox")
        answer = await phone.ask(phone.compose("INFO", number=3))
        assert answer.status == 500
        phone.number = 12
        await phone.hang_up()


async def test_505_another_version(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        phone.number = 1
        answer = await phone.ask(
            phone.compose("INVITE", uri=target(server), body=phone.offer(), version="SIP/3.0")
        )
        assert answer.status == 505


async def test_a_repeated_invite_is_one_call(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        await phone.call("once")
        await phone.send(phone.invited)
        await asyncio.sleep(0.2)
        await phone.hang_up()
        await asyncio.sleep(0.3)
        ends = [line for line in server.lines() if line["event"] == "call ended"]
        assert len([line for line in ends if "once@" in line["callee"]]) == 1
        answers = map(SipMessage.parse, phone.everything)
        tags = {a.get("to") for a in answers if a.method == "INVITE" and a.status == 200}
        assert len(tags) == 1


async def test_options_tell_what_can_be_done(server: Server) -> None:
    async with Phone.open(server.sip) as phone:
        answer = await phone.ask(phone.compose("OPTIONS", uri=target(server)))
        assert answer.status == 200
        assert "INVITE" in answer.get("allow")
        assert "application/sdp" in answer.get("accept")
