# SPDX-License-Identifier: MIT
"""Tables and charts of results, and their place in docs/performance.md. Says only what was measured."""
import ratios

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

NAMES = {
    "prompt": "prompt of {size} tokens",
    "decode": "answer at {size} tokens of context",
    "decode|full": "the same, full output layer",
    "forced": "given token, no output layer",
    "sessions": "{size} sessions together, answers",
    "ttft": "process start to first token, prompt of {size}",
    "ttft|absent": "the same, empty cache folder",
    "memory": "memory, 2048 positions, without model file",
    "memory_file": "pages of the model file in memory",
}
UNITS = {"ttft": "ms", "memory": "MB", "memory_file": "MB"}
ORDER = ["decode", "prompt", "ttft", "sessions", "forced", "memory", "memory_file"]


def split(metric):
    """"decode@16|full" to ("decode", 16, "full")."""
    head, _, variant = metric.partition("|")
    kind, _, size = head.partition("@")
    return kind, int(size or 0), variant


def place(row):
    kind, size, variant = split(row["metric"])
    return ORDER.index(kind) if kind in ORDER else len(ORDER), size, variant


def label(metric):
    kind, size, variant = split(metric)
    name = NAMES.get(kind + ("|" + variant if variant else ""), metric)
    return name.format(size=size)


def figure(x):
    if x >= 100:
        return f"{x:.0f}"
    return f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def unit(metric):
    return UNITS.get(split(metric)[0], "tokens/s")


def ranged(s):
    return f"{s['median']:.2f} [{s['low']:.2f}–{s['high']:.2f}]"


def sentence(results):
    kept, all_rounds = ratios.keep(results["rounds"]), results["rounds"]
    probes = [r["probe"] for r in kept]
    machine, model = results["machine"], results["model"]
    load = max(r.get("others") or 0 for r in kept)
    versions = ", ".join(f"{name} ({about})" for name, about in results["versions"].items())
    dropped = len(all_rounds) - len(kept)
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB; {results['isa']}, "
        f"{results['threads']} thread{'s' if results['threads'] != 1 else ''}. Model: {model['name']} ({model['bytes']:,} bytes). "
        f"{versions}. {len(kept)} rounds in turn, "
        + (f"{dropped} dropped because the machine was weak or busy, " if dropped else "")
        + f"random prompts; memory read {min(probes):.1f}–{max(probes):.1f} GB/s, other programs used up to "
        f"{load:.2f} cores. {results['date']}.\n\n"
        "Medians; ratios are those of each round, how many times better Bezel is, with their range.\n")


def limit_line(results, rows):
    """How much of the read bandwidth a token uses up: bytes of the weights by the speed of the full output layer."""
    found = [r for r in rows if split(r["metric"])[0] == "decode" and split(r["metric"])[2] == "full"]
    found = found or [r for r in rows if split(r["metric"])[0] == "decode"]
    if not found or not results.get("weights"):
        return ""
    first = min(found, key=place)
    probe = ratios.spread([r["probe"] for r in ratios.keep(results["rounds"])])
    if not probe:
        return ""
    share = first["own"]["median"] * results["weights"] / 1e9 / probe["median"]
    return (f"\nAnswering with the full output layer reads {results['weights'] / 1e6:.1f} MB of weights a token: "
            f"{share * 100:.0f} % of what a plain read loop gets from this memory ({probe['median']:.1f} GB/s).\n")


def table(results, rows):
    peers = results["peers"]
    head = ["", "unit", results["own"]]
    for peer in peers:
        head += [peer, "ratio"]
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "---|" * (len(head) - 2)]
    for row in sorted(rows, key=place):
        cells = [label(row["metric"]), unit(row["metric"]), figure(row["own"]["median"])]
        for peer in peers:
            found = row["peers"].get(peer)
            is_ratio = found and split(row["metric"])[0] != "memory_file"
            cells += [figure(found["value"]["median"]) if found else "–", ranged(found["ratio"]) if is_ratio else "–"]
        lines.append("| " + " | ".join(cells) + " |")
    return sentence(results) + "\n" + "\n".join(lines) + "\n" + limit_line(results, rows)


def chart(results, rows, kind, title, caption, variants):
    """Groups by size; series are Bezel's variants and the peers. None when nothing of the kind was measured."""
    found = {(split(r["metric"])[1], split(r["metric"])[2]): r for r in rows if split(r["metric"])[0] == kind}
    if not found:
        return None
    variants = [v for v in variants if any(key[1] == v[0] for key in found)]
    peers = [p for p in results["peers"] if any(p in r["peers"] for r in found.values())]
    series = [name for _, name in variants] + peers
    colours = list(range(len(variants))) + [2 + results["peers"].index(p) for p in peers]
    groups = []
    for size in sorted({key[0] for key in found}):
        row = [found[size, v]["own"] if (size, v) in found else None for v, _ in variants]
        plain = found.get((size, ""))
        row += [plain["peers"][p]["value"] if plain and p in plain["peers"] else None for p in peers]
        groups.append((f"{size:,} tokens" if kind != "sessions" and size else f"{size} sessions" if size else "", row))
    return title, caption, series, groups, colours


def charts_of(results, rows):
    own = results["own"]
    wanted = {
        "performance-decode.svg": ("decode", "Answer after a context", "tokens a second, more is better",
                                   [("", own), ("full", own + ", full output layer")]),
        "performance-prompt.svg": ("prompt", "Prompt", "tokens a second, more is better", [("", own)]),
        "performance-start.svg": ("ttft", "Process start to first token", "milliseconds, less is better",
                                  [("", own), ("absent", own + ", empty cache folder")]),
        "performance-sessions.svg": ("sessions", "Sessions together", "answer tokens a second in all, more is better",
                                     [("", own)]),
        "performance-memory.svg": ("memory", "Memory without the model file", "megabytes, less is better", [("", own)]),
    }
    drawn = {name: chart(results, rows, *what) for name, what in wanted.items()}
    return {name: what for name, what in drawn.items() if what}


def pictures(results, rows):
    lines = [f"![{what[0]}, {what[1]}]({name})" for name, what in charts_of(results, rows).items()]
    return "\n" + "\n\n".join(lines) + "\n"


def replace(page, text):
    """The page with text between its marks."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"performance.md needs {BEGIN} and {END}, once each")
    before, rest = page.split(BEGIN)
    return before + BEGIN + "\n" + text + END + rest.split(END)[1]
