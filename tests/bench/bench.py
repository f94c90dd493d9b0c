# SPDX-License-Identifier: MIT
"""Bezel beside its peers on this machine: rounds in turn, medians of the ratios of each round, tables and charts.

    bench.py --bezel build/bezel --out build/bench [--model FILE] [--threads N] [--rounds N] [--minutes M]
             [--peers 'name=/path/llama-bench -option 1; other=http://host:port/v1'] [--no-xllamacpp] [--docs docs]
    bench.py --out build/bench --docs docs --again       tables and charts of the last results, nothing is measured

Needs Python 3 alone. xllamacpp comes from the Python package index into the cache folder; without it the others are
measured. Each round has short prompts and answers, every fourth the long ones too, every fourth the sessions.
"""
import argparse
import datetime
import glob
import json
import os
import platform
import subprocess
import sys
import time

import charts
import engines
import ratios
import report

PROMPTS, LONG_PROMPTS = [512, 32], [4096]
CONTEXTS, LONG_CONTEXTS = [16], [1024, 4096]
SESSIONS = [16, 32]
KINDS = ["long", "short", "sessions", "short"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "bezel")


def xllamacpp_folder():
    """The folder with the package, installed when it is not there; None when that fails."""
    folder = os.path.join(cache_folder(), "peers", f"xllamacpp-{sys.version_info[0]}.{sys.version_info[1]}")
    if not os.path.isdir(os.path.join(folder, "xllamacpp")):
        say("Fetching xllamacpp (llama.cpp) from the Python package index ...")
        done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps",
                               "--only-binary", ":all:", "--target", folder, "xllamacpp"], stdin=subprocess.DEVNULL,
                              env=dict(os.environ, PIP_ROOT_USER_ACTION="ignore"))
        if done.returncode != 0:
            return None
    return folder


def default_threads():
    return min(len(os.sched_getaffinity(0)), 8)


def machine():
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as info:
            for line in info:
                if line.startswith("model name"):
                    name = line.split(":", 1)[1].strip()
                    break
        with open("/proc/meminfo") as info:
            memory = int(info.readline().split()[1]) * 1024
    except OSError:
        memory = 0
    return {"cpu": name, "cores": os.cpu_count(), "memory_bytes": memory, "system": platform.platform()}


def kind_of(number):
    return KINDS[number % len(KINDS)]


def plan_of(number):
    long = kind_of(number) == "long"
    return engines.Plan(PROMPTS + LONG_PROMPTS * long, CONTEXTS + LONG_CONTEXTS * long,
                        SESSIONS if kind_of(number) == "sessions" else [])


def one_round(bezel, others, number, seed):
    """Each engine once, in an order that turns round every time, with a probe before each and after the last."""
    order = [bezel] + others if number % 2 == 0 else others[::-1] + [bezel]
    result, probes, problems = {}, [], {}
    began, before = time.monotonic(), engines.busy_seconds()
    for engine in order:
        probes.append(bezel.probe())
        say(f"  {engine.name} ...")
        found = result[engine.name] = {}  # what was measured before a failure counts
        try:
            engine.measure(plan_of(number), seed, found)
        except engines.EngineError as problem:
            say(f"  {engine.name}: {problem}")
            problems[engine.name] = str(problem)
    probes.append(bezel.probe())
    after = engines.busy_seconds()
    others = max(0, after[0] - before[0] - (after[1] - before[1])) / (time.monotonic() - began)
    say(f"  memory {min(probes):.1f} to {max(probes):.1f} GB/s, others used {others:.2f} cores")
    return {"others": others, "probe": sorted(probes)[len(probes) // 2], "probes": probes, "engines": result, "problems": problems}


def measure(options):
    threads = options.threads or default_threads()
    bezel = engines.Bezel(options.bezel, options.model, threads)
    others = engines.peers_read(options.peers, options.model, threads, options.out)
    folder = None if options.no_xllamacpp else xllamacpp_folder()
    if folder:
        try:
            others.insert(0, engines.Xllamacpp(folder, options.model, threads))
        except engines.EngineError as problem:
            say(f"xllamacpp cannot be used: {problem}")
    if not others:
        say("No peer to measure beside Bezel.")
    bezel.bench("--tests", "ttft")  # makes the side file
    began, rounds, longest = time.monotonic(), [], {}
    for number in range(options.rounds):
        spent = time.monotonic() - began
        if spent + longest.get(kind_of(number), 0) > options.minutes * 60:
            say(f"Round {number + 1} is left out: it would end after {options.minutes:g} minutes.")
            continue
        say(f"Round {number + 1} of {options.rounds}, {spent:.0f} s")
        t = time.monotonic()
        rounds.append(one_round(bezel, others, number, options.seed + number))
        longest[kind_of(number)] = time.monotonic() - t
    return {"date": datetime.date.today().isoformat(), "machine": machine(), "threads": threads,
            "model": {"name": os.path.basename(options.model), "bytes": os.path.getsize(options.model)},
            "isa": bezel.bench("--tests", "load")["isa"],
            "weights": json.loads(engines.run([options.bezel, "info", "--json", "--model", options.model])).get("weight_bytes"),
            "own": bezel.name, "versions": {e.name: e.about for e in [bezel] + others},
            "peers": [e.name for e in others], "rounds": rounds}


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def publish(results, out, docs):
    """Tables and charts into out; into docs as well when it is given."""
    rows = ratios.summary(results["rounds"], results["own"], results["peers"])
    table = report.table(results, rows)
    drawn = {name: charts.bar_chart(*chart) for name, chart in report.charts_of(results, rows).items()}
    write(os.path.join(out, "results.md"), table)
    for name, svg in drawn.items():
        write(os.path.join(out, name), svg)
    if docs:
        for old in glob.glob(os.path.join(docs, "performance-*.svg")):
            os.remove(old)
        for name, svg in drawn.items():
            write(os.path.join(docs, name), svg)
        page = os.path.join(docs, "performance.md")
        with open(page, encoding="utf-8") as before:
            text = before.read()
        write(page, report.replace(text, table + report.pictures(results, rows)))
    return table


def read_options(arguments):
    p = argparse.ArgumentParser(description="Bezel beside its peers on this machine.")
    p.add_argument("--bezel", default="build/bezel")
    p.add_argument("--model", default=os.environ.get("BEZEL_MODEL"))
    p.add_argument("--out", default="build/bench")
    p.add_argument("--docs", help="folder of performance.md: tables go between its marks, charts beside it")
    p.add_argument("--threads", type=int, default=0, help="0 = one a core, at most 8")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--minutes", type=float, default=7.7, help="no round begins that would end later")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--peers", default="")
    p.add_argument("--no-xllamacpp", action="store_true")
    p.add_argument("--again", action="store_true", help="from the last results")
    return p.parse_args(arguments)


def main(arguments):
    options = read_options(arguments)
    os.makedirs(options.out, exist_ok=True)
    stored = os.path.join(options.out, "results.json")
    try:
        if options.again:
            with open(stored, encoding="utf-8") as before:
                results = json.load(before)
        elif not options.model:
            return "bench.py: no model: --model FILE or BEZEL_MODEL"
        else:
            results = measure(options)
            write(stored, json.dumps(results, indent=1) + "\n")
        print(publish(results, options.out, options.docs))
    except (engines.EngineError, OSError, ValueError) as problem:
        return f"bench.py: {problem}"
    say(f"Results, tables and charts are in {options.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
