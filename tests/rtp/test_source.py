"""Who may speak on a leg: robustness S1 and S2."""

from __future__ import annotations

import numpy as np
import pytest

from mediaserver.rtp.packet import PacketBatch, build_packet, host_key, source_key
from mediaserver.rtp.source import PROBATION, Sources

SLOT = 2
PEER = ("127.0.0.1", 4000)
STRANGER = ("127.0.0.9", 4000)


def batch_of(*packets: tuple[tuple[str, int], int], at: float = 1.0, ssrc: int = 5) -> PacketBatch:
    batch = PacketBatch.empty(max(1, len(packets)))
    for address, sequence in packets:
        datagram = build_packet(0, sequence, 160 * sequence, ssrc, b"x" * 160)
        batch.append(SLOT, datagram, source_key(*address), at)
    return batch


def admitted(sources: Sources, batch: PacketBatch) -> tuple[int, int]:
    own, replay = sources.admit(batch)
    return int(own.sum()), len(replay)


@pytest.fixture
def sources() -> Sources:
    return Sources(4)


def test_the_address_in_sdp_is_heard_from_the_first_packet(sources: Sources) -> None:
    sources.open(SLOT, PEER, PEER[0], 0.0)
    assert admitted(sources, batch_of((PEER, 1))) == (1, 0)


def test_a_stranger_is_never_heard_before_during_or_after(sources: Sources) -> None:
    sources.open(SLOT, PEER, PEER[0], 0.0)
    flood = batch_of(*((STRANGER, n) for n in range(1000)))
    assert admitted(sources, flood) == (0, 0)
    assert admitted(sources, batch_of((PEER, 1))) == (1, 0)
    assert admitted(sources, flood) == (0, 0)
    sources.open(SLOT, PEER, PEER[0], 1.5)
    assert admitted(sources, flood) == (0, 0)
    late = batch_of(*((STRANGER, n) for n in range(1000)), at=100.0)
    assert admitted(sources, late) == (0, 0)
    assert sources.refused[SLOT] == 4000
    assert sources.accepted[SLOT] == source_key(*PEER)


def test_behind_a_nat_the_signalling_host_is_learned_and_nothing_is_lost(sources: Sources) -> None:
    sources.open(SLOT, ("10.0.0.5", 4000), "127.0.0.1", 0.0)
    outside = ("127.0.0.1", 33_333)
    assert admitted(sources, batch_of(*((outside, n) for n in range(1, PROBATION)))) == (0, 0)
    assert admitted(sources, batch_of((outside, PROBATION), (outside, PROBATION + 1))) == (1, 4)
    assert sources.accepted[SLOT] == source_key(*outside)


def test_learning_ends_with_the_first_packet_of_the_announced_address(sources: Sources) -> None:
    sources.open(SLOT, PEER, PEER[0], 0.0)
    assert admitted(sources, batch_of((PEER, 1))) == (1, 0)
    other_port = batch_of(*(((PEER[0], 5555), n) for n in range(20)))
    assert admitted(sources, other_port) == (0, 0)


def test_packets_out_of_sequence_are_no_probation(sources: Sources) -> None:
    sources.open(SLOT, ("10.0.0.5", 4000), "127.0.0.1", 0.0)
    guesses = batch_of(*((("127.0.0.1", 33_333), n) for n in (1, 9, 4, 70, 2, 90, 5)))
    assert admitted(sources, guesses) == (0, 0)


def test_an_address_may_move_after_two_seconds_of_silence(sources: Sources) -> None:
    sources.open(SLOT, PEER, PEER[0], 0.0)
    assert admitted(sources, batch_of((PEER, 1), at=1.0)) == (1, 0)
    moved = (PEER[0], 7000)
    soon = batch_of(*((moved, n) for n in range(2, 8)), at=2.0)
    assert admitted(sources, soon) == (0, 0)
    later = batch_of(*((moved, n) for n in range(8, 14)), at=4.0)
    assert admitted(sources, later) == (2, 4)


def test_the_same_sdp_again_changes_nothing(sources: Sources) -> None:
    sources.open(SLOT, ("10.0.0.5", 4000), "127.0.0.1", 0.0)
    outside = ("127.0.0.1", 33_333)
    admitted(sources, batch_of(*((outside, n) for n in range(5))))
    sources.open(SLOT, ("10.0.0.5", 4000), "127.0.0.1", 1.0)
    assert sources.accepted[SLOT] == source_key(*outside)


def test_a_new_sdp_address_is_heard_at_once(sources: Sources) -> None:
    sources.open(SLOT, PEER, PEER[0], 0.0)
    admitted(sources, batch_of((PEER, 1)))
    sources.open(SLOT, ("127.0.0.3", 6000), "127.0.0.1", 1.0)
    assert admitted(sources, batch_of((("127.0.0.3", 6000), 1), (PEER, 2))) == (1, 0)


def test_what_is_no_rtp_is_no_probation(sources: Sources) -> None:
    sources.open(SLOT, ("10.0.0.5", 4000), "127.0.0.1", 0.0)
    batch = PacketBatch.empty(8)
    for _ in range(8):
        batch.append(SLOT, b"\x00\x01", source_key("127.0.0.1", 9), 1.0)
    own, replay = sources.admit(batch)
    assert not own.any()
    assert not replay


def test_many_candidates_do_not_grow_without_bound(sources: Sources) -> None:
    sources.open(SLOT, ("10.0.0.5", 4000), "127.0.0.1", 0.0)
    batch = batch_of(*((("127.0.0.1", port), 1) for port in range(1024, 3024)))
    admitted(sources, batch)
    assert sources.refused[SLOT] >= 1990


def test_keys_tell_hosts_and_ports_apart() -> None:
    keys = {source_key(h, p) for h in ("1.2.3.4", "1.2.3.5", "::1", "fe80::1") for p in (1, 2)}
    assert len(keys) == 8
    assert all(0 < key < 2**63 for key in keys)
    assert source_key("1.2.3.4", 5) >> 16 == host_key("1.2.3.4")
    assert np.int64(source_key("ffff::1", 65535)) > 0
