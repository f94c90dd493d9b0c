# SPDX-License-Identifier: MIT
"""Rounds to ratios: medians of what each round says by itself, without the rounds in which the machine was weak.

A round is {"probe": GB/s, "engines": {name: {metric: value}}}. A metric is "kind@size" or "kind@size|variant".
"""
import statistics

WEAK = 0.7  # of the median probe: below, a round is dropped
SMALLER_IS_BETTER = ("ttft", "memory")


def kind_of(metric):
    return metric.split("@")[0].split("|")[0]


def plain(metric):
    """The metric without its variant: what a peer, which has none, is held against."""
    return metric.split("|")[0]


def keep(rounds):
    """The rounds whose probe is not weak. Rounds without a probe stay."""
    probes = [r["probe"] for r in rounds if r.get("probe")]
    if not probes:
        return list(rounds)
    least = WEAK * statistics.median(probes)
    return [r for r in rounds if not r.get("probe") or r["probe"] >= least]


def values(rounds, engine, metric):
    found = [r["engines"].get(engine, {}).get(metric) for r in rounds]
    return [x for x in found if x is not None and x > 0]


def spread(numbers):
    """Median, smallest and largest; None without numbers."""
    if not numbers:
        return None
    return {"median": statistics.median(numbers), "low": min(numbers), "high": max(numbers), "rounds": len(numbers)}


def ratios(rounds, own, metric, peer):
    """How many times better own[metric] is than the peer's, round by round."""
    out = []
    for r in rounds:
        a = r["engines"].get(own, {}).get(metric)
        b = r["engines"].get(peer, {}).get(plain(metric))
        if a and b and a > 0 and b > 0:
            out.append(b / a if kind_of(metric) in SMALLER_IS_BETTER else a / b)
    return out


def best_peer(rounds, metric, names):
    """The peer whose median is best, among builds or settings of one program."""
    found = [(spread(values(rounds, n, plain(metric))), n) for n in names]
    found = [(s["median"], n) for s, n in found if s]
    if not found:
        return None
    pick = min if kind_of(metric) in SMALLER_IS_BETTER else max
    return pick(found)[1]


def summary(rounds, own, peers):
    """Rows in the order in which metrics first appear: the value of each engine and the ratio to each peer."""
    kept = keep(rounds)
    metrics = []
    for r in kept:
        for metric in r["engines"].get(own, {}):
            if metric not in metrics:
                metrics.append(metric)
    rows = []
    for metric in metrics:
        row = {"metric": metric, "own": spread(values(kept, own, metric)), "peers": {}}
        for peer in peers:
            value = spread(values(kept, peer, plain(metric)))
            ratio = spread(ratios(kept, own, metric, peer))
            if value and ratio:
                row["peers"][peer] = {"value": value, "ratio": ratio}
        if row["own"]:
            rows.append(row)
    return rows
