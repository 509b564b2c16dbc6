"""The picture of report.py: up to four panels, one for each part that was measured."""

import statistics

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "mod_mcp_oauth",
        "font.family": "sans-serif",
        "font.size": 10,
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
    }
)
from matplotlib import pyplot  # noqa: E402: after use()

BARE, OURS, OTHERS, TARGET = "#8a8f98", "#2466b0", "#d08a2e", "#b3261e"
LABELS = {
    "bare": "bare",
    "none": "no rules",
    "acl10": "10 rules",
    "acl1000": "1,000 rules",
    "alike1000": "1,000 for this tool",
    "shadow": "Shadow, allowed",
    "shadow_deny": "Shadow, would refuse",
    "fresh": "10 rules, tokens new",
    "list": "list filter",
    "openidc": "mod_auth_openidc",
    "openidc_fresh": "… tokens new",
    "oauth2": "mod_oauth2",
    "oauth2_fresh": "… tokens new ",
}


def colour(name):
    return OTHERS if name.startswith(("openidc", "oauth2")) else BARE if name == "bare" else OURS


def bars(axes, names, values, low=None, high=None, text="{:.2f}"):
    """Horizontal bars, the first on top, each with its value at its end."""
    places = range(len(names))
    error = [[v - a for v, a in zip(values, low)], [b - v for v, b in zip(values, high)]] if low else None
    axes.barh(
        places,
        values,
        0.66,
        color=[colour(n) for n in names],
        xerr=error,
        error_kw={"ecolor": "#333333", "elinewidth": 1, "capsize": 2},
    )
    axes.set_yticks(places, [LABELS.get(n, n).strip() for n in names])
    axes.invert_yaxis()
    right = max(high or values)
    axes.set_xlim(0, right * 1.17)
    for y, value, end in zip(places, values, high or values):
        axes.text(
            end + right * 0.012,
            y,
            text.format(value),
            va="center",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )
    axes.grid(axis="x", color="#e3e5e8", linewidth=0.7)
    axes.set_axisbelow(True)


def draw_requests(axes, report):
    from report import TARGETS

    names = [name for name in LABELS if name != "bare"]
    found = [report.request_ratios(name) for name in names]
    bars(axes, names, [statistics.median(f) for f in found], [min(f) for f in found], [max(f) for f in found])
    axes.axvline(1, color=BARE, linewidth=1.2)
    for name, limit in TARGETS.items():
        y = names.index(name)
        axes.plot(
            [limit, limit], [y - 0.45, y + 0.45], color=TARGET, linewidth=2.2, label="target" if name == "acl10" else None
        )
    axes.legend(loc="upper right", frameon=False)
    axes.set_title("CPU time of a call, ratio to bare (grey line)")
    axes.set_xlabel("median, lowest to highest of the rounds")


def draw_instructions(axes, report):
    counts = report.parts["instructions"]["counts"]
    names = [n for n in LABELS if n in counts and n != "list"]
    bars(axes, names, [counts[n] / 1000 for n in names], text="{:,.0f}")
    axes.set_title("Instructions of a call, thousands")


def draw_algorithms(axes, report):
    names = ["bare", *report.parts["algorithms"]["sizes"]]
    found = [[v * 1e6 for v in report.values("algorithms", n, "cpu")] for n in names]
    bars(axes, names, [statistics.median(f) for f in found], [min(f) for f in found], [max(f) for f in found], "{:,.0f}")
    axes.set_title("CPU time of a call with a new token, µs")


def draw_bodies(axes, report):
    sizes = report.parts["bodies"]["sizes"]
    ticks = ["100 B", "1 KiB", "16 KiB", "128 KiB", "1 MiB"]
    for kind, tint, label in (("ours", OURS, "10 rules"), ("bare", BARE, "bare")):
        found = [[v * 1e6 for v in report.values("bodies", f"{kind} {size}", "cpu")] for size in sizes]
        middle = [statistics.median(f) for f in found]
        error = [[m - min(f) for m, f in zip(middle, found)], [max(f) - m for m, f in zip(middle, found)]]
        axes.errorbar(sizes, middle, error, color=tint, marker="o", markersize=5, linewidth=1.8, capsize=2, label=label)
        for size, value in zip(sizes, middle):
            below = kind == "bare"
            axes.annotate(
                f"{value:,.0f}",
                (size, value),
                (5, -14) if below else (-5, 8),
                textcoords="offset points",
                ha="left" if below else "right",
                fontsize=9,
                color=tint,
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes, ticks)
    axes.minorticks_off()
    axes.margins(0.1, 0.16)
    axes.grid(color="#e3e5e8", linewidth=0.7)
    axes.legend(loc="upper left", frameon=False)
    axes.set_title("CPU time of a call by size of its body, µs")


PANELS = {"requests": draw_requests, "instructions": draw_instructions, "algorithms": draw_algorithms, "bodies": draw_bodies}


def draw(report, path):
    parts = [part for part in PANELS if part in report.parts] or []
    rows = max(1, (len(parts) + 1) // 2)
    figure, grid = pyplot.subplots(rows, 2, figsize=(13, 4.6 * rows), squeeze=False, facecolor="white")
    places = list(grid.flat)
    for axes, part in zip(places, parts):
        PANELS[part](axes, report)
    for axes in places[len(parts) :]:
        axes.set_axis_off()
    figure.tight_layout(w_pad=2.5, h_pad=2.5)
    figure.savefig(path, metadata={"Date": None})
    if path.endswith(".svg"):
        # matplotlib ends lines with blanks.
        with open(path, encoding="utf-8") as f:
            text = "".join(line.rstrip() + "\n" for line in f)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    pyplot.close(figure)
