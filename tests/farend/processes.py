"""What a process has open, as /proc tells."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path


def open_files(pid: int) -> dict[str, int]:
    """Return how many descriptors of each kind a process has open."""
    found: Counter[str] = Counter()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
        found[target.partition(":")[0] if ":" in target else Path(target).suffix or target] += 1
    return dict(found)


def udp_ports(pid: int) -> set[int]:
    """Return the UDP ports that a process of this network has bound (IPv4)."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[9] in inodes}
