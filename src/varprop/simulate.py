"""simulate(): a network and Monte-Carlo options in, a Propagation out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import arguments
from ._core.build_info import VERSION
from .architecture import Norm, Residual
from .arguments import whole
from .engines import Run, choose_engine, machine, why_engine
from .histogram import ARRAYS, EDGES, Histogram
from .network import ActivationSpec, Network
from .propagation import Propagation, input_label
from .resources import resolve_threads
from .rows import Rows
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
    act: ActivationSpec | Sequence[ActivationSpec] | None = None,
    scheme: str | Scheme | Sequence[str | Scheme] | None = None,
    sigma_w: float | None = None,
    sigma_b: float | None = None,
    residual: Residual | None = None,
    norm: str | Norm | None = None,
    dropout: float | None = None,
    x: npt.ArrayLike | None = None,
    correlation: float | None = None,
    log_gap: float | None = None,
    trials: int = 100,
    first_trial: int = 0,
    seed: int = 0,
    threads: int | None = None,
    engine: str = "auto",
    saturated_below: float = 0.05,
    backward: bool | None = None,
    cotangents: int | npt.ArrayLike = 1,
    tangents: int = 0,
    histogram: bool | int | npt.ArrayLike | None = None,
    spectrum: bool = False,
    progress: Callable[[float], object] | None = None,
) -> Propagation:
    """Draw random networks and measure what happens to a signal in every layer.

    Parameters
    ----------
    network : Network, optional
        What to simulate; or give `depth` and the next nine, as for `Network`.
    depth : int
        Number of layers.
    width : int, default 1000
        Units in every layer (and in the input, unless `x` is given).
    widths : sequence of int, optional
        n_0 to n_L, in place of `width`; `depth` then need not be given.
    act : str, Activation or (f, derivative), or a list of them, default "relu"
        The activation: a name, "leaky_relu(0.2)", a formula in x, or two callables. A list has
        one for each layer.
    scheme : str or Scheme, or a list of them, default "he"
        The initialisation; see `varprop.schemes`.
    sigma_w, sigma_b : float, optional
        Standard deviations sqrt(fan_in Var W) and of normal biases, in place of a scheme's.
    residual : Residual, optional
        Skip connections, as in ``Residual(branch=0.5)``.
    norm : {"layer", "rms"} or Norm, optional
        LayerNorm or RMSNorm; by name, before φ.
    dropout : float, optional
        Share of units that are kept; every input has masks of its own.
    x : array of shape (n_0,) or (inputs, n_0), optional
        The input, or up to 1024. Default: all ones, of mean square 1. Of several, the
        correlations and kernels of all pairs are measured.
    correlation : float, optional
        In place of x: two inputs of mean square 1 with this cosine, from -1 to 1.
    log_gap : float, optional
        In place of x: two such inputs with this ln(1 - c), -1e6 to ln 2 (or -inf: identical), for
        those closer than float64 can tell.
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
        layer; "dense" (every law) draws all n^2 weights; "reference" is plain NumPy. All three
        are exact; they draw different networks. The result's `why_engine` says why "auto" chose
        the one it did.
    saturated_below : float, default 0.05
        A unit counts as saturated where |φ′| is at most this fraction of sup |φ′| (where that is
        infinite: where φ′ is 0).
    backward : bool, optional
        Whether to send a random gradient back through the same weights and measure `gradient`,
        `weight_gradient` and `bias_gradient`. It takes about twice the time of the way up.
        Default: yes, unless φ jumps (sign, heaviside), for it then has no slope.
    cotangents : int or array of shape (n_L,) or (cotangents, n_L), default 1
        What is sent back: so many random directions of mean square 1, the same for all inputs,
        or those given, as they are.
    tangents : int, default 0
        How many random orthonormal tangents of the first input are pushed forward, and cotangents
        pulled back, orthonormalised anew in every layer: the growth of perturbations and the
        leading Lyapunov exponents. At most the units of the narrowest layer.
    histogram : bool, int or array, optional
        Count pre-activations and activations in bins, over trials and inputs: True for 64
        automatic bins, or their (even) number, or the edges of fixed ones.
    spectrum : bool, default False
        Find all singular values of the Jacobians of the same networks, for the one input: the
        result's `spectrum`, as of `varprop.spectrum`. Engine "auto" then is one that draws
        matrices.
    progress : callable, optional
        Called with the fraction done, from time to time.

    Returns
    -------
    Propagation

    Raises
    ------
    ValueError, TypeError
        For a bad argument, before any work starts.
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
            "residual": residual,
            "norm": norm,
            "dropout": dropout,
        },
        x=x,
        correlation=correlation,
        log_gap=log_gap,
        trials=trials,
        first_trial=first_trial,
        seed=seed,
        threads=threads,
        engine=engine,
        saturated_below=saturated_below,
        backward=backward,
        cotangents=cotangents,
        tangents=tangents,
        histogram=histogram,
    )
    if not isinstance(spectrum, bool | np.bool_):
        raise TypeError(f"spectrum must be True or False, got {spectrum!r}")
    warn_of_heavy_tails(run.network)
    if spectrum:
        from .singular import drawing, of_run

        run = drawing(run, engine)
        return replace(measured(run, progress), spectrum=of_run(run))
    return measured(run, progress)


def measured(run: Run, progress: Callable[[float], object] | None = None) -> Propagation:
    """What a run finds."""
    if run.engine == "reference":
        from .reference import measure

        return as_propagation(run, *gathered(run, measure(run, progress)))
    if run.needs_batch:
        from . import batch

        run.require_memory()
        return as_propagation(run, *gathered(run, batch.measure(run, progress)))
    return as_propagation(run, run.rows(progress))


def warn_of_heavy_tails(network: Network) -> None:
    """Say that means converge slowly where weights have no fourth moment."""
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
    correlation: float | None = None,
    log_gap: float | None = None,
    cotangents: int | npt.ArrayLike = 1,
    tangents: int = 0,
    histogram: bool | int | npt.ArrayLike | None = None,
) -> Run:
    """Everything checked, nothing begun."""
    gap = arguments.checked_log_gap(x, correlation, log_gap)
    signals = None if x is None else arguments.checked_inputs(x)
    net = _network(network, parts, signals)
    if gap is not None:
        signals = arguments.pair_inputs(gap, net.widths[0])
    count = whole("trials", trials, 1, MAX_TRIAL)
    first = whole("first_trial", first_trial, 0, MAX_TRIAL - count)
    if signals is not None:
        arguments.require_signal(signals, net)
    if not isinstance(saturated_below, float | int) or not 0 <= saturated_below < 1:
        raise ValueError(f"saturated_below must be in [0, 1), got {saturated_below!r}")
    back = arguments.checked_backward(backward, net)
    run = Run(
        network=net,
        engine=choose_engine(net, engine),
        why=why_engine(net, engine),
        x=signals,
        first_trial=first,
        trials=count,
        seed=whole("seed", seed, 0, MAX_SEED - 1),
        threads=resolve_threads(threads),
        saturated_below=float(saturated_below),
        backward=back,
        log_gap=gap,
        cotangents=arguments.checked_cotangents(cotangents, back, net),
        tangents=arguments.checked_tangents(tangents, net),
        histogram=arguments.checked_histogram(histogram),
    )
    arguments.require_columns(run.inputs, run.gradients, run.tangents)
    return run


def gathered(run: Run, arrays: dict[str, npt.NDArray[Any]]) -> tuple[Rows, Histogram | None]:
    """What an engine measured by name, as records."""
    measured = dict(arrays)
    counts = {name: measured.pop(name) for name in ARRAYS if name in arrays}
    if isinstance(run.histogram, np.ndarray):
        counts[EDGES] = run.histogram
    return Rows(**measured), Histogram.of_arrays(counts)


def as_propagation(run: Run, rows: Rows, histogram: Histogram | None = None) -> Propagation:
    """The result, with all that it takes to make it again."""
    logs = run.log_inputs
    return Propagation(
        network=run.network,
        rows=rows,
        seed=run.seed,
        ranges=((run.first_trial, run.first_trial + run.trials),),
        engine=run.engine,
        input_mean_square_log=logs[0] if len(logs) == 1 else logs,
        input_label=input_label(run.x, run.log_gap),
        saturated_below=run.saturated_below,
        version=VERSION,
        provenance=machine() | {"why_engine": run.why},
        cotangent_label="random"
        if isinstance(run.cotangents, int)
        else input_label(run.cotangents),
        histogram=histogram,
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
    if x is not None and "widths" not in given:
        # checked by a throw-away network first: its messages are about what was given
        layers = Network(**given)
        size = x.shape[1]
        if layers.width is not None and layers.width != size:
            given.pop("width", None)
            given["widths"] = (size, *(layers.width,) * layers.depth)
    return Network(**given)
