"""Singular values of drawn Jacobians: all digits, the same networks, and the known laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from budget import Share, mean_p
from scipy import stats

import varprop
from varprop import Network, Residual, simulate, spectrum
from varprop.reference import Source, forward
from varprop.simulate import prepare
from varprop.sources import DenseSource
from varprop.theory import lyapunov_exponents
from varprop.theory.spectrum import jacobian_moments
from varprop.theory.spectrum import spectrum as limit

share = Share("jacobian_spectrum")


@pytest.mark.parametrize(("width", "seed"), [(100, 0), (100, 1), (100, 5), (300, 3)])
def test_kinks_leave_no_more_than_the_narrowest_layer(width, seed):
    """Rounding of what is 0 exactly grows with the condition of the rest: it was taken for more."""
    net: dict[str, Any] = {
        "depth": 14, "width": width, "act": "relu", "scheme": "he", "trials": 1, "seed": seed,
    }  # fmt: skip
    zero = simulate(**net, engine="dense", backward=False).rows.zero[0]
    active = np.minimum.accumulate(np.rint((1 - zero) * width)[:-1])
    found = np.isfinite(spectrum(**net, depths=range(2, 15)).log[0]).sum(axis=1)
    assert found.tolist() == active.tolist()


@pytest.mark.parametrize(
    ("seed", "extra"),
    [
        *((seed, {"act": "relu", "norm": varprop.Norm("rms", "post")}) for seed in range(12)),
        *((seed, {"act": "tanh", "norm": "layer", "dropout": 0.5}) for seed in range(6)),
        *((seed, {"act": "relu", "norm": "rms", "dropout": 0.7}) for seed in range(6)),
    ],
    ids=str,
)
def test_norms_after_kinks_take_one_direction_more(seed, extra):
    """Without biases z is an image of the units that live: what is left of it was rounding."""
    logs = spectrum(Network(5, width=60, **extra), trials=1, seed=seed, depths=range(1, 6)).log[0]
    for one in logs:
        assert np.diff(one[np.isfinite(one)]).min() > -12  # of any two neighbours, in e-folds


@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize(("kind", "taken"), [("layer", 2), ("rms", 1)])
def test_norms_take_their_directions(kind, taken, place):
    net = Network(6, width=60, act="tanh", sigma_w=1.2, norm=varprop.Norm(kind, place))
    logs = spectrum(net, trials=2).log
    first = 60 - taken if place == "post" else 60
    assert np.isfinite(logs[:, 0]).sum(axis=1).tolist() == [first] * 2
    assert (np.isfinite(logs[:, 1:]).sum(axis=2) == 60 - taken).all()


@pytest.mark.parametrize(
    "scheme",
    [
        "lecun", "torch", "rademacher(1.0)", "truncated_normal(1.0)", "sparse(0.3)",
        "student_t(5)", "orthogonal(1.3)", ["lecun", "orthogonal", "torch", "orthogonal"],
    ],
    ids=str,
)  # fmt: skip
def test_networks_are_those_of_the_dense_engine(scheme):
    net = Network(4, widths=[40, 33, 70, 20, 9], act="tanh", scheme=scheme)
    same_networks(net)


@pytest.mark.parametrize(
    "extra", [{"norm": "layer"}, {"residual": Residual(0.5)}, {"dropout": 0.7}], ids=str
)
def test_architectures_are_those_of_the_dense_engine(extra):
    same_networks(Network(4, width=30, act="tanh", scheme="rademacher(1.0)", **extra))


def same_networks(net):
    p = simulate(net, engine="dense", trials=2, seed=5, backward=False)
    run = prepared(net, seed=5, trials=2)
    for trial in range(2):
        found, _ = forward(run, DenseSource(run, trial), [])
        gap = found["log_preactivation"][0] - p.rows.log_preactivation[trial]
        assert np.abs(gap).max() < 1e-11


def prepared(net, seed=0, trials=1):
    return prepare(
        net, {}, x=None, trials=trials, first_trial=0, seed=seed, threads=1, engine="auto",
        saturated_below=0.05, backward=False,
    )  # fmt: skip


def jacobian_by_differences(net, x, seed):
    """The matrix, column by column, from networks of moved inputs."""
    columns = []
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = 1e-5
        z = [last_layer(net, x + sign * step, seed) for sign in (1, -1)]
        columns.append((z[0] - z[1]) / 2e-5)
    return np.stack(columns, axis=1)


def last_layer(net, x, seed):
    """z^L by hand, from the source's weights."""
    source = DenseSource(prepared(net, seed), 0)
    factor, h, z = net.residual.factor(net.depth) if net.residual else 1.0, x, None
    for layer in range(net.depth):
        drawn = net.sigma_w[layer] * source.weights(layer) @ h / np.sqrt(len(h))
        drawn = drawn + net.bias_std[layer] * source.biases(layer)
        z = drawn if layer == 0 or not net.residual else net.residual.skip * z + factor * drawn
        if net.norm:
            centred = z - z.mean() if net.norm.kind == "layer" else z
            scaled = centred / np.sqrt(np.mean(centred**2))
            z = scaled if net.norm.place == "post" else z
        h = net.act(scaled if net.norm and net.norm.place == "pre" else z)
    return z


@pytest.mark.parametrize(
    "extra",
    [
        {"act": "tanh", "sigma_b": 0.3},
        {"act": "gelu", "residual": Residual(0.5)},
        {"act": "tanh", "norm": "layer"},
        {"act": "sigmoid", "norm": "rms", "residual": Residual(0.7, 0.9)},
        {"act": "tanh", "norm": varprop.Norm("layer", "post")},
    ],
    ids=str,
)
def test_it_is_the_derivative(extra):
    net = Network(3, width=7, sigma_w=1.3, **extra)
    x = np.linspace(-1, 2, 7)
    true = np.linalg.svd(jacobian_by_differences(net, x, 9), compute_uv=False)
    found = np.exp(spectrum(net, x=x, seed=9, trials=1, depths=[3]).log[0, 0])
    assert np.abs(found - true).max() < 1e-7


def test_an_orthogonal_matrix_is_orthogonal():
    for widths in ((20, 20), (20, 30), (30, 20)):
        net = Network(1, widths=widths, act="linear", scheme="orthogonal")
        w = DenseSource(prepared(net), 0).weights(0) / np.sqrt(max(widths))
        small = w if widths[1] <= widths[0] else w.T
        assert np.abs(small @ small.T - np.eye(min(widths))).max() < 1e-13


EXACT: list[dict[str, Any]] = [
    {"act": "linear", "scheme": "lecun"},
    {"act": "relu", "scheme": "he"},
    {"act": "leaky_relu(0.3)", "scheme": "he"},
    {"act": "linear", "scheme": "orthogonal"},
    {"act": "relu", "scheme": "orthogonal(1.4)"},
]


@pytest.mark.parametrize("parts", EXACT, ids=lambda parts: f"{parts['act']}-{parts['scheme']}")
def test_exact_second_moments_at_width_8(parts):
    net = Network(4, width=8, **parts)
    s = spectrum(net, trials=800, depths=[1, 2, 4], seed=1)
    theory = jacobian_moments(net, of="z")
    one, two = s.log_traces(1), s.log_traces(2)
    for at, depth in enumerate(s.depths):
        square = np.exp(two[:, at] - theory.log_square[depth - 1])
        both = np.exp(2 * one[:, at] - theory.log_trace_square[depth - 1])
        trace = np.exp(one[:, at] - theory.log_trace[depth - 1])
        for name, values in (("trace", trace), ("square", square), ("trace square", both)):
            if values.std() < 1e-9:
                assert abs(values.mean() - 1) < 1e-9
            else:
                p = mean_p(values, 1.0)
                share.check(f"{parts['act']}, {parts['scheme']}, {depth}, {name}", p)


@pytest.mark.parametrize("parts", EXACT, ids=lambda parts: f"{parts['act']}-{parts['scheme']}")
def test_exact_moments_of_large_width_are_those_of_the_limit(parts):
    net = Network(5, width=10**7, **parts)
    exact = jacobian_moments(net, of="z")
    law, gain = net.scheme.distribution, float(net.sigma_w[0])
    for depth in (1, 2, 5):
        free = limit(net.act, depth, sigma_w=gain, weights=law, of="z")
        assert abs(free.effective_rank / exact.effective_rank[depth - 1] - 1) < 1e-5
        logs = exact.log_trace[depth - 1], exact.log_square[depth - 1]
        assert np.abs(np.array(free.log_moments(2)) - logs + np.log(1e7)).max() < 1e-5
        # the last mask is all that lies between the two Jacobians
        with_mask = limit(net.act, depth, sigma_w=gain, weights=law)
        left, right = net.act.at_zero[1:]
        assert with_mask.log_mean - free.log_mean == pytest.approx(np.log((left**2 + right**2) / 2))


def test_density_of_pre_activations():
    for weights, act, depth in (("normal", "relu", 2), ("orthogonal", "tanh", 3)):
        law = limit(act, depth, sigma_w=1.2, weights=weights, of="z", variance=0.8)
        edges = np.exp(np.linspace(law.log_edge - 14, law.log_edge, 4001))
        middle = np.sqrt(edges[1:] * edges[:-1])
        density = law.density(middle) * np.diff(edges)
        assert density.sum() == pytest.approx(1 - law.atom, abs=0.02)
        assert (density * middle).sum() == pytest.approx(law.moments(1)[0], rel=0.01)


def test_fuss_catalan_moments_at_width_500():
    depth, net = 2, Network(2, width=500, act="linear", scheme="lecun")
    s = spectrum(net, trials=4, depths=[depth])
    theory = limit("linear", depth, sigma_w=1.0, of="z")
    moments = np.exp([s.log_moments(k)[:, 0] for k in (1, 2, 3)])
    # of finite width is E m_2 known exactly; the others are the limit's up to a few times 1/n
    exact = np.exp(jacobian_moments(net, of="z").log_square[1]) / 500
    error = moments.std(axis=1, ddof=1) / 2
    p = 2 * stats.t(3).sf(abs(moments[1].mean() - exact) / error[1])
    share.check("second moment", float(p))
    for k, value in enumerate(theory.moments(3)):
        assert abs(moments[k].mean() / value - 1) < 5 * error[k] / value + 10 / 500
    assert s.log_largest.mean() < theory.log_edge / 2
    assert s.log_largest.mean() > theory.log_edge / 2 - 6 * 500 ** (-2 / 3)


@pytest.mark.parametrize(("act", "scheme", "gain"), [("relu", "he", 2**0.5), ("relu", None, 1.4)])
def test_relu_variance_and_edge_at_width_500(act, scheme, gain):
    weights = "orthogonal" if scheme is None else "normal"
    net = Network(3, width=500, act=act, scheme=scheme or "orthogonal(1.4)")
    s = spectrum(net, trials=4, depths=[3])
    theory = limit(act, 3, sigma_w=gain, weights=weights, of="z")
    result = s.compare()
    assert result.exact
    assert abs(result.participation[0] / theory.effective_rank - 1) < 10 / 500
    error = s.participation.stderr[0]
    assert abs(s.participation.mean[0] - theory.effective_rank) < 5 * error + 10 / 500
    assert abs(s.log_largest.mean() - theory.log_edge / 2) < 6 * 500 ** (-2 / 3)


def test_lyapunov_exponents_of_a_thousand_layers():
    s = spectrum(depth=1000, width=10, act="linear", scheme="lecun", trials=15, depths=[400, 1000])
    # ln of a singular value is of order 1 off its depth times its exponent, at any depth alike
    rates = (s.at(1000) - s.at(400)) / 600
    for i, exponent in enumerate(lyapunov_exponents(10)):
        share.check(f"exponent {i + 1}", float(stats.ttest_1samp(rates[:, i], exponent).pvalue))
    # their sum is that of ln |det W|, without such an offset
    total = s.at(1000).sum(axis=1) / 1000
    share.check("sum", float(stats.ttest_1samp(total, lyapunov_exponents(10).sum()).pvalue))


def test_parts_make_the_whole():
    net = Network(3, width=9)
    parts = spectrum(net, trials=3) + spectrum(net, trials=2, first_trial=3)
    assert parts == spectrum(net, trials=5)
    with pytest.raises(ValueError, match="trials 0 to 2 are in both"):
        parts + spectrum(net, trials=3)
    with pytest.raises(ValueError, match="seed differs: 0 and 1"):
        parts + spectrum(net, trials=3, seed=1, first_trial=9)


def test_other_source_other_networks():
    run = prepared(Network(2, width=5, act="tanh"))
    assert not np.allclose(Source(run, 0).weights(0), DenseSource(run, 0).weights(0))


def test_a_dead_network_has_rank_0():
    s = spectrum(depth=40, width=2, act="relu", scheme="he", trials=20, depths=[40])
    dead = np.isneginf(s.log_largest[:, 0])
    assert dead.any()
    assert not np.isnan(s.participation.mean).any()
    assert "depth" in str(s)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depths": [0]}, "depths must be from 1 to 3, got 0"),
        ({"depths": []}, "depths is empty"),
        ({"depths": 3}, "depths must be a sequence of layers, got 3"),
        ({"act": "sign"}, "jumps at x = 0"),
        ({"x": np.ones((2, 9))}, "that of one input, got 2"),
        ({"trials": 0}, "trials must be from 1"),
        ({"colour": 1}, "colour"),
    ],
    ids=str,
)
def test_bad_input(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        spectrum(**{"depth": 3, "width": 9, **arguments})


def test_other_depths_are_refused():
    s = spectrum(depth=3, width=9, trials=1, depths=[1, 3])
    with pytest.raises(ValueError, match="measured at depths 1, 3, not 2"):
        s.at(2)


@pytest.mark.parametrize(
    ("scheme", "wish", "engine"),
    [
        ("he", "auto", "dense"), ("orthogonal", "auto", "dense"), ("kumar", "dense", "dense"),
        ("orthogonal", "reference", "reference"),
    ],
)  # fmt: skip
def test_simulate_brings_the_spectrum_of_its_own_networks(scheme, wish, engine, tmp_path):
    net = Network(3, width=6, act="linear", scheme=scheme)
    p = simulate(net, trials=4, engine=wish, spectrum=True)
    assert p.engine == engine
    assert p.spectrum.depths == (1, 2, 3)
    run = prepared(net, trials=4)
    for trial in range(4):
        source = (DenseSource if engine == "dense" else Source)(run, trial)
        product = np.linalg.multi_dot(
            [g * source.weights(i) / np.sqrt(6) for i, g in enumerate(net.sigma_w)][::-1]
        )
        true = np.log(np.linalg.svd(product, compute_uv=False))
        assert np.abs(p.spectrum.at(3)[trial] - true).max() < 1e-9
        found = np.log(np.mean((product @ np.ones(6)) ** 2))
        assert abs(p.rows.log_preactivation[trial, 2] - found) < 1e-9
    p.save(tmp_path / "p")
    assert varprop.load(tmp_path / "p") == p
    halves = [
        simulate(net, trials=2, first_trial=first, engine=wish, spectrum=True) for first in (0, 2)
    ]
    assert halves[0] + halves[1] == p
    with pytest.raises(ValueError, match="has a spectrum, the other none"):
        p + simulate(net, trials=2, first_trial=4, engine=engine)


def test_spectra_without_matrices_are_refused():
    with pytest.raises(ValueError, match="never draws"):
        simulate(depth=2, width=5, engine="matrix-free", spectrum=True)
    with pytest.raises(TypeError, match="spectrum must be True or False"):
        simulate(depth=2, width=5, spectrum=3)


def test_the_command_prints_and_draws(tmp_path, capsys):
    from varprop.cli import main

    file = tmp_path / "a.png"
    words = "spectrum --depth 3 --width 20 --act linear --scheme lecun --trials 12 --compare -o"
    assert main([*words.split(), str(file)]) == 0
    out, err = capsys.readouterr()
    assert "Singular values of dz/dx" in out
    assert "simulation and exact moments agree" in out
    assert max(map(len, out.splitlines())) <= 80
    assert file.stat().st_size > 10_000
    assert "wrote" in err
    assert main(["spectrum", "--depth", "3", "--width", "20", "--act", "sign"]) == 1
    assert "jumps" in capsys.readouterr().err


def test_theory_has_no_spectrum_of_every_network():
    s = spectrum(depth=2, width=9, act="tanh", norm="layer", trials=2)
    with pytest.raises(ValueError, match="theory has no spectrum"):
        s.compare()
    assert s.plot().axes
    tanh = spectrum(depth=2, width=50, act="tanh", sigma_w=1.2, trials=2).compare()
    assert not tanh.exact
    assert tanh.consistent is None
    assert "order 1/50" in tanh.verdict
