"""The plots of docs/performance.md, each as PNG and as SVG."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import matplotlib as mpl

mpl.use("agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.bars import INDEXED_MS, OTHER_MS, Bar, of_jobs
from bench.findings import Findings, Peer, Searched
from bench.tables import amount, seconds
from bench.work import DELETE, NUMBER, STATUS

INK, QUIET, GRID = "#1f2937", "#6b7280", "#e5e7eb"
BLUE, LIGHT_BLUE, GREEN, ORANGE, RED = "#1d4ed8", "#93b4f5", "#0f766e", "#d97706", "#c2410c"
_DURATIONS = {0.01: "10 ms", 0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36000: "10 h"}
_TITLES = {STATUS: "Edit of the status", NUMBER: "Edit of a custom field (a number)", DELETE: "Delete"}
_PADS = {"w_pad": 0.1, "h_pad": 0.08}  # inches
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": GRID,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "drover",  # the same numbers give the same file
}


class Line(NamedTuple):
    """One way to do the work; dashed where it is extrapolated."""

    label: str
    color: str
    n_leads: list[int]
    seconds: list[float]
    extrapolated: bool = False


def draw(found: Findings, folder: Path) -> list[Path]:
    """Write all of them into the folder; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with mpl.rc_context(_STYLE):
        for name, figure in (("growth", growth(found)), ("ratios", ratios(found)), ("search", search(found))):
            for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
                files.append(folder / f"bench-{name}.{ending}")
                figure.savefig(files[-1], dpi=160, metadata=metadata)
            plt.close(figure)
    return files


# --- seconds against leads --------------------------------------------------------------------------------------------
def growth(found: Findings) -> Figure:
    works = [peer.work for peer in found.peers]
    figure, panels = plt.subplots(
        1, len(works), figsize=(4.1 * len(works), 5.4), sharey=True, squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(**_PADS)
    for axes, work in zip(panels[0], works, strict=True):
        for line in lines_of(found, work):
            axes.plot(
                line.n_leads,
                line.seconds,
                color=line.color,
                label=line.label,
                linestyle=(0, (4, 2)) if line.extrapolated else "-",
                marker="" if line.extrapolated else "o",
                markersize=5,
                linewidth=2.4 if line.color == BLUE else 1.7,
                zorder=3 if line.color == BLUE else 2,
            )
            if line.color != GREEN and line.color != LIGHT_BLUE:  # those lie too close to the others
                axes.annotate(
                    seconds(line.seconds[-1]), (line.n_leads[-1], line.seconds[-1]),
                    xytext=(0, -10 if line.color == BLUE else 6), textcoords="offset points", ha="center",
                    va="top" if line.color == BLUE else "bottom", fontsize=9, fontweight="bold", color=line.color,
                )  # fmt: skip
        axes.set(xscale="log", yscale="log", title=_TITLES.get(work, work), xlabel="leads")
        axes.margins(y=0.09)
        axes.set_xticks(sorted({each.n_leads for each in found.of(work)}))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(FixedLocator(list(_DURATIONS)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _DURATIONS.get(value, "")))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(True)
        axes.tick_params(length=0, which="both")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=10)
    figure.suptitle(
        "Time from the request to the last lead. Both axes go by tens: where a line climbs as steeply as the dashed"
        f" ones, the time for a lead stays the same.\n* measured on {found.peers[0].n_leads:,} leads and extrapolated",
        x=0.01,
        ha="left",
        color=QUIET,
        fontsize=10,
    )
    return figure


def lines_of(found: Findings, work: str) -> list[Line]:
    """Slowest first, as they lie above each other."""
    measured = found.of(work)
    n_leads = [each.n_leads for each in measured]
    peer = found.peer_of(work)
    return [
        *(_lines_of_peer(peer, n_leads) if peer else []),
        Line("Drover, one worker", LIGHT_BLUE, n_leads, [median(each.engine_alone) for each in measured]),
        Line("one raw statement", GREEN, n_leads, [median(each.statement) for each in measured]),
        Line("Drover, two workers", BLUE, n_leads, [median(each.engine) for each in measured]),
    ]


def _lines_of_peer(peer: Peer, n_leads: list[int]) -> list[Line]:
    return [
        Line("a Celery task per lead*", RED, n_leads, [peer.task_each_for(n) for n in n_leads], extrapolated=True),
        Line("a task that saves each*", ORANGE, n_leads, [peer.save_each_for(n) for n in n_leads], extrapolated=True),
    ]


# --- ratios against the bars ------------------------------------------------------------------------------------------
def ratios(found: Findings) -> Figure:
    """Each as a part of its bar; nothing to see where there are no bars (a run on few leads)."""
    bars = [bar for bar in of_jobs(found) if bar.bar is not None][::-1]
    figure, axes = plt.subplots(figsize=(10.5, 0.42 * len(bars) + 1.5), layout="constrained")
    figure.get_layout_engine().set(**_PADS)
    axes.barh(
        [bar.what for bar in bars],
        [bar.part for bar in bars],
        color=[BLUE if bar.reached else RED for bar in bars],
        height=0.62,
    )
    longest = max(1.0, *(bar.part for bar in bars))
    for place, bar in enumerate(bars):
        axes.annotate(
            _against(bar), (bar.part, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    axes.axvline(1, color=INK, linewidth=1.4)
    axes.annotate("the bar", (1, len(bars) - 0.45), ha="center", va="bottom", fontsize=9, fontweight="bold")
    axes.set(xlim=(0, longest * 1.28), ylim=(-0.6, len(bars) - 0.4))
    axes.set_xlabel(f"part of the bar that was used, {found.largest:,} leads: the shorter, the better")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.grid(True, axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    return figure


def _against(bar: Bar) -> str:
    return f"{amount(bar)}   ({'at least' if bar.at_least else 'at most'} {bar.bar:,g})"


# --- searches ---------------------------------------------------------------------------------------------------------
def search(found: Findings) -> Figure:
    groups = [
        (f"An index leads to few leads: at most {INDEXED_MS} ms", INDEXED_MS,
         [each for each in found.searches if each.is_indexed]),
        (f"All other queries: at most {OTHER_MS:,} ms", OTHER_MS,
         [each for each in found.searches if not each.is_indexed]),
    ]  # fmt: skip
    groups = [group for group in groups if group[2]]
    n_rows = sum(len(searches) for _, _, searches in groups)
    figure, panels = plt.subplots(
        len(groups), 1, figsize=(10.5, 0.4 * n_rows + 2.0), sharex=True, layout="constrained",
        height_ratios=[len(searches) for _, _, searches in groups], squeeze=False,
    )  # fmt: skip
    figure.get_layout_engine().set(**_PADS)
    for axes, (title, bar, searches) in zip(panels[:, 0], groups, strict=True):
        _draw_searches(axes, searches[::-1], bar)
        axes.set_title(title)
    panels[-1, 0].set_xlabel(f"milliseconds over HTTP, {found.n_search_leads:,} leads, by tens")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False)
    return figure


def _draw_searches(axes: Axes, searches: Sequence[Searched], bar: int) -> None:
    places = range(len(searches))
    for shift, color, label, values in (
        (0.2, BLUE, "first page of 100", [each.page_ms for each in searches]),
        (-0.2, LIGHT_BLUE, "exact count", [each.count_ms for each in searches]),
    ):
        axes.barh([place + shift for place in places], values, height=0.36, color=color, label=label)
        for place, value in zip(places, values, strict=True):
            inside = bar * 0.6 < value <= bar  # beside its end the number would lie on the line
            axes.annotate(
                f"{value:,.0f}", (value, place + shift), xytext=(-4 if inside else 4, 0), textcoords="offset points",
                ha="right" if inside else "left", va="center", fontsize=8,
                color=RED if value > bar else "white" if inside and color == BLUE else INK if inside else QUIET,
                fontweight="bold" if value > bar else "normal",
            )  # fmt: skip
    axes.axvline(bar, color=INK, linewidth=1.4)
    axes.set(xscale="log", xlim=(1, 4000), ylim=(-0.6, len(searches) - 0.4))
    axes.set_yticks(list(places), [each.query for each in searches])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(True, axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0, which="both")


# --- words ------------------------------------------------------------------------------------------------------------
def _short(n: float) -> str:
    """10,000 as `10 k`, 1,000,000 as `1 M`."""
    return f"{n / 1e6:g} M" if n >= 1e6 else f"{n / 1e3:g} k" if n >= 1e3 else f"{n:g}"
