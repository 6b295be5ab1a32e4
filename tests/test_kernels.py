"""The C kernels of the activations against 30 digits, against NumPy, and against each other."""

import subprocess
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from levels import HERE, module

import varprop

TABLE = varprop.activations()
EPS = np.finfo(float).eps
STEP = np.finfo(float).smallest_subnormal  # what a factor below 1e-308 is rounded to


def grid() -> np.ndarray:
    """Numbers of every size and both signs, subnormal and huge ones among them."""
    rng = np.random.default_rng(20261122)
    sizes = np.concatenate(
        [
            rng.normal(scale=3, size=200),
            rng.normal(scale=40, size=100),
            10.0 ** rng.uniform(-308, 12, 150) * rng.choice([-1, 1], 150),
            10.0 ** rng.uniform(12, 150, 20) * rng.choice([-1, 1], 20),
        ]
    )
    special = [0.0, -0.0, 5e-324, -5e-324, 1e-310, 0.5, 1.0, -1.0, 3.0, -3.0, 6.0, np.pi, np.pi / 2]
    special += [355.0, 1e6, 1e6 + 1, -1e6, 1e22, 26.5, -26.5, -38.0, -700.0, -708.5, -744.0]
    return np.concatenate([sizes, special, np.nextafter([1, 3, 6, -1, -3], 0)])


def run(act: varprop.Activation, z: np.ndarray, level: str = HERE[-1]) -> tuple[np.ndarray, ...]:
    parameters = [value for _, value in act.parameters]
    return module("kernels", level).activate(act.code, z, *parameters)


@pytest.mark.parametrize("act", TABLE, ids=str)
def test_bits_are_the_same_in_every_instruction_set(act):
    z = grid()
    results = [np.concatenate(run(act, z, level)).tobytes() for level in HERE]
    assert len(set(results)) == 1


@pytest.mark.parametrize("act", TABLE, ids=str)
def test_values_against_30_digits(act):
    """Within 4 units in the last place of phi, or of what such a change of z makes of it."""
    z = grid()
    h, d = run(act, z)
    kinks = np.array(act.kinks)
    worst = 0.0
    with mp.workdps(40):
        for x, value, slope in zip(z, h, d, strict=True):
            exact = act.formula.mpmath(mp.mpf(float(x)))
            if abs(exact) < 1e300:
                scale = float(abs(exact) + abs(x * slope)) * EPS + STEP * (1 + abs(x))
                worst = max(worst, float(abs(mp.mpf(float(value)) - exact)) / scale)
            if kinks.size and np.abs(kinks - x).min() == 0:
                continue  # one side's slope is as good as the other's
            exact = act.formula.mpmath(mp.mpf(float(x)), derivative=True)
            # phi'' is bounded by 1, and far out by x^2 phi'
            bend = float(abs(exact) * (1 + min(abs(x), 40) ** 2) + min(1.0, abs(x)))
            scale = bend * EPS + STEP * (1 + abs(x))
            worst = max(worst, float(abs(mp.mpf(float(slope)) - exact)) / scale)
    assert worst <= 4


@pytest.mark.parametrize("act", TABLE, ids=str)
def test_values_against_numpy(act):
    z = grid()
    h, d = run(act, z)
    with np.errstate(over="ignore"):
        twin, slope = act(z), act.derivative(z)
    finite = np.isfinite(twin)
    steps = 4 * STEP * (1 + np.abs(z))
    allowed = 8 * EPS * (np.abs(twin) + np.abs(z * d)) + steps
    assert (np.abs(h - np.where(finite, twin, h)) <= allowed)[finite].all()
    assert (np.isinf(h) == ~finite).all()
    off_kinks = np.ones(z.size, bool)
    for kink in act.kinks:
        off_kinks &= np.abs(z - kink) > 4 * EPS * abs(kink)
    scale = np.abs(slope) * (1 + np.minimum(np.abs(z), 40) ** 2) + np.minimum(1, np.abs(z))
    assert (np.abs(d - slope) <= 8 * EPS * scale + steps)[off_kinks].all()


@pytest.mark.parametrize("act", [act for act in TABLE if 0 in act.kinks], ids=str)
def test_the_slope_at_a_kink_at_0_is_that_of_numpy(act):
    """Sums of signs are exactly 0 now and then."""
    h, d = run(act, np.zeros(1))
    assert (h[0], d[0]) == (act(0.0), act.derivative(0.0))


def test_a_wrong_constant_would_be_seen():
    """The comparison above has the power to see 1 part in 10^14."""
    act = varprop.Activation.named("tanh")
    z = grid()
    h, _ = run(act, z)
    assert not (np.abs(h * (1 + 1e-14) - act(z)) <= 8 * EPS * np.abs(act(z)) * 2).all()


def test_logarithm_and_exponential():
    kernels = module("kernels", HERE[-1])
    rng = np.random.default_rng(5)
    x = np.exp(rng.uniform(-744, 709, 400))
    x = np.concatenate([x, 1 + rng.normal(scale=1e-9, size=50), [1.0, 5e-324, 1.7e308]])
    y = np.concatenate([rng.uniform(-745, 709, 400), rng.normal(size=50), [0.0, -1e5]])
    with mp.workdps(40):
        for value, log in zip(x, kernels.log(x), strict=True):
            exact = mp.log(mp.mpf(float(value)))
            assert abs(mp.mpf(float(log)) - exact) <= 2 * EPS * abs(exact)
        for value, exp in zip(y, kernels.exp(y), strict=True):
            exact = mp.exp(mp.mpf(float(value)))
            assert abs(mp.mpf(float(exp)) - exact) <= 2 * EPS * exact + STEP


def test_mean_square_of_any_size():
    kernels = module("kernels", HERE[-1])
    for scale in (1e-300, 5e-324, 1.0, 1e300):
        log = kernels.log_mean_square(np.array([3.0, -4.0, 0.0, 12.0]) * scale)
        assert log == pytest.approx(np.log(169 / 4) + 2 * np.log(scale), rel=1e-14)


def test_unknown_code():
    with pytest.raises(ValueError, match="no kernel has code 99"):
        module("kernels", HERE[-1]).activate(99, np.ones(3))


def test_constants_header_is_what_its_script_writes():
    folder = Path(__file__).parents[1] / "src" / "varprop" / "_core"
    written = subprocess.run(
        [sys.executable, folder / "make_constants.py"], capture_output=True, text=True, check=True
    )
    assert written.stdout == (folder / "constants.h").read_text()


@pytest.mark.parametrize(
    ("act", "far"),
    [("tanh", 20), ("sigmoid", 40), ("silu", 40), ("gelu_tanh", 12), ("gelu", 10), ("erf", 7),
     ("probit", 10), ("softplus", 40), ("elu", 1), ("mish", 40)],
)  # fmt: skip
def test_what_is_1_or_z_to_the_last_bit_is_so_exactly(act, far):
    """Else units that saturate would differ between inputs that don't."""
    z = np.random.default_rng(3).uniform(far, 700, 5000)
    h, _ = run(varprop.Activation.named(act), z)
    bounded = act in ("tanh", "sigmoid", "erf", "probit")
    assert (h == (1.0 if bounded else z)).all()


@pytest.mark.parametrize("act", ["tanh", "sigmoid", "erf", "probit"])
def test_no_step_back_where_1_is_near(act):
    """1 - phi shrinks by 2e-12 of itself from z to z (1 + 1e-12), a thousand times the error with
    which it is known (4 ulp), so that phi must not fall by even its last bit."""
    z = np.random.default_rng(4).uniform(1, 40, 100_000)
    low, high = (run(varprop.Activation.named(act), at)[0] for at in (z, z * (1 + 1e-12)))
    assert (high >= low).all()
