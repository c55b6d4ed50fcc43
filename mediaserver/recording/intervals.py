"""Stretches of a line, as sorted lists of (start, end) of which no two touch."""

from __future__ import annotations

from collections.abc import Iterable

Intervals = list[tuple[int, int]]


def joined(stretches: Iterable[tuple[int, int]], gap: int = 0) -> Intervals:
    """Return any stretches as intervals; those no more than `gap` apart become one."""
    intervals: Intervals = []
    for start, end in sorted(stretches):
        if end <= start:
            continue
        if intervals and start - intervals[-1][1] <= gap:
            if end > intervals[-1][1]:
                intervals[-1] = intervals[-1][0], end
        else:
            intervals.append((start, end))
    return intervals


def common(one: Intervals, other: Intervals) -> Intervals:
    """Return what is in both."""
    shared: Intervals = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            shared.append((start, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return shared


def without(one: Intervals, other: Intervals) -> Intervals:
    """Return what is in one and not in the other."""
    left: Intervals = []
    j = 0
    for start, end in one:
        while j < len(other) and other[j][1] <= start:
            j += 1
        at, k = start, j
        while k < len(other) and other[k][0] < end:
            if other[k][0] > at:
                left.append((at, other[k][0]))
            at = max(at, other[k][1])
            k += 1
        if at < end:
            left.append((at, end))
    return left


def part(intervals: Intervals, start: int, end: int) -> Intervals:
    """Return what lies from `start` to `end` where they are put end to end, beginning with 0."""
    chosen: Intervals = []
    at = 0
    for first, last in intervals:
        begin, stop = max(first, first + start - at), min(last, first + end - at)
        if begin < stop:
            chosen.append((begin, stop))
        at += last - first
    return chosen


def length(intervals: Intervals) -> int:
    """Return how long all of them are together."""
    return sum(end - start for start, end in intervals)
