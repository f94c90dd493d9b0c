# SPDX-License-Identifier: MIT
"""One process of llama.cpp through xllamacpp: does what the JSON in its first argument asks for and prints one line."""
import json
import random
import sys
import threading
import time

import xllamacpp

ask = json.loads(sys.argv[1])


def server(n_ctx, parallel=1):
    p = xllamacpp.CommonParams()
    p.model.path = ask["model"]
    p.n_ctx = n_ctx
    p.n_parallel = parallel
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = ask["threads"]
    return xllamacpp.Server(p)


def ids(n, part):
    """BOS and words from the middle of the vocabulary."""
    draw = random.Random(f"{ask['seed']} {part}")
    return [2] + [draw.randrange(32768, 163840) for _ in range(n - 1)]


def complete(s, prompt, tokens):
    done = s.handle_completions({"prompt": prompt, "n_predict": tokens, "temperature": 0, "ignore_eos": True,
                                 "cache_prompt": False})
    done = done if isinstance(done, dict) else json.loads(done)
    if "timings" not in done:
        raise SystemExit(json.dumps(done))
    return done["timings"]


def speeds():
    longest = max(ask["prompts"] + ask["contexts"])
    s, out = server(longest + ask["answer"] + 64), {}
    complete(s, ids(16, "touch"), 4)
    for n in ask["prompts"]:
        if n not in ask["contexts"]:
            out[f"prompt@{n}"] = complete(s, ids(n, n), 1)["prompt_per_second"]
    for n in ask["contexts"]:
        t = complete(s, ids(n, n), ask["answer"] + 1)
        out[f"decode@{n}"] = t["predicted_per_second"]
        if n in ask["prompts"]:
            out[f"prompt@{n}"] = t["prompt_per_second"]
    return out


def resident():
    with open("/proc/self/status") as status:
        rows = dict(line.split(":", 1) for line in status)
    return [int(rows[k].split()[0]) * 1024 / 1e6 for k in ("RssAnon", "RssFile")]


def start():
    """To the first token, and what the engine adds to the memory of Python."""
    before = resident()
    t = time.monotonic()
    s = server(2048)
    complete(s, ids(32, "start"), 1)
    out = {"ttft@32": (time.monotonic() - t) * 1e3}
    complete(s, ids(512, "memory"), 64)
    after = resident()
    return dict(out, memory=after[0] - before[0], memory_file=after[1] - before[1])


def sessions():
    n = ask["sessions"]
    s = server(n * (ask["prompt"] + ask["answer"] + 8), n)
    complete(s, ids(16, "touch"), 4)
    work = [threading.Thread(target=complete, args=(s, ids(ask["prompt"], i), ask["answer"])) for i in range(n)]
    t = time.monotonic()
    for w in work:
        w.start()
    for w in work:
        w.join()
    return {f"sessions@{n}": n * ask["answer"] / (time.monotonic() - t)}


if ask.get("version"):
    result = {"version": xllamacpp.__version__}
elif ask.get("start"):
    result = start()
elif ask.get("sessions"):
    result = sessions()
else:
    result = speeds()
print(json.dumps({"xllamacpp": result}), flush=True)
