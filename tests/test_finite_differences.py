"""The reference's gradients and tangents against differences of the network in 50 digits."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from drawn import Drawn

from varprop import Norm, Propagation, Residual, simulate
from varprop.simulate import prepare

TRIAL, SEED = 7, 34
WIDTHS = (3, 4, 5, 3, 4)
PLAIN: dict[str, Any] = {"act": "tanh", "sigma_w": 1.3, "sigma_b": 0.3}
EQUAL: dict[str, Any] = PLAIN | {"depth": 4, "widths": (3, 5, 5, 5, 5)}
CASES: dict[str, dict[str, Any]] = {
    "uneven": PLAIN | {"depth": 4, "widths": WIDTHS},
    "relu": PLAIN | {"depth": 4, "widths": WIDTHS, "act": "relu"},
    "squared": PLAIN | {"depth": 4, "widths": WIDTHS, "act": "squared_relu"},
    "layers": {
        "depth": 4, "widths": WIDTHS, "sigma_b": 0.2, "act": ["gelu", "tanh", "relu", "sin"],
        "scheme": ["normal, 2/fan_in", "uniform, 1.5/fan_out", "orthogonal, 2/fan_in", "lecun"],
    },
    "residual": EQUAL | {"residual": Residual(0.5, -0.9)},
    "negative branch": EQUAL | {"act": "gelu", "residual": Residual(-0.7)},
    "depth branch": EQUAL | {"residual": Residual("1/sqrt(depth)")},
    "pre rms": PLAIN | {"depth": 4, "widths": WIDTHS, "norm": "rms"},
    "pre layer": PLAIN | {"depth": 4, "widths": WIDTHS, "norm": "layer", "act": "gelu"},
    "post rms": PLAIN | {"depth": 4, "widths": WIDTHS, "norm": Norm("rms", "post")},
    "post layer": PLAIN | {"depth": 4, "widths": WIDTHS, "norm": Norm("layer", "post")},
    "pre residual": EQUAL | {"norm": "layer", "residual": Residual(0.5, 1.1), "act": "gelu"},
    "post residual": EQUAL | {"norm": Norm("layer", "post"), "residual": Residual(0.6, 0.8)},
    "dropout": PLAIN | {"depth": 4, "widths": WIDTHS, "dropout": 0.6},
    "everything": EQUAL | {
        "norm": Norm("rms", "post"), "residual": Residual(0.6, 0.8), "dropout": 0.7,
        "act": ["tanh", "gelu", "relu", "sin"],
    },
}  # fmt: skip
X = np.array([[1.0, -0.5, 2.0], [0.3, 0.7, -1.1]])


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> tuple[Drawn, Propagation]:
    asked = {"x": X, "cotangents": 2, "tangents": 2}
    run = prepare(
        None, dict(CASES[request.param]), trials=1, first_trial=TRIAL, seed=SEED, threads=1,
        engine="reference", saturated_below=0.05, backward=True, **asked,
    )  # fmt: skip
    p = simulate(**CASES[request.param], **asked, trials=1, first_trial=TRIAL, seed=SEED,
                 engine="reference")  # fmt: skip
    return Drawn(run, TRIAL), p


@pytest.fixture(autouse=True)
def digits() -> Any:
    with mp.workdps(50):
        yield


def squares(slopes: Any, v: Any) -> float:
    """Sum over a vector's entries of the squared derivative of v . z^L."""
    return float(mp.fsum(mp.fdot(v.tolist(), entry[-1]) ** 2 for entry in slopes))


def test_the_signal(case: tuple[Drawn, Propagation]) -> None:
    drawn, p = case
    for which, x in enumerate(X):
        streams = drawn.streams([mp.mpf(v) for v in x], which)
        q = [float(mp.fsum(v**2 for v in z) / len(z)) for z in streams]
        assert p.preactivation.trials[0, which] == pytest.approx(q, rel=1e-12)
    both = [drawn.streams([mp.mpf(v) for v in x], which) for which, x in enumerate(X)]
    for layer, (a, b) in enumerate(zip(*both, strict=True)):
        cosine = mp.fdot(a, b) / mp.sqrt(mp.fdot(a, a) * mp.fdot(b, b))
        assert p.correlation.trials[0, layer] == pytest.approx(float(cosine), abs=1e-12)


def test_gradients(case: tuple[Drawn, Propagation]) -> None:
    """By every z^l, and by every weight and bias, of two cotangents, for two inputs."""
    drawn, p = case
    net = drawn.network
    vectors = drawn.cotangents(TRIAL)
    for which in (0, 1):
        x = [mp.mpf(v) for v in X[which]]
        for layer in range(net.depth):
            fan_in, units = net.widths[layer : layer + 2]
            by_z, by_b, by_w = (
                drawn.slopes(x, kind, layer, size, which)
                for kind, size in (("z", units), ("b", units), ("w", units * fan_in * (which == 0)))
            )
            for c, v in enumerate(vectors):
                at = (0, which, c, layer)
                assert p.gradient.trials[at] * units == pytest.approx(squares(by_z, v), rel=1e-10)
                assert p.bias_gradient.trials[at] == pytest.approx(squares(by_b, v), rel=1e-10)
                if which == 0:
                    found = p.weight_gradient.trials[at]
                    assert found == pytest.approx(squares(by_w, v), rel=1e-10)


def volume(columns: list[Any], count: int) -> list[float]:
    """ln of the squared volume that the first 1, 2, ... columns span, in 50 digits."""
    found = []
    for k in range(1, count + 1):
        gram = mp.matrix(k, k)
        for i in range(k):
            for j in range(k):
                gram[i, j] = mp.fdot(columns[i], columns[j])
        found.append(float(mp.log(mp.det(gram))))
    return found


def test_tangents_and_adjoints(case: tuple[Drawn, Propagation]) -> None:
    """What QR accumulates is the volume that the Jacobian makes of the starting columns."""
    drawn, p = case
    net, x = drawn.network, [mp.mpf(v) for v in X[0]]
    depth, n0, top = net.depth, net.widths[0], net.widths[-1]
    rows = p.rows
    assert rows.log_tangent is not None
    assert rows.log_adjoint is not None
    ways = ((depth + 1, n0), (depth + 2, top))
    up, down = (
        np.linalg.qr(np.random.default_rng([SEED, TRIAL, key]).standard_normal((2, n)).T)[0].T
        for key, n in ways
    )
    by_x = drawn.slopes(x, "x", 0, n0)
    for layer in range(depth):
        units = net.widths[layer + 1]
        jacobian = [[by_x[j][layer][i] for j in range(n0)] for i in range(units)]
        columns = [[mp.fdot(row, t.tolist()) for row in jacobian] for t in up]
        logs = np.cumsum(rows.log_tangent[0, :, layer] + np.log(units / n0))
        assert logs == pytest.approx(volume(columns, 2), abs=1e-10)
        if layer == depth - 1:
            assert (rows.log_adjoint[0, :, layer] == 0).all()
            continue
        by_z = drawn.slopes(x, "z", layer, units)
        columns = [[mp.fdot(t.tolist(), by_z[j][-1]) for j in range(units)] for t in down]
        logs = np.cumsum(rows.log_adjoint[0, :, layer] + np.log(units / top))
        assert logs == pytest.approx(volume(columns, 2), abs=1e-10)
