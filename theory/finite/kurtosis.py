"""What the law of the weights does: exact fourth moments for any independent symmetric weights.

For two slopes and no biases, M = E (|h|^2/n)^2 and S = E sum_i h_i^4 / n close on themselves.
Given h, the units of the next layer are independent, symmetric, of variance sigma_w^2 |h|^2/n and
fourth moment sigma_w^4 (3 |h|^4/n^2 + kappa sum_i h_i^4/n^2), kappa the weights' excess kurtosis.
With p and p4 the means of the squared slopes and of their squares,

    S' = p4 sigma_w^4 (3 M + kappa S/n),    M' = (p sigma_w^2)^2 (1 - 1/n') M + S'/n',

where n and n' are the widths below and above. Beyond the first layer kappa adds terms of order
1/n^2 only: the leading 5/n of ReLU is universal (Hanin and Nica, arXiv 1812.05994).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from varprop.network import Network
from varprop.scheme import DISTRIBUTIONS, Scheme

from .exact import exact_layers
from .scope import weight_law

__all__ = ["INDEPENDENT", "SecondMoments", "second_moments", "weight_kurtosis"]

Array = NDArray[np.float64]

INDEPENDENT = tuple(law for law in DISTRIBUTIONS if law != "orthogonal")


def weight_kurtosis(scheme: str | Scheme) -> float:
    """The excess kurtosis of a weight, E w^4/(E w^2)^2 - 3.

    Parameters
    ----------
    scheme : str or Scheme
        A law of independent weights.

    Returns
    -------
    float
        0 for normal, -6/5 for uniform, -2 for two signs, 6/(df - 4) for student_t, 3/p - 3 for
        sparse weights.

    Raises
    ------
    ValueError
        For orthogonal matrices, whose entries aren't independent, and for student_t with
        df <= 4, whose fourth moment is infinite.

    Examples
    --------
    >>> weight_kurtosis("he_uniform"), weight_kurtosis("rademacher"), weight_kurtosis("sparse(0.1)")
    (-1.2, -2.0, 27.0)
    """
    law = Scheme.parse(scheme)
    if law.distribution == "normal":
        return 0.0
    if law.distribution == "uniform":
        return -1.2
    if law.distribution == "rademacher":
        return -2.0
    if law.distribution == "truncated_normal":
        # E x^2 = 1 - 2 c and E x^4 = 3 - c (2^3 + 3 2), c = 2 density(2)/P(|x| < 2)
        c = 2 * math.exp(-2.0) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2.0))
        return (3 - 14 * c) / (1 - 2 * c) ** 2 - 3
    shape = law.shape
    if law.distribution == "sparse" and shape is not None:
        return 3 / shape - 3
    if law.distribution == "student_t" and shape is not None:
        if shape <= 4:
            raise ValueError(
                f"student_t({shape:g}) weights have no fourth moment, so that of the signal is "
                "infinite: it takes df > 4"
            )
        return 6 / (shape - 4)
    raise ValueError("orthogonal matrices have no independent weights, so no kurtosis of one")


@dataclass(frozen=True, eq=False)
class SecondMoments:
    """How the squares of mean squares grow, layer by layer; see `second_moments`.

    Attributes
    ----------
    log_activation : ndarray, (depth,)
        ln E (a^l)^2/(E a^l)^2.
    log_preactivation : ndarray, (depth,)
        ln E (q^l)^2/(E q^l)^2.
    log_kurtosis : ndarray, (depth,)
        ln E z^4/(E z^2)^2 of a pre-activation; ln 3 where it is normal.
    """

    log_activation: Array
    log_preactivation: Array
    log_kurtosis: Array

    def __post_init__(self) -> None:
        for log in (self.log_activation, self.log_preactivation, self.log_kurtosis):
            log.setflags(write=False)


def second_moments(network: Network, input_kurtosis: float = 1.0) -> SecondMoments:
    """The exact second moments of mean squares, and the kurtosis of a pre-activation, by layer.

    Parameters
    ----------
    network : Network
        Two slopes, no biases; independent weights of any law with a fourth moment.
    input_kurtosis : float
        n_0 sum x_i^4/(sum x_i^2)^2, from 1 (entries of equal size, the default, as in a
        simulation's standard input) to n_0 (a single entry). Matters for weights that aren't
        normal only.

    Returns
    -------
    SecondMoments

    Raises
    ------
    ValueError, TypeError
        For any other network or an input_kurtosis out of range.

    Examples
    --------
    >>> m = second_moments(Network(4, width=8, act="relu", scheme="he"))
    >>> np.exp(m.log_activation).round(12).tolist()  # (1 + 5/n)^l
    [1.625, 2.640625, 4.291015625, 6.972900390625]
    >>> m = second_moments(Network(2, width=8, act="relu", scheme="he_uniform"))
    >>> np.exp(m.log_kurtosis).round(12).tolist()  # 3 - 1.2/8 in the first
    [2.85, 3.9075]
    """
    layers = exact_layers(network, INDEPENDENT)
    n_0 = network.widths[0]
    if not 1 <= input_kurtosis <= n_0:
        raise ValueError(
            f"input_kurtosis must be from 1 to the input's size {n_0}, got {input_kurtosis!r}"
        )
    kappa = weight_kurtosis(weight_law(network))
    fourth = (layers.slopes.left**2 + layers.slopes.right**2) / 2  # p4/p^2
    depth = network.depth
    growth, excess = np.empty(depth), np.empty(depth)
    if kappa == 0:
        growth[:], excess[:] = (3 * fourth - 1) / layers.width, 0.0
    else:
        ratio, fan_in = float(input_kurtosis), float(n_0)  # S/M
        for at, n in enumerate(layers.width.tolist()):
            excess[at] = kappa * ratio / fan_in
            above = fourth * (3 + excess[at])  # S'/M, in units of (p sigma_w^2)^2
            growth[at] = (above - 1) / n
            ratio, fan_in = above / (1 + growth[at]), n
    log_a = np.cumsum(np.log1p(growth))
    below = np.concatenate([[0.0], log_a[:-1]])
    return SecondMoments(
        log_a, below + np.log1p((2 + excess) / layers.width), below + np.log(3 + excess)
    )


def log_relative_std(log_second: Any) -> Array:
    """ln of sd/mean from ln E X^2/(E X)^2, also where that is beyond float64; -inf for none."""
    log = np.asarray(log_second, dtype=float)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(np.where(log < 30, np.log(np.expm1(np.minimum(log, 30))), log) / 2)
