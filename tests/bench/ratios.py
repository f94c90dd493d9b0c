# SPDX-License-Identifier: MIT
"""Rounds to ratios: medians of what each round says by itself, without the rounds in which the machine was weak.

A round is {"probe": GB/s, "others": cores that other programs used, "engines": {name: {metric: value}}}. A metric is "kind@size" or "kind@size|variant".
"""
import statistics

WEAK = 0.7  # of the median probe: below, a round is dropped
BUSY = 0.15  # cores that other programs used: above, a round is dropped, unless all are like that
SMALLER_IS_BETTER = ("ttft", "memory")


def kind_of(metric):
    return metric.split("@")[0].split("|")[0]


def plain(metric):
    """The metric without its variant: what a peer, which has none, is held against."""
    return metric.split("|")[0]


def keep(rounds):
    """The rounds in which memory was not weak and the machine was ours. A round without a probe or a load is neither."""
    probes = [r["probe"] for r in rounds if r.get("probe")]
    least = WEAK * statistics.median(probes) if probes else 0
    strong = [r for r in rounds if not r.get("probe") or r["probe"] >= least]
    quiet = [r for r in strong if (r.get("others") or 0) <= BUSY]
    return quiet or strong


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
