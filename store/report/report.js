/* Draws the data of the page. Texts of the data only ever become text nodes. No library, no network. */
(() => {
"use strict";
const started = performance.now();
const data = JSON.parse(document.getElementById("data").textContent);
const bucket = data.about.bucket_ms, day = 86400000;

/* --- Elements ----------------------------------------------------------------------------- */
const make = space => (tag, attributes, ...children) => {
  const e = document.createElementNS(space, tag);
  for (const [k, v] of Object.entries(attributes || {})) if (v !== undefined && v !== null && v !== false) e.setAttribute(k, v);
  e.append(...children.flat().filter(c => c !== null && c !== undefined && c !== false));
  return e;
};
const h = make("http://www.w3.org/1999/xhtml"), s = make("http://www.w3.org/2000/svg");
const section = (id, title, ...children) => h("section", { id }, h("h2", {}, title), ...children);

/* --- Words -------------------------------------------------------------------------------- */
const sum = (rows, key) => rows.reduce((n, r) => n + (r[key] || 0), 0);
const short = x => x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1).replace(/\.0$/, "") : x.toFixed(2).replace(/\.?0+$/, "");
function count(n) {
  if (n === null || n === undefined) return "–";
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4,
    "k"]]) if (n >= size) return short(n / (unit === "k" ? 1e3 : size)) + unit;
  return Number.isInteger(n) ? n.toLocaleString("en-US") : short(n);
}
const whole = n => n === null || n === undefined ? "–" : n.toLocaleString("en-US");
function span(ms) {
  if (ms === null || ms === undefined) return "–";
  if (!ms) return "0";
  if (ms < 1000) return short(ms) + " ms";
  if (ms < 60000) return short(ms / 1000) + " s";
  if (ms < 3600000) return short(ms / 60000) + " min";
  return ms < day ? short(ms / 3600000) + " h" : ms < 2 * day ? "1 day" : short(ms / day) + " days";
}
const rate = x => x === null || x === undefined ? "–" : short(x) + "/s";
const share = (part, of) => of ? short(100 * part / of) + " %" : "–";
const plain = x => x === null || x === undefined || x === "" ? "–" : String(x);
const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const two = n => String(n).padStart(2, "0");
function date(ms) {
  const d = new Date(ms), now = new Date(data.about.made_ms);
  return months[d.getUTCMonth()] + " " + d.getUTCDate() + (d.getUTCFullYear() === now.getUTCFullYear() ? "" : " "
    + d.getUTCFullYear());
}
const clock = ms => two(new Date(ms).getUTCHours()) + ":" + two(new Date(ms).getUTCMinutes());
const moment = ms => ms === null || ms === undefined ? "–" : date(ms) + " " + clock(ms);
const slot = ms => bucket >= day ? date(ms) + (bucket > day ? " – " + date(ms + bucket - day) : "") : moment(ms) + " – "
  + clock(ms + bucket);
/* Labels below columns over time: days; hours only where there are few days. */
function timeLabels(list) {
  const days = list.length * bucket > 3 * day, label = ms => date(ms).replace(/ \d{4}$/, "");
  return list.map((r, i) => {
    const fresh = !i || date(list[i - 1].at) !== date(r.at);
    return bucket >= day ? label(r.at) : days ? (fresh && i ? label(r.at) : "") : fresh ? label(r.at) + " " + clock(r.at)
      : clock(r.at);
  });
}

/* --- Tables: sorted by a click on a heading ------------------------------------------------- */
/* columns: [key, heading, function that shows a value (a number column when it is given "n" as fourth)] */
function table(label, columns, rows) {
  const body = h("tbody"), heads = [];
  const fill = list => body.replaceChildren(...list.map(r => h("tr", {}, columns.map(([key, , show, kind]) => {
    const shown = show ? show(r[key], r) : plain(r[key]);
    return h("td", { class: kind }, shown);
  }))));
  const sorted = { key: null, down: false };
  columns.forEach(([key, heading, , kind], i) => {
    const button = h("button", { type: "button" }, heading);
    heads[i] = h("th", { class: kind, scope: "col" }, button);
    button.addEventListener("click", () => {
      sorted.down = sorted.key === key ? !sorted.down : kind === "n";
      sorted.key = key;
      const value = r => r[key] === null || r[key] === undefined ? (kind === "n" ? -Infinity : "") : r[key];
      const list = [...rows].sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (sorted.down ? -1 : 1));
      heads.forEach((e, k) => k === i ? e.setAttribute("aria-sort",
        sorted.down ? "descending" : "ascending") : e.removeAttribute("aria-sort"));
      fill(list);
    });
  });
  fill(rows);
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, heads)), body));
}
const card = (title, none, columns, rows) =>
  h("div", { class: "card" }, h("h3", {}, title), rows.length ? table(title, columns, rows) : h("p", { class: "none" }, none));
const word = bad => x => x === null || x === undefined ? "–" : h("span", { class: bad ? "word bad" : "word" }, x);

/* --- Charts ------------------------------------------------------------------------------- */
const charts = [];
/* A figure with title, keys, drawing and table. draw(plot, width) is called again when the width changes. */
function figure(o, draw) {
  const plot = h("div", { class: "plot" });
  const keys = o.series && o.series.length > 1 && h("div", { class: "keys", "aria-hidden": "true" },
    o.series.map(x => h("span", {}, h("i", { class: x.colour + (o.rules ? " rule" : "") }), x.label)));
  const f = h("figure", { class: o.wide ? "wide" : null }, h("figcaption", {}, h("strong", {}, o.title), keys,
    o.about && h("p", {}, o.about)), plot,
    h("details", {}, h("summary", {}, "Table"), table(o.title, o.columns, o.rows)));
  charts.push({ plot, draw });
  return f;
}
function ticks(most) {
  if (!(most > 0)) return [0, 1];
  const raw = most / 4, unit = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 2.5, 5,
    10].map(k => k * unit).find(k => k >= raw * .999);
  const out = [];
  for (let v = 0; v < most + step * .999; v += step) out.push(+v.toPrecision(12));
  return out;
}
function spanTicks(most) {
  const units = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 15000, 30000, 60000, 120000, 300000, 600000,
    1800000, 3600000];
  const step = units.find(u => most / u <= 5);
  if (!step || most < 4) return ticks(most);
  const out = [];
  for (let v = 0; v < most + step * .999; v += step) out.push(v);
  return out;
}
/* Axes of a drawing: returns the svg, its inner box and y(). Of the texts below it are as many as fit. */
function frame(plot, width, o, texts) {
  const n = texts.length, height = o.height || 190, all = (o.ticks || ticks)(o.most);
  const left = 12 + 6.6 * Math.max(...all.map(v => o.show(v).length)), top = o.top || 10, bottom = 24, right = 6;
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": o.title + ". " + o.summary });
  const y = v => height - bottom - (height - bottom - top) * v / all[all.length - 1], w = (width - left - right) / Math.max(n, 1),
    x = i => left + w * i;
  for (const v of all) svg.append(s("line", { class: v ? "gridline" : "base", x1: left, x2: width - right, y1: y(v), y2: y(v) }),
    s("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, o.show(v)));
  const named = texts.map((text, i) => [text, x(i) + (o.edges ? 0 : w / 2)]).filter(l => l[0]);
  const widest = 6.8 * Math.max(0, ...named.map(l => l[0].length)) + 14,
    apart = named.length > 1 ? (named[named.length - 1][1] - named[0][1]) / (named.length - 1) : 1;
  const every = Math.max(1, Math.ceil(widest / apart));
  let end = -1;
  named.filter((_, i) => i % every === 0).forEach(([text, middle]) => {
    const half = 3.3 * text.length, at = Math.min(Math.max(middle, half), width - half);
    if (at - half < end) return;
    end = at + half + 6;
    svg.append(s("text", { x: at, y: height - 7, "text-anchor": "middle" }, text));
  });
  plot.append(svg);
  return { svg, x, y, w, left, right: width - right, top, bottom: height - bottom };
}
/* Pointer and arrow keys move over n places; tell(i) gives the lines of the box. */
function pointing(plot, f, n, width, tell) {
  const tip = h("div", { class: "tip", hidden: "" }), guide = s("line",
    { class: "guide", y1: f.top, y2: f.bottom, visibility: "hidden" });
  let now = -1;
  const show = i => {
    now = i;
    const [head, lines] = tell(i);
    tip.replaceChildren(h("div", {}, head), ...lines.map(l => h("div", {}, h("span", {}, h("i", { class: l[2] }), l[0]),
      h("b", {}, l[1]))));
    tip.hidden = false;
    const middle = f.x(i) + f.w / 2, w = tip.offsetWidth;
    tip.style.left = Math.max(0, middle + 12 + w > width ? middle - 12 - w : middle + 12) + "px";
    guide.setAttribute("x1", middle);
    guide.setAttribute("x2", middle);
    guide.setAttribute("visibility", "visible");
  };
  const hide = () => { tip.hidden = true; now = -1; guide.setAttribute("visibility", "hidden"); };
  f.svg.append(guide);
  f.svg.setAttribute("tabindex", 0);
  f.svg.addEventListener("pointermove", e => {
    const box = f.svg.getBoundingClientRect(), i = Math.floor((e.clientX - box.left - f.left) / f.w);
    if (i >= 0 && i < n) show(i); else hide();
  });
  f.svg.addEventListener("pointerleave", hide);
  f.svg.addEventListener("blur", hide);
  f.svg.addEventListener("keydown", e => {
    if (e.key === "Escape") hide();
    if (e.key !== "ArrowLeft" && e.key !== "ArrowRight") return;
    e.preventDefault();
    show(Math.min(n - 1, Math.max(0, now < 0 ? (e.key === "ArrowRight" ? 0 : n - 1) : now + (e.key === "ArrowRight" ? 1 : -1))));
  });
  plot.append(tip);
}
/* Every slot of the period, those without rows as zeros (or nothing, for lines). */
function slots(rows) {
  if (!rows.length) return [];
  const by = new Map(rows.map(r => [r.at, r])), first = rows[0].at, n = Math.min(400,
    Math.round((rows[rows.length - 1].at - first) / bucket) + 1);
  return Array.from({ length: n }, (_, i) => by.get(first + i * bucket) || { at: first + i * bucket });
}
function rounded(x, y, w, height, r) {
  r = Math.min(r, w / 2, height);
  return `M${x} ${y + height}V${y + r}q0 ${-r} ${r} ${-r}h${w - 2 * r}q${r} 0 ${r} ${r}V${y + height}z`;
}
function timeColumns(o) {
  const list = slots(o.rows), n = list.length, total = r => o.series.reduce((t, x) => t + (r[x.key] || 0), 0);
  const most = Math.max(0, ...list.map(total)), peak = list.find(r => total(r) === most);
  const summary = !n ? "No data."
    : `Columns from ${slot(list[0].at)} to ${slot(list[n - 1].at)}; the highest is ${o.show(most)}, ${slot(peak.at)}.`;
  return figure(o, (plot, width) => {
    const f = frame(plot, width, { ...o, most, summary }, timeLabels(list));
    const gap = f.w > 5 ? Math.min(f.w * .22, 6) : f.w * .1;
    list.forEach((r, i) => {
      let base = 0;
      const parts = o.series.filter(x => r[x.key] > 0);
      parts.forEach((x, k) => {
        const y0 = f.y(base), y1 = f.y(base += r[x.key]), last = k === parts.length - 1,
          height = Math.max(y0 - y1 - (k && f.w > 5 ? 1 : 0), .6);
        f.svg.append(s("path", { class: x.colour, d: rounded(f.x(i) + gap / 2, y1, f.w - gap, height,
          last ? Math.min(3, (f.w - gap) / 3) : 0) }));
      });
    });
    pointing(plot, f, n, width, i => [slot(list[i].at), o.series.map(x => [x.label, o.show(list[i][x.key] || 0), x.colour])]);
  });
}
function timeLines(o) {
  const list = slots(o.rows), n = list.length;
  const most = Math.max(0, ...list.map(r => Math.max(0, ...o.series.map(x => r[x.key] || 0))));
  const highest = x => o.show(Math.max(...list.map(r => r[x.key] || 0)));
  const summary = !n ? "No data."
    : o.series.map(x => `${x.label}: last ${o.show(list[n - 1][x.key])}, highest ${highest(x)}.`).join(" ");
  return figure({ ...o, rules: true }, (plot, width) => {
    const f = frame(plot, width, { ...o, most, summary }, timeLabels(list));
    for (const x of o.series) {
      let path = "", runs = [], run = null;
      list.forEach((r, i) => {
        const v = r[x.key];
        if (v === null || v === undefined) { run = null; return; }
        if (!run) runs.push(run = []);
        run.push([f.x(i) + f.w / 2, f.y(v)]);
      });
      for (const r of runs) {
        const d = "M" + r.map(p => p[0].toFixed(1) + " " + p[1].toFixed(1)).join("L");
        if (o.series.length === 1 && r.length > 1) f.svg.append(s("path",
          { class: "area " + x.colour, d: d + `L${r[r.length - 1][0]} ${f.bottom}L${r[0][0]} ${f.bottom}z` }));
        path += d;
        if (r.length === 1) f.svg.append(s("circle", { class: x.colour, cx: r[0][0], cy: r[0][1], r: 3 }));
      }
      f.svg.append(s("path", { class: "line " + x.colour, d: path || "M0 0" }));
    }
    pointing(plot, f, n, width, i => [slot(list[i].at), o.series.map(x => [x.label, o.show(list[i][x.key]), x.colour])]);
  });
}
/* Columns over ranges of time taken; marks are percentiles. */
const edges = [0, 1, 2, 3, 5, 7];
for (let d = 10; d < 1e7; d *= 10) edges.push(d, d * 2, d * 3, d * 5, d * 7);
function histogram(o) {
  const first = o.rows.length ? edges.indexOf(o.rows[0].ms) : 0,
    last = o.rows.length ? edges.indexOf(o.rows[o.rows.length - 1].ms) : 0;
  const by = new Map(o.rows.map(r => [r.ms, r.n])), all = sum(o.rows, "n");
  const low = Math.max(0, first - 1), list = edges.slice(low, last + 2).map(ms => ({ ms, n: by.get(ms) || 0 })), n = list.length;
  const most = Math.max(0, ...list.map(r => r.n));
  const range = i => (i + 1 < n + 0 && edges[low + i + 1]) ? span(list[i].ms) + " – " + span(edges[low + i + 1]) : "from "
    + span(list[i].ms);
  const summary = o.marks.map(m => `${m.label} ${span(m.ms)}`).join(", ") + ".";
  return figure({ ...o, rows: list.map((r, i) => ({ range: range(i), n: r.n, share: share(r.n, all), ms: r.ms })),
    columns: [["ms", "Time", (_, r) => r.range], ["n", o.what, whole, "n"], ["share", "Share", plain, "n"]] }, (plot, width) => {
    const f = frame(plot, width, { ...o, most, summary, show: count, edges: true, top: 26 }, list.map(r => span(r.ms)));
    list.forEach((r, i) => { if (r.n) f.svg.append(s("path", { class: o.colour,
      d: rounded(f.x(i) + 1, f.y(r.n), f.w - 2, f.bottom - f.y(r.n), 3) })); });
    let free = -1;
    for (const m of o.marks) {
      if (m.ms === null || m.ms === undefined) continue;
      let i = list.findIndex((r, k) => k + 1 === n || m.ms < list[k + 1].ms);
      const to = edges[low + i + 1] || list[i].ms * 2, at = f.x(i) + f.w * Math.min(1,
        Math.max(0, (m.ms - list[i].ms) / (to - list[i].ms)));
      const text = `${m.label} ${span(m.ms)}`, right = at + 7 * text.length > f.right;
      f.svg.append(s("line", { class: "guide", x1: at, x2: at, y1: 14, y2: f.bottom }));
      if (at > free) f.svg.append(s("text", { class: "mark", x: right ? at - 4 : at + 4, y: 12,
        "text-anchor": right ? "end" : "start" }, text));
      if (at > free) free = right ? at : at + 7 * text.length;
    }
    pointing(plot, f, n, width, i => [range(i), [[o.what, whole(list[i].n), o.colour], ["share", share(list[i].n, all), ""]]]);
  });
}
/* Horizontal bars: a row a name, parts after one another. */
function bars(o) {
  const rows = o.rows.slice(0, 12), total = r => o.series.reduce((t, x) => t + (r[x.key] || 0), 0),
    most = Math.max(1, ...rows.map(total));
  return figure(o, (plot, width) => {
    const step = 34, height = rows.length * step + 4;
    const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img",
      "aria-label": o.title + ". "
        + rows.map(r => `${plain(r[o.name])}: ${o.series.map(x => whole(r[x.key] || 0) + " " + x.label).join(", ")}`).join("; ")
          + "." });
    rows.forEach((r, i) => {
      const y = i * step, note = o.note(r), room = width - 7 * note.length - 12, name = plain(r[o.name]);
      const fits = Math.floor(room / 7.2);
      svg.append(s("text", { class: "name", x: 0, y: y + 13 }, name.length > fits ? name.slice(0, fits - 1) + "…" : name),
        s("text", { x: width, y: y + 13, "text-anchor": "end" }, note));
      let x = 0;
      const parts = o.series.filter(p => r[p.key] > 0);
      svg.append(s("rect", { x: 0, y: y + 19, width, height: 7, rx: 3.5, fill: "var(--grid)" }));
      parts.forEach((p, k) => {
        const w = Math.max(2, width * r[p.key] / most);
        svg.append(s("rect", { class: p.colour, x: x, y: y + 19, width: Math.max(1, w - (k + 1 < parts.length ? 1.5 : 0)),
          height: 7, rx: parts.length === 1 ? 3.5 : 2 }));
        x += w;
      });
    });
    plot.append(svg);
  });
}
function redraw() {
  for (const c of charts) {
    const width = c.plot.clientWidth;
    if (!width || width === c.width) continue;
    c.width = width;
    c.plot.replaceChildren();
    c.draw(c.plot, width);
  }
}

/* --- Colours ------------------------------------------------------------------------------ */
const dark = matchMedia("(prefers-color-scheme: dark)"), buttons = document.querySelectorAll("[data-theme-set]");
let theme = "auto";
try { theme = localStorage.getItem("bezel-report-theme") || "auto"; } catch (e) { /* a page without storage */ }
function paint() {
  document.documentElement.dataset.theme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
  buttons.forEach(b => b.setAttribute("aria-pressed", b.dataset.themeSet === theme));
}
buttons.forEach(b => b.addEventListener("click", () => {
  theme = b.dataset.themeSet;
  try { localStorage.setItem("bezel-report-theme", theme); } catch (e) { /* a page without storage */ }
  paint();
}));
dark.addEventListener("change", paint);
paint();

/* --- The page ----------------------------------------------------------------------------- */
const t = data.totals, main = document.getElementById("main");
const tile = (label, value, small, bad) => h("div", { class: bad ? "tile bad" : "tile" }, h("span", {}, label), h("b", {}, value),
  h("small", {}, small || "\u00a0"));
const calls = sum(data.tools, "calls"), failedCalls = sum(data.tools, "failed");
const parts = [];
function overview() {
  return section("overview", "Overview", h("div", { class: "tiles" },
    tile("Requests", count(t.turns),
      data.before.length ? `and ${whole(sum(data.before, "turns"))} before` : `${whole(t.conversations)} conversations`),
    tile("Answered", share(t.turns - t.failed, t.turns), `${whole(t.failed)} failed`, t.turns && t.failed / t.turns > .05),
    tile("Tokens written", count(t.generated_tokens), `in ${whole(t.model_calls)} model calls`),
    tile("Tokens read", count(t.prompt_tokens), `${share(t.cached_tokens, t.prompt_tokens)} from the cache`),
    tile("Time, median", span(t.p50_ms), `95 % within ${span(t.p95_ms)}`),
    tile("First token, median", span(t.first_p50_ms), `95 % within ${span(t.first_p95_ms)}`),
    tile("Speed", t.tokens_per_second === null ? "–" : short(t.tokens_per_second), "tokens a second"),
    tile("Tool calls", count(calls), `${share(failedCalls, calls)} failed`, calls && failedCalls / calls > .1)));
}
function traffic() {
  return section("time", "Over time", h("div", { class: "grid" },
    timeColumns({ title: "Requests", rows: data.time, show: count, wide: true, height: 210,
      series: [{ key: "good", label: "answered", colour: "blue" }, { key: "failed", label: "failed", colour: "red" }],
      columns: [["at", "From (UTC)", moment], ["turns", "Requests", whole, "n"], ["failed", "Failed", whole, "n"],
        ["users", "Users", whole, "n"]] }),
    timeColumns({ title: "Tokens", rows: data.tokens, show: count,
      series: [{ key: "fresh", label: "read", colour: "blue" }, { key: "cached", label: "from cache", colour: "sky" },
        { key: "generated", label: "written", colour: "green" }],
      columns: [["at", "From (UTC)", moment], ["fresh", "Read", whole, "n"], ["cached", "From cache", whole, "n"],
        ["generated", "Written", whole, "n"], ["model_calls", "Model calls", whole, "n"]] }),
    timeLines({ title: "Time of a request", rows: data.time, show: span, ticks: spanTicks,
      series: [{ key: "p50_ms", label: "median", colour: "blue" }, { key: "p95_ms", label: "95 % within", colour: "amber" }],
      columns: [["at", "From (UTC)", moment], ["p50_ms", "Median", span, "n"], ["p95_ms", "95 % within", span, "n"],
        ["max_ms", "Slowest", span, "n"]] }),
    timeLines({ title: "Speed", about: "Tokens a second of the answers, without the time to the first token", rows: data.tokens,
      show: short2,
      series: [{ key: "tokens_per_second", label: "tokens a second", colour: "green" }],
      columns: [["at", "From (UTC)", moment], ["tokens_per_second", "Tokens a second", short2, "n"]] }),
    timeLines({ title: "Time to the first token", about: "Mean of the model calls", rows: data.tokens, show: span,
      ticks: spanTicks,
      series: [{ key: "first_ms", label: "mean", colour: "violet" }],
      columns: [["at", "From (UTC)", moment], ["first_ms", "Mean", span, "n"]] }),
    data.memory.length ? timeLines({ title: "Memory", about: "Most that the process had, in MiB", rows: data.memory, show: count,
      wide: true, height: 130,
      series: [{ key: "memory_mb", label: "MiB", colour: "amber" }], columns: [["at", "From (UTC)", moment],
        ["memory_mb", "MiB", count, "n"]] }) : null));
}
/* Days whose rows have gone; the totals by day stay. */
function before() {
  const columns = [["at", "From (UTC)", date], ["turns", "Requests", whole, "n"], ["model_calls", "Model calls", whole, "n"],
    ["prompt_tokens", "Read", whole, "n"], ["generated_tokens", "Written", whole, "n"], ["errors", "Errors", whole, "n"]];
  const title = `${whole(sum(data.before, "turns"))} earlier requests, of which the totals by day are left`;
  return section("before", "Before that", card(title, "", columns, data.before));
}
function short2(x) { return x === null || x === undefined ? "–" : short(x); }
function latency() {
  return section("latency", "How long it takes", h("div", { class: "grid" },
    histogram({ title: "Time of a request", about: "From question to answer, tools included", rows: data.latency, colour: "blue",
      what: "Requests",
      marks: [{ label: "p50", ms: t.p50_ms }, { label: "p95", ms: t.p95_ms }, { label: "p99", ms: t.p99_ms }] }),
    histogram({ title: "Time to the first token", about: "Of a model call", rows: data.first_token, colour: "violet",
      what: "Model calls",
      marks: [{ label: "p50", ms: t.first_p50_ms }, { label: "p95", ms: t.first_p95_ms }] })),
    card("Slowest requests", "Nothing yet.", [["started_ms", "Started (UTC)", moment], ["ms", "Time", span, "n"],
      ["model_calls", "Model calls", whole, "n"], ["tool_calls", "Tool calls", whole, "n"],
      ["generated_tokens", "Written", whole, "n"], ["user", "User"], ["model", "Model"], ["status", "Status", word(true)]],
        data.slowest));
}
function tools() {
  return section("tools", "Tools", h("div", { class: "grid" },
    bars({ title: "Calls", rows: data.tools, name: "tool",
      note: r => `${whole(r.calls)} calls` + (r.failed ? `, ${share(r.failed, r.calls)} failed` : ""),
      series: [{ key: "good", label: "answered", colour: "green" }, { key: "failed", label: "failed", colour: "red" }],
      columns: [["tool", "Tool"], ["calls", "Calls", whole, "n"], ["failed", "Failed", whole, "n"],
        ["repeated", "Repeated", whole, "n"], ["mean_ms", "Mean", span, "n"], ["slowest_ms", "Slowest", span, "n"]] }),
    bars({ title: "Why calls failed", rows: data.tool_errors, name: "what", note: r => whole(r.n),
      series: [{ key: "n", label: "failures", colour: "red" }], columns: [["tool", "Tool"], ["code", "Code"],
        ["n", "Failures", whole, "n"], ["last_ms", "Last (UTC)", moment]] })));
}
function errors() {
  return section("errors", "Errors and decisions", h("div", { class: "grid" },
    bars({ title: "Why requests failed", rows: data.errors, name: "code", note: r => `${whole(r.n)}, last ${moment(r.last_ms)}`,
      series: [{ key: "n", label: "requests", colour: "red" }], columns: [["code", "Code"], ["n", "Requests", whole, "n"],
        ["last_ms", "Last (UTC)", moment]] }),
    bars({ title: "How model calls ended", rows: data.stops, name: "stop_reason", note: r => whole(r.n),
      series: [{ key: "n", label: "model calls", colour: "blue" }], columns: [["stop_reason", "End"],
        ["n", "Model calls", whole, "n"]] })),
    data.recent_errors.length ? card("Latest errors", "", [["started_ms", "Started (UTC)", moment],
      ["status", "Code", word(true)], ["error", "What happened", plain, "t"], ["user", "User"], ["model", "Model"]],
        data.recent_errors) : null,
    card("Decisions", "No permission was asked for, nothing was tried again, no loop was found.",
      [["kind", "Kind", word()], ["outcome", "Outcome"], ["name", "Of"], ["n", "Times", whole, "n"],
        ["last_ms", "Last (UTC)", moment]], data.decisions));
}
const score = x => x === null || x === undefined ? "–" : x.toFixed(2);
function watch() {
  return section("alerts", "Alerts and quality",
    card("Alerts", "No limit was crossed.", [["at_ms", "At (UTC)", moment],
      ["is_over", "", x => h("span", { class: x ? "word" : "word bad" }, x ? "over" : "began")],
      ["severity", "Severity"], ["type", "Of"], ["message", "What", plain, "t"], ["model", "Model"],
        ["value", "Value", short2, "n"], ["threshold", "Limit", short2, "n"]], data.alerts),
    data.quality.length ? card("Scores of answers", "", [["model", "Model"], ["n", "Answers", whole, "n"],
      ["relevance", "Relevance", score, "n"], ["coherence", "Coherence", score, "n"],
      ["safety", "Safety", score, "n"], ["accuracy", "Accuracy", score, "n"], ["satisfaction", "Satisfaction", score, "n"]],
        data.quality) : null,
    data.guard.length ? card("Decisions of the guard", "", [["kind", "Kind", word()], ["outcome", "Outcome"], ["rule", "Rule"],
      ["n", "Times", whole, "n"], ["last_ms", "Last (UTC)", moment]], data.guard) : null);
}
function who() {
  const columns = [["turns", "Requests", whole, "n"], ["failed", "Failed", whole, "n"], ["prompt_tokens", "Read", whole, "n"],
    ["generated_tokens", "Written", whole, "n"],
    ["first_ms", "First token", span, "n"], ["tokens_per_second", "Tokens/s", short2, "n"], ["last_ms", "Last (UTC)", moment]];
  return section("who", "Models and users", card("Models", "Nothing yet.", [["model", "Model"], ...columns], data.models),
    card(t.users > data.users.length ? `The ${data.users.length} most active of ${whole(t.users)} users` : "Users",
      "Nothing yet.", [["user", "User"], ...columns], data.users));
}

/* --- Conversations ------------------------------------------------------------------------ */
function talks() {
  const list = h("ul"), panel = h("div", { class: "talk", tabindex: 0, role: "region", "aria-label": "Conversation" });
  const said = new Map(), called = new Map();
  for (const m of data.messages) said.set(m.conversation, [...(said.get(m.conversation) || []), m]);
  for (const c of data.calls) called.set(c.conversation, [...(called.get(c.conversation) || []), c]);
  const name = c => c.title || "Conversation of " + moment(c.created_ms);
  const callLine = c => h("div", { class: c.error_code ? "call bad" : "call" },
    `${c.name}(${c.arguments || ""}) → ${c.error_code ? c.error_code + (c.error ? ": " + c.error : "") : plain(c.result)}`,
    c.ms ? " · " + span(c.ms) : "");
  function open(c, button) {
    list.querySelectorAll("[aria-current]").forEach(b => b.removeAttribute("aria-current"));
    button.setAttribute("aria-current", "true");
    const lines = [], calls = called.get(c.id) || [], shown = new Set();
    const callsUpTo = (turn,
      step) => calls.filter(k => !shown.has(k) && k.turn === turn && k.step <= step).forEach(k => { shown.add(k);
      lines.push(callLine(k)); });
    for (const m of said.get(c.id) || []) {
      if (m.role === "tool") { callsUpTo(m.turn, m.step); continue; }
      if (m.role !== "user" && calls.some(k => k.turn === m.turn && k.step === m.step)) { callsUpTo(m.turn, m.step);
      if (!(m.text || "").replace(/FUNCTION_CALL[^\n]*/g, "").trim()) continue; }
      lines.push(h("div", { class: "said " + (m.role === "user" ? "user" : m.role === "assistant" ? "assistant" : "tool") },
        m.role !== "user" && m.role !== "assistant" ? h("em", {}, m.role) : null,
          m.text === null ? "(the text was not kept)" : m.text, m.cut ? " …" : ""));
    }
    for (const k of calls) if (!shown.has(k)) lines.push(callLine(k));
    panel.replaceChildren(h("h3", {}, name(c)), h("p", {}, [c.user && "User " + c.user, c.model, moment(c.created_ms) + " UTC",
      whole(c.messages) + " messages"].filter(Boolean).join(" · ")),
      ...(lines.length ? lines : [h("p", {}, "Its texts were not kept.")]));
    panel.scrollTop = 0;
  }
  const items = data.conversations.map(c => {
    const button = h("button", { type: "button" }, h("b", {}, name(c)),
      h("span", {}, `${moment(c.updated_ms)} · ${plain(c.user)} · ${whole(c.messages)} messages`));
    button.addEventListener("click", () => open(c, button));
    const words = [name(c), c.user, ...(said.get(c.id) || []).map(m => m.text)].join("\n").toLowerCase();
    return { c, button, words, item: h("li", {}, button) };
  });
  list.append(...items.map(i => i.item));
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search in conversations" });
  search.addEventListener("input", () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const i of items) i.item.hidden = !wanted.every(w => i.words.includes(w));
  });
  if (items.length) open(items[0].c, items[0].button);
  const title = t.conversations > items.length ? `The latest ${items.length} of ${whole(t.conversations)}`
    : "All of them, the latest first";
  return section("conversations", "Conversations", h("div", { class: "card" }, h("h3", {}, title),
    items.length ? h("div", { class: "talks" }, h("aside", {}, search, list), panel) : h("p", { class: "none" },
      "No conversation in this period was kept, or the report was made without them.")));
}

const made = new Date(data.about.made_ms);
document.getElementById("period").textContent = (t.turns ? `${moment(t.first_ms)} to ${moment(t.last_ms)} UTC`
  : "No requests in this period") + ` · ${data.about.store}`;
document.title = "Bezel report · " + data.about.store;
document.getElementById("foot").textContent = `Made by Bezel ${data.about.version} on `
  + `${made.toISOString().slice(0, 16).replace("T", " ")} UTC. Columns are ${span(bucket)} wide; all times are UTC.`;
for (const r of data.tools) r.good = r.calls - r.failed;
for (const r of data.time) r.good = r.turns - r.failed;
parts.push(overview(), traffic(), ...(data.before.length ? [before()] : []), latency(), tools(), errors(), watch(), who(),
  talks());
main.replaceChildren(...parts);
document.getElementById("places").append(...parts.map(p => h("a", { href: "#" + p.id }, p.querySelector("h2").textContent)));
redraw();
new ResizeObserver(redraw).observe(main);
document.documentElement.dataset.wide = Math.max(0, document.documentElement.scrollWidth - innerWidth);
document.documentElement.dataset.drawnMs = Math.round(performance.now());
document.documentElement.dataset.scriptMs = Math.round(performance.now() - started);
})();
