"""Calls with SRTP: what is recorded and bridged of them, and when plain RTP will not do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from farend.callee import Callee
from farend.phone import Phone
from farend.receiver import Receiver
from farend.secure_phone import SecureCallee, SecurePhone
from farend.server import Server
from farend.speech import choose, passage
from farend.srtp import lines_in
from farend.talker import Talker
from farend.waveform import place
from mediaserver.calls.dialing import NotDialled
from mediaserver.calls.encryption import encryption_of
from mediaserver.sdp.crypto import Encryption

CALLER = "${call.sip_data.sip_from_user}"


def scripts(receiver: Receiver) -> dict[str, list[object]]:
    header = "${call.headers[0].value}"
    note = {"request": {"url": receiver.url(f"/srtp/{CALLER}/${{connect_result}}"),
                        "method": "POST",
                        "body": {"reason": "${connect_failed_reason}"}}}  # fmt: skip
    record = {"status_url": receiver.url(f"/srtp/{CALLER}"), "stereo": True}
    connects = {
        name: [{"record_call": record}, {"connect": {"to": header, "encryption": name}}, note]
        for name in ("mandatory", "optional", "forbidden")
    }
    return {
        "mailbox": [{"record": {"status_url": receiver.url(f"/srtp/{CALLER}"),
                                "initial_timeout": 0, "end_silence_timeout": 0}}],
        "trunk": [{"connect": {"to": "+4930123456"}}, note],
        **connects,
    }  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("srtp"), scripts(receiver)) as server:
        yield server


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("strict"), scripts(receiver))
    server.set("rtp", "encryption", "required")
    with server:
        yield server


async def test_a_call_with_srtp_is_recorded_to_the_sample(
    server: Server, receiver: Receiver, speech_files: tuple[Path, ...]
) -> None:
    payload, said = passage(choose(speech_files, 2, 6), 2.0)
    half = len(payload) // 320 * 160
    async with SecurePhone.open(server.sip, user="secure") as phone:
        assert isinstance(phone, SecurePhone)
        await phone.call("mailbox")
        assert phone.encrypted
        talker = Talker(sequence=0xFFF0)
        await phone.say(talker.say(payload[:half]))
        phone.rekey()
        assert (await phone.invite("mailbox")).status == 200
        assert phone.encrypted
        await phone.say(talker.say(payload[half:]))
        phone.rtp.sendto(b"\x80\x00" + bytes(170), phone.remote_rtp)
        await asyncio.sleep(0.1)
        await phone.hang_up()
        assert not phone.unopened
    end = await receiver.until_final("/srtp/secure")
    recorded = server.samples(end.params["recording_id"])
    assert recorded.tobytes().find(said[: half - 160].tobytes()) >= 0
    assert recorded.tobytes().find(said[half + 160 :].tobytes()) >= 0

    def noted() -> bool:
        ended = [line for line in server.lines() if line["event"] == "call ended"]
        found = [(line["encryption"], line["packets_refused"]) for line in ended]
        return ("AES_CM_128_HMAC_SHA1_80", 1) in found

    await receiver.until(noted, otherwise="the log does not tell of the suite")


@pytest.mark.parametrize("profile", ["RTP/AVP", "RTP/SAVPF"])
async def test_an_offer_is_answered_by_its_own_profile(server: Server, profile: str) -> None:
    async with SecurePhone.open(server.sip, user="profile") as phone:
        assert isinstance(phone, SecurePhone)
        phone.profile = profile
        answer = await phone.invite("mailbox")
        assert answer.status == 200
        assert f" {profile} ".encode() in answer.body
        assert len(lines_in(answer.body)) == 1


async def test_a_secure_offer_without_good_keys_is_refused(server: Server) -> None:
    async with SecurePhone.open(server.sip, user="keyless") as phone:
        body = phone.offer().replace(b"inline:", b"inline:AAAA")
        answer = await phone.invite("mailbox", body=body)
        assert answer.status == 488
        assert "has no a=crypto that can be used here" in answer.get("warning")


@pytest.mark.parametrize("secure", [True, False])
async def test_two_who_are_connected_hear_each_other_whoever_is_encrypted(
    server: Server, receiver: Receiver, speech_files: tuple[Path, ...], secure: bool
) -> None:
    """One leg with SRTP and one without, either way round; the recording holds both."""
    user = f"bridged-{secure}".lower()
    kinds: tuple[type[Phone], type[Callee]] = (Phone, SecureCallee)
    if not secure:
        kinds = SecurePhone, Callee
    speech = choose(speech_files, 2, 6)
    one, said = passage(speech[:2], 1.5)
    other, replied = passage(speech[2:4], 1.5)
    async with (
        kinds[1].wait(server.sip) as callee,
        kinds[0].open(server.sip, user=user) as phone,
    ):
        script = "mandatory" if secure else "optional"
        asking = asyncio.create_task(phone.invite(script, fields=[f"X-To: {callee.uri}"]))
        invite = await callee.rung()
        assert (b" RTP/SAVP " in invite.body) is secure
        assert [suite for _, suite, _ in lines_in(invite.body)] == [
            "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80",
        ]  # fmt: skip
        await callee.answer()
        assert (await asking).status == 200
        await asyncio.gather(
            phone.say(Talker(ssrc=1).say(one)),
            callee.say(Talker(ssrc=2, sequence=9, timestamp=77).say(other)),
        )
        await asyncio.sleep(0.2)
        await phone.hang_up()
        await callee.until_ended()
        assert place(replied, phone.received()).exact
        assert place(said, callee.listened()).exact
    end = await receiver.until_final(f"/srtp/{user}")
    recorded = server.samples(end.params["recording_id"])
    assert place(said, recorded[:, 0]).exact
    assert place(replied, recorded[:, 1]).exact


async def test_early_media_may_be_encrypted(server: Server) -> None:
    """Before the answer, too, what is heard and said is sealed; the keys stay as they are."""
    async with (
        SecureCallee.wait(server.sip) as callee,
        SecurePhone.open(server.sip, user="early") as phone,
    ):
        asking = asyncio.create_task(phone.invite("mandatory", fields=[f"X-To: {callee.uri}"]))
        await callee.rung()
        await callee.reply(183, "Session Progress", body=callee.answering())
        talker = Talker(ssrc=2)
        await callee.say(talker.say(b"\x22" * 1600))
        await callee.answer()
        await asking
        assert isinstance(phone, SecurePhone)
        await callee.say(talker.say(b"\x33" * 1600))
        await asyncio.sleep(0.15)
        assert b"\x33" * 1600 in b"".join(heard.data[12:] for heard in phone.heard)
        assert not phone.unopened
        await phone.hang_up()


async def test_a_mandatory_call_does_without_one_who_answers_in_clear(
    server: Server, receiver: Receiver
) -> None:
    async with (
        Callee.wait(server.sip) as callee,
        Phone.open(server.sip, user="clear") as phone,
    ):
        await phone.invite("mandatory", fields=[f"X-To: {callee.uri}"])
        await callee.rung()
        await callee.accept()
        await callee.until_ended(5)
        await receiver.until(lambda: bool(receiver.at("/srtp/clear/failed")))
        await phone.until_ended(5)


async def test_a_forbidden_call_is_offered_no_keys(server: Server) -> None:
    async with (
        Callee.wait(server.sip) as callee,
        SecurePhone.open(server.sip, user="forbids") as phone,
    ):
        await phone.invite("forbidden", fields=[f"X-To: {callee.uri}"])
        invite = await callee.rung()
        assert b"crypto" not in invite.body
        await phone.hang_up()


async def test_where_it_is_required_plain_rtp_is_refused_with_a_sentence(strict: Server) -> None:
    async with Phone.open(strict.sip) as phone:
        answer = await phone.invite("mailbox")
        assert answer.status == 488
        sentence = "m-line 1 is not encrypted, and here RTP/SAVP with a=crypto must be"
        assert sentence in answer.get("warning")
    async with SecurePhone.open(strict.sip, user="required") as phone:
        await phone.call("mailbox")
        await phone.hang_up()


async def test_where_it_is_required_every_call_we_place_is_offered_so(
    strict: Server, receiver: Receiver
) -> None:
    async with (
        SecureCallee.wait(strict.sip) as callee,
        SecurePhone.open(strict.sip, user="strictly") as phone,
    ):
        await phone.invite("optional", fields=[f"X-To: {callee.uri}"])
        assert b" RTP/SAVP " in (await callee.rung()).body
        await phone.hang_up()
    async with SecurePhone.open(strict.sip, user="never") as phone:
        await phone.invite("forbidden", fields=["X-To: sip:nobody@127.0.0.1:9"])
        await phone.until_ended(5)
    await receiver.until(lambda: bool(receiver.at("/srtp/never/failed")))
    reason = "encryption: forbidden cannot be kept: rtp.encryption is required"
    assert any(reason in json.dumps(line) for line in strict.lines())


OFF, OPTIONAL, REQUIRED = Encryption.OFF, Encryption.OPTIONAL, Encryption.REQUIRED


@pytest.mark.parametrize(
    ("asked", "trunk", "server", "found"),
    [
        ("optional", None, OFF, OFF),
        ("optional", None, OPTIONAL, OPTIONAL),
        ("optional", None, REQUIRED, REQUIRED),
        ("optional", OFF, REQUIRED, OFF),
        ("optional", REQUIRED, OFF, REQUIRED),
        ("mandatory", None, OPTIONAL, REQUIRED),
        ("mandatory", OPTIONAL, OFF, REQUIRED),
        ("mandatory", None, OFF, "mandatory cannot be kept: rtp.encryption is off"),
        ("mandatory", OFF, OPTIONAL, r"mandatory cannot be kept: trunks\[\].encryption is off"),
        ("forbidden", None, OPTIONAL, OFF),
        ("forbidden", OFF, REQUIRED, OFF),
        ("forbidden", None, REQUIRED, "forbidden cannot be kept: rtp.encryption is required"),
    ],
)
def test_what_a_call_asks_for_and_what_its_way_allows(
    asked: str, trunk: Encryption | None, server: Encryption, found: Encryption | str
) -> None:
    if isinstance(found, Encryption):
        assert encryption_of(asked, trunk, server) is found
    else:
        with pytest.raises(NotDialled, match=found):
            encryption_of(asked, trunk, server)
