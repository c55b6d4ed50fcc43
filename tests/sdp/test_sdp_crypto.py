"""Keys in descriptions: `a=crypto` (RFC 4568), and what an offer and answer make of it."""

from __future__ import annotations

import base64
import itertools
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaserver.sdp.codec import PCMA, PCMU, TELEPHONE_EVENT
from mediaserver.sdp.crypto import OFFERED, SUITES, CryptoLine, Encryption, MediaKeys, crypto_lines
from mediaserver.sdp.description import SessionDescription
from mediaserver.sdp.negotiation import AudioSession, LocalAudio, make_answer, make_offer
from mediaserver.sdp.negotiation import read_answer as read
from mediaserver.sdp.refusal import DescriptionRefused

K30 = base64.b64encode(bytes(range(30))).decode()
K28 = base64.b64encode(bytes(range(28))).decode()
K44 = base64.b64encode(bytes(range(44))).decode()
CM = "AES_CM_128_HMAC_SHA1_80"

GOOD = {
    "as most write it": (f"1 {CM} inline:{K30}", b""),
    "a short tag": (f"2 AES_CM_128_HMAC_SHA1_32 inline:{K30}", b""),
    "AEAD": (f"1 AEAD_AES_128_GCM inline:{K28}", b""),
    "AEAD of 256 bits": (f"3 AEAD_AES_256_GCM inline:{K44}", b""),
    "without its padding": (f"1 AEAD_AES_128_GCM inline:{K28.rstrip('=')}", b""),
    "a lifetime": (f"1 {CM} inline:{K30}|2^20", b""),
    "a lifetime in full": (f"1 {CM} inline:{K30}|1048576", b""),
    "the longest lifetime": (f"1 {CM} inline:{K30}|2^48", b""),
    "an MKI": (f"1 {CM} inline:{K30}|2^20|1:4", b"\0\0\0\1"),
    "an MKI alone": (f"1 {CM} inline:{K30}|258:2", b"\1\2"),
    "a window": (f"1 {CM} inline:{K30} WSH=64", b""),
    "a great window": (f"1 {CM} inline:{K30}|2^31|1:1 WSH=1024", b"\1"),
    "an extension one may ignore": (f"1 {CM} inline:{K30} -NEW=17", b""),
    "spaces around": (f" 1  {CM}   inline:{K30}  ", b""),
    "a tab between": (f"1\t{CM}\tinline:{K30}", b""),
    "lower case": (f"1 {CM.lower()} inline:{K30}", b""),
    "the greatest tag": (f"999999999 {CM} inline:{K30}", b""),
}

BAD = {
    "nothing": "",
    "a tag alone": "1",
    "no tag": f"{CM} inline:{K30}",
    "a tag that is no number": f"x {CM} inline:{K30}",
    "a tag too long": f"1234567890 {CM} inline:{K30}",
    "no suite": f"1 inline:{K30}",
    "an unknown suite": f"1 AES_CM_128_HMAC_SHA1_96 inline:{K30}",
    "a suite not done here": f"1 F8_128_HMAC_SHA1_80 inline:{K30}",
    "no key": f"1 {CM}",
    "an empty key": f"1 {CM} inline:",
    "a key by another method": f"1 {CM} uri:https://example.com/{K30}",
    "a key too short": f"1 {CM} inline:{K28}",
    "a key too long": f"1 {CM} inline:{K44}",
    "a key of another suite": f"1 AEAD_AES_256_GCM inline:{K30}",
    "a key that is no base64": f"1 {CM} inline:{K30[:-1]}!",
    "a key with a space in it": f"1 {CM} inline:{K30[:20]} {K30[20:]}",
    "two keys": f"1 {CM} inline:{K30}|1:4;inline:{K30}|2:4",
    "a lifetime of nothing": f"1 {CM} inline:{K30}|0",
    "a lifetime beyond the cipher's": f"1 {CM} inline:{K30}|2^49",
    "a lifetime of digits without end": f"1 {CM} inline:{K30}|{'9' * 400}",
    "a lifetime that is no number": f"1 {CM} inline:{K30}|2^x",
    "an empty lifetime": f"1 {CM} inline:{K30}|",
    "an MKI of no length": f"1 {CM} inline:{K30}|2^20|1:0",
    "an MKI too long": f"1 {CM} inline:{K30}|2^20|1:129",
    "an MKI that does not fit": f"1 {CM} inline:{K30}|2^20|256:1",
    "an MKI without a length": f"1 {CM} inline:{K30}|2^20|1",
    "MKI before lifetime": f"1 {CM} inline:{K30}|1:4|2^20",
    "a key derivation rate": f"1 {CM} inline:{K30} KDR=4",
    "packets in clear": f"1 {CM} inline:{K30} UNENCRYPTED_SRTP",
    "reports in clear": f"1 {CM} inline:{K30} UNENCRYPTED_SRTCP",
    "packets nobody vouches for": f"1 {CM} inline:{K30} UNAUTHENTICATED_SRTP",
    "forward error correction": f"1 {CM} inline:{K30} FEC_ORDER=FEC_SRTP",
    "keys of that": f"1 {CM} inline:{K30} FEC_KEY=inline:{K30}",
    "a window too small": f"1 {CM} inline:{K30} WSH=63",
    "a window of no size": f"1 {CM} inline:{K30} WSH",
    "an extension one must know": f"1 {CM} inline:{K30} NEW=17",
    "a good parameter and a bad one": f"1 {CM} inline:{K30} WSH=64 KDR=0",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_line_is_read(name: str) -> None:
    text, mki = GOOD[name]
    line = CryptoLine.parse(text)
    assert line is not None
    assert (line.suite, line.mki) == (text.split()[1].upper(), mki)
    assert line.key == bytes(range(SUITES[line.suite]))
    assert line.tag == text.split()[0]
    assert CryptoLine.parse(str(line)) == replace(line, mki=b"")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_as_if_it_were_not_there(name: str) -> None:
    assert CryptoLine.parse(BAD[name]) is None


@given(st.text(st.characters(codec="utf-8"), max_size=120))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    CryptoLine.parse(text)
    CryptoLine.parse(f"1 {CM} inline:{text}")
    CryptoLine.parse(f"1 {CM} inline:{K30}{text}")


@st.composite
def whole_lines(draw: st.DrawFn) -> tuple[str, str, bytes, bytes]:
    """A line by the grammar of RFC 4568 section 9.1, and what is in it."""
    suite = draw(st.sampled_from(sorted(SUITES)))
    key = draw(st.binary(min_size=SUITES[suite], max_size=SUITES[suite]))
    tag = draw(st.text(string.digits, min_size=1, max_size=9))
    text = f"{tag} {suite} inline:{base64.b64encode(key).decode()}"
    if draw(st.booleans()):
        power = draw(st.integers(0, 48))
        text += draw(st.sampled_from([f"|2^{power}", f"|{2**power}"]))
    mki = b""
    if draw(st.booleans()):
        mki = draw(st.binary(min_size=1, max_size=16))
        text += f"|{int.from_bytes(mki, 'big')}:{len(mki)}"
    for parameter in draw(st.lists(st.sampled_from(["WSH=64", "WSH=128", "-X", "-Y=1"]))):
        text += f" {parameter}"
    return text, tag, key, mki


@given(whole_lines())
def test_whatever_the_grammar_allows_is_read(written: tuple[str, str, bytes, bytes]) -> None:
    text, tag, key, mki = written
    line = CryptoLine.parse(text)
    assert line is not None
    assert (line.tag, line.key, line.mki) == (tag, key, mki)


def test_the_first_of_two_lines_with_one_tag_counts() -> None:
    found = list(crypto_lines([BAD["two keys"], GOOD["AEAD"][0], GOOD["as most write it"][0]]))
    assert [line.suite for line in found] == ["AEAD_AES_128_GCM"]


def test_keys_are_not_shown() -> None:
    line = CryptoLine.parse(f"1 {CM} inline:{base64.b64encode(b'q' * 30).decode()}")
    assert "qqq" not in repr(line)
    assert "qqq" not in repr(MediaKeys(CM, b"q" * 30, b"q" * 30))


# Offers and answers.

_NUMBERS = itertools.count(1)


def fresh(size: int) -> bytes:
    return next(_NUMBERS).to_bytes(size, "big")


def side(encryption: Encryption = Encryption.OPTIONAL, port: int = 10_000) -> LocalAudio:
    return LocalAudio(
        "192.0.2.1",
        port,
        (PCMU, PCMA, TELEPHONE_EVENT),
        session_id=7,
        encryption=encryption,
        random_bytes=fresh,
    )


def offer(*lines: str, profile: str = "RTP/SAVP") -> SessionDescription:
    text = (
        "v=0", "o=- 1 1 IN IP4 198.51.100.9", "s=-", "c=IN IP4 198.51.100.9", "t=0 0",
        f"m=audio 4000 {profile} 0 8 101", "a=rtpmap:101 telephone-event/8000", *lines,
    )  # fmt: skip
    return SessionDescription.parse("".join(f"{row}\r\n" for row in text).encode())


def crypto_of(description: SessionDescription) -> list[str]:
    return list(description.media[0].values("crypto"))


def refused(local: LocalAudio, described: SessionDescription) -> str:
    with pytest.raises(DescriptionRefused) as error:
        make_answer(described, local)
    assert error.value.status == 488
    return error.value.reason


@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP", "RTP/AVPF"])
@pytest.mark.parametrize("encryption", [Encryption.OPTIONAL, Encryption.REQUIRED])
def test_the_first_line_that_can_be_used_is_answered_with_its_tag(
    profile: str, encryption: Encryption
) -> None:
    lines = (BAD["a suite not done here"], BAD["a key derivation rate"].replace("1", "2", 1),
             GOOD["a short tag"][0].replace("2", "07", 1), GOOD["AEAD of 256 bits"][0])  # fmt: skip
    described = offer(*(f"a=crypto:{line}" for line in lines), profile=profile)
    answer, session = make_answer(described, side(encryption))
    assert answer.media[0].protocol == profile
    assert session.keys is not None
    (text,) = crypto_of(answer)
    own = CryptoLine.parse(text)
    assert own is not None
    assert (own.tag, own.suite) == ("07", "AES_CM_128_HMAC_SHA1_32")
    assert session.keys == MediaKeys(own.suite, own.key, bytes(range(30)))
    assert own.key != bytes(range(30))


@pytest.mark.parametrize("name", BAD)
def test_a_secure_offer_with_no_line_to_use_is_refused(name: str) -> None:
    assert "no a=crypto that can be used" in refused(side(), offer(f"a=crypto:{BAD[name]}"))


def test_a_secure_offer_without_keys_is_refused() -> None:
    assert "no a=crypto" in refused(side(), offer())


def test_plain_rtp_is_refused_where_encryption_is_required() -> None:
    required = side(Encryption.REQUIRED)
    for lines in ((), (f"a=crypto:{BAD['a key too short']}",)):
        reason = refused(required, offer(*lines, profile="RTP/AVP"))
        assert reason == (
            "no audio can be accepted: m-line 1 is not encrypted, "
            "and here RTP/SAVP with a=crypto must be"
        )


def test_plain_rtp_stays_plain_where_encryption_is_optional() -> None:
    for lines in ((), (f"a=crypto:{BAD['a key too short']}",)):
        answer, session = make_answer(offer(*lines, profile="RTP/AVP"), side())
        assert session.keys is None
        assert (answer.media[0].protocol, crypto_of(answer)) == ("RTP/AVP", [])


def test_nothing_is_encrypted_where_that_is_off() -> None:
    off = side(Encryption.OFF)
    line = f"a=crypto:{GOOD['AEAD'][0]}"
    assert "nothing is encrypted here" in refused(off, offer(line))
    answer, session = make_answer(offer(line, profile="RTP/AVP"), off)
    assert (session.keys, crypto_of(answer)) == (None, [])
    assert crypto_of(make_offer(off)) == []


def again(
    local: LocalAudio, described: SessionDescription, before: SessionDescription, was: AudioSession
) -> tuple[SessionDescription, AudioSession]:
    return make_answer(described, local, before, was.keys)


def test_our_key_stays_while_theirs_does_and_changes_with_it() -> None:
    local, line = side(), f"a=crypto:{GOOD['as most write it'][0]}"
    first, session = make_answer(offer(line), local)
    held, on_hold = again(local, offer(line, "a=sendonly"), first, session)
    assert on_hold.keys == session.keys
    assert crypto_of(held) == crypto_of(first)
    repeated, _ = again(local, offer(line), first, session)
    assert repeated == first  # not even the version of o= went up
    other = base64.b64encode(bytes(30)).decode()
    renewed, after = again(local, offer(f"a=crypto:1 {CM} inline:{other}"), first, session)
    assert after.keys is not None
    assert session.keys is not None
    assert after.keys.theirs == bytes(30)
    assert after.keys.ours != session.keys.ours
    assert renewed.origin.version == first.origin.version + 1


@pytest.mark.parametrize(
    ("encryption", "profile"),
    [(Encryption.OPTIONAL, "RTP/AVP"), (Encryption.REQUIRED, "RTP/SAVP")],
)
def test_our_offer_is_understood_by_ourselves(encryption: Encryption, profile: str) -> None:
    caller, callee = side(encryption), side(port=20_000)
    offered = make_offer(caller)
    assert offered.media[0].protocol == profile
    assert [line.split()[1] for line in crypto_of(offered)] == list(OFFERED)
    answer, theirs = make_answer(offered, callee)
    ours = read(offered, SessionDescription.parse(str(answer).encode()), caller)
    assert ours.keys is not None
    assert theirs.keys is not None
    assert ours.keys.suite == theirs.keys.suite == OFFERED[0]
    assert (ours.keys.ours, ours.keys.theirs) == (theirs.keys.theirs, theirs.keys.ours)
    later = make_offer(caller, offered)
    assert later == offered


def test_an_answer_without_keys_makes_an_optional_offer_plain() -> None:
    caller = side()
    offered = make_offer(caller)
    answer, _ = make_answer(offered, side(Encryption.OFF))
    assert read(offered, answer, caller).keys is None


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (f"a=crypto:3 {CM} inline:{K30}",),
        (f"a=crypto:1 {CM} inline:{K30}",),  # tag 1 is another suite's
        (f"a=crypto:2 {CM} inline:{K28}",),
        (f"a=crypto:2 {CM} inline:{K30} UNENCRYPTED_SRTP",),
    ],
)
def test_an_answer_that_takes_up_none_of_our_keys_is_refused(lines: tuple[str, ...]) -> None:
    caller = side(Encryption.REQUIRED)
    with pytest.raises(DescriptionRefused, match="no a=crypto that takes up one of the offer"):
        read(make_offer(caller), offer(*lines), caller)


def test_an_answer_in_clear_to_a_secure_offer_is_refused() -> None:
    caller = side(Encryption.REQUIRED)
    with pytest.raises(DescriptionRefused, match="another profile"):
        read(make_offer(caller), offer(profile="RTP/AVP"), caller)


def test_the_second_suite_of_an_offer_may_be_taken() -> None:
    caller = side(Encryption.REQUIRED)
    offered = make_offer(caller)
    session = read(offered, offer(f"a=crypto:2 {CM} inline:{K30}|2^31|1:4"), caller)
    own = CryptoLine.parse(crypto_of(offered)[1])
    assert own is not None
    assert session.keys == MediaKeys(CM, own.key, bytes(range(30)), b"\0\0\0\1")
