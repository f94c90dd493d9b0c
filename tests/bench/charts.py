# SPDX-License-Identifier: MIT
"""Bar charts as SVG: labelled bars with the range of the rounds, light and dark, readable on a phone."""
from xml.sax.saxutils import escape

WIDTH = 480
BAR, GAP, GROUP_GAP = 22, 4, 14
LEFT, RIGHT = 12, 12
COLOURS = 5

STYLE = """
.back{fill:#fff}.text{fill:#1f2328;font:15px system-ui,sans-serif}.soft{fill:#59636e;font:13px system-ui,sans-serif}
.title{fill:#1f2328;font:600 17px system-ui,sans-serif}.line{stroke:#1f2328;stroke-width:1.5;opacity:.6}
.c0{fill:#0969da}.c1{fill:#79b8ff}.c2{fill:#8a8f98}.c3{fill:#bf8700}.c4{fill:#d9a860}
@media (prefers-color-scheme:dark){.back{fill:#0d1117}.text,.title{fill:#e6edf3}.soft{fill:#9198a1}.line{stroke:#e6edf3}
.c0{fill:#4493f8}.c1{fill:#1f5fae}.c2{fill:#7d848d}.c3{fill:#d29922}.c4{fill:#8a6a2b}}
"""


def number(x):
    if x >= 100:
        return f"{x:,.0f}"
    return f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def legend(series, colours, y):
    """Names with their colour, in lines that fit. Returns the parts and the height taken."""
    parts, x, top = [], LEFT, y
    for name, colour in zip(series, colours):
        need = 24 + 7.4 * len(name)
        if x > LEFT and x + need > WIDTH - RIGHT:
            x, y = LEFT, y + 20
        parts.append(f'<rect class="c{colour % COLOURS}" x="{x:.0f}" y="{y - 11}" width="12" height="12" rx="2"/>')
        parts.append(f'<text class="soft" x="{x + 17:.0f}" y="{y}">{escape(name)}</text>')
        x += need
    return parts, y - top + 20


def bar_chart(title, unit, series, groups, colours=None):
    """groups: [(label, [spread or None for each of series])], a spread being {"median", "low", "high"}. colours: a number for
    each of series, so that it looks alike in every chart; else in order."""
    colours = colours or range(len(series))
    largest = max((s["high"] for _, row in groups for s in row if s), default=1) or 1
    room = WIDTH - LEFT - RIGHT - 78  # for the figure behind the longest bar
    parts, y = [], 58
    keys, height = legend(series, colours, y)
    parts += keys
    y += height
    for label, row in groups:
        parts.append(f'<text class="text" x="{LEFT}" y="{y + 12}">{escape(label)}</text>')
        y += 20
        for colour, s in zip(colours, row):
            if not s:
                continue
            wide, low, high = (room * s[k] / largest for k in ("median", "low", "high"))
            middle = y + BAR / 2
            size = f'x="{LEFT}" y="{y}" width="{max(wide, 1):.1f}" height="{BAR}" rx="3"'
            parts.append(f'<rect class="c{colour % COLOURS}" {size}/>')
            parts.append(f'<path class="line" d="M{LEFT + low:.1f} {middle}H{LEFT + high:.1f}"/>')
            parts.append(f'<text class="text" x="{LEFT + max(wide, high) + 6:.1f}" y="{y + 16}">{number(s["median"])}</text>')
            y += BAR + GAP
        y += GROUP_GAP
    words = "; ".join(
        f"{label}: " + ", ".join(f"{n} {number(s['median'])}" for n, s in zip(series, row) if s) for label, row in groups)
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img" '
        'aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>', f'<desc id="d">{escape(words)}</desc>', f"<style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{y}" rx="6"/>',
        f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>',
        f'<text class="soft" x="{LEFT}" y="40">{escape(unit)}</text>',
    ]
    return "\n".join(head + parts + ["</svg>"]) + "\n"
