"""Exact second moments of a Jacobian's singular values at finite width, by layer.

With A = J J^T of the layers below, a row w of W, and an independent mask, E over w of
(w A w^T)^2 = s^2 ((tr A)^2 + 2 tr A^2), s = Var W_ij, and of (w_i A w_j^T)^2 = s^2 tr A^2. So the
pair (E tr M^2, E (tr M)^2) obeys a linear recursion, whatever the widths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from varprop.network import Network

from ..finite.scope import plain_network, weight_law

__all__ = ["JacobianMoments", "jacobian_moments"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JacobianMoments:
    """Exact moments of M = J J^T, J = dh^l/dx (or dz^l/dx), for l = 1..depth.

    Attributes
    ----------
    network : Network
    log_trace : ndarray, (depth,)
        ln E tr M.
    log_square : ndarray, (depth,)
        ln E tr M^2.
    log_trace_square : ndarray, (depth,)
        ln E (tr M)^2.

    Examples
    --------
    >>> m = jacobian_moments(Network(depth=50, width=100, act="relu", scheme="he"))
    >>> round(float(m.effective_rank[-1]), 6)
    0.011619
    """

    network: Network
    log_trace: Array
    log_square: Array
    log_trace_square: Array

    @property
    def effective_rank(self) -> Array:
        """E (tr M)^2/(n_0 E tr M^2), the share of the input's directions that survive.

        A ratio of means: at large width it tends to 1/(1 + L) for linear layers, 1/(1 + 2 L) for
        ReLU, and at depths beyond the width to 1/n_0, a single direction.
        """
        share: Array = np.exp(self.log_trace_square - self.log_square) / self.network.widths[0]
        return share


def jacobian_moments(network: Network, of: str = "h") -> JacobianMoments:
    """Exact E tr M, E tr M^2 and E (tr M)^2 of M = J J^T, at any width and depth.

    For linear and two-slope activations (relu, leaky_relu, abs) without biases. The masks then
    count as independent of each other and of the weights: turning a row of W to the side where
    its unit is active and giving it back a fair sign changes no law, and signs of J's rows pass
    into the next W, which is symmetric (Hanin and Nica 2020, arXiv 1812.05994). In a linear
    square network of Var W_ij = 1/n,

        t2' = (1 + 1/n) t2 + t11/n,   t11' = t11 + (2/n) t2,

    and for ReLU under He's weights t2' = (1 + 3/n) t2 + (2/n) t11, t11' = (1 + 1/n) t11 +
    (4/n) t2. Orthogonal weights: the same with the second moments of the Haar measure.

    Parameters
    ----------
    network : Network
        Gaussian weights with any widths, or orthogonal ones with equal widths.
    of : {"h", "z"}
        J = dh^l/dx, or dz^l/dx, without the mask of layer l itself.

    Returns
    -------
    JacobianMoments

    Raises
    ------
    TypeError
        If `network` is not a Network.
    ValueError
        For another activation or law of the weights, for unequal widths with orthogonal ones, and
        for biases where phi bends.

    Examples
    --------
    >>> m = jacobian_moments(Network(depth=1, width=2, act="linear", sigma_w=1.0))
    >>> np.exp([m.log_trace[0], m.log_square[0], m.log_trace_square[0]]).round(9).tolist()
    [2.0, 5.0, 6.0]
    """
    if of not in ("h", "z"):
        raise ValueError(f"of must be 'h' or 'z', got {of!r}")
    first, second = _slopes(network)
    sizes = np.asarray(network.widths, dtype=float)
    orthogonal = weight_law(network).distribution == "orthogonal"
    log_trace, log_square, log_both = (np.empty(network.depth) for _ in range(3))
    t2, t11, log_scale = sizes[0], sizes[0] ** 2, 0.0
    log_gain = 2 * np.log(np.asarray(network.sigma_w, dtype=float)) + math.log(first)
    log_size = np.log(sizes[1:] / sizes[:-1])
    ratio = second / first**2
    for layer in range(network.depth):
        below, above = sizes[layer], sizes[layer + 1]
        one = (t11 + 2 * t2) / (below + 2) if orthogonal else above * (t11 + 2 * t2) / below**2
        # Pairs of different rows, of masks with mean 1.
        pairs = np.array([t2, t11])
        pairs = pairs - one if orthogonal else pairs * (above**2 - above) / below**2
        bare = np.log(pairs + one) + log_scale + 2 * (log_gain[layer] - math.log(first))
        t2, t11 = pairs + ratio * one
        log_scale += 2 * log_gain[layer] + math.log(t11)
        t2, t11 = t2 / t11, 1.0
        masked = log_scale + math.log(t2), log_scale
        log_square[layer], log_both[layer] = masked if of == "h" else bare
    log_trace[:] = math.log(sizes[0]) + np.cumsum(log_gain + log_size)
    if of == "z":
        log_trace -= math.log(first)
    return JacobianMoments(network, log_trace, log_square, log_both)


def _slopes(network: Network) -> tuple[float, float]:
    """E phi'^2 and E phi'^4 of a network whose masks are independent; ValueError for others."""
    plain_network(network)
    act, law = network.act, weight_law(network).distribution
    if act.degree != 1:
        raise ValueError(
            f"exact moments are known for linear and two-slope activations (relu, leaky_relu, "
            f"abs), not for {act}; spectrum() gives the limit of large width"
        )
    if law not in ("normal", "orthogonal"):
        raise ValueError(f"weights must be normal or orthogonal, not {law}")
    if law == "orthogonal" and network.width is None:
        raise ValueError("orthogonal weights need equal widths here")
    left, right = act.at_zero[1:]
    if left != right and np.asarray(network.bias_std).any():
        raise ValueError(
            f"biases tie the masks of {act} to the weights; needed is sigma_b = 0, got {network!r}"
        )
    return (left**2 + right**2) / 2, (left**4 + right**4) / 2
