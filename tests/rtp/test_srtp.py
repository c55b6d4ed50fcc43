"""Packets that are sealed, and what opens them (RFC 3711)."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from farend.srtp import PROFILES, new_key, opening, sealing
from mediaserver.rtp.packet import build_packet
from mediaserver.rtp.srtp import OVERLAP, Keys, SrtpCipher

SUITE = "AES_CM_128_HMAC_SHA1_80"
REPORT = b"\x81\xc9\x00\x07\x00\x00\x00\x09" + bytes(24)


def spoken(number: int, ssrc: int = 9) -> bytes:
    return build_packet(0, number, 160 * number, ssrc, bytes([number & 0xFF]) * 160)


def keys(suite: str = SUITE, mki: bytes = b"") -> Keys:
    return Keys(suite, new_key(suite), new_key(suite), mki)


# The master key and salt of RFC 3711 appendix B.3, and the session keys derived from them there.
MASTER = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6")
KEY = bytes.fromhex("c61e7a93744f39ee10734afe3ff7a087")
SALT = bytes.fromhex("30cbbc08863d8c85d49db34a9ae1")
AUTH = bytes.fromhex("cebe321f6ff7716b6fd4ab49af256a156d38baa4")


def by_the_book(packet: bytes, roll_over: int = 0) -> bytes:
    """Seal a packet as sections 3.1, 4.1.1 and 4.2.1 say, by the keys of appendix B.3."""
    index = roll_over << 16 | int.from_bytes(packet[2:4], "big")
    start = (
        int.from_bytes(SALT, "big") << 16 ^ int.from_bytes(packet[8:12], "big") << 64 ^ index << 16
    )
    stream = Cipher(algorithms.AES(KEY), modes.CTR(start.to_bytes(16, "big"))).encryptor()
    sealed = packet[:12] + stream.update(packet[12:])
    tag = hmac.digest(AUTH, sealed + roll_over.to_bytes(4, "big"), hashlib.sha1)
    return sealed + tag[:10]


def test_the_keys_of_appendix_b_seal_and_open_as_the_rfc_says() -> None:
    ends = SrtpCipher(Keys(SUITE, MASTER, MASTER))
    for number in (0x1234, 0x1235):
        sealed = by_the_book(spoken(number, 0xCAFE_BABE))
        assert ends.seal(spoken(number, 0xCAFE_BABE)) == sealed
        assert ends.open(sealed) == spoken(number, 0xCAFE_BABE)


def test_the_roll_over_counter_goes_on_both_ways() -> None:
    ends = SrtpCipher(Keys(SUITE, MASTER, MASTER))
    for number in range(0xFFF0, 0x1_0010):
        sealed = by_the_book(spoken(number), number >> 16)
        assert ends.seal(spoken(number)) == sealed
        assert ends.open(sealed) == spoken(number)


@pytest.mark.parametrize("suite", PROFILES)
def test_every_suite_passes_packets_both_ways_once(suite: str) -> None:
    agreed = keys(suite)
    ends = SrtpCipher(agreed)
    theirs, ours = sealing(agreed.theirs, suite), opening(agreed.ours, suite)
    assert ends.suite == suite
    for number in range(300):
        sealed = theirs.protect(spoken(number))
        assert sealed[12:] != spoken(number)[12:]
        assert ends.open(sealed) == spoken(number)
        assert ends.open(sealed) is None
        own = ends.seal(spoken(number, 5))
        assert own is not None
        assert ours.unprotect(own) == spoken(number, 5)
    for _ in range(3):
        report = theirs.protect_rtcp(REPORT)
        assert ends.open_report(report) == REPORT
        assert ends.open_report(report) is None
        own = ends.seal_report(REPORT)
        assert own is not None
        assert ours.unprotect_rtcp(own) == REPORT


@pytest.mark.parametrize("suite", PROFILES)
def test_what_is_not_the_far_ends_is_not_opened_and_does_no_harm(suite: str) -> None:
    agreed = keys(suite)
    ends, theirs = SrtpCipher(agreed), sealing(agreed.theirs, suite)
    foreign = sealing(new_key(suite), suite)
    for number in range(40):
        sealed = theirs.protect(spoken(number))
        for at in (0, 2, 9, 12, 50, len(sealed) - 1):  # every part of a packet
            bad = bytearray(sealed)
            bad[at] ^= 1
            assert ends.open(bytes(bad)) is None
        assert ends.open(spoken(number)) is None
        assert ends.open(foreign.protect(spoken(number))) is None
        assert ends.open(sealed) == spoken(number)
    report = theirs.protect_rtcp(REPORT)
    for size in range(len(report)):
        assert ends.open_report(report[:size]) is None
    sealed = theirs.protect(spoken(41))
    for size in range(len(sealed)):
        assert ends.open(sealed[:size]) is None
    for size in (0, 1, 11, 12, 13, 1400, 1500, 1501, 1984, 65_000):
        for data in (bytes(size), b"\x80" * size, b"\xff" * size, b"\x90" + b"\xff" * size):
            assert ends.open(data) is None
            assert ends.open_report(data) is None
    assert ends.open_report(report) == REPORT
    assert ends.open(sealed) == spoken(41)


def test_a_packet_too_long_to_be_sealed_is_not_sent_at_all() -> None:
    ends = SrtpCipher(keys())
    assert ends.seal(bytes(60_000)) is None
    assert ends.seal_report(bytes(60_000)) is None
    assert ends.seal(b"") is None


def test_packets_in_disorder_are_opened_within_the_window() -> None:
    agreed = keys()
    ends, theirs = SrtpCipher(agreed), sealing(agreed.theirs)
    sealed = [theirs.protect(spoken(number)) for number in range(0xFF80, 0x1_0080)]
    for at in range(0, len(sealed), 64):
        for packet in reversed(sealed[at : at + 64]):
            assert ends.open(packet) is not None
    assert not any(ends.open(packet) for packet in sealed)


def test_the_far_end_may_begin_another_stream_at_any_time() -> None:
    agreed = keys()
    ends, theirs = SrtpCipher(agreed), sealing(agreed.theirs)
    for ssrc in range(1, 200):
        for number in (40_000, 40_001):
            packet = spoken(number, ssrc)
            assert ends.open(theirs.protect(packet)) == packet


def test_the_newest_streams_are_safe_from_replay() -> None:
    agreed = keys()
    ends, theirs = SrtpCipher(agreed), sealing(agreed.theirs)
    sealed = [theirs.protect(spoken(1, ssrc)) for ssrc in range(1, 100)]
    for packet in sealed:
        assert ends.open(packet)
    assert not any(ends.open(packet) for packet in sealed[-30:])


def test_new_keys_lose_nothing_that_was_under_way() -> None:
    old = keys()
    new = Keys(SUITE, new_key(), new_key())
    ends, before, after = SrtpCipher(old), sealing(old.theirs), sealing(new.theirs)
    assert ends.open(before.protect(spoken(0)))
    late = [before.protect(spoken(number)) for number in range(1, 20)]
    ends.renew(new)
    assert all(ends.open(packet) for packet in late[:10])
    for number in range(20, 20 + OVERLAP - 1):
        assert ends.open(after.protect(spoken(number))) == spoken(number)
    assert ends.open(late[10]) == spoken(11)
    report = before.protect_rtcp(REPORT)
    assert ends.open_report(report) == REPORT
    assert ends.open(after.protect(spoken(500)))
    # By now everybody knows of the new ones.
    assert not any(ends.open(packet) for packet in late[11:])
    own = ends.seal(spoken(7, 5))
    assert own is not None
    assert opening(new.ours).unprotect(own) == spoken(7, 5)


def test_keys_that_are_repeated_go_on_as_if_nothing_was_said() -> None:
    agreed = keys()
    ends, theirs, ours = SrtpCipher(agreed), sealing(agreed.theirs), opening(agreed.ours)
    heard = [theirs.protect(spoken(number)) for number in (65_534, 65_535)]
    assert all(ends.open(packet) for packet in heard)
    for number in (65_534, 65_535):
        own = ends.seal(spoken(number, 5))
        assert own is not None
        ours.unprotect(own)
    ends.renew(Keys(agreed.suite, agreed.ours, agreed.theirs))
    assert not any(ends.open(packet) for packet in heard)
    assert ends.open(theirs.protect(spoken(0))) == spoken(0)
    own = ends.seal(spoken(0, 5))
    assert own is not None
    assert ours.unprotect(own) == spoken(0, 5)


def test_keys_that_come_back_remember_what_they_heard() -> None:
    first, second = keys(), keys()
    ends, theirs = SrtpCipher(first), sealing(first.theirs)
    heard = theirs.protect(spoken(1))
    assert ends.open(heard)
    ends.renew(second)
    ends.renew(first)
    assert ends.open(heard) is None
    assert ends.open(theirs.protect(spoken(2)))


def test_former_keys_are_bounded_in_number() -> None:
    rows = [keys() for _ in range(5)]
    ends = SrtpCipher(rows[0])
    for row in rows[1:]:
        ends.renew(row)
    opened = [ends.open(sealing(row.theirs).protect(spoken(1, 77))) is not None for row in rows]
    assert opened == [False, False, True, True, True]


@pytest.mark.parametrize("suite", PROFILES)
def test_a_key_identifier_is_cut_out(suite: str) -> None:
    agreed = keys(suite, mki=b"\x00\x00\x00\x01")
    ends, theirs = SrtpCipher(agreed), sealing(agreed.theirs, suite)
    tag = {"AES_CM_128_HMAC_SHA1_80": 10, "AES_CM_128_HMAC_SHA1_32": 4}.get(suite, 0)
    for number in range(5):
        sealed = theirs.protect(spoken(number))
        end = len(sealed) - tag
        assert ends.open(sealed[:end] + b"\x00\x00\x00\x02" + sealed[end:]) is None
        assert ends.open(sealed[:end] + agreed.mki + sealed[end:]) == spoken(number)
    assert ends.open(theirs.protect(spoken(6))) == spoken(6)  # announced, and not sent
    report = theirs.protect_rtcp(REPORT)
    end = len(report) - (10 if tag else 0)
    assert ends.open_report(report[:end] + agreed.mki + report[end:]) == REPORT


def test_keys_are_not_shown() -> None:
    agreed = Keys(SUITE, b"o" * 30, b"t" * 30)
    assert "oooo" not in repr(agreed)
    assert "tttt" not in repr(agreed)
