# SPDX-License-Identifier: MIT
"""How long does writing a call take: under the constraint, without it, and in llama.cpp under its grammar of the same tools?

    python3 tests/bench/calls_time.py build/bezel MODEL DATA OUT [FIRST COUNT]

DATA is a folder of BFCL entries; COUNT entries of simple_python from FIRST on are asked, in blocks of ten, each block by one
engine after the other. Needs the Python package xllamacpp. Adds a line an entry to OUT: {"id", "held", "free", "free_call",
"peer", "peer_tokens"}, milliseconds of decoding; prints the sums and ratios of all lines that OUT then has.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

MOST_TOKENS, BLOCK, THREADS = 128, 10, 2
KINDS = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}


def own(bezel, model, entries, constraint):
    """Milliseconds, and whether there is a call, by entry."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "simple_python.jsonl"), "w") as out:
            out.writelines(json.dumps(e) + "\n" for e in entries)
        answers = os.path.join(folder, "answers")
        subprocess.run([bezel, "bench", "calls", "--data", folder, "--category", "simple_python", "--constraint", constraint,
                        "--tool-choice", "required" if constraint == "on" else "auto", "--max-tokens", str(MOST_TOKENS),
                        "--output", answers, "--json", "--quiet", "--model", model, "--threads", str(THREADS)],
                       check=True, stdout=subprocess.DEVNULL)
        with open(answers) as lines:
            return {a["id"]: (a["ms"], bool(a["S1"])) for a in map(json.loads, lines)}


def rule(schema):
    """A value of the schema as the dialect writes it, in GBNF."""
    if schema.get("enum"):
        return "(" + " | ".join(json.dumps(json.dumps(v)) for v in schema["enum"]) + ")"
    kind = KINDS.get(schema.get("type"), schema.get("type"))
    if kind == "array":
        item = rule(schema.get("items", {}))
        return f'"[" ({item} (", " {item})*)? "]"'
    if kind == "object" and schema.get("properties"):
        keys = [f'"\\"{k}\\": " {rule(v)}' for k, v in schema["properties"].items()]
        return '"{" ' + ' ", " '.join(keys) + ' "}"'
    return {"integer": "integer", "number": "number", "boolean": "boolean", "object": "object"}.get(kind, "string")


def grammar(entry):
    """The form that the constraint holds to: declared order, optional arguments may be missing."""
    function = entry["function"][0]
    parameters = function["parameters"]
    needed = parameters.get("required", [])
    names = sorted(parameters["properties"], key=lambda name: name not in needed)
    body = ""
    for i, name in enumerate(names):
        part = f'"{", " if i else ""}{name}=" {rule(parameters["properties"][name])}'
        body += f" {part}" if name in needed else f" ({part})?"
    return (f'root ::= " FUNCTION_CALL: {function["name"]}("{body} ")"\n'
            'string ::= "\\"" char* "\\""\n'
            'char ::= [^"\\\\\\x00-\\x1f\\x7f] | "\\\\" ["\\\\bfnrt]\n'
            'integer ::= "-"? ("0" | [1-9] [0-9]*)\n'
            'number ::= integer ("." [0-9]+)?\n'
            'boolean ::= "true" | "false"\n'
            'object ::= "{" (string ": " (string | number) (", " string ": " (string | number))*)? "}"\n')


def declared(entry):
    return [{"name": f["name"], "description": f["description"], "parameters": f["parameters"]} for f in entry["function"]]


def peer(server, bezel, model, entries):
    done = {}
    for e in entries:
        ask = json.dumps({"messages": e["question"][0], "tools": declared(e)})
        prompt = json.loads(subprocess.run([bezel, "render", "--json", "--model", model], input=ask, text=True, check=True,
                                           capture_output=True).stdout)
        got = server.handle_completions({"prompt": prompt["ids"], "n_predict": MOST_TOKENS, "temperature": 0,
                                         "cache_prompt": False, "grammar": grammar(e)})
        got = got if isinstance(got, dict) else json.loads(got)
        if "timings" in got:
            done[e["id"]] = (got["timings"]["predicted_ms"], got["timings"]["predicted_n"])
        else:
            print(e["id"], json.dumps(got)[:200], file=sys.stderr)
    return done


def measure(bezel, model, entries, out):
    import xllamacpp
    p = xllamacpp.CommonParams()
    p.model.path = model
    p.n_ctx = 4096
    p.n_parallel = 1
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = THREADS
    server = xllamacpp.Server(p)
    for i in range(0, len(entries), BLOCK):
        block = entries[i:i + BLOCK]
        held, free = own(bezel, model, block, "on"), own(bezel, model, block, "off")
        other = peer(server, bezel, model, block)
        with open(out, "a") as lines:
            for e in block:
                if e["id"] in other:
                    row = {"id": e["id"], "held": held[e["id"]][0], "free": free[e["id"]][0], "free_call": free[e["id"]][1],
                           "peer": other[e["id"]][0], "peer_tokens": other[e["id"]][1]}
                    lines.write(json.dumps(row) + "\n")


def show(rows):
    print(len(rows), "entries")
    for name in ("free", "peer"):
        for which, kept in (("all", rows), ("with a call without the constraint", [r for r in rows if r["free_call"]])):
            if kept:
                held, other = sum(r["held"] for r in kept), sum(r[name] for r in kept)
                print(f"held against {name}, {which} ({len(kept)}): {held / len(kept):.0f} and {other / len(kept):.0f} ms a call, "
                      f"{held / other:.3f} of the time, median of ratios {statistics.median(r['held'] / r[name] for r in kept):.3f}")


def main(bezel, model, data, out, first=0, count=10):
    with open(os.path.join(data, "simple_python.jsonl")) as lines:
        entries = [json.loads(line) for line in lines][int(first):int(first) + int(count)]
    if int(count) > 0:
        measure(bezel, model, entries, out)
    with open(out) as lines:
        show(list({r["id"]: r for r in map(json.loads, lines)}.values()))


if __name__ == "__main__":
    main(*sys.argv[1:])
