"""S-transforms, symbolically: the law of a product of free random matrices.

For a law on [0, oo) with mean > 0, M(u) = sum_k m_k u^-k collects its moments, and
S(z) = (1 + z)/(z M^-1(z)). S-transforms of free factors multiply (Voiculescu 1987), so a deep
Jacobian's is a product of simple ones. Everything here is an expression in the symbol ``z``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import sympy
from sympy import Expr

from varprop.activation import Activation

from ..gaussian import NotClosed, derivative, exact, gaussian_expectation

__all__ = [
    "free_product",
    "inverse_transform",
    "mask_moment",
    "moments_of",
    "s_bernoulli",
    "s_from_moments",
    "s_gaussian",
    "s_mask",
    "s_orthogonal",
    "s_two_values",
    "z",
]

z: sympy.Symbol = sympy.Symbol("z")
_ONE = sympy.Integer(1)


def s_gaussian(sigma_w: Expr | float = _ONE) -> Expr:
    """S-transform of W W^T for a large square Gaussian W, Var W_ij = sigma_w^2/n.

    Source: the Marchenko-Pastur law; Pennington, Schoenholz and Ganguli 2017 (arXiv 1711.04735).

    Parameters
    ----------
    sigma_w : sympy.Expr or float
        Default 1.

    Examples
    --------
    >>> s_gaussian()
    1/(z + 1)
    """
    return 1 / (sympy.sympify(sigma_w) ** 2 * (1 + z))


def s_orthogonal(sigma_w: Expr | float = _ONE) -> Expr:
    """S-transform of W W^T = sigma_w^2 I for an orthogonal W times sigma_w.

    Parameters
    ----------
    sigma_w : sympy.Expr or float
        Default 1.

    Examples
    --------
    >>> s_orthogonal(sympy.sqrt(2))
    1/2
    """
    return 1 / sympy.sympify(sigma_w) ** 2


def s_bernoulli(p: Expr | float) -> Expr:
    """S-transform of a mask that is 1 with probability p and 0 otherwise, 0 < p <= 1.

    Parameters
    ----------
    p : sympy.Expr or float
        1/2 for ReLU, erf(1/sqrt(2 K)) for hard tanh.

    Raises
    ------
    ValueError
        If p is a number outside (0, 1].

    Examples
    --------
    >>> s_bernoulli(sympy.Rational(1, 2))
    (z + 1)/(z + 1/2)
    """
    share = _share(p)
    return (1 + z) / (z + share)


def s_two_values(a: Expr | float, b: Expr | float, p: Expr | float) -> Expr:
    """S-transform of a mask that is a with probability p and b otherwise; a, b > 0.

    M(u) = z is here a quadratic equation in u; the root with u ~ mean/z as z -> 0 is taken.

    Parameters
    ----------
    a, b : sympy.Expr or float
        The two values of phi'^2: 1 and slope^2 for leaky ReLU.
    p : sympy.Expr or float
        The probability of `a`.

    Raises
    ------
    ValueError
        If p is a number outside (0, 1], or a or b a number <= 0.

    Examples
    --------
    >>> s_two_values(4, 4, sympy.Rational(1, 2))
    1/4
    """
    share, first, second = _share(p), sympy.sympify(a), sympy.sympify(b)
    for value in (first, second):
        if value.is_number and not value > 0:
            raise ValueError(f"the values of the mask must be > 0, got {value}; see s_bernoulli")
    mean = share * first + (1 - share) * second
    middle = z * (first + second) + mean
    root = sympy.sqrt(sympy.factor(middle**2 - 4 * z * (1 + z) * first * second))
    inverse = (middle + root) / (2 * z)
    return sympy.cancel((1 + z) / (z * inverse)) if first == second else (1 + z) / (z * inverse)


def _share(p: Expr | float) -> Expr:
    share = sympy.sympify(p)
    if share.is_number and not (0 < share <= 1):
        raise ValueError(f"a probability p must be in (0, 1], got {p}")
    return share


def s_from_moments(moments: Sequence[Expr | float]) -> Expr:
    """S-transform of any law from its first n moments, up to and with z^(n-1).

    The inverse of sum_k m_k v^k, v = 1/u, by Lagrange's formula.

    Parameters
    ----------
    moments : sequence of sympy.Expr or float
        m_1, ..., m_n; at least one, m_1 not 0.

    Raises
    ------
    ValueError
        If there is no moment, or the first is 0.

    Examples
    --------
    >>> m1, m2 = sympy.symbols("m1 m2", positive=True)
    >>> s_from_moments([m1, m2])
    1/m1 + z*(m1**2 - m2)/m1**3
    """
    mu = [sympy.sympify(m) for m in moments]
    if not mu or mu[0] == 0:
        raise ValueError(f"the first moment must be given and not 0, got {list(moments)}")
    v = sympy.Dummy("v")
    over = 1 / sum((m * v**k for k, m in enumerate(mu)), sympy.Integer(0))
    inverse = [_lagrange(over, v, k) for k in range(1, len(mu) + 1)]
    # S = (1 + z)/z times the inverse, whose first term is z/m_1.
    terms = [inverse[0], *(a + b for a, b in zip(inverse[1:], inverse, strict=False))]
    return sum((sympy.factor(c) * z**k for k, c in enumerate(terms)), sympy.Integer(0))


def _lagrange(phi: Expr, at: sympy.Symbol, k: int) -> Expr:
    """[w^k] of the solution of at = w phi(at): [at^(k-1)] phi^k / k."""
    return sympy.diff(phi**k, at, k - 1).subs(at, 0) / (k * sympy.factorial(k - 1))


def s_mask(act: str | Activation) -> Expr:
    """S-transform of phi'(x)^2, x ~ N(0, K), where phi' takes one or two values beside 0.

    Parameters
    ----------
    act : str or Activation
        The activation.

    Returns
    -------
    sympy.Expr
        In the symbols ``z`` and ``K``.

    Raises
    ------
    NotClosed
        If phi' takes more values, as for smooth activations; see `s_from_moments`.
    ValueError
        If phi jumps, or has no formula.

    Examples
    --------
    >>> s_mask("relu"), s_mask("hardtanh")
    ((z + 1)/(z + 1/2), (z + 1)/(z + erf(sqrt(2)/(2*sqrt(K)))))
    """
    parts = derivative(exact(Activation.parse(act).sympy()))
    if any(expr.free_symbols for _, _, expr in parts):
        raise NotClosed(
            f"the slope of {act} takes a continuum of values: its S-transform is known by its "
            "series, s_from_moments, and its law by the numbers of spectrum()"
        )
    share: dict[Expr, Expr] = {}
    for value in dict.fromkeys(expr**2 for _, _, expr in parts if expr != 0):
        inside = [(a, b, sympy.Integer(e**2 == value)) for a, b, e in parts]
        share[value] = sympy.simplify(gaussian_expectation(inside))
    if len(share) == 1:
        ((value, p),) = share.items()
        return s_bernoulli(p) / value
    if len(share) == 2 and sympy.simplify(sum(share.values()) - 1) == 0:
        (a, p), (b, _) = share.items()
        return s_two_values(a, b, p)
    raise NotClosed(
        f"the slope of {act} takes {len(share)} values beside 0; at most two are solved"
    )


def free_product(*transforms: Expr) -> Expr:
    """S-transform of a product of free matrices: the product of theirs.

    Parameters
    ----------
    *transforms : sympy.Expr
        S-transforms in `z`; a power stands for equal layers: ``s**L``.

    Examples
    --------
    >>> L = sympy.Symbol("L", positive=True)
    >>> free_product(s_gaussian() ** L, s_bernoulli(1) ** L)
    (1/(z + 1))**L
    """
    return reduce(lambda a, b: a * b, transforms, _ONE)


def inverse_transform(s: Expr) -> Expr:
    """M^-1(z) = (1 + z)/(z S(z)). Its smallest value over z > 0 is the upper edge of the law.

    Examples
    --------
    >>> inverse_transform(s_gaussian() ** 2)
    (z + 1)**3/z
    """
    return (1 + z) / (z * s)


def moments_of(s: Expr, count: int) -> list[Expr]:
    """The first moments of the law with S-transform s, by Lagrange inversion.

    z = w (1 + z)/S(z) with w = 1/u, hence m_k = [z^(k-1)] ((1 + z)/S(z))^k / k.

    Parameters
    ----------
    s : sympy.Expr
        S-transform in `z`; other symbols, such as a symbolic depth, are allowed.
    count : int
        How many, >= 1.

    Returns
    -------
    list of sympy.Expr
        m_1, ..., m_count.

    Raises
    ------
    ValueError
        If count < 1.

    Examples
    --------
    Four Gaussian layers (Fuss-Catalan numbers), and any number of them:

    >>> moments_of(s_gaussian() ** 4, 3)
    [1, 5, 35]
    >>> L = sympy.Symbol("L", positive=True)
    >>> moments_of(s_gaussian() ** L, 2)
    [1, L + 1]
    """
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}")
    phi = sympy.powsimp((1 + z) / s)
    return [sympy.factor(sympy.simplify(_lagrange(phi, z, k))) for k in range(1, count + 1)]


def mask_moment(act: str | Activation, k: int) -> Expr:
    """mu_k = E phi'(x)^(2k) for x ~ N(0, K), in closed form in the symbol ``K``.

    Parameters
    ----------
    act : str or Activation
        The activation.
    k : int
        >= 1. mu_1 is the gradient map.

    Raises
    ------
    NotClosed
        Where no rule of `gaussian` derives it.
    ValueError
        If k < 1, or phi jumps, so that phi'^2 has no expectation, or phi has no formula.

    Examples
    --------
    >>> mask_moment("relu", 5), mask_moment("sin", 1)
    (1/2, 1/2 + exp(-2*K)/2)
    """
    if k < 1:
        raise ValueError(f"k must be >= 1, got {k}")
    parts = derivative(exact(Activation.parse(act).sympy()))
    return gaussian_expectation([(lo, hi, expr ** (2 * k)) for lo, hi, expr in parts])
