"""Figures of what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from varprop.figure import BLUE, COLOURS, GREY, MARKERS, VERMILION, new_figure, save_figure

FOLDER = Path(__file__).parents[1] / "docs" / "figures"


def headline(times: Mapping[str, list[float]]) -> str:
    """Networks per second, a bar for each contender."""
    figure = new_figure(0.6 + 0.42 * len(times))
    ax = figure.subplots()
    names = sorted(times, key=lambda who: statistics.median(times[who]), reverse=True)
    for row, who in enumerate(names):
        rates = sorted(1 / each for each in times[who])
        middle = statistics.median(rates)
        colour = BLUE if who.startswith("varprop") else GREY
        ax.barh(row, middle, color=colour, height=0.62)
        ax.plot([rates[0], rates[-1]], [row, row], color="black", linewidth=1.2)
        ax.annotate(
            f"{middle:,.3g}" if middle < 100 else f"{middle:,.0f}", (rates[-1], row),
            xytext=(5, 0), textcoords="offset points", va="center",
        )  # fmt: skip
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel("networks per second (depth 200, width 1000, ReLU, He)")
    ax.margins(x=0.12)
    ax.spines[["top", "right"]].set_visible(False)
    return _save(figure, "bench_headline.png")


def scaling(record: Mapping[str, Any]) -> str:
    """Time against width and depth, with the fitted exponents."""
    figure = new_figure(3.9)
    left, right = figure.subplots(1, 2)
    _curve(left, record, "width", "varprop, 20 layers", BLUE, "o", 1.0)
    _curve(left, record, "width, NumPy drawn", "NumPy drawn, 20 layers", VERMILION, "s", 20.0)
    _curve(right, record, "depth", "varprop, width 1000", BLUE, "o", 1.0)
    for ax, label in ((left, "width"), (right, "depth")):
        ax.set_xlabel(label)
        ax.set_ylabel("seconds for a network")
        low, high = ax.get_ylim()
        ax.set_ylim(low, high * (high / low) ** 0.25)  # room for the legend
        ax.legend(frameon=False, loc="upper left", fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    return _save(figure, "bench_scaling.png")


def _curve(
    ax: Any, record: Mapping[str, Any], name: str, label: str, colour: str, marker: str,
    times: float,
) -> None:  # fmt: skip
    each = record["times"][name]
    sizes = [float(size) for size in each]
    medians = [times * statistics.median(values) for values in each.values()]
    label = f"{label}: exponent {record['exponents'][name]:.2f}"
    ax.loglog(sizes, medians, color=colour, marker=marker, label=label)


def maps(record: Mapping[str, Any]) -> str:
    """Worst error and time of the variance map, a point for each contender and activation."""
    figure = new_figure()
    ax = figure.subplots()
    keys = [key for key in record["errors"] if key.startswith("variance, ")]
    names = list(dict.fromkeys(who for key in keys for who in record["errors"][key]))
    for i, who in enumerate(names):
        points = [
            (
                statistics.median(record["times"][key][who]) / 4,
                max(record["errors"][key][who], 1e-17),  # 0 has no place on this axis
            )
            for key in keys
            if who in record["errors"][key]
        ]  # fmt: skip
        ax.loglog(
            *zip(*points, strict=True), linewidth=0, marker=MARKERS[i], color=COLOURS[i], label=who
        )
    ax.set_xlabel("seconds for a value")
    ax.set_ylabel("largest relative error over K")
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    ax.spines[["top", "right"]].set_visible(False)
    return _save(figure, "bench_maps.png")


def _save(figure: Any, name: str) -> str:
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_figure(figure, FOLDER / name)
    return f"figures/{name}"
