"""Figures: they show the numbers of the result, at any scale, and touch nothing global."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from handmade import propagation, rows
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

import varprop
from varprop.figure import BLACK, BLUE, GREY, SKY, VERMILION, new_figure
from varprop.network import Network
from varprop.plot import plot, save_figure, shares, signal
from varprop.theory import predict

pytestmark = pytest.mark.filterwarnings("error")
LN10 = np.log(10)


def lines(ax: mpl.axes.Axes) -> dict[str, np.ndarray]:
    """Heights of the labelled lines."""
    return {str(line.get_label()): np.asarray(line.get_ydata()) for line in ax.get_lines()}


def drawn(figure: Figure) -> np.ndarray:
    """The figure's pixels, (height, width, 3)."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]


def test_the_lines_are_the_numbers() -> None:
    p = propagation(rows(30, 40, noise=0.05))
    upper, lower = plot(p, prediction=False).axes
    np.testing.assert_allclose(lines(upper)["median of 30 networks"], p.preactivation.median)
    np.testing.assert_allclose(lines(lower)["saturated"], 100 * p.saturated.mean)
    np.testing.assert_allclose(lines(lower)["exactly zero"], 100 * p.zero.mean)
    band = np.asarray(upper.collections[0].get_paths()[0].vertices, dtype=float)
    low, high = p.preactivation.quantile([0.1, 0.9])
    assert band[:, 1].min() == pytest.approx(low.min())
    assert band[:, 1].max() == pytest.approx(high.max())


@pytest.mark.parametrize("statistic", ["variance", "preactivation", "activation"])
@pytest.mark.parametrize("drift", [-5.0, 9.0])
def test_beyond_float64(statistic: str, drift: float) -> None:
    p = propagation(rows(9, 1000, drift=drift))
    theory = SimpleNamespace(
        log_variance=drift * np.arange(1000), log_activation=drift * np.arange(1000) - 0.7
    )
    figure = plot(p, prediction=theory, statistic=statistic)
    ax = figure.axes[0]
    shown = lines(ax)
    at = np.unique(np.linspace(0, 999, 600).round().astype(int))
    expected = np.asarray(getattr(p, statistic).log_median)[at] / LN10
    np.testing.assert_allclose(shown["median of 9 networks"], expected)
    offset = 0.7 if statistic == "activation" else 0.0
    np.testing.assert_allclose(shown["theory, infinite width"], (drift * at - offset) / LN10)
    drawn(figure)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert any("10^{-1" in label or "10^{1" in label or "10^{3" in label for label in labels)
    bottom, top = ax.get_ylim()
    assert bottom < expected.min() < expected.max() < top


def test_theory_comes_by_default_and_not_where_there_is_none() -> None:
    p = varprop.simulate(depth=30, width=60, act="tanh", sigma_w=1.5, sigma_b=0.1, trials=9)
    upper, middle, _ = plot(p).axes
    expected = predict(p.network)
    np.testing.assert_allclose(lines(upper)["theory, infinite width"], expected.variance)
    np.testing.assert_allclose(
        lines(middle)["theory, infinite width"], expected.log_gradient / LN10
    )
    assert all("theory, infinite width" not in lines(ax) for ax in plot(p, prediction=False).axes)
    # a norm after the sum keeps q at 1, whatever K does
    normed = varprop.simulate(depth=5, width=60, act="relu", norm=varprop.Norm("rms", "post"),
                              trials=3)  # fmt: skip
    np.testing.assert_allclose(lines(signal(normed))["theory, infinite width"], 1.0)
    # K of the next layer is e^(2 K): after a few layers even ln K is beyond float64
    steep = Network(9, width=7, act="exp(x)", sigma_w=1.0)
    with pytest.raises(ValueError, match="overflows float64"):
        predict(steep)
    ax = signal(propagation(rows(4, 9), network=steep))
    assert "theory, infinite width" not in lines(ax)


def test_the_first_of_several_inputs_and_cotangents_is_drawn() -> None:
    p = varprop.simulate(
        depth=4, width=30, act="tanh", correlation=0.5, cotangents=2, trials=5, seed=3
    )
    _, middle, lower = plot(p, prediction=False).axes
    first = np.median(np.asarray(p.gradient.log[:, 0, 0]), axis=0)
    np.testing.assert_allclose(lines(middle)["median of 5 networks"], np.exp(first))
    np.testing.assert_allclose(lines(lower)["saturated"], 100 * p[0].saturated.mean)


def test_a_notebook_shows_a_figure() -> None:
    assert plot(propagation())._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_the_scale_is_linear_unless_it_helps() -> None:
    shape = (5, 30)
    flat = rows(*shape)

    def with_q(q: np.ndarray) -> np.ndarray:
        logs = vars(flat) | {"log_preactivation": np.log(np.broadcast_to(q, shape))}
        ax = signal(propagation(type(flat)(**logs)), prediction=False)
        return lines(ax)["median of 5 networks"]

    np.testing.assert_allclose(with_q(np.linspace(1, 9, 30)), np.linspace(1, 9, 30))
    np.testing.assert_allclose(with_q(np.linspace(1, 11, 30)), np.log10(np.linspace(1, 11, 30)))
    np.testing.assert_allclose(with_q(np.linspace(1, 2, 30) * 1e-5)[0], -5.0)


def test_ticks_are_named_by_the_numbers_they_stand_for() -> None:
    figure = new_figure()
    ax = signal(propagation(rows(9, 200, drift=0.01)), figure.subplots())
    drawn(figure)
    bottom, top = ax.get_ylim()
    pairs = [
        (tick, label.get_text())
        for tick, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
        if bottom <= tick <= top
    ]
    assert len(pairs) >= 3
    for height, label in pairs:
        assert float(label) == pytest.approx(10**height)


def test_dead_networks_end_and_are_counted() -> None:
    p = propagation(rows(10, 30, dead=6))
    figure = plot(p)
    upper, lower = figure.axes
    assert "6 of 10 networks died" in upper.get_title(loc="left")
    assert np.array_equal(
        lines(lower)["dead networks, % of networks"], np.where(np.arange(1, 31) > 15, 60.0, 0.0)
    )
    assert "dead networks, % of networks" not in lines(shares(propagation(rows(10, 30))))
    drawn(figure)
    everything = plot(propagation(rows(4, 6, drift=-3, dead=4)))
    median = lines(everything.axes[0])["median of 4 networks"]
    assert np.isnan(median[3:]).all()
    drawn(everything)


@pytest.mark.parametrize(("trials", "depth"), [(1, 1), (1, 50), (7, 1), (2, 2), (3, 5000)])
def test_every_shape_draws(trials: int, depth: int) -> None:
    figure = plot(propagation(rows(trials, depth)))
    assert drawn(figure).std() > 5
    assert ("one network" in lines(figure.axes[0])) == (trials == 1)


def test_axes_given_are_drawn_on_and_returned() -> None:
    p = propagation()
    figure = new_figure()
    left, right = figure.subplots(1, 2)
    assert signal(p, left) is left
    assert shares(p, right) is right
    assert plot(p, left) is left
    both = (left, right)
    assert plot(p, both) is both
    assert p.plot(left) is left
    assert len(figure.axes) == 2


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (plot, "of a Propagation, as varprop.simulate gives, not of JacobianSpectrum; varprop"),
        (signal, "not of JacobianSpectrum"),
        (shares, "not of JacobianSpectrum"),
        (varprop.plot.correlation, "not of JacobianSpectrum"),
        (varprop.plot.histograms, "not of JacobianSpectrum"),
        (varprop.plot.phase, "of a PhaseDiagram, as varprop.phase_diagram gives"),
        (
            lambda s: varprop.plot.compare([s]),
            "not of JacobianSpectrum; varprop.plot.spectrum draws that",
        ),
        (lambda s: varprop.plot.spectrum(s.network), "of a JacobianSpectrum, .* not of Network"),
    ],
)
def test_results_of_another_kind(draw: Callable[[Any], object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        draw(varprop.spectrum(depth=2, width=5, trials=2))


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="variance, preactivation, activation, gradient; got 'q'"):
        signal(propagation(), statistic="q")
    with pytest.raises(ValueError, match=r"\(7,\), the result 3 layers"):
        plot(propagation(), prediction=SimpleNamespace(log_variance=np.zeros(7)))


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG\r\n"), ("a.PDF", b"%PDF"), ("a.svg", b"<?xml")]
)
def test_figures_are_saved(tmp_path: Path, name: str, start: bytes) -> None:
    path = tmp_path / name
    path.write_text("old")
    save_figure(plot(propagation()), path)
    assert path.read_bytes().startswith(start)
    assert os.listdir(tmp_path) == [name]


def test_png_is_large_enough_for_a_slide(tmp_path: Path) -> None:
    save_figure(plot(propagation()), tmp_path / "a.png")
    header = (tmp_path / "a.png").read_bytes()[16:24]
    width, height = (int.from_bytes(header[i : i + 4]) for i in (0, 4))
    assert (width, height) == (1280, 896)


def test_png_has_a_palette_that_one_does_not_see(tmp_path: Path) -> None:
    figure = plot(propagation(rows(30, 200, noise=0.3)))
    true = drawn(figure).astype(int)
    save_figure(figure, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        saved = np.asarray(image.convert("RGB")).astype(int)
    # drawn() has the resolution of the figure, which is the file's
    assert abs(saved - true).max() <= 20
    assert (saved[(true == 255).all(axis=2)] == 255).all()
    figure.savefig(tmp_path / "b.png")
    assert (tmp_path / "a.png").stat().st_size < 0.5 * (tmp_path / "b.png").stat().st_size
    figure.set_facecolor("none")
    save_figure(figure, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "RGBA"


def test_one_legend_above_all_panels() -> None:
    figure = plot(propagation(rows(30, 40, noise=0.05)))
    (legend,) = figure.legends
    figure.canvas.draw()
    box, panels = legend.get_window_extent(), figure.axes
    assert panels[0].get_legend() is None
    assert box.y0 > panels[0].get_window_extent().y1
    assert box.x1 < figure.bbox.x1


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    for name in ("a.docx", "a.gif", "figure"):
        with pytest.raises(ValueError, match=r"must end in \.png"):
            save_figure(plot(propagation()), tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_an_interrupted_save_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_figure: Figure, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(KeyboardInterrupt):
        save_figure(new_figure(), tmp_path / "a.svg")
    assert os.listdir(tmp_path) == []


def test_matplotlib_is_left_as_it_was(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    save_figure(plot(propagation()), tmp_path / "a.png")
    assert dict(mpl.rcParams) == before
    code = (
        "import sys; from handmade import propagation; from varprop.plot import plot, save_figure\n"
        f"save_figure(plot(propagation()), {str(tmp_path / 'b.png')!r})\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    assert done.stdout.strip() == "False"


def test_lines_that_share_a_panel_differ_in_grey() -> None:
    def lightness(color: str) -> float:
        return float(np.dot(to_rgb(color), [0.299, 0.587, 0.114]))

    for panel in ((SKY, BLUE, BLACK), (VERMILION, BLACK), (SKY, GREY)):
        values = sorted(lightness(color) for color in panel)
        assert min(np.diff(values)) > 0.15, panel


@pytest.mark.parametrize("ax", ["tanh.png", (1, 2), ()])
def test_a_file_name_is_not_an_axes(ax):
    with pytest.raises(TypeError, match="to save a figure"):
        propagation().plot(ax)
