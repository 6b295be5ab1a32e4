"""Jacobian: how the output of one random network answers its input, without its matrices."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ._core import kernels, transcript
from ._core.plan import PlanHolder
from ._operator import FloatArray, RealOperator, real_array
from .arguments import whole
from .engines import MATRIX_FREE_LAWS, log_mean_square
from .network import Network
from .plans import plan_of
from .random_matrix import RandomMatrix
from .simulate import MAX_SEED, MAX_TRIAL

_BLOCK = 4096  # biases that share a stream
_MODERATE = 230.0  # |ln| of a size that float64 holds with room for both ends
_MATRIX_LAWS = {"normal": "gaussian", "orthogonal": "haar"}
# The words that seed a layer's matrix: no matrix is wide enough to have this block itself.
_SEED_BLOCK = 2**32 - 1


class Jacobian(RealOperator):
    """The Jacobian ∂z^L/∂x of one random network, as a SciPy `LinearOperator`.

    J = W^L D^(L-1) W^(L-1) ... D^1 W^1, D^l = diag φ′(z^l). A forward pass of x reveals one
    direction of each weight matrix and fixes the slopes; products with J and its transpose ask
    the same matrices again (`RandomMatrix`), so that no matrix is ever drawn and every answer has
    the exact joint law.

    Parameters
    ----------
    network : Network
        Plain layers with normal or orthogonal weights, with or without biases; not an
        activation that jumps.
    x : array of shape (n_0,), optional
        The input. Default: all ones.
    trial : int, default 0
        Which network of the seed.
    seed : int, default 0
        From 0 to 2**64 - 1.
    threads : int, optional
        As in `simulate`; the numbers do not depend on it.

    Attributes
    ----------
    log_scale : float
        The operator is J/exp(log_scale). 0, unless the size of J (the root mean square that
        its slopes and sigma_w give it) lies outside 1e-100 to 1e100: then the ln of that size.

    Raises
    ------
    ValueError, TypeError, NotImplementedError
        For a bad argument, or a network of another kind.
    OverflowError
        When the signal leaves the range where φ can be evaluated, or an answer that of float64.
    MemoryError
        When what a query reveals would not fit into memory.

    Notes
    -----
    Query k costs time and memory of about depth × width × k: each keeps two vectors a layer,
    1.6 MB a layer at width 100,000. A unit at a kink has the slope of one side, as in simulate; a
    slope below 1e-308 counts as 0. As for `RandomMatrix`, the same seed and queries give the same
    bits, and another sequence of queries another network of the same law.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import svds
    >>> import varprop
    >>> J = varprop.Jacobian(varprop.Network(3, width=2000, act="tanh", sigma_w=1.5))
    >>> J.shape, J.log_scale
    ((2000, 2000), 0.0)
    >>> top = svds(J, k=1, tol=1e-2, v0=np.ones(2000), return_singular_vectors=False)
    >>> print(top.round(1))
    [4.8]
    """

    def __init__(
        self,
        network: Network,
        x: npt.ArrayLike | None = None,
        *,
        trial: int = 0,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        _check_network(network)
        self.network = network
        self.trial = whole("trial", trial, 0, MAX_TRIAL - 1)
        self.seed = whole("seed", seed, 0, MAX_SEED - 1)
        sizes = network.widths
        super().__init__((sizes[-1], sizes[0]))
        signal = _checked_input(x, sizes[0])
        law = _MATRIX_LAWS[network.scheme.distribution]
        self._weights = [
            # of unit size: sigma_w goes into the logarithms
            RandomMatrix(sizes[i + 1], sizes[i], 1.0, law, self._seed_of(i + 1), threads)
            for i in range(network.depth)
        ]
        self._slopes: list[FloatArray] = []
        log_size = self._pass_up(signal)
        self.log_scale = 0.0 if abs(log_size) < _MODERATE or log_size == -math.inf else log_size
        self._factor = _exp(log_size - self.log_scale)

    def __repr__(self) -> str:
        return f"Jacobian({self.network!r}, trial={self.trial}, seed={self.seed})"

    def _seed_of(self, layer: int) -> int:
        return int(kernels.words(self.seed, self.trial, layer, "matrix", _SEED_BLOCK, 16)[0])

    def _pass_up(self, x: FloatArray) -> float:
        """Fix the slopes; returns the ln of the Jacobian's size."""
        network = self.network
        plan = plan_of(network, self.seed, 0.0)
        log_gains, biases = 2 * np.log(network.sigma_w), network.bias_std
        log_a, log_size = log_mean_square(x), 0.0
        h = _normalised(x)
        for layer, weights in enumerate(self._weights):
            log_size += log_gains[layer] / 2
            if layer == network.depth - 1:
                break
            log_w, log_b = log_a + log_gains[layer], 2 * _log(biases[layer])
            log_k = _log_sum(log_w, log_b)
            z = np.zeros(weights.shape[0])
            if log_w > -math.inf:
                z += _exp((log_w - log_k) / 2) * weights.matvec(h)
            if log_b > -math.inf:
                z += _exp((log_b - log_k) / 2) * self._bias(layer + 1)
            h, slopes, log_unit, log_slope_unit = _activated(plan, self, layer + 1, z, log_k)
            log_a = log_mean_square(h) + log_unit
            log_size += (log_mean_square(slopes) + log_slope_unit) / 2
            h = _normalised(h)
            self._slopes.append(_normalised(slopes))
        return float(log_size)

    def _bias(self, layer: int) -> FloatArray:
        """The biases of a layer, of unit variance."""
        units, law = self.network.widths[layer], self.network.bias_distribution
        blocks = [
            kernels.numbers(self.seed, self.trial, layer, "bias", block, _BLOCK, law)
            for block in range(-(-units // _BLOCK))
        ]
        return np.concatenate(blocks)[:units]

    def _matvec(self, x: FloatArray) -> FloatArray:
        vector, exponent = _fraction(x)
        for weights, slopes in zip(self._weights[:-1], self._slopes, strict=True):
            vector, more = _fraction(slopes * weights.matvec(vector))
            exponent += more
        return self._finished(self._weights[-1].matvec(vector), exponent)

    def _rmatvec(self, y: FloatArray) -> FloatArray:
        vector, exponent = _fraction(y)
        for weights, slopes in zip(self._weights[:0:-1], self._slopes[::-1], strict=True):
            vector, more = _fraction(slopes * weights.rmatvec(vector))
            exponent += more
        return self._finished(self._weights[0].rmatvec(vector), exponent)

    def _finished(self, vector: FloatArray, exponent: int) -> FloatArray:
        with np.errstate(over="ignore", under="ignore"):
            answer: FloatArray = np.ldexp(self._factor * vector, exponent)
        if not np.isfinite(answer).all() or (vector.any() and not answer.any()):
            raise OverflowError(
                f"a product with {self!r}, over exp(log_scale = {self.log_scale:g}), lies outside "
                "the range of float64; use a vector of another size, or less depth"
            )
        return answer


def _check_network(network: Network) -> None:
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, not {type(network).__name__}")
    if not network.plain:
        raise NotImplementedError(
            f"a Jacobian of {network!r}: only plain networks, without residual, norm and dropout "
            "and with layers alike, have one so far"
        )
    law = network.scheme.distribution
    if law not in MATRIX_FREE_LAWS:
        raise ValueError(
            f"a Jacobian without matrices needs {' or '.join(MATRIX_FREE_LAWS)} weights, not {law}"
        )
    if network.act.jumps:
        raise ValueError(
            f"activation {str(network.act)!r} jumps at x = {network.act.jumps[0]:g}: it has no "
            "slope, and the network no Jacobian"
        )


def _checked_input(x: npt.ArrayLike | None, size: int) -> FloatArray:
    if x is None:
        return np.ones(size)
    array = real_array("x", x)
    if array.shape != (size,):
        raise ValueError(f"x must have shape ({size},), the network's input, not {array.shape}")
    return array


def _activated(
    plan: PlanHolder, jacobian: Jacobian, layer: int, z: FloatArray, log_k: float
) -> tuple[FloatArray, FloatArray, float, float]:
    """φ, φ′ and the logarithms of the units of their squares."""
    h, slopes, log_unit, log_slope_unit, status = transcript.activate(plan, z, log_k)
    if status or not np.isfinite(slopes).all():
        raise OverflowError(
            f"in layer {layer} of {jacobian!r} the signal (ln K = {log_k:g}) left the range in "
            "which its activation and slope can be evaluated; use less depth, or another sigma_w"
        )
    return h, slopes, log_unit, log_slope_unit


def _normalised(x: FloatArray) -> FloatArray:
    """x at mean square 1, or zeros."""
    vector, _ = _fraction(x)
    return vector * _exp(-log_mean_square(vector) / 2) if vector.any() else vector


def _fraction(x: FloatArray) -> tuple[FloatArray, int]:
    """x = vector 2^exponent, the largest number of the vector between 1/2 and 1."""
    _, exponent = math.frexp(float(np.abs(x).max()))
    return np.ldexp(x, -exponent), exponent


def _exp(x: float) -> float:
    """By the kernel, whose bits are the same everywhere; e^-inf = 0."""
    return 0.0 if x == -math.inf else float(kernels.exp([x])[0])


def _log(x: float) -> float:
    return float(kernels.log([x])[0])


def _log_sum(a: float, b: float) -> float:
    """ln(e^a + e^b)."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + _log(1 + _exp(low - high))
