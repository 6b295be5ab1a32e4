"""What theory says of one layer given the layer below, at the network's own width.

Of K, q, a of one input, with theta, beta and sigma the shares of K = theta + beta + sigma that
weights, biases and a skip connection make:

    E q = K,     n Var q/K² = theta² n r + 4 theta (beta + sigma) + (2 + k_b) beta² + 4 beta sigma,

r the relative variance of weights times a fixed vector (2/n for normal ones), k_b the biases'
excess kurtosis. The mean holds for any weights of mean 0. E a = Q(K) if z is normal given the
layer below, or phi has two slopes and z a symmetric law; else the excess kurtosis k4 of z, which
is of order 1/n, shifts it by the factor 1 + k4 K² Q''/(6 Q) to leading order. What is made of more
than the recorded mean squares is not predicted, and `notes` says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .activation import Activation
from .network import Network
from .propagation import Propagation
from .scheme import Scheme
from .statistic import FloatArray

_WIDEST = 0.3  # excess kurtosis of z up to which leading orders in it are trusted
_UNIFORM = -1.2  # excess kurtosis


@dataclass(frozen=True, eq=False)
class StepTheory:
    """One layer given the layer below, arrays of shape (trials, depth).

    Attributes
    ----------
    log_variance : array
        ln K as the recursion has it.
    q_scatter : array
        Relative variance of q; nan where it is not known.
    q_nominal : array, shape (depth,)
        About what it is where it is not known; inf where it is infinite.
    after_norm : bool
        Whether q is 1 by a norm.
    chi_square : bool
        Whether n q/K is exactly chi-square with n degrees of freedom.
    log_a : array
        ln E a; nan where it is not known.
    a_scatter : array
        Relative variance of a, exact or to leading order.
    a_exact : bool
        Whether all of `a_scatter` is exact.
    allowed : array
        By what share E a may be off.
    second : Seconds or None
        Second moments over networks that the weights' kurtosis makes.
    notes : tuple of str
        What is not known, and why; what is allowed.
    """

    log_variance: FloatArray
    q_scatter: FloatArray
    q_nominal: FloatArray
    after_norm: bool
    chi_square: bool
    log_a: FloatArray
    a_scatter: FloatArray
    a_exact: bool
    allowed: FloatArray
    second: Seconds | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Seconds:
    """Exact second moments over networks of two slopes without biases, by layer.

    Attributes
    ----------
    log_mean : array
        ln E K.
    log_square : array
        ln E K²/(E K)².
    q_scatter, a_scatter : array
        E (q - K)²/E K², and E (a/p - K)²/E K², p = E a/E K.
    log_scale : float
        ln p.
    """

    log_mean: FloatArray
    log_square: FloatArray
    q_scatter: FloatArray
    a_scatter: FloatArray
    log_scale: float


def step_theory(p: Propagation) -> StepTheory:
    """What theory says of a measured network's layers, each given the one below it."""
    network = p.network
    shares, log_variance = _shares(p)
    laws = [_Law.of(network, layer, p.input_label == "standard") for layer in range(network.depth)]
    notes: list[str] = []
    q_scatter = _q_scatter(network, shares, laws)
    if np.isnan(q_scatter).any() and np.isfinite([law.nominal for law in laws]).all():
        notes.append(
            "the variance of q given K is made of fourth powers of the layer below, which are not "
            f"recorded: for {_named(network)} weights it is tested in layer 1 only"
        )
    log_a, scatter, allowed, a_exact = _activations(p, shares, laws, notes)
    normal = all(law.normal for law in laws)
    return StepTheory(
        log_variance,
        q_scatter,
        np.array([law.nominal for law in laws]),
        _placed(network, "post"),
        normal and network.residual is None and not _placed(network, "post"),
        log_a,
        scatter,
        a_exact,
        allowed,
        None if all(law.invariant for law in laws) else _seconds(p),
        tuple(notes),
    )


@dataclass(frozen=True)
class _Law:
    """Of the weights and biases of one layer.

    `length` is the relative variance of |W h|² for a given h (nan if unknown, and about `nominal`),
    `kurtosis` the excess one of (W h)_i but for the unevenness of h in independent weights
    (`uneven`).
    """

    normal: bool
    invariant: bool
    length: float
    nominal: float
    kurtosis: float
    uneven: bool
    bias_kurtosis: float

    @classmethod
    def of(cls, network: Network, layer: int, standard: bool) -> _Law:
        from .theory.finite_width import weight_kurtosis

        each = network.distinct_schemes
        scheme: Scheme = each[layer if len(each) > 1 else 0]
        n_in, n = network.widths[layer : layer + 2]
        uniform = network.sigma_b is None and scheme.bias_distribution == "uniform"
        biased = bool(network.bias_std[layer] > 0)
        of_bias = _UNIFORM if biased and uniform else 0.0
        if scheme.distribution == "orthogonal":
            size = max(n_in, n)
            length = 2 * (size - n) / (n * (size + 2))
            return cls(False, not of_bias, length, length, -6 / (size + 2), False, of_bias)
        if scheme.distribution == "normal":
            return cls(not of_bias, not of_bias, 2 / n, 2 / n, 0.0, False, of_bias)
        heavy = scheme.distribution == "student_t" and (scheme.shape or 0) <= 4
        kappa = math.inf if heavy else weight_kurtosis(scheme)
        known = layer == 0 and standard and not heavy  # entries of equal size
        length = 2 / n + kappa / (n_in * n) if known else math.nan
        nominal = (2 + max(3 * kappa / n_in, 0.0)) / n
        return cls(False, False, length, nominal, kappa / n_in, True, of_bias)


def _seconds(p: Propagation) -> Seconds | None:
    """None where theory does not have them."""
    from .theory.finite_width import second_moments

    network, log_input = p.network, float(np.ravel(p.input_mean_square_log)[0])
    if p.input_label != "standard" or not math.isfinite(log_input):
        return None  # the input's own kurtosis is not recorded
    try:
        known = second_moments(network)
    except ValueError:
        return None
    log_p = math.log((network.act.at_zero[1] ** 2 + network.act.at_zero[2] ** 2) / 2)
    log_mean = log_input + np.cumsum(2 * np.log(network.sigma_w) + log_p) - log_p
    below = np.concatenate([[0.0], known.log_activation[:-1]])
    return Seconds(
        log_mean,
        below,
        np.expm1(known.log_preactivation - below),
        np.expm1(known.log_activation - below),
        log_p,
    )


def _named(network: Network) -> str:
    return " and ".join(network.distributions)


def _placed(network: Network, place: str) -> bool:
    return network.norm is not None and network.norm.place == place


def _shares(p: Propagation) -> tuple[FloatArray, FloatArray]:
    """Shares of weights, biases and skip connection in K, (3, trials, depth); and ln K."""
    network, depth = p.network, p.network.depth
    start = np.full((p.trials, 1), float(np.ravel(p.input_mean_square_log)[0]))
    below = np.concatenate([start, p.rows.log_activation[:, :-1]], axis=1)
    q_below = np.concatenate([start, p.rows.log_preactivation[:, :-1]], axis=1)
    branch, skip = np.zeros(depth), np.full(depth, -np.inf)
    if network.residual is not None:
        branch[1:] = 2 * math.log(abs(network.residual.factor(depth)))
        skip[1:] = 2 * math.log(abs(network.residual.skip))
    with np.errstate(divide="ignore"):
        log_w, log_b = 2 * np.log(network.sigma_w), 2 * np.log(network.bias_std)
    parts = np.stack(
        [below + log_w + branch, np.broadcast_to(log_b + branch, below.shape), q_below + skip]
    )
    log_k: FloatArray = np.logaddexp.reduce(parts, axis=0)
    there = np.isfinite(log_k)
    shares = np.where(there, np.exp(np.where(there, parts - np.where(there, log_k, 0.0), 0.0)), 0.0)
    return shares, log_k


def _q_scatter(network: Network, shares: FloatArray, laws: list[_Law]) -> FloatArray:
    weights, biases, skip = shares
    n = np.array(network.widths[1:], dtype=np.float64)
    length = np.array([law.length for law in laws])
    of_bias = np.array([law.bias_kurtosis for law in laws])
    cross = 4 * weights * (biases + skip) + (2 + of_bias) * biases**2 + 4 * biases * skip
    scatter: FloatArray = weights**2 * length + cross / n
    if _placed(network, "post"):  # q is 1 whatever K
        scatter = np.zeros_like(scatter)
    return scatter


def _activations(
    p: Propagation, shares: FloatArray, laws: list[_Law], notes: list[str]
) -> tuple[FloatArray, FloatArray, FloatArray, bool]:
    """ln E a, its relative variance, what is allowed; and whether the variance is exact."""
    network, shape = p.network, shares.shape[1:]
    log_a, allowed = np.full(shape, np.nan), np.zeros(shape)
    scatter, exact = np.full(shape, np.nan), True
    wide = skipped = uneven = heavy = False
    for layer, law in enumerate(laws):
        act = network.distinct_acts[layer if len(network.distinct_acts) > 1 else 0]
        if layer and network.residual is not None:
            skipped = True
            continue
        if math.isinf(law.kurtosis):
            heavy = True
            continue
        step = _Reading.of(p, layer, law, act, shares[:, :, layer])
        if step is None:
            uneven = True
            continue
        fine = np.abs(step.kurtosis) <= _WIDEST
        if act.degree in (0, 1):
            fine[:] = True
        wide |= bool((~fine).any())
        log_a[:, layer] = np.where(fine, step.log_a, np.nan)
        scatter[:, layer], allowed[:, layer] = step.scatter, np.where(fine, step.allowed, 0.0)
        exact &= step.exact
    if skipped:
        notes.append(
            "with a skip connection a given the layer below is made of every unit's value, which "
            "is not recorded: tested in layer 1 only"
        )
    if heavy:
        notes.append("q and a are not tested: these weights have no fourth moment")
    if uneven:
        notes.append(
            f"a is not predicted where a norm, or an input of unequal entries, meets "
            f"{_named(network)} weights"
        )
    if wide:
        notes.append(
            f"a is not tested where the units' excess kurtosis is beyond {_WIDEST}: too far from "
            "normal for leading orders in it"
        )
    if allowed.any():
        notes.append(
            "a given K: its units' kurtosis, of order 1/width for weights, moves its mean; that is "
            f"corrected to leading order, and as much again allowed: {allowed.max():.2g} of a at "
            "most"
        )
    if not exact:
        notes.append("the variance of a given K is not known exactly: means in the sample's own")
    return log_a, scatter, allowed, exact


@dataclass(frozen=True, eq=False)
class _Reading:
    """One layer's a, arrays over trials; the `kurtosis` is that of what phi reads."""

    log_a: FloatArray
    scatter: FloatArray
    exact: bool
    kurtosis: FloatArray
    allowed: FloatArray

    @classmethod
    def of(
        cls, p: Propagation, layer: int, law: _Law, act: Activation, shares: FloatArray
    ) -> _Reading | None:
        """None where nothing is known."""
        from .theory import log_relative_variance, variance_map
        from .theory.finite.two_slope import TwoSlope
        from .theory.finite.vertex import log_slopes

        network, norm = p.network, p.network.norm
        n = network.widths[layer + 1]
        log_k = p.rows.log_variance[:, layer]
        log_k = np.where(np.isfinite(log_k), log_k, 0.0)
        if norm is not None:
            if not law.invariant:
                return None
            log_k = np.zeros_like(log_k)
            kurtosis = np.full(log_k.shape, -6 / (n + 2 if norm.kind == "rms" else n + 1))
        else:
            uneven = _unevenness(p, layer) if law.uneven else 1.0
            if uneven is None and act.degree not in (0, 1):
                return None
            of_weights = law.kurtosis * (1.0 if uneven is None else uneven)
            kurtosis = of_weights * shares[0] ** 2 + law.bias_kurtosis * shares[1] ** 2
        # beyond e^600 a single unit outweighs any width: not at work
        rho = np.exp(np.minimum(log_relative_variance(act, log_k), 600.0))
        scatter = ((rho + 1) / network.keep - 1) / n
        exact = law.normal and norm is None
        two_slope = act.degree == 1
        no_bias = network.bias_std[layer] == 0
        if two_slope and network.keep == 1 and not exact:
            # a normal vector is a length times a direction
            size = None
            if norm is not None and norm.kind == "rms":
                size = n
            elif norm is None and law.invariant and no_bias:
                size = max(network.widths[layer : layer + 2])
            if size is not None:
                second = TwoSlope.of(act).mean_moment([n], 2) / (1 + 2 / size)
                scatter, exact = np.full(log_k.shape, second[0] - 1), True
        log_a = variance_map(act).log(log_k) - math.log(network.keep)
        slope, bend = log_slopes(act, log_k)
        finite = np.where(np.isfinite(kurtosis), kurtosis, 0.0)
        shift = finite * (slope**2 - slope + bend) / 6
        none = act.degree in (0, 1) or not kurtosis.any()
        allowed = np.zeros_like(shift) if none else np.abs(shift) + finite**2
        return cls(log_a + np.log1p(np.maximum(shift, -0.5)), scatter, exact, kurtosis, allowed)


def _unevenness(p: Propagation, layer: int) -> Any:
    """Mean h⁴ over (mean h²)² of what the weights read, to leading order; None if not known."""
    from .theory import log_relative_variance

    if layer == 0:
        return 1.0 if p.input_label == "standard" else None
    network = p.network
    below = network.distinct_acts[layer - 1 if len(network.distinct_acts) > 1 else 0]
    log_k = p.rows.log_variance[:, layer - 1]
    rho = np.exp(
        np.minimum(log_relative_variance(below, np.where(np.isfinite(log_k), log_k, 0.0)), 50.0)
    )
    return (1 + rho) / network.keep
