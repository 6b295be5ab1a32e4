"""The laws of weights: each against its words, its moments, its distribution and its tails."""

from __future__ import annotations

import math

import mpmath as mp
import normal_twin
import numpy as np
import numpy.typing as npt
import pytest
from budget import Share, mean_p
from levels import HERE, module
from scipy import special, stats

share = Share("weights")

FloatArray = npt.NDArray[np.float64]

LAWS = [
    ("normal", 0.0),
    ("uniform", 0.0),
    ("truncated_normal", 0.0),
    ("rademacher", 0.0),
    ("student_t", 2.5),
    ("student_t", 5.0),
    ("student_t", 40.0),
    ("student_t", 1e6),
    ("sparse", 1e-3),
    ("sparse", 0.1),
    ("sparse", 1.0),
]
CONTINUOUS = [law for law in LAWS if law[0] not in ("rademacher", "sparse")]
CUT = float(special.erf(math.sqrt(2)))  # P(|z| < 2)
CUT_STD = float(stats.truncnorm(-2, 2).std())
ADDRESS = (9, 8, 7, "weights", 6)


def name_of(law: str, shape: float) -> str:
    return f"{law}({shape:g})" if shape else law


def draw(law: str, shape: float, n: int, address=ADDRESS) -> FloatArray:
    kernels = module("kernels", HERE[-1])
    return kernels.numbers(*address, n, law, single=True, shape=shape).astype(float)


@pytest.fixture(scope="module")
def samples() -> dict[tuple[str, float], FloatArray]:
    """2^22 numbers of each law, from 128 streams."""
    return {
        law: np.concatenate([draw(*law, 2**15, (71, t, 1, "weights", 0)) for t in range(128)])
        for law in LAWS
    }


def distribution(law: str, shape: float):
    """The continuous law in SciPy, of variance 1."""
    return {
        "normal": lambda: stats.norm(),
        "uniform": lambda: stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
        "truncated_normal": lambda: stats.truncnorm(-2, 2, scale=1 / CUT_STD),
        "student_t": lambda: stats.t(shape, scale=math.sqrt((shape - 2) / shape)),
    }[law]()


def moment(law: str, shape: float, order: int) -> float:
    """E x^order for an even order, by its own formula; inf where it is."""
    normal = mp.fac2(order - 1)
    if law == "normal":
        return float(normal)
    if law == "sparse":
        return float(normal * mp.mpf(shape) ** (1 - order // 2))
    if law == "uniform":
        return 3.0 ** (order // 2) / (order + 1)
    if law == "rademacher":
        return 1.0
    if law == "student_t":
        if order >= shape:
            return math.inf
        df, k = mp.mpf(shape), order // 2
        ratio = mp.gamma(k + mp.mpf(1) / 2) * mp.gamma(df / 2 - k) / mp.gamma(df / 2)
        return float((df - 2) ** k * ratio / mp.sqrt(mp.pi))
    with mp.workdps(30):
        inside = mp.quad(lambda x: x**order * mp.npdf(x), [-2, 0, 2]) / mp.erf(mp.sqrt(2))
        variance = mp.quad(lambda x: x**2 * mp.npdf(x), [-2, 0, 2]) / mp.erf(mp.sqrt(2))
        return float(inside / variance ** (order // 2))


# Against the words that they are made of


def halves(n: int, columns: int) -> npt.NDArray[np.uint64]:
    return normal_twin.halves(module("kernels", HERE[-1]).words(*ADDRESS, n), columns)


def test_truncated_normals_are_quantiles_of_the_halves_of_the_words():
    numbers = draw("truncated_normal", 0.0, 2**17)
    v = halves(2**16, 1).ravel().astype(np.uint32).astype(np.int32).astype(float) / 2**31
    exact = math.sqrt(2) * special.erfinv(CUT * v) / CUT_STD
    assert np.abs(numbers / exact - 1).max() < 6e-7
    assert np.abs(v).max() > 0.9999  # the ends are among them
    assert np.abs(v).min() < 1e-4


def test_signs_are_the_bits_of_the_words():
    pairs = halves(64, 16).reshape(-1, 8, 2)
    bits = np.concatenate([pairs[..., 0], pairs[..., 1]], axis=1)
    places = np.arange(31, -1, -1, dtype=np.uint64)
    signs = np.where(bits[:, None, :] >> places[None, :, None] & np.uint64(1), -1.0, 1.0)
    assert np.array_equal(draw("rademacher", 0.0, 4096), signs.ravel())


@pytest.mark.parametrize("df", [2.01, 2.5, 5.0, 40.0, 1e6])
def test_student_t_is_baileys_of_the_words(df):
    words = module("kernels", HERE[-1]).words(*ADDRESS, 2**20)
    u = ((words >> np.uint64(23)).astype(float) + 0.5) / 2.0**41
    angle = ((words & np.uint64(2**23 - 1)).astype(float) + 0.5) / 2.0**22 - 1
    radius = np.sqrt((df - 2) * np.expm1(-2 / df * np.log(u)))
    exact = radius * np.sin(np.pi / 2 * angle)
    # u has 24 bits: next to u = 1 that is an error of 2^-23 in the square of the radius, and for
    # small u the logarithm's rounding is multiplied by 2/df
    error = 1e-6 * radius * (1 - np.log(u) / df) + 2.0**-22 / radius * (df - 2) / df
    assert (np.abs(draw("student_t", df, 2**20) - exact) <= error).all()


@pytest.mark.parametrize("p", [1e-9, 1e-3, 0.1, 0.7, 1.0])
def test_sparse_weights_are_scaled_normals_where_a_word_is_small(p):
    words = module("kernels", HERE[-1]).words(*ADDRESS, 48 * 2048).reshape(-1, 48)
    last = int(mp.floor(mp.mpf(p) * 2**64)) - 2**63  # as signed words
    kept = np.array([[w < last for w in row] for row in words[:, 16:].astype(np.int64).tolist()])
    normals, error = normal_twin.box_muller(words[:, :16])
    numbers = draw("sparse", p, 32 * 2048).reshape(-1, 32)
    assert np.array_equal(numbers != 0, kept)
    assert (np.abs(numbers * math.sqrt(p) - kept * normals) <= 2 * error).all()


# As samples


@pytest.mark.parametrize("law", LAWS, ids=lambda law: name_of(*law))
def test_moments_to_order_8(samples, law):
    x = samples[law]
    for order in range(1, 9):
        even = order % 2 == 0
        expected = moment(*law, order) if even else 0.0
        spread = moment(*law, 2 * order) - expected**2
        if spread == 0:
            assert (x**order == expected).all()
            continue
        # a mean of so many is close to normal: its own skewness, about, must be small
        third = moment(*law, 3 * order) if even else moment(*law, 4 * order)
        if third < 0.2 * math.sqrt(x.size) * spread ** (1.5 if even else 2):
            share.check(f"{name_of(*law)}: E x^{order}", mean_p(x**order, expected, spread))


@pytest.mark.parametrize("law", CONTINUOUS, ids=lambda law: name_of(*law))
def test_distributions_are_those_of_scipy(samples, law):
    for part, x in enumerate(samples[law][: 2**20].reshape(4, -1)):
        p_value = stats.kstest(x, distribution(*law).cdf).pvalue
        share.check(f"{name_of(*law)}: distribution, {part}", p_value)


@pytest.mark.parametrize("law", CONTINUOUS, ids=lambda law: name_of(*law))
def test_tails(samples, law):
    """How many numbers lie beyond a quantile, on either side."""
    x = samples[law]
    for p in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
        at = distribution(*law).isf(p)
        for side, beyond in (("above", x > at), ("below", x < -at)):
            p_value = stats.binomtest(int(beyond.sum()), x.size, p).pvalue
            share.check(f"{name_of(*law)}: {side} the quantile of {p:g}", p_value)


def test_supports(samples):
    end = 2 / CUT_STD
    cut = np.abs(samples["truncated_normal", 0.0])
    assert end * (1 - 1e-5) < cut.max() <= end
    assert math.sqrt(3) * (1 - 1e-5) < np.abs(samples["uniform", 0.0]).max() <= math.sqrt(3)
    assert set(np.unique(samples["rademacher", 0.0])) == {-1.0, 1.0}


@pytest.mark.parametrize("p", [1e-3, 0.1])
def test_sparse_weights_are_few_normals(samples, p):
    x = samples["sparse", p]
    kept = x[x != 0]
    share.check(f"sparse({p}): how many", stats.binomtest(kept.size, x.size, p).pvalue)
    share.check(f"sparse({p}): which", stats.kstest(kept * math.sqrt(p), "norm").pvalue)
    assert (samples["sparse", 1.0] != 0).all()


@pytest.mark.parametrize("law", [*CONTINUOUS, ("rademacher", 0.0), ("sparse", 0.1)], ids=str)
def test_numbers_of_a_stream_are_independent(samples, law):
    """Neither they nor their sizes are correlated with those made of the same word or group."""
    x = samples[law].reshape(128, -1)[:32]
    if law in CONTINUOUS:
        size = np.argsort(np.argsort(np.abs(x), axis=None)).reshape(x.shape) / x.size - 0.5
    else:
        size = (x != 0) - law[1]
    for lag in (1, 2, 8, 16, 32, 64, 256, 512):
        for what, y in (("sign", np.sign(x)), ("size", size)):
            if what == "size" and law[0] == "rademacher":
                continue
            products = (y[:, lag:] * y[:, :-lag]).ravel()
            p_value = mean_p(products, 0.0, float((y**2).mean()) ** 2)
            share.check(f"{name_of(*law)}: {what} at lag {lag}", p_value)


# Bits


@pytest.mark.parametrize("law", LAWS, ids=lambda law: name_of(*law))
def test_the_same_bits_in_every_instruction_set(law):
    runs = [
        module("kernels", level).numbers(*ADDRESS, 4096, law[0], single=True, shape=law[1])
        for level in HERE
    ]
    assert all(run.tobytes() == runs[0].tobytes() for run in runs)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: name_of(*law))
def test_a_longer_row_begins_with_the_shorter_one(law):
    long = draw(*law, 2048)
    for n in (32, 96, 512, 1024, 1056):
        assert np.array_equal(draw(*law, n), long[:n])


def test_golden_weights(golden):
    for law, shape in LAWS:
        golden(f"weights {name_of(law, shape)}", draw(law, shape, 64))


def test_double_precision_has_two_laws():
    with pytest.raises(ValueError, match="single precision only"):
        module("kernels", HERE[-1]).numbers(*ADDRESS, 32, "rademacher")


def test_wrong_laws_are_seen():
    """Sensitivity: a scale off by 1 part in 100, a cut not rescaled, both halves of a pair."""
    law = ("truncated_normal", 0.0)
    x = np.concatenate([draw(*law, 2**15, (72, t, 1, "weights", 0)) for t in range(16)])
    spread = moment(*law, 4) - 1
    assert mean_p(x**2, 1.0, spread) > 1e-6
    assert mean_p((1.01 * x) ** 2, 1.0, spread) < 1e-6
    assert stats.kstest(x, distribution(*law).cdf).pvalue > 1e-6
    assert stats.kstest(x * CUT_STD, distribution(*law).cdf).pvalue < 1e-9
    rng = np.random.default_rng(1)
    radius, angle = np.sqrt(np.expm1(-0.4 * np.log(rng.random(2**18)))), rng.random(2**18)
    pair = [radius * np.cos(2 * np.pi * angle), radius * np.sin(2 * np.pi * angle)]
    ranks = [stats.rankdata(np.abs(t)) / len(t) - 0.5 for t in pair]
    assert mean_p(ranks[0] * ranks[1], 0.0, 1 / 144) < 1e-9
