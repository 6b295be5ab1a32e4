"""Comparisons, histograms, correlations, maps and phases: what is drawn is what was found."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from handmade import propagation, rows
from matplotlib.colors import to_rgb
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

import varprop
from varprop import plot
from varprop.figure import COLOURS, DASHES, MARKERS, new_figure
from varprop.histogram import NO_SCALE, Counts
from varprop.network import Network
from varprop.pair_prediction import input_log_gap
from varprop.plot_compare import told_apart
from varprop.plot_histograms import UNBOUNDED, bounds, drawn_layer, drawn_range
from varprop.theory import fixed_point, gain, predict

pytestmark = pytest.mark.filterwarnings("error")
LN10 = np.log(10)


def drawn(figure: Figure | None) -> np.ndarray:
    """The figure's pixels, (height, width, 3)."""
    assert figure is not None
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]


def told(ax: mpl.axes.Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


# ---- side by side


def test_a_comparison_shows_medians_bars_and_theory() -> None:
    runs = [
        varprop.simulate(depth=12, width=80, act="tanh", scheme=scheme, trials=9)
        for scheme in ("xavier", "he")
    ]
    figure = new_figure()
    ax = figure.subplots()
    assert plot.compare(runs, ax, statistic="gradient") is ax
    assert told(ax) == ["xavier", "he", "median, 10% to 90%", "theory, infinite width"]
    assert ax.get_title(loc="left") == "depth 12, width 80, tanh"
    for run, points in zip(runs, ax.containers, strict=True):
        line, _, (bars,) = points.lines
        shown = np.asarray(line.get_ydata())
        np.testing.assert_allclose(shown, run.gradient.log_median / LN10)
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends[:, 0], run.gradient.log_quantile(0.1) / LN10)
        np.testing.assert_allclose(ends[:, 1], run.gradient.log_quantile(0.9) / LN10)
        theory = predict(run.network).log_gradient / LN10
        assert any(
            len(np.asarray(each.get_ydata())) == 12 and np.allclose(each.get_ydata(), theory)
            for each in ax.get_lines()
        )
    drawn(figure)


def test_networks_are_named_by_what_tells_them_apart() -> None:
    def named(*networks: Network) -> tuple[str, list[str]]:
        return told_apart([propagation(rows(2, 3), network=network) for network in networks])

    plain = Network(3, width=7, act="tanh", scheme="xavier")
    assert named(plain, Network(3, width=7, act="relu", scheme="he")) == (
        "depth 3, width 7", ["tanh, xavier", "relu, he"],
    )  # fmt: skip
    normed = Network(3, width=7, act="tanh", scheme="xavier", norm="layer")
    assert named(plain, normed)[1] == ["plain", "layer norm (pre)"]
    assert named(plain, plain)[1] == ["1", "2"]
    other = Network(3, width=7, act="relu", scheme="xavier")
    assert named(plain, plain, other)[1] == ["1: tanh", "2: tanh", "3: relu"]


def test_dead_networks_leave_gaps_in_a_comparison() -> None:
    ax = plot.compare([propagation(rows(9, 30, drift=-2, dead=9)), propagation(rows(9, 30))])
    (line, _, _), _ = (points.lines for points in ax.containers)
    assert max(np.asarray(line.get_xdata())) <= 15
    drawn(ax.get_figure(root=True))


def test_a_comparison_needs_results_it_can_tell_apart() -> None:
    for count in (0, 9):
        with pytest.raises(ValueError, match=f"1 to 8 results, got {count}"):
            plot.compare([propagation()] * count)
    with pytest.raises(ValueError, match="no gradient was measured"):
        plot.compare([propagation()], statistic="gradient")
    assert len(COLOURS) == len(DASHES) == len(MARKERS) == len(set(DASHES)) == len(set(MARKERS))
    grey = [float(np.dot(to_rgb(colour), [0.299, 0.587, 0.114])) for colour in COLOURS[:3]]
    assert min(np.diff(sorted(grey))) > 0.1


def test_points_of_several_results_are_at_layers_of_their_own() -> None:
    runs = [propagation(rows(9, 60, noise=0.1)) for _ in range(3)]
    places = [
        set(np.asarray(points.lines[0].get_xdata())) for points in plot.compare(runs).containers
    ]
    assert all(not a & b for a, b in ((places[0], places[1]), (places[1], places[2])))
    assert 60 in places[0]


def test_one_layer_and_one_result_show_the_theory_too() -> None:
    p = varprop.simulate(depth=1, width=50, act="tanh", trials=5)
    for ax in (plot.signal(p), plot.compare([p])):
        line = next(
            each for each in ax.get_lines()
            if len(np.asarray(each.get_xdata())) == 2 and np.ptp(np.asarray(each.get_xdata())) > 0
        )  # fmt: skip
        np.testing.assert_allclose(np.asarray(line.get_ydata()), predict(p.network).variance[0])
    assert told(plot.compare([p]))[0] == "simulation"
    bottom, top = plot.signal(p, statistic="gradient").get_ylim()
    assert bottom == 0 < 1 < top  # all gradients are 1 there, and in the middle of the axis


# ---- histograms


@pytest.mark.parametrize(
    ("act", "keep", "low", "high"),
    [("tanh", None, -1, 1), ("arctan", None, -np.pi / 2, np.pi / 2), ("tanh", 0.5, -2, 2)],
)
def test_the_two_sides_of_a_saturated_network_look_alike(
    act: str, keep: float | None, low: float, high: float
) -> None:
    """All counts are drawn, between the bounds; numbers that round to one, in the last bin."""
    net = Network(2, 400, act=act, sigma_w=100.0, dropout=keep)
    p = varprop.simulate(net, trials=5, histogram=64)
    assert p.histogram is not None
    counts = p.histogram.activation
    assert counts.edges(2)[-1] > high
    for layer, ax in enumerate(plot.histograms(p).axes, 1):
        data = ax.patches[0].get_data()  # type: ignore[attr-defined]
        np.testing.assert_allclose(data.edges[[0, -1]], [low, high])
        np.testing.assert_allclose(ax.get_xlim(), np.multiply([low, high], 1.1))
        left, right = data.values[[0, -1]]
        assert min(left, right) > 0.5
        edges, heights = drawn_layer(counts, layer, 0, (low, high))
        area = heights * np.diff(edges) / (counts.edges(layer)[1] - counts.edges(layer)[0])
        assert area.sum() == pytest.approx(counts.counts[layer - 1].sum())
    if act == "tanh":
        assert counts.counts[1, np.searchsorted(counts.edges(2), high)] > 100


@pytest.mark.parametrize(
    ("act", "low", "high"),
    [
        ("relu6", 0, 6),
        ("arctan", -np.pi / 2, np.pi / 2),
        ("elu(0.3)", -0.3, np.inf),
        ("softsign", -1, 1),
        ("sin", -np.inf, np.inf),
        ("silu", -np.inf, np.inf),  # its least value is not the one it tends to
    ],
)
def test_bounds_are_what_an_activation_tends_to(act: str, low: float, high: float) -> None:
    assert bounds(Network(2, act=act), "activation") == [pytest.approx((low, high))] * 2
    assert bounds(Network(1, act=act), "preactivation") == [UNBOUNDED]


def test_histograms_are_the_counts() -> None:
    p = varprop.simulate(depth=3, width=200, act="tanh", scheme="xavier", trials=5, histogram=64)
    figure = plot.histograms(p)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["layer 1", "layer 2", "layer 3"]
    assert p.histogram is not None
    counts = p.histogram.activation
    for layer, ax in enumerate(figure.axes, 1):
        data = ax.patches[0].get_data()  # type: ignore[attr-defined]
        row = counts.counts[layer - 1]
        np.testing.assert_allclose(data.values, row / row.max())
        np.testing.assert_allclose(data.edges, counts.edges(layer))
    drawn(figure)


def test_deep_networks_show_ten_layers_and_rows_of_axes_are_kept() -> None:
    p = varprop.simulate(depth=40, width=50, act="relu", trials=3, histogram=32)
    assert len(plot.histograms(p).axes) == 10
    panels = new_figure().subplots(1, 4)
    assert plot.histograms(p, panels, quantity="preactivation") is panels
    titles = [ax.get_title(loc="left") for ax in panels]
    assert titles == ["layer 1", "layer 14", "layer 27", "layer 40"]


def test_zeros_are_told_and_do_not_hide_the_rest() -> None:
    p = varprop.simulate(depth=2, width=500, act="relu", trials=5, histogram=64)
    ax = plot.histograms(p).axes[0]
    assert f"{100 * p.zero.mean[0]:.0f}% at 0" in ax.texts[0].get_text()
    values = ax.patches[0].get_data().values  # type: ignore[attr-defined]
    assert np.count_nonzero(values >= 1) >= 2  # the bar at 0 is cut, another is the tallest


def test_histograms_beyond_float64_have_a_power_of_two() -> None:
    p = varprop.simulate(depth=3, width=50, act="linear", sigma_w=1e-150, trials=3, histogram=32)
    figure = plot.histograms(p)
    assert figure.axes[0].get_xlabel().startswith("$h$ / $2^{-4")
    assert figure.axes[2].texts[0].get_text().endswith("e-451")
    drawn(figure)


def test_the_axis_reaches_as_far_as_the_units() -> None:
    counts = Counts(np.array([[0, 0, 500, 500], [0, 1, 1, 0]]), exponents=np.array([1, NO_SCALE]))
    unit, power, (low, high) = drawn_range(counts, np.array([1, 2]), [UNBOUNDED] * 2)
    assert (unit, power) == (0, 0)
    assert (low, high) == pytest.approx((-0.2, 4.2))
    edges, heights = drawn_layer(counts, 2, unit, UNBOUNDED)
    assert abs(edges).max() < 1e-200
    assert heights.tolist() == [0, 1, 1, 0]


def test_histograms_need_counts() -> None:
    with pytest.raises(ValueError, match="histogram=64"):
        plot.histograms(propagation())
    p = varprop.simulate(depth=2, width=9, trials=2, histogram=8)
    with pytest.raises(ValueError, match="activation; got 'gradient'"):
        plot.histograms(p, quantity="gradient")
    with pytest.raises(ValueError, match=r"1 to 2 Axes.*got 3"):
        plot.histograms(p, new_figure().subplots(1, 3))


# ---- two inputs


@pytest.mark.parametrize("sigma_b", [0.0, 0.4])
@pytest.mark.parametrize("scales", [(1.0, 1.0), (3.0, 0.5)])
@pytest.mark.parametrize("gap", [0.5, 1e-6])
def test_the_angle_of_the_inputs_is_found_again(
    sigma_b: float, scales: tuple[float, float], gap: float
) -> None:
    cosine = 1 - gap
    first = np.array([1.0, 0, 0, 0]) * scales[0]
    second = np.array([cosine, np.sqrt(gap * (2 - gap)), 0, 0]) * scales[1]
    p = varprop.simulate(
        depth=2, widths=[4, 30, 30], act="tanh", sigma_w=1.3, sigma_b=sigma_b, trials=3,
        x=np.array([first, second]),
    )  # fmt: skip
    logs = np.array(p.input_mean_square_log)
    assert np.exp(input_log_gap(p, 0, logs)) == pytest.approx(gap, rel=1e-8)


def test_correlations_are_drawn_with_theory() -> None:
    p = varprop.simulate(depth=20, width=100, act="tanh", sigma_w=1.8, correlation=0.9, trials=9)
    ax = new_figure().subplots()
    assert plot.correlation(p, ax) is ax
    line, _, (bars,) = ax.containers[0].lines
    np.testing.assert_allclose(line.get_ydata(), p.correlation.median, atol=1e-12)
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, p.correlation.quantile([0.1, 0.9]).T, atol=1e-12)
    theory = ax.get_lines()[1]
    expected = predict(p.network, correlation=0.9).correlation
    np.testing.assert_allclose(theory.get_ydata(), expected, rtol=1e-9)
    assert theory.get_label() == "theory, infinite width"


def test_near_inputs_have_a_logarithmic_axis() -> None:
    p = varprop.simulate(depth=8, width=100, act="tanh", sigma_w=1.8, log_gap=-900.0, trials=9)
    ax = plot.correlation(p)
    assert ax.get_ylabel() == "$1 - c$ of two inputs"
    shown = ax.containers[0].lines[0].get_ydata()
    np.testing.assert_allclose(shown, p.gap.log_median / LN10)
    drawn(ax.get_figure(root=True))


def test_correlations_need_a_pair() -> None:
    with pytest.raises(ValueError, match="need two inputs"):
        plot.correlation(propagation())
    p = varprop.simulate(depth=2, width=9, correlation=0.5, trials=2)
    with pytest.raises(ValueError, match="pair must be from 0 to 0, got 1"):
        plot.correlation(p, pair=1)


# ---- maps and phases


@pytest.mark.parametrize("act", ["tanh", "gelu", "relu", "sigmoid", "x**2"])
def test_a_map_meets_the_diagonal_where_variances_rest(act: str) -> None:
    ax = new_figure().subplots()
    assert plot.variance_map(act, ax) is ax
    diagonal, curve, *others = ax.get_lines()
    k, onward = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
    # the default gain keeps a variance of 1
    assert np.interp(1.0, k, onward) == pytest.approx(1.0, abs=2e-4)
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    web = np.asarray(others[0].get_ydata()), np.asarray(others[0].get_xdata())
    inside = web[0][1::2] <= k.max()
    at = web[1][1::2][inside]
    np.testing.assert_allclose(web[0][1::2][inside], np.interp(at, k, onward), atol=2e-3)
    assert gain(act).gain == pytest.approx(float(ax.get_title(loc="left").split()[-1]), rel=1e-3)


def test_fixed_points_are_marked() -> None:
    ax = plot.variance_map("tanh", sigma_w=1.5, sigma_b=0.3)
    point = fixed_point("tanh", sigma_w=1.5, sigma_b=0.3)
    marked = [line for line in ax.get_lines() if str(line.get_label()).startswith("K* = ")]
    assert [float(np.asarray(line.get_xdata())[0]) for line in marked] == [point.variance]
    assert told(ax)[-1] == "K* = 0.961, stable"
    grows = plot.variance_map("gelu")
    assert told(grows)[-2:] == ["K* = 0, stable", "K* = 1.00, unstable"]
    with pytest.raises(ValueError, match="sigma_w"):
        plot.variance_map("tanh", sigma_w=-1.0)


def test_phases_are_drawn_where_they_should() -> None:
    found = varprop.phase_diagram("tanh", sigma_w=[0.8, 1.6], sigma_b=[0.1, 0.2], depth=9, width=50)
    panels = tuple(new_figure().subplots(1, 3))
    assert plot.phase(found, panels[0]) is panels[0]
    assert panels[1].collections[:] == []
    assert plot.phase(found, panels) is panels
    np.testing.assert_array_equal(panels[1].collections[0].get_array(), found.correlation)
    np.testing.assert_array_equal(panels[2].collections[0].get_array(), found.log_variance)
    titles = [ax.get_title() for ax in panels]
    scales = [f"{name}; lines: $\\xi_{name[0]}$ in layers" for name in ("gradients", "correlation")]
    assert titles == [*scales, "variance"]
    with pytest.raises(ValueError, match="three of them, got 4"):
        plot.phase(found, (*panels, panels[0]))


def test_colours_of_phases_reach_as_far_as_both_sides_need() -> None:
    """Growth has its white at 0, and the same range on both sides: that of the smaller one."""
    found = varprop.phase_diagram("tanh", sigma_w=[0.3, 0.6, 1.6], sigma_b=[0.2], depth=9, width=50)
    panels = tuple(new_figure().subplots(1, 3))
    plot.phase(found, panels)
    assert found.growth.min() < -found.growth.max() < 0
    assert panels[0].collections[0].get_clim() == (-found.growth.max(), found.growth.max())
    assert 0.4 < found.correlation.min() < 0.5
    assert panels[1].collections[0].get_clim() == (0.4, 1.0)


def test_depth_scales_are_drawn_where_theory_has_them() -> None:
    found = varprop.phase_diagram(
        "tanh", sigma_w=np.linspace(1, 2.5, 16), sigma_b=[0.3, 0.4], depth=30, width=50, stderr=None
    )
    panels = tuple(new_figure().subplots(1, 2))
    plot.phase(found, panels)
    for ax, scale in zip(panels, ("xi_g", "xi_c"), strict=True):
        (lines,) = (each for each in ax.collections if isinstance(each, ContourSet))
        assert (1 / lines.levels).round(9).tolist() == [-3, -10, -30, 30, 10, 3]
        for level, path in zip(lines.levels, lines.get_paths(), strict=True):
            for sigma_w, sigma_b in path.vertices:
                point = fixed_point("tanh", sigma_w=float(sigma_w), sigma_b=float(sigma_b))
                signed = getattr(point, scale)
                rate = 1 / abs(signed) if point.phase == "chaotic" else -1 / abs(signed)
                assert rate == pytest.approx(level, abs=0.012)


def test_a_phase_diagram_of_one_row_has_cells() -> None:
    found = varprop.phase_diagram(
        "tanh", sigma_w=[0.8, 1.6], sigma_b=[0.1], depth=9, width=50, stderr=0.2
    )
    left, right = new_figure().subplots(1, 2)
    assert found.plot(left) is left
    assert found.plot((left, right)) == (left, right)
    mesh = left.collections[0].get_coordinates()  # type: ignore[attr-defined]
    assert np.ptp(mesh[..., 1]) == pytest.approx(0.1)


# ---- singular values


def test_spectra_show_density_error_and_theory() -> None:
    found = varprop.spectrum(depth=2, width=40, act="linear", scheme="lecun", trials=6)
    ax = new_figure().subplots()
    assert plot.spectrum(found, ax) is ax
    assert found.plot(ax) is ax
    assert set(told(plot.spectrum(found))) == {
        "6 networks", "standard error", "theory, large width",
    }  # fmt: skip
    ax = plot.spectrum(found, depth=1)
    heights, edges = found.density(1, 50, logarithmic=False)
    np.testing.assert_allclose(ax.patches[0].get_data().values, heights)  # type: ignore[attr-defined]
    each = [np.histogram(row, edges, density=True)[0] for row in np.exp(found.at(1))]
    _, _, (bars,) = ax.containers[0].lines
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(
        np.diff(ends, axis=1)[:, 0] / 2, np.std(each, axis=0, ddof=1) / 6**0.5, atol=1e-12
    )
    alike = varprop.spectrum(depth=5, width=20, act="linear", scheme="orthogonal", trials=3)
    density, edges = alike.density(bins=50)
    assert edges[0] < 0.95 < 1.05 < edges[-1]
    assert np.count_nonzero(density) == 1
    drawn(plot.spectrum(alike).get_figure(root=True))
    one = varprop.spectrum(depth=2, width=40, act="linear", scheme="lecun", trials=1)
    assert told(plot.spectrum(one))[0] == "one network"
    drawn(ax.get_figure(root=True))
