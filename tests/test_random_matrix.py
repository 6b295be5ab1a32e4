"""RandomMatrix: an operator, of the right law, that never contradicts itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from budget import Share, mean_p
from conversation import haar, talk, talk_to_arrays, worst
from effort import draws
from levels import HERE, module
from scipy.sparse.linalg import aslinearoperator, svds

from varprop import RandomMatrix, _revealed, random_matrix, resources

FloatArray = npt.NDArray[np.float64]

share = Share("random_matrix")
SHAPES = [(30, 20), (20, 30), (25, 25), (1, 6), (6, 1), (1, 1)]
LAWS = ("gaussian", "haar")

both_laws = pytest.mark.parametrize("law", LAWS)
all_shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def vectors(seed: int, *shape: int) -> FloatArray:
    return np.random.default_rng(seed).standard_normal(shape)


# ---- an operator ----


@both_laws
def test_transposes_are_adjoint(law):
    w = RandomMatrix(300, 200, 1.3, law)
    for turn in range(30):
        x, y = vectors(turn, 200), vectors(100 + turn, 300)
        sides = (w @ x) @ y, x @ (w.T @ y), x @ (w.H @ y), x @ w.rmatvec(y)
        room = 1e-12 * np.linalg.norm(x) * np.linalg.norm(y)
        assert max(sides) - min(sides) <= room


@both_laws
def test_it_is_linear(law):
    w = RandomMatrix(300, 200, 1.3, law)
    x, y = vectors(1, 200), vectors(2, 200)
    for product, a, b in ((w.matvec, x, y), (w.rmatvec, vectors(3, 300), vectors(4, 300))):
        left, right = product(2.5 * a - 0.1 * b), 2.5 * product(a) - 0.1 * product(b)
        np.testing.assert_allclose(left, right, rtol=0, atol=1e-13)


@both_laws
def test_products_with_an_array_are_those_with_its_columns(law):
    x, y = vectors(1, 20, 4), vectors(2, 30, 3)
    one, other = RandomMatrix(30, 20, 2.0, law, seed=5), RandomMatrix(30, 20, 2.0, law, seed=5)
    assert np.array_equal(one @ x, np.stack([other @ column for column in x.T], axis=1))
    assert np.array_equal(one.T @ y, np.stack([other.rmatvec(c) for c in y.T], axis=1))
    assert one.rmatmat(y).shape == (20, 3)
    assert (one @ np.zeros((20, 0))).shape == (30, 0)


def test_it_takes_what_scipy_operators_take():
    w = RandomMatrix(30, 20, 1.0)
    x = np.arange(20)
    column = w.matvec(x[:, np.newaxis])
    assert column.shape == (30, 1)
    np.testing.assert_allclose(column[:, 0], w @ list(x), atol=1e-13)
    np.testing.assert_allclose((2 * w + w) @ x, 3 * (w @ x), atol=1e-12)
    np.testing.assert_allclose((w.T @ w) @ x, w.T @ (w @ x), atol=1e-12)
    assert aslinearoperator(w) is w
    assert w.T.T is w
    assert w.shape == (30, 20) == w.T.shape[::-1]
    assert w.dtype == np.float64
    assert repr(w.T) == "RandomMatrix(30, 20, 1.0, 'gaussian').T"


# ---- consistent ----


@both_laws
@all_shapes
def test_a_hundred_mixed_queries_never_contradict_each_other(law, shape):
    w = RandomMatrix(*shape, 1.3, law, seed=5)
    rng = np.random.default_rng(1)
    past: list[tuple[int, FloatArray, FloatArray]] = []
    for turn in range(100):
        side = int(rng.integers(2))
        asked = [x for known, x, _ in past if known == side]
        kind = turn % 5
        x = rng.standard_normal(shape[1 - side]) * 10.0 ** rng.integers(-9, 9)
        if kind == 1 and asked:  # dependent on earlier ones
            x = np.array(rng.standard_normal(len(asked)) @ np.array(asked))
        elif kind == 2 and asked:  # next to an earlier one
            x = asked[-1] * (1 + 1e-9 * rng.standard_normal(x.size))
        elif kind == 3 and past and past[-1][0] != side:  # the answer itself, as in power steps
            x = past[-1][2]
        past.append((side, x, (w.T if side else w) @ x))
    if law == "haar":
        assert w.revealed <= max(shape)
    else:
        assert w.revealed <= sum(shape)
    drawn = w @ np.eye(shape[1])
    np.testing.assert_allclose((w.T @ np.eye(shape[0])).T, drawn, rtol=0, atol=1e-13)
    size = np.linalg.norm(drawn, 2)
    for side, x, answer in past:
        error = np.linalg.norm((drawn.T if side else drawn) @ x - answer)
        assert error <= 1e-12 * size * np.linalg.norm(x)


@both_laws
@all_shapes
def test_known_directions_reveal_nothing_more(law, shape):
    w = RandomMatrix(*shape, 0.7, law)
    drawn = w @ np.eye(shape[1])
    known = w.revealed
    assert known == shape[1]
    x = vectors(1, shape[1])
    np.testing.assert_allclose(w @ x, drawn @ x, rtol=0, atol=1e-13)
    back = w.T @ vectors(2, shape[0])
    np.testing.assert_allclose(back, drawn.T @ vectors(2, shape[0]), rtol=0, atol=1e-13)
    assert w.revealed == known + (law == "haar" and shape[0] > shape[1])


@both_laws
def test_zero_goes_to_zero_and_reveals_nothing(law):
    w = RandomMatrix(30, 20, 1.0, law)
    assert not (w @ np.zeros(20)).any()
    assert not (w.T @ np.zeros(30)).any()
    assert w.revealed == 0
    x = vectors(1, 20)
    assert np.array_equal(w @ x, RandomMatrix(30, 20, 1.0, law) @ x)


@both_laws
def test_a_small_difference_between_queries_is_answered(law):
    w = RandomMatrix(300, 200, 1.0, law)
    x, step = vectors(1, 200), vectors(2, 200)
    near = x + 1e-8 * step
    difference = (w @ near - w @ x) / 1e-8
    np.testing.assert_allclose(difference, w @ step, rtol=0, atol=1e-6)


# ---- sizes ----


@both_laws
def test_powers_of_two_pass_through_exactly(law):
    x = vectors(1, 20)
    answer = RandomMatrix(30, 20, 1.0, law) @ x
    for exponent in (-990, -300, 3, 1000):
        w = RandomMatrix(30, 20, 1.0, law)
        assert np.array_equal(w @ np.ldexp(x, exponent), np.ldexp(answer, exponent))
    for sigma, exponent in ((2.0**-1000, 995), (2.0**1000, -995)):
        product = RandomMatrix(30, 20, sigma, law) @ np.ldexp(x, exponent)
        shift = exponent + (1000 if sigma > 1 else -1000)
        assert np.array_equal(product, np.ldexp(answer, shift))


@both_laws
def test_an_answer_outside_float64_is_an_error(law):
    for sigma, size in ((1e300, 1e300), (1e-300, 1e-300)):
        with pytest.raises(OverflowError, match="lies outside the range of float64"):
            RandomMatrix(30, 20, sigma, law) @ np.full(20, size)


# ---- the law ----


@both_laws
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 6), (8, 8)], ids=str)
def test_joint_law_of_a_dialogue_is_that_of_drawn_matrices(law, shape):
    answers = np.empty((draws(1500, 6000), 7))
    for seed in range(len(answers)):
        w = RandomMatrix(*shape, 1.0, law, seed=seed)
        answers[seed] = talk(w.matvec, w.rmatvec, *shape)
    share.check(f"{law} {shape}", worst(answers, talk_to_arrays(drawn(law, shape))))


def drawn(law: str, shape: tuple[int, int]) -> FloatArray:
    rng = np.random.default_rng(7)
    if law == "haar":
        return haar(rng, 100_000, *shape)
    return np.asarray(rng.standard_normal((100_000, *shape)) / shape[1] ** 0.5)


@both_laws
def test_the_shortcut_of_an_independent_transpose_is_rejected(law):
    answers = np.empty((draws(1500, 6000), 7))
    for seed in range(len(answers)):
        w, other = (RandomMatrix(8, 8, 1.0, law, seed=s) for s in (seed, seed + 10**6))
        answers[seed] = talk(w.matvec, other.rmatvec, 8, 8)
    assert worst(answers, talk_to_arrays(drawn(law, (8, 8)))) < 1e-9


def test_singular_values_follow_marchenko_and_pastur():
    n, p, sigma = 300, 200, 1.3
    squares = np.array(
        [
            np.linalg.svd(RandomMatrix(n, p, sigma, seed=seed) @ np.eye(p), compute_uv=False) ** 2
            for seed in range(40)
        ]
    )
    # exact moments of a real Wishart matrix
    traces = {
        1: n * p,
        2: n * p * (n + p + 1),
        3: n * p * (n**2 + p**2 + 3 * n * p + 3 * n + 3 * p + 4),
    }
    for power, trace in traces.items():
        exact = trace * (sigma**2 / p) ** power
        share.check(f"trace {power}", mean_p((squares**power).sum(axis=1), exact))
    # eigenvalues are rigid: each sits within about one spacing of its place
    low, high = (1 - (n / p) ** 0.5) ** 2, (1 + (n / p) ** 0.5) ** 2
    angle = (np.arange(200_000) + 0.5) * np.pi / 200_000
    at = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    weight = (at - low) * (high - at) / at
    cdf = np.cumsum(weight) / weight.sum()
    pooled = np.sort(squares.ravel()) / sigma**2
    gap = np.abs(np.interp(pooled, at, cdf) - (np.arange(pooled.size) + 0.5) / pooled.size)
    assert gap.max() < 1 / p


@all_shapes
def test_haar_rows_or_columns_are_orthogonal(shape):
    n_out, n_in = shape
    w = RandomMatrix(*shape, 1.3, "haar", seed=3) @ np.eye(n_in)
    product = w.T @ w if n_out >= n_in else w @ w.T
    wanted = 1.3**2 * max(shape) / n_in * np.eye(min(shape))
    np.testing.assert_allclose(product, wanted, rtol=0, atol=1e-12)


def test_the_largest_singular_value_is_at_the_edge():
    n, p = 20_000, 10_000
    w = RandomMatrix(n, p, 1.0, seed=1)
    top = svds(w, k=1, tol=1e-3, v0=np.ones(p), return_singular_vectors=False)[0]
    share.take("largest")
    edge = (n**0.5 + p**0.5) ** 2
    width = edge**0.5 * (n**-0.5 + p**-0.5) ** (1 / 3)
    # beyond 8, the tails of Tracy and Widom's law are below 1e-8
    assert abs(top**2 * p - edge) < 8 * width
    assert w.revealed < 600


# ---- bits ----


def dialogue(law: str, threads: int) -> list[FloatArray]:
    w = RandomMatrix(5000, 9001, 0.3, law, seed=2**63, threads=threads)
    first = w @ vectors(1, 9001)
    return [first, w.T @ first, w @ (w.T @ vectors(2, 5000)), w.T @ (first + 1)]


@both_laws
def test_bits_do_not_depend_on_threads_or_instruction_set(law, monkeypatch):
    wanted = [answer.tobytes() for answer in dialogue(law, 1)]
    assert [answer.tobytes() for answer in dialogue(law, 3)] == wanted
    for level in HERE:
        for user in (random_matrix, _revealed):
            monkeypatch.setattr(user, "transcript", module("transcript", level))
        assert [answer.tobytes() for answer in dialogue(law, 2)] == wanted, level


@both_laws
def test_golden_answers(law, golden):
    w = RandomMatrix(9, 7, 1.0, law, seed=11)
    first = w @ np.arange(7.0)
    golden(f"RandomMatrix {law}", np.concatenate([first, w.T @ first, w @ np.ones(7)]))


def test_seeds_and_draws_are_apart():
    x, y = np.eye(40)[0], np.eye(40)[1]
    w = RandomMatrix(40, 40, 1.0, seed=1)
    columns = [w @ x, w @ y, RandomMatrix(40, 40, 1.0, seed=2) @ x]
    values = np.concatenate(columns)
    assert np.unique(np.abs(values)).size == values.size


# ---- bad input ----


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"n_out": 0}, ValueError, "n_out must be from 1 to 1073741824, got 0"),
        ({"n_in": 2.5}, TypeError, "n_in must be an integer, got 2.5"),
        ({"n_in": True}, TypeError, "n_in must be an integer, got True"),
        ({"sigma": 0.0}, ValueError, "sigma must be positive and finite, not 0.0"),
        ({"sigma": np.inf}, ValueError, "sigma must be positive and finite, not inf"),
        ({"sigma": np.nan}, ValueError, "sigma must be positive and finite, not nan"),
        ({"sigma": "1"}, TypeError, "sigma must be a number, not '1'"),
        ({"law": "normal"}, ValueError, "law='normal' is unknown; use 'gaussian' or 'haar'"),
        ({"seed": -1}, ValueError, "seed must be from 0 to"),
        ({"threads": 0}, ValueError, "threads=0"),
    ],
)
def test_bad_arguments(arguments, error, text):
    given: dict[str, Any] = {"n_out": 3, "n_in": 2, "sigma": 1.0, **arguments}
    with pytest.raises(error, match=text):
        RandomMatrix(**given)


@pytest.mark.parametrize("name", ["matvec", "rmatvec", "matmat", "rmatmat", "T", "dot"])
@pytest.mark.parametrize(
    ("bad", "error", "text"),
    [
        (np.ones(5), ValueError, r"takes an array of shape \(4,.*not \(5,"),
        (np.ones(4) * 1j, TypeError, "takes real numbers"),
        (np.array([1, np.nan, 0, 0]), ValueError, r"finite numbers, but number \[1.*\] is nan"),
        (np.array([1, 0, 0, -np.inf]), ValueError, r"finite numbers, but number \[3.*\] is -inf"),
        (np.array(["a"] * 4), TypeError, "takes real numbers"),
    ],
)
def test_bad_queries(name, bad, error, text):
    w = RandomMatrix(4, 4, 1.0)
    products = {"T": w.T.matvec, "dot": w.dot}
    product = products.get(name) or getattr(w, name)
    if name.endswith("mat"):
        bad = bad[:, np.newaxis]
    with pytest.raises(error, match=text):
        product(bad)
    assert w.revealed == 0


def test_a_query_that_does_not_fit_changes_nothing(monkeypatch):
    w = RandomMatrix(300, 200, 1.0)
    x = vectors(1, 200, 3)
    known = w @ x[:, :2]
    monkeypatch.setattr(resources, "available_memory", lambda: 1000)
    with pytest.raises(MemoryError, match=r"reveals with query 3 needs .* of memory.*less often"):
        w @ x[:, 2]
    assert w.revealed == 2
    np.testing.assert_allclose(w @ x[:, :2], known, rtol=0, atol=1e-14)
    monkeypatch.undo()
    other = RandomMatrix(300, 200, 1.0)
    assert np.array_equal(w @ x[:, 2], (other @ x)[:, 2])
