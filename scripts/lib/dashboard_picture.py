"""Draws the dashboard: asks Prometheus what each panel asks, over a time, and draws the answers where the panels are. No Grafana takes
part: it shows what the queries say, and where they stand.

    dashboard_picture.py PROMETHEUS DASHBOARD BEGIN END PICTURE
"""

import io
import json
import math
import os
import re
import sys
import urllib.parse
import urllib.request

import matplotlib
from PIL import Image

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator

COLUMNS = 24
# Of one cell of the grid, inches.
WIDTH, HEIGHT = 0.72, 0.36
GROUND, PANEL, EDGE, TEXT, FAINT = "#111217", "#181b1f", "#2c3235", "#d8d9da", "#8e9297"
COLOURS = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff9830", "#f2495c", "#b877d9", "#5794f2", "#fade2a", "#96d98d", "#ffb357"]
GOOD, BAD = "#37872d", "#c4162a"
# How many curves a legend names.
NAMED_MAX = 8


TIMES = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3), ("µs", 1e-6))


def size_of(value: float) -> float:
    """That of the largest unit of time that fits into it."""
    return next((size for _, size in TIMES if abs(value) >= size), 1)


def seconds(value: float) -> str:
    unit = next((unit for unit, size in TIMES if abs(value) >= size), "s")
    return f"{value / size_of(value):.3g} {unit}"


class Ticks(MaxNLocator):
    """At round numbers of what is shown: of days, where it is days, and whole ones of what is counted."""

    def __init__(self, unit: str, greatest: float) -> None:
        self.size = size_of(greatest) if unit in ("s", "dtdurations") else 1
        super().__init__(4, integer=unit in ("short", "none"))

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        return [tick * self.size for tick in super().tick_values(vmin / self.size, vmax / self.size)]


FORMATS = {
    "s": seconds,
    "dtdurations": seconds,
    "reqps": lambda value: f"{value:.3g}/s",
    "ops": lambda value: f"{value:.3g}/s",
    "percentunit": lambda value: f"{value * 100:.3g} %",
}


def shown(unit: str, value: float) -> str:
    return FORMATS.get(unit, lambda value: f"{value:.4g}")(value)


def ask(prometheus: str, query: str, begin: float, end: float) -> list[dict]:
    query = query.replace("$instance", ".*").replace("$__rate_interval", "15s")
    step = max(1, round((end - begin) / 240))
    parameters = urllib.parse.urlencode({"query": query, "start": begin, "end": end, "step": step})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{parameters}", timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def name(legend: str, labels: dict) -> str:
    for label, value in labels.items():
        legend = legend.replace("{{" + label + "}}", value)
    return re.sub(r"{{\w+}}", "", legend).strip() or "all"


def curves(prometheus: str, panel: dict, begin: float, end: float) -> list[tuple[str, list[float], list[float]]]:
    found = []
    for target in panel["targets"]:
        for series in ask(prometheus, target["expr"], begin, end):
            points = [(time - begin, float(value)) for time, value in series["values"]]
            points = [(time, value) for time, value in points if math.isfinite(value)]
            if points:
                times, values = zip(*points)
                found.append((name(target.get("legendFormat", ""), series["metric"]), list(times), list(values)))
    return sorted(found, key=lambda curve: curve[0])


class Picture:
    def __init__(self, panels: list[dict]) -> None:
        self.rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
        plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 7, "text.color": TEXT, "axes.edgecolor": EDGE})
        self.figure = plt.figure(figsize=(COLUMNS * WIDTH, self.rows * HEIGHT), facecolor=GROUND)

    def box(self, place: dict) -> tuple[float, float, float, float]:
        """Left, bottom, width and height, as parts of the picture."""
        gap = 0.0022
        left, top = place["x"] / COLUMNS, 1 - place["y"] / self.rows
        width, height = place["w"] / COLUMNS, place["h"] / self.rows
        return left + gap, top - height + gap, width - 2 * gap, height - 2 * gap

    def title(self, panel: dict) -> None:
        left, bottom, width, height = self.box(panel["gridPos"])
        if panel["type"] == "row":
            self.figure.text(left + 0.004, bottom + height / 2, panel["title"], va="center", fontsize=9, weight="bold")
            return
        frame = FancyBboxPatch((left, bottom), width, height, boxstyle="round,pad=0,rounding_size=0.002", transform=self.figure.transFigure, facecolor=PANEL, edgecolor=EDGE, linewidth=0.8, zorder=-1)
        self.figure.add_artist(frame)
        top = bottom + height - 0.11 / (self.rows * HEIGHT)
        self.figure.text(left + 0.005, top, panel["title"], va="top", fontsize=8)

    def axes(self, panel: dict, legend_lines: int) -> "plt.Axes":
        left, bottom, width, height = self.box(panel["gridPos"])
        inch = 1 / (self.rows * HEIGHT)
        below, above = (0.3 + 0.15 * legend_lines) * inch, 0.36 * inch
        return self.figure.add_axes((left + 0.032, bottom + below, width - 0.042, height - below - above), facecolor=PANEL)

    def draw_curves(self, panel: dict, found: list) -> None:
        defaults = panel["fieldConfig"]["defaults"]
        unit = defaults.get("unit", "none")
        # As many in a line as there is room for.
        room = panel["gridPos"]["w"] * WIDTH - 0.3
        lines, used = 1, 0.0
        for label, _, _ in found[:NAMED_MAX]:
            needed = 0.3 + 0.062 * len(label)
            lines, used = (lines + 1, needed) if used + needed > room and used else (lines, used + needed)
        axes = self.axes(panel, lines)
        for (_, times, values), colour in zip(found, COLOURS * 9):
            axes.plot(times, values, color=colour, linewidth=1.1, clip_on=False, zorder=3)
            if len(found) == 1:
                axes.fill_between(times, values, color=colour, alpha=0.12, linewidth=0)
        least, greatest = axes.get_ylim()
        floor = defaults.get("min")
        if floor is not None:
            greatest = max(greatest, floor + 1e-9 if max(max(values) for _, _, values in found) > 0 else floor + 1)
            axes.set_ylim(floor, greatest)
        elif greatest - least < 1e-9:
            axes.set_ylim(least - 1, greatest + 1)
        axes.set_xlim(0, max(max(times) for _, times, _ in found))
        axes.grid(color=EDGE, linewidth=0.5)
        axes.tick_params(colors=FAINT, length=0, pad=2, labelsize=6)
        axes.tick_params(axis="x", pad=5)
        axes.yaxis.set_major_locator(Ticks(unit, max(abs(limit) for limit in axes.get_ylim())))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(unit, value)))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} s"))
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        self.draw_legend(panel, found, lines)

    def draw_legend(self, panel: dict, found: list, lines: int) -> None:
        left, bottom, width, _ = self.box(panel["gridPos"])
        whole_width, inch = COLUMNS * WIDTH, 1 / (self.rows * HEIGHT)
        x, line = 0.12, lines - 1
        for (label, _, _), colour in zip(found[:NAMED_MAX], COLOURS):
            needed = 0.3 + 0.062 * len(label)
            if x + needed > width * whole_width and x > 0.12:
                x, line = 0.12, line - 1
            y = bottom + (0.08 + 0.15 * line) * inch
            self.figure.text(left + x / whole_width, y, "\u2014", color=colour, weight="bold")
            self.figure.text(left + (x + 0.14) / whole_width, y, label, fontsize=6.5)
            x += needed

    def draw_stats(self, panel: dict, found: list) -> None:
        left, bottom, width, height = self.box(panel["gridPos"])
        inch = 1 / (self.rows * HEIGHT)
        bottom, height = bottom + 0.08 * inch, height - 0.44 * inch
        each = (width - 0.008) / len(found)
        for at, (label, _, values) in enumerate(found):
            x = left + 0.004 + at * each
            colour = GOOD if values[-1] > 0 else BAD
            self.figure.add_artist(FancyBboxPatch((x, bottom), each - 0.003, height, boxstyle="round,pad=0,rounding_size=0.002", transform=self.figure.transFigure, facecolor=colour, edgecolor="none", alpha=0.85))
            middle = x + each / 2
            self.figure.text(middle, bottom + height * 0.72, label, ha="center", va="center", fontsize=6.5, color="white")
            self.figure.text(middle, bottom + height * 0.38, "Yes" if values[-1] > 0 else "No", ha="center", va="center", fontsize=11, color="white", weight="bold")
            # A panel of Grafana shows the last value alone; who looks at a picture of some time wants to know of all of it.
            away = sum(value < 1 for value in values) / len(values)
            if away > 0:
                self.figure.text(middle, bottom + height * 0.12, f"no: {away * 100:.0f} %", ha="center", va="center", fontsize=5.5, color="white")


def palette() -> Image.Image:
    """The colours that are drawn with, and what lies between each and the panel at its edges."""
    rgb = lambda colour: [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    panel, drawn = rgb(PANEL), [rgb(colour) for colour in [TEXT, FAINT, GOOD, BAD, *COLOURS, "#ffffff"]]
    steps = 15
    between = [[(of * (steps - step) + to * step) // steps for of, to in zip(panel, colour)] for colour in drawn for step in range(1, steps + 1)]
    colours = [rgb(GROUND), panel, rgb(EDGE), *between]
    image = Image.new("P", (1, 1))
    image.putpalette(sum(colours, []) + panel * (256 - len(colours)))
    return image


def main(prometheus: str, dashboard: str, begin: str, end: str, file: str) -> None:
    with open(dashboard, encoding="utf-8") as text:
        panels = json.load(text)["panels"]
    picture, empty = Picture(panels), []
    for panel in panels:
        picture.title(panel)
        if panel["type"] == "row":
            continue
        found = curves(prometheus, panel, float(begin), float(end))
        if not found:
            empty.append(panel["title"])
        elif panel["type"] == "stat":
            picture.draw_stats(panel, found)
        else:
            picture.draw_curves(panel, found)
    if empty:
        sys.exit(f"these panels have nothing to show: {empty}")
    drawn = io.BytesIO()
    picture.figure.savefig(drawn, dpi=96, facecolor=GROUND)
    # In a third of the bytes.
    Image.open(drawn).convert("RGB").quantize(palette=palette(), dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file}: {len(panels)} panels, {os.path.getsize(file)} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
