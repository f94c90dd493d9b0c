# SPDX-License-Identifier: MIT
"""The programs that are measured. Each has a name and measure(plan, seed, out), which adds {metric: value} to out; speeds in tokens a second,
ttft in milliseconds, memory in megabytes of its own (anonymous pages, and for Bezel those of its side file).

Prompts are drawn anew from the seed of the round. A failure is an EngineError with what the program said.
"""
import json
import os
import random
import shlex
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ANSWER = 128           # tokens of an answer whose speed is measured
SESSION_PROMPT, SESSION_ANSWER = 32, 64
LIMIT = 240            # seconds for one program in one round


class EngineError(Exception):
    pass


def run(words, stderr=subprocess.PIPE, env=None, cwd=None):
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=stderr, timeout=LIMIT, stdin=subprocess.DEVNULL, env=env,
                              cwd=cwd)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise EngineError(str(problem)) from None
    if done.returncode != 0:
        last = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-1:]
        raise EngineError(f"{words[0]} ends with {done.returncode}: {' '.join(last)}")
    return done.stdout.decode(errors="replace")


class Plan:
    """What one round measures."""

    def __init__(self, prompts, contexts, sessions, start=True, memory=True):
        self.prompts, self.contexts, self.sessions = prompts, contexts, sessions
        self.start, self.memory = start, memory


class Bezel:
    name = "Bezel"

    def __init__(self, program, model, threads):
        self.program, self.model, self.threads = program, model, threads
        self.about = run([program, "--version"]).strip()

    def bench(self, *words):
        out = run([self.program, "bench", "--json", "--quiet", "--rounds", "1", "--model", self.model, "--threads",
                   str(self.threads), *words])
        return json.loads(out)

    def probe(self):
        """10^9 bytes a second that the machine's memory gives now."""
        return self.bench("--tests", "load")["rows"][0]["read_gb_per_second"]

    def measure(self, plan, seed, out):
        tests = ["prompt", "decode", "forced"] + ["ttft"] * plan.start + ["memory"] * plan.memory
        words = ["--tests", ",".join(tests), "--seed", str(seed), "--generate", str(ANSWER), "--prompt",
                 ",".join(map(str, plan.prompts)), "--context", ",".join(map(str, plan.contexts))]
        report = self.bench(*words)
        out.update(bezel_metrics(report))
        if plan.sessions and "sessions" in self.tests():
            counts = ",".join(map(str, plan.sessions))
            out.update(bezel_metrics(self.bench("--tests", "sessions", "--sessions", counts, "--seed", str(seed))))

    def tests(self):
        """What this build can measure: the list that a wrong --tests prints."""
        done = subprocess.run([self.program, "bench", "--tests", "?"], capture_output=True)
        return done.stderr.decode()


def bezel_metrics(report):
    """Rows of `bezel bench --json` as metrics. The first decode row of a context is the product default."""
    out = {}
    for row in report["rows"]:
        test, rate = row["test"], row["tokens_per_second"]
        if test == "prompt":
            out[f"prompt@{row['tokens']}"] = rate
        elif test == "decode":
            metric = f"decode@{row['context']}"
            if row["head"] == "full":
                out[metric + "|full"] = rate
            out.setdefault(metric, rate)
        elif test == "forced":
            out["forced"] = rate
        elif test == "sessions":
            out[f"sessions@{row['sessions']}"] = rate
        elif test == "ttft":
            out["ttft@32" + ("|absent" if row["side_file"] == "absent" else "")] = row["milliseconds"]
    if "memory" in report:
        pages = report["memory"]
        out["memory"] = (pages["anonymous_bytes"] + pages["side_file_bytes"]) / 1e6
        out["memory_file"] = pages["model_file_bytes"] / 1e6
    return out


class Xllamacpp:
    """llama.cpp in the process of a Python package, in a process of its own (xllamacpp_peer.py)."""
    name = "llama.cpp"

    def __init__(self, folder, model, threads):
        self.folder, self.model, self.threads = folder, model, threads
        self.about = "xllamacpp " + self.ask({"version": True})["version"]

    def ask(self, request):
        request.update(model=self.model, threads=self.threads)
        environment = dict(os.environ, PYTHONPATH=self.folder)
        out = run([sys.executable, os.path.join(HERE, "xllamacpp_peer.py"), json.dumps(request)], env=environment)
        for line in out.splitlines():
            if line.startswith('{"xllamacpp":'):
                return json.loads(line)["xllamacpp"]
        raise EngineError("xllamacpp_peer.py gave no result")

    def measure(self, plan, seed, out):
        out.update(self.ask({"seed": seed, "prompts": plan.prompts, "contexts": plan.contexts, "answer": ANSWER}))
        if plan.start or plan.memory:
            out.update(self.ask({"seed": seed, "start": True}))
        for n in plan.sessions:
            out.update(self.ask({"seed": seed, "sessions": n, "prompt": SESSION_PROMPT, "answer": SESSION_ANSWER}))


class LlamaBench:
    """A program with the options of llama-bench. llama-batched-bench beside it, if there, gives the sessions, unless
    options are given. ttft is the whole process with -pg 32,1: one token more and its end are in it."""

    def __init__(self, name, words, model, threads, scratch):
        words = [os.path.abspath(words[0])] + words[1:]
        self.name, self.words, self.model, self.threads = name, words, os.path.abspath(model), threads
        self.scratch = scratch  # such programs write a log where they are started
        self.help = subprocess.run([words[0], "--help"], capture_output=True, stdin=subprocess.DEVNULL).stdout.decode()
        self.about = " ".join([os.path.basename(words[0])] + words[1:])
        self.batched = os.path.join(os.path.dirname(words[0]), "llama-batched-bench")

    def command(self, *words):
        return [*self.words, "-m", self.model, "-t", str(self.threads), "-r", "1", "-o", "json", *words]

    def rate(self, *words):
        """Tokens a second of the last test of a run."""
        return llama_bench_rate(run(self.command(*words), cwd=self.scratch))

    def depth(self, context):
        """Options for an answer after `context` tokens: of llama.cpp (-d), of ik_llama.cpp (-gp)."""
        if "-gp <" in self.help:
            return ["-p", "0", "-n", "0", "-gp", f"{context},{ANSWER}"]
        return ["-p", "0", "-n", str(ANSWER), "-d", str(context)]

    def measure(self, plan, seed, out):
        for n in plan.prompts:
            out[f"prompt@{n}"] = self.rate("-p", str(n), "-n", "0")
        for context in plan.contexts:
            out[f"decode@{context}"] = self.rate(*self.depth(context))
        one = ["-p", "0", "-n", "0", "-pg"]
        cold = ["-w", "0"] if "-w, --warmup" in self.help else ["--no-warmup"] if "--no-warmup" in self.help else None
        if plan.start and cold:
            out["ttft@32"] = watched(self.command(*one, "32,1", *cold), self.scratch)[0]
        if plan.memory:
            out["memory"], out["memory_file"] = watched(self.command(*one, "512,64"), self.scratch)[1:]
        if len(self.words) == 1 and os.access(self.batched, os.X_OK):  # its options are other ones
            for n in plan.sessions:
                out[f"sessions@{n}"] = self.sessions(n)

    def sessions(self, n):
        words = [self.batched, "-m", self.model, "-t", str(self.threads), "-c",
                 str(n * (SESSION_PROMPT + SESSION_ANSWER + 8)), "-npp", str(SESSION_PROMPT), "-ntg", str(SESSION_ANSWER),
                 "-npl", str(n)]
        return batched_bench_rate(run(words, stderr=subprocess.STDOUT, cwd=self.scratch))


def llama_bench_rate(text):
    rows = json.loads(text[text.index("["):])
    return float(rows[-1]["avg_ts"])


def batched_bench_rate(text):
    """Answer tokens a second of the last row of its table, prompts included in the time."""
    rows = [line.strip("| \n").split("|") for line in text.splitlines() if line.startswith("|")]
    rows = [r for r in rows if r[0].strip().isdigit()]
    if not rows:
        raise EngineError("llama-batched-bench printed no row")
    row = rows[-1]
    return int(row[1]) * int(row[2]) / float(row[8])


def watched(words, cwd=None):
    """Milliseconds of a process, and the most it had in memory: of its own and of files, in megabytes."""
    most = {"RssAnon": 0, "RssFile": 0}
    start = time.monotonic()
    try:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 cwd=cwd)
    except OSError as problem:
        raise EngineError(str(problem)) from None
    while child.poll() is None:
        if time.monotonic() - start > LIMIT:
            child.kill()
        try:
            with open(f"/proc/{child.pid}/status") as status:
                for line in status:
                    key, _, rest = line.partition(":")
                    if key in most:
                        most[key] = max(most[key], int(rest.split()[0]) * 1024 / 1e6)
        except OSError:
            pass
        time.sleep(0.002)
    took = (time.monotonic() - start) * 1e3
    if child.returncode != 0:
        raise EngineError(f"{words[0]} ends with {child.returncode}")
    return took, most["RssAnon"], most["RssFile"]


class Server:
    """A server with POST .../completions of OpenAI's form, streaming; its model and threads are its own affair."""

    def __init__(self, name, url):
        self.name, self.url, self.about = name, url.rstrip("/"), url

    def complete(self, words, tokens):
        """Times of the first and last piece in seconds, and what the server counted."""
        body = {"model": "default", "prompt": words, "max_tokens": tokens, "temperature": 0, "stream": True, "ignore_eos": True,
                "stream_options": {"include_usage": True}}
        request = urllib.request.Request(self.url + "/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        start, first, last, pieces, usage = time.monotonic(), None, None, 0, {}
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                for line in answer:
                    if not line.startswith(b"data: {"):
                        continue
                    event = json.loads(line[6:])
                    usage = event.get("usage") or usage
                    if event.get("choices"):
                        last = time.monotonic() - start
                        first = last if first is None else first
                        pieces += 1
        except (OSError, ValueError) as problem:
            raise EngineError(f"{self.url}: {problem}") from None
        if first is None:
            raise EngineError(f"{self.url} answered nothing")
        return first, last, usage.get("prompt_tokens") or len(words.split()), usage.get("completion_tokens") or pieces

    def measure(self, plan, seed, out):
        for n in plan.prompts:
            first, _, prompt, _ = self.complete(random_words(n, f"{seed} prompt {n}"), 1)
            out[f"prompt@{n}"] = prompt / first
        for context in plan.contexts:
            first, last, _, tokens = self.complete(random_words(context, f"{seed} context {context}"), ANSWER + 1)
            if last > first and tokens > 1:
                out[f"decode@{context}"] = (tokens - 1) / (last - first)


COMMON = """the of and to in is was for on that with as it by at from his an were are which this be had or has first one their its
new after but who not they have her she two been other when there all during into school time may years more most only over city
some world would where later up such used many can state about national out known university united then made""".split()


def random_words(n, seed):
    """n common English words, each a token in common vocabularies; a server counts them itself."""
    draw = random.Random(seed)
    return " ".join(draw.choice(COMMON) for _ in range(max(1, n - 1)))


def busy_seconds():
    """Processor time that the whole machine has spent, and that of it which this process and its children have."""
    own = os.times()
    with open("/proc/stat") as stat:
        user, nice, system, _, _, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    every = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return every, own.user + own.system + own.children_user + own.children_system


def peers_read(text, model, threads, scratch):
    """"name=/path/llama-bench -option 1; other=http://host:port/v1" to engines."""
    out = []
    for part in text.split(";"):
        if not part.strip():
            continue
        name, equals, rest = part.strip().partition("=")
        words = shlex.split(rest)
        if not equals or not name.strip() or not words:
            raise EngineError(f'PEERS: "{part.strip()}" is not name=PROGRAM or name=URL')
        if words[0].startswith(("http://", "https://")):
            out.append(Server(name.strip(), words[0]))
        elif os.access(words[0], os.X_OK):
            out.append(LlamaBench(name.strip(), words, model, threads, scratch))
        else:
            raise EngineError(f"PEERS: {words[0]} is no program")
    return out
