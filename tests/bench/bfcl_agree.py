# SPDX-License-Identifier: MIT
"""Does the judge of `bezel bench calls` say what BFCL's own checker says?

    python3 tests/bench/bfcl_agree.py build/bezel DATA PACKAGE [SEED]

DATA is a folder of BFCL entries, PACKAGE the folder that holds `bfcl_eval` of the Python package bfcl-eval (its checker is run,
its data is not read). Answers are made from the accepted ones, about half of them spoilt: another type or value, other
letters, a missing or unknown argument, a call too few or too many, another order. Prints the share of equal verdicts.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import types


def load_checker(package):
    """The checker alone: the table of models beside it would load every vendor's client."""
    sys.path.insert(0, package)
    models = types.ModuleType("bfcl_eval.constants.model_config")
    models.MODEL_CONFIG_MAPPING = {"own": types.SimpleNamespace(underscore_to_dot=False)}
    sys.modules[models.__name__] = models
    from bfcl_eval.constants.enums import Language
    from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker
    def check(functions, calls, truth, category):
        return ast_checker(functions, calls, truth, Language.PYTHON, category, "own")["valid"]
    return check


def picked(draw, accepted):
    """One accepted value; inside of objects one for each key. None = left out."""
    value = draw.choice(accepted) if accepted else []
    if isinstance(value, dict):
        return picked_each(draw, value)
    if isinstance(value, list):
        return [picked_each(draw, item) if isinstance(item, dict) else item for item in value]
    return None if value == "" else value


def picked_each(draw, accepted):
    values = {key: picked(draw, value) if isinstance(value, list) else value for key, value in accepted.items()}
    return {key: value for key, value in values.items() if value is not None}


def spoilt(draw, value):
    if isinstance(value, bool):
        return draw.choice([not value, str(value), int(value)])
    if isinstance(value, (int, float)):
        return draw.choice([value + 1, float(value), str(value), -value])
    if isinstance(value, str):
        other = [value.upper(), value.replace(" ", "_"), value + ".", value + " x", [value], 5, value.replace("a", "'")]
        return draw.choice(other)
    if isinstance(value, list):
        return draw.choice([value[::-1], value + value[:1], value[:-1], [str(item) for item in value], str(value)])
    return dict(list(value.items())[1:]) if draw.random() < 0.5 else {**value, "extra": 1}


def written(calls):
    texts = []
    for name, given in calls:
        arguments = ", ".join("%s=%s" % (key, json.dumps(value, ensure_ascii=False)) for key, value in given.items())
        texts.append("FUNCTION_CALL: %s(%s)" % (name, arguments))
    return "\n".join(texts)


def one_call(draw, truth):
    (name, parameters), = truth.items()
    given = picked_each(draw, parameters)
    what, key = draw.random(), draw.choice(list(given)) if given else None
    if what < 0.45 and key:
        given[key] = spoilt(draw, given[key])
    elif what < 0.52 and key:
        del given[key]
    elif what < 0.56:
        given["unknown_thing"] = 1
    return (name + "_x" if 0.56 <= what < 0.6 else name), given


def main(bezel, data, package, seed="1"):
    check, draw = load_checker(package), random.Random(int(seed))
    entries, answers = {}, []
    for file in sorted(os.listdir(data)):
        category = file.removesuffix(".jsonl")
        if category == file or "relevance" in category:
            continue
        for line in open(os.path.join(data, file), encoding="utf-8"):
            entry = json.loads(line)
            calls = [one_call(draw, truth) for truth in entry["ground_truth"]]
            if draw.random() < 0.3:
                draw.shuffle(calls)
            calls = calls[:-1] if draw.random() < 0.05 else calls + calls[:1] if draw.random() < 0.05 else calls
            entries[entry["id"]] = category, entry, calls
            answers.append(json.dumps({"id": entry["id"], "text": written(calls)}))
    with tempfile.TemporaryDirectory() as folder:
        given, judged = os.path.join(folder, "answers.jsonl"), os.path.join(folder, "judged.jsonl")
        with open(given, "w", encoding="utf-8") as out:
            out.write("\n".join(answers))
        subprocess.run([bezel, "bench", "calls", "--quiet", "--data", data, "--answers", given, "--output", judged], check=True,
                       stdout=subprocess.DEVNULL)
        verdicts = {row["id"]: bool(row["S6"]) for row in map(json.loads, open(judged, encoding="utf-8"))}
    same = accepted = 0
    for key, (category, entry, calls) in entries.items():
        theirs = check(entry["function"], [{name: given} for name, given in calls], entry["ground_truth"], category)
        same += theirs == verdicts[key]
        accepted += theirs
        if theirs != verdicts[key]:
            print(key, "theirs:", theirs, calls)
    print("%d of %d verdicts are equal; %d answers are accepted" % (same, len(entries), accepted))
    return same < 0.99 * len(entries)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
