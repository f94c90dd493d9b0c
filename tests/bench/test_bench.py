# SPDX-License-Identifier: MIT
"""Tests of the scripts of `make bench`: arithmetic of the ratios, forms of the peers' output, charts, the page."""
import http.server
import json
import os
import random
import threading
import unittest
import xml.dom.minidom

import bench
import charts
import engines
import ratios
import report


def a_round(probe, **values):
    return {"probe": probe, "engines": {name.replace("_", " "): metrics for name, metrics in values.items()}}


ROUNDS = [
    a_round(30, own={"decode@16": 100, "decode@16|full": 60, "ttft@32": 50}, peer={"decode@16": 50, "ttft@32": 800}),
    a_round(31, own={"decode@16": 120, "decode@16|full": 70, "ttft@32": 40}, peer={"decode@16": 40, "ttft@32": 900}),
    a_round(10, own={"decode@16": 10, "ttft@32": 500}, peer={"decode@16": 50, "ttft@32": 800}),
    a_round(32, own={"decode@16": 110, "decode@16|full": 66, "ttft@32": 50}, peer={"ttft@32": 1000}),
]


class Ratios(unittest.TestCase):
    def test_a_round_with_weak_memory_is_dropped(self):
        self.assertEqual([r["probe"] for r in ratios.keep(ROUNDS)], [30, 31, 32])

    def test_rounds_without_a_probe_stay(self):
        self.assertEqual(len(ratios.keep([a_round(0), a_round(None)])), 2)
        self.assertEqual(len(ratios.keep([a_round(0), a_round(30), a_round(5), a_round(30)])), 3)

    def test_a_round_that_others_disturbed_is_dropped_unless_all_were(self):
        busy, calm = dict(a_round(30), others=1.2), dict(a_round(31), others=0.05)
        self.assertEqual(ratios.keep([busy, calm, busy]), [calm])
        self.assertEqual(ratios.keep([busy, busy]), [busy, busy])

    def test_the_load_of_others_does_not_count_our_own(self):
        every, own = engines.busy_seconds()
        self.assertGreaterEqual(every + 0.05, own)

    def test_ratios_are_those_of_each_round(self):
        self.assertEqual(ratios.ratios(ROUNDS[:2], "own", "decode@16", "peer"), [2, 3])
        self.assertEqual(ratios.ratios(ROUNDS[:2], "own", "decode@16|full", "peer"), [1.2, 1.75])

    def test_less_is_better_for_times_and_memory(self):
        self.assertEqual(ratios.ratios(ROUNDS[:1], "own", "ttft@32", "peer"), [16])
        self.assertEqual(ratios.ratios([a_round(1, own={"memory": 2}, peer={"memory": 5})], "own", "memory", "peer"), [2.5])

    def test_the_summary_takes_the_median_of_ratios_not_the_ratio_of_medians(self):
        rounds = [a_round(1, own={"x": a}, peer={"x": b}) for a, b in ((1, 1), (10, 2), (3, 30))]
        self.assertEqual(ratios.summary(rounds, "own", ["peer"])[0]["peers"]["peer"]["ratio"]["median"], 1)

    def test_what_a_peer_did_not_give_is_left_out(self):
        row = ratios.summary(ROUNDS, "own", ["peer", "nobody"])[0]
        self.assertEqual(list(row["peers"]), ["peer"])
        self.assertEqual(row["peers"]["peer"]["ratio"]["rounds"], 2)
        self.assertEqual(row["own"], {"median": 110, "low": 100, "high": 120, "rounds": 3})

    def test_the_best_peer_is_the_fastest_or_the_smallest(self):
        rounds = [a_round(1, a={"x": 1, "ttft@32": 5}, b={"x": 2, "ttft@32": 9})]
        self.assertEqual(ratios.best_peer(rounds, "x|full", ["a", "b", "c"]), "b")
        self.assertEqual(ratios.best_peer(rounds, "ttft@32", ["a", "b"]), "a")
        self.assertIsNone(ratios.best_peer(rounds, "y", ["a", "b"]))

    def test_zeros_are_not_measurements(self):
        self.assertEqual(ratios.values([a_round(1, own={"x": 0})], "own", "x"), [])
        self.assertEqual(ratios.ratios([a_round(1, own={"x": 4}, peer={"x": 0})], "own", "x", "peer"), [])


class Charts(unittest.TestCase):
    def test_random_charts_are_well_formed_and_hold_every_figure(self):
        draw = random.Random(1)
        for _ in range(50):
            series = [f"engine <{i}> & \"co\"" for i in range(draw.randint(1, 6))]
            groups = []
            for _ in range(draw.randint(1, 5)):
                row = []
                for _ in series:
                    low = draw.uniform(0.01, 2000)
                    row.append(draw.choice([None, {"median": low * 1.1, "low": low, "high": low * 1.3}]))
                groups.append((f"{draw.randint(1, 9999)} < tokens", row))
            text = charts.bar_chart("A & B", "tokens/s", series, groups)
            bars = sum(1 for _, row in groups for s in row if s)
            root = xml.dom.minidom.parseString(text).documentElement
            self.assertEqual(len(root.getElementsByTagName("path")), bars)
            self.assertEqual(len(root.getElementsByTagName("rect")), 1 + len(series) + bars)
            for rect in root.getElementsByTagName("rect"):
                self.assertLessEqual(float(rect.getAttribute("x") or 0) + float(rect.getAttribute("width")), charts.WIDTH)
            self.assertIn("prefers-color-scheme:dark", text)

    def test_a_chart_without_bars_is_still_a_picture(self):
        xml.dom.minidom.parseString(charts.bar_chart("t", "u", ["a"], [("g", [None])]))


class Peers(unittest.TestCase):
    def test_rows_of_bezel_become_metrics(self):
        def row(test, **more):
            return dict({"test": test, "tokens": 128, "tokens_per_second": 9, "context": 0, "head": "last", "milliseconds": 3}, **more)
        found = engines.bezel_metrics({"rows": [
            row("load"), row("prompt", tokens=512), row("decode", context=16, head="screened"),
            row("decode", context=16, head="full", tokens_per_second=5), row("decode", context=4096, head="full"), row("forced"),
            row("sessions", sessions=16), row("ttft", side_file="present"), row("ttft", side_file="absent", milliseconds=7)],
            "memory": {"anonymous_bytes": 3e6, "side_file_bytes": 1e6, "model_file_bytes": 2e6, "other_file_bytes": 0}})
        self.assertEqual(found, {"prompt@512": 9, "decode@16": 9, "decode@16|full": 5, "decode@4096": 9, "decode@4096|full": 9,
                                 "forced": 9, "sessions@16": 9, "ttft@32": 3, "ttft@32|absent": 7, "memory": 4, "memory_file": 2})

    def test_llama_bench_and_its_batched_sister_are_read(self):
        self.assertEqual(engines.llama_bench_rate('noise\n[{"avg_ts": 5.5}, {"avg_ts": 61.25}]'), 61.25)
        text = ("main: n_kv_max = 1664\n\n|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |\n"
                "|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|\n"
                "|    32 |     64 |   16 |   1536 |    0.500 |  1024.00 |    3.500 |   292.57 |    4.000 |   384.00 |\n")
        self.assertEqual(engines.batched_bench_rate(text), 256)
        self.assertRaises(engines.EngineError, engines.batched_bench_rate, "nothing")

    def test_the_list_of_peers(self):
        found = engines.peers_read("a = /bin/echo -rtr 1; s=http://localhost:1/v1/;", "/m.gguf", 2, "/tmp")
        self.assertEqual([e.name for e in found], ["a", "s"])
        self.assertEqual(found[0].command("-p", "5")[:5], ["/bin/echo", "-rtr", "1", "-m", "/m.gguf"])
        self.assertEqual(found[1].url, "http://localhost:1/v1")
        for wrong in ("a", "=x", "a=", "a=/nowhere/at/all"):
            self.assertRaises(engines.EngineError, engines.peers_read, wrong, "m", 1, "/tmp")

    def test_a_process_is_watched_and_a_failing_one_is_an_error(self):
        took, own, _ = engines.watched(["python3", "-c", "import time; x = bytearray(1 << 24); time.sleep(.1)"])
        self.assertGreater(took, 100)
        self.assertGreater(own, 16)
        self.assertRaises(engines.EngineError, engines.watched, ["false"])
        self.assertRaises(engines.EngineError, engines.run, ["/nowhere/at/all"])

    def test_a_server_is_measured_by_its_stream(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()
                for _ in range(asked["max_tokens"]):
                    self.wfile.write(b'data: {"choices":[{"text":"a"}]}\n\n')
                    self.wfile.flush()
                self.wfile.write(b'data: {"choices":[],"usage":{"prompt_tokens":40,"completion_tokens":129}}\n\ndata: [DONE]\n\n')

            def log_message(self, *_):
                pass
        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        peer = engines.Server("s", f"http://127.0.0.1:{server.server_port}/v1")
        found = {}
        peer.measure(engines.Plan([32], [16], []), 1, found)
        server.shutdown()
        server.server_close()
        self.assertEqual(sorted(found), ["decode@16", "prompt@32"])
        self.assertTrue(all(x > 0 for x in found.values()))
        self.assertRaises(engines.EngineError, peer.measure, engines.Plan([32], [16], []), 1, {})

    def test_prompts_differ_by_seed_and_not_by_run(self):
        self.assertEqual(engines.random_words(32, "1"), engines.random_words(32, "1"))
        self.assertNotEqual(engines.random_words(32, "1"), engines.random_words(32, "2"))


RESULTS = {"own": "own", "peers": ["peer"], "rounds": ROUNDS, "threads": 2, "isa": "avx2", "date": "2026-01-01",
           "weights": 250000000, "versions": {"own": "1", "peer": "2"},
           "machine": {"cpu": "x", "cores": 2, "memory_bytes": 2**34, "system": "y"}, "model": {"name": "m", "bytes": 1000}}


class Report(unittest.TestCase):
    def test_the_table_has_the_ratio_with_its_range_and_says_what_was_dropped(self):
        text = report.table(RESULTS, ratios.summary(ROUNDS, "own", ["peer"]))
        self.assertIn("| answer at 16 tokens of context | tokens/s | 110 | 45.0 | 2.50 [2.00–3.00] |", text)
        self.assertIn("3 rounds in turn, 1 dropped because the machine was weak or busy", text)
        self.assertIn("53 % of what", text)
        widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
        self.assertEqual(widths, {6})

    def test_charts_of_what_was_measured_only(self):
        rows = ratios.summary(ROUNDS, "own", ["peer"])
        found = report.charts_of(RESULTS, rows)
        self.assertEqual(sorted(found), ["performance-decode.svg", "performance-start.svg"])
        self.assertEqual(found["performance-decode.svg"][2], ["own", "own, full output layer", "peer"])
        self.assertEqual({what[4][what[2].index("peer")] for what in found.values()}, {2}, "a peer has one colour everywhere")
        for what in found.values():
            xml.dom.minidom.parseString(charts.bar_chart(*what))

    def test_only_the_text_between_the_marks_changes(self):
        page = f"a\n{report.BEGIN}\nold\n{report.END}\nz\n"
        once = report.replace(page, "new\n")
        self.assertEqual(once, f"a\n{report.BEGIN}\nnew\n{report.END}\nz\n")
        self.assertEqual(report.replace(once, "new\n"), once)
        for wrong in ("a", report.BEGIN, report.END + report.BEGIN, page + page):
            self.assertRaises(ValueError, report.replace, wrong, "")

    def test_the_page_of_the_repository_has_the_marks(self):
        page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "performance.md")
        with open(page, encoding="utf-8") as text:
            report.replace(text.read(), "")

    def test_long_contexts_and_sessions_have_rounds_of_their_own(self):
        plans = [bench.plan_of(i) for i in range(5)]
        self.assertEqual([len(p.contexts) for p in plans], [3, 1, 1, 1, 3])
        self.assertEqual([len(p.sessions) for p in plans], [0, 0, 2, 0, 0])


if __name__ == "__main__":
    unittest.main()
