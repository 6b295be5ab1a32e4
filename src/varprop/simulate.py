"""simulate(): a network and Monte-Carlo options in, a Propagation out."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core.build_info import VERSION
from .activation import Activation
from .engines import Run, choose_engine, log_input, provenance
from .network import ActivationSpec, Network
from .propagation import Propagation, input_label
from .resources import resolve_threads
from .scheme import Scheme

FloatArray = npt.NDArray[np.float64]

MAX_TRIAL = 2**48  # the width of its field in a stream's address
MAX_SEED = 2**64


def simulate(
    network: Network | None = None,
    *,
    depth: int | None = None,
    width: int | None = None,
    widths: Sequence[int] | None = None,
    act: ActivationSpec | None = None,
    scheme: str | Scheme | None = None,
    sigma_w: float | None = None,
    sigma_b: float | None = None,
    x: npt.ArrayLike | None = None,
    trials: int = 100,
    first_trial: int = 0,
    seed: int = 0,
    threads: int | None = None,
    engine: str = "auto",
    saturated_below: float = 0.05,
    backward: bool | None = None,
    progress: Callable[[float], object] | None = None,
) -> Propagation:
    """Draw random networks and measure what happens to a signal in every layer.

    Parameters
    ----------
    network : Network, optional
        What to simulate; or give `depth` and the next six, as for `Network`.
    depth : int
        Number of layers.
    width : int, default 1000
        Units in every layer (and in the input, unless `x` is given).
    widths : sequence of int, optional
        n_0 to n_L, in place of `width`.
    act : str, Activation or (f, derivative), default "relu"
        The activation: a name, "leaky_relu(0.2)", a formula in x, or two callables.
    scheme : str or Scheme, default "he"
        The initialisation; see `varprop.schemes`.
    sigma_w, sigma_b : float, optional
        Standard deviations sqrt(fan_in Var W) and of normal biases, in place of a scheme's.
    x : array of shape (n_0,), optional
        The input. Default: all ones, of mean square 1.
    trials : int, default 100
        Number of networks.
    first_trial : int, default 0
        Number of the first; trial i of a seed is the same network in every call.
    seed : int, default 0
        From 0 to 2**64 - 1.
    threads : int, optional
        Default: all that this process may use (or OMP_NUM_THREADS); -1 all, -2 all but one. The
        numbers do not depend on it.
    engine : {"auto", "matrix-free", "dense", "reference"}
        "matrix-free" (normal and orthogonal weights, the default for them) costs n numbers a
        layer; "dense" (all but orthogonal) draws all n^2 weights; "reference" is plain NumPy.
        All three are exact; they draw different networks.
    saturated_below : float, default 0.05
        A unit counts as saturated where |φ′| is at most this fraction of sup |φ′| (where that is
        infinite: where φ′ is 0).
    backward : bool, optional
        Whether to send a random gradient back through the same weights and measure `gradient`,
        `weight_gradient` and `bias_gradient`. It takes about twice the time of the way up.
        Default: yes, unless φ jumps (sign, heaviside), for it then has no slope.
    progress : callable, optional
        Called with the fraction done, from time to time.

    Returns
    -------
    Propagation

    Raises
    ------
    ValueError, TypeError
        For a bad argument, before any work starts.
    NotImplementedError
        For architectures that no engine simulates yet.
    MemoryError
        When the result would not fit into memory.
    OverflowError
        When a custom activation, or the logarithm of the signal, leaves the range of float64.

    Warns
    -----
    RuntimeWarning
        When weights have no finite fourth moment (student_t with df <= 4).

    Notes
    -----
    Statistics are carried as logarithms, so that neither a deep vanishing nor an exploding
    network under- or overflows. Given the layer below, the pre-activations of a layer with normal
    weights are independent normals, which is why a matrix need not be drawn to be multiplied by.

    Examples
    --------
    >>> import varprop
    >>> p = varprop.simulate(depth=50, width=200, act="relu", scheme="he", trials=20)
    >>> p.trials, p.dead
    (20, 0)
    >>> bool(abs(p.preactivation.log_mean[-1]) < 5)
    True
    """
    run = prepare(
        network,
        {
            "depth": depth,
            "width": width,
            "widths": widths,
            "act": act,
            "scheme": scheme,
            "sigma_w": sigma_w,
            "sigma_b": sigma_b,
        },
        x=x,
        trials=trials,
        first_trial=first_trial,
        seed=seed,
        threads=threads,
        engine=engine,
        saturated_below=saturated_below,
        backward=backward,
    )
    _warn_of_heavy_tails(run.network)
    if run.engine == "reference":
        from .reference import rows

        return as_propagation(run, rows(run, progress))
    return as_propagation(run, run.rows(progress))


def _warn_of_heavy_tails(network: Network) -> None:
    heavy = [
        scheme
        for scheme in network.distinct_schemes
        if scheme.distribution == "student_t" and scheme.shape is not None and scheme.shape <= 4
    ]
    if heavy:
        warnings.warn(
            f"scheme {str(heavy[0])!r}: the fourth moment of student_t with df <= 4 is infinite, "
            "and so are the variances of the mean squares measured here: their means converge "
            "slowly, and standard errors say too little",
            RuntimeWarning,
            stacklevel=3,
        )


def prepare(
    network: Network | None,
    parts: dict[str, Any],
    *,
    x: npt.ArrayLike | None,
    trials: int,
    first_trial: int,
    seed: int,
    threads: int | None,
    engine: str,
    saturated_below: float,
    backward: bool | None,
) -> Run:
    """Everything checked, nothing begun."""
    signal = None if x is None else _checked_input(x)
    net = _network(network, parts, signal)
    count = _whole("trials", trials, 1, MAX_TRIAL)
    first = _whole("first_trial", first_trial, 0, MAX_TRIAL - count)
    if signal is not None and not signal.any() and not net.has_bias:
        raise ValueError(
            "x is all zeros and the network has no biases: every pre-activation is exactly 0; "
            "give another x, or sigma_b"
        )
    if signal is not None and signal.size != net.widths[0]:
        raise ValueError(
            f"x has {signal.size} numbers, but the network takes widths[0] = {net.widths[0]}"
        )
    if not isinstance(saturated_below, float | int) or not 0 <= saturated_below < 1:
        raise ValueError(f"saturated_below must be in [0, 1), got {saturated_below!r}")
    return Run(
        network=net,
        engine=choose_engine(net, engine),
        x=signal,
        first_trial=first,
        trials=count,
        seed=_whole("seed", seed, 0, MAX_SEED - 1),
        threads=resolve_threads(threads),
        saturated_below=float(saturated_below),
        backward=_checked_backward(backward, net.act),
    )


def as_propagation(run: Run, rows: Any) -> Propagation:
    """The result, with all that it takes to make it again."""
    return Propagation(
        network=run.network,
        rows=rows,
        seed=run.seed,
        ranges=((run.first_trial, run.first_trial + run.trials),),
        engine=run.engine,
        input_mean_square_log=log_input(run.x),
        input_label=input_label(run.x),
        saturated_below=run.saturated_below,
        version=VERSION,
        provenance=provenance(),
    )


def _network(network: Network | None, parts: dict[str, Any], x: FloatArray | None) -> Network:
    given = {name: value for name, value in parts.items() if value is not None}
    if network is not None:
        if not isinstance(network, Network):
            raise TypeError(
                f"the first argument must be a Network, got {type(network).__name__}; "
                "give the parts by name, as in simulate(depth=200, act='relu')"
            )
        if given:
            raise ValueError(f"give a network or its parts, not both: {', '.join(given)}")
        return network
    if "depth" not in given:
        raise ValueError("depth is missing: how many layers? As in simulate(depth=200)")
    if x is not None and "widths" not in given:
        # checked by a throw-away network first: its messages are about what was given
        layers = Network(**given)
        if layers.width is not None and layers.width != x.size:
            given.pop("width", None)
            given["widths"] = (x.size, *(layers.width,) * layers.depth)
    return Network(**given)


def _checked_backward(backward: object, act: Activation) -> bool:
    if backward is not None and not isinstance(backward, bool | np.bool_):
        raise TypeError(f"backward must be True, False or None, got {backward!r}")
    if backward and act.jumps:
        raise ValueError(
            f"backward=True, but activation {str(act)!r} jumps at x = {act.jumps[0]:g}: it has no "
            "slope to send a gradient through; use backward=False"
        )
    return not act.jumps if backward is None else bool(backward)


def _checked_input(x: npt.ArrayLike) -> FloatArray:
    try:
        array = np.asarray(x)
        if array.dtype.kind not in "fiub":
            raise TypeError
        signal: FloatArray = np.ascontiguousarray(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"x must be an array of real numbers, got {str(x)[:60]!r}") from None
    if signal.ndim != 1 or signal.size == 0:
        raise ValueError(f"x must be one input of shape (n_0,), got shape {signal.shape}")
    if not np.isfinite(signal).all():
        at = int(np.flatnonzero(~np.isfinite(signal))[0])
        raise ValueError(f"x must be finite, but x[{at}] is {signal[at]}")
    return signal


def _whole(name: str, value: object, least: int, most: int) -> int:
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if not least <= number <= most:
        raise ValueError(f"{name} must be from {least} to {most}, got {number}")
    return number
