"""spectrum(): all singular values of drawn Jacobians, however far these lie apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ._core.build_info import VERSION
from .arguments import require_slopes, whole
from .engines import Run
from .graded import GradedProduct, Moved
from .jacobian_spectrum import JacobianSpectrum
from .linearised import Linearised
from .network import Network
from .one_blas_thread import one_blas_thread
from .propagation import input_label
from .reference import Source, forward
from .resources import available_memory, require_memory, within_fork
from .scaled import Scaled
from .simulate import prepare
from .sources import DenseSource
from .statistic import FloatArray
from .trial_threads import Pause, each_trial

_SMALL = 1000  # widest layer for which one thread of BLAS is the fastest
_SHORT = 256  # below it, a step is so short that threads wait for the interpreter


def spectrum(
    network: Network | None = None,
    *,
    trials: int = 20,
    depths: Sequence[int] | None = None,
    x: npt.ArrayLike | None = None,
    seed: int = 0,
    first_trial: int = 0,
    threads: int | None = None,
    progress: Callable[[float], object] | None = None,
    **parts: Any,
) -> JacobianSpectrum:
    """Draw random networks and find all singular values of their input-output Jacobians.

    J_l = ∂z^l/∂x = W^l D^(l-1) W^(l-1) ... D^1 W^1, D^l = diag φ′(z^l) (and what skip
    connections, norms and dropout make of it).

    Parameters
    ----------
    network : Network, optional
        Of any architecture and weights, but no activation that jumps; or its parts by name, as
        in `simulate`: depth, width, act, scheme, ...
    trials : int, default 20
        Number of networks.
    depths : sequence of int, optional
        The layers l whose spectrum is wanted. Default: 1, 2, 4, 8, ... and the last.
    x : array of shape (n_0,), optional
        The input. Default: all ones.
    seed : int, default 0
        From 0 to 2**64 - 1.
    first_trial : int, default 0
        Number of the first network.
    threads : int, optional
        As in `simulate`, and as many as there is memory for: each takes networks of its own, at
        widths of 256 to 1000. Narrower ones take one thread, and wider ones those of BLAS.
    progress : callable, optional
        Called with the fraction done.

    Returns
    -------
    JacobianSpectrum

    Raises
    ------
    ValueError, TypeError, MemoryError, OverflowError
        As `simulate`.

    Notes
    -----
    The matrices are those of the dense engine: trial i of a seed is the network that ``simulate(
    engine="dense")`` draws.

    The product of matrices is never formed: it grows as a graded QR decomposition whose sizes
    are logarithms. Relative errors of singular values are about ``depth`` roundings times the
    condition of one layer's factor, or from 128 units on of two layers' together (while that is
    moderate), whatever the product's own. What a layer takes away by its kinks or norm is 0
    exactly; what a single layer shrinks below 1e-14 of what it does to other directions (a tanh at
    z = 16) counts as 0. A network costs about 4 n³ operations a layer, and 9 n³ where a layer is
    nearly singular; they are LAPACK's, so that the last bits depend on its build, and beyond a
    width of 1000 on its threads, as those of no other engine do.

    Examples
    --------
    >>> import varprop
    >>> s = varprop.spectrum(depth=1000, width=3, act="linear", scheme="lecun", trials=10)
    >>> s.lyapunov().mean.round(1), varprop.theory.lyapunov_exponents(3).round(1)
    (array([-0.2, -0.5, -1.2]), array([-0.2, -0.5, -1.2]))
    """
    run = prepare(
        network, parts, x=x, trials=trials, first_trial=first_trial, seed=seed, threads=threads,
        engine="auto", saturated_below=0.0, backward=False,
    )  # fmt: skip
    _require_spectrum(run)
    return measure(run, DenseSource, checked_depths(depths, run.network.depth), progress)


def drawing(run: Run, engine: str) -> Run:
    """The run by an engine that draws the matrices whose spectrum is wanted.

    Parameters
    ----------
    run : Run
    engine : str
        What was asked for.

    Raises
    ------
    ValueError
        For several inputs, an activation that jumps, or engine "matrix-free".
    """
    if engine == "matrix-free":
        raise ValueError(
            "spectrum=True needs the matrices themselves, which engine='matrix-free' never draws; "
            "use engine='dense', 'reference' or 'auto'"
        )
    _require_spectrum(run)
    return replace(run, engine="dense") if engine == "auto" else run


def of_run(run: Run) -> JacobianSpectrum:
    """The spectrum of the networks that its engine draws, at the default depths."""
    source = DenseSource if run.engine == "dense" else Source
    return measure(run, source, checked_depths(None, run.network.depth))


def _require_spectrum(run: Run) -> None:
    require_slopes("a Jacobian is wanted", "an activation without jumps", run.network)
    if run.inputs > 1:
        raise ValueError(f"a spectrum is that of one input, got {run.inputs} of them")


def checked_depths(depths: Sequence[int] | None, depth: int) -> tuple[int, ...]:
    """The layers asked for, each once and ascending; by default powers of 2 and the last."""
    if depths is None:
        powers = [2**i for i in range(depth.bit_length()) if 2**i < depth]
        return (*powers, depth)
    if isinstance(depths, str) or not np.iterable(depths):
        raise TypeError(f"depths must be a sequence of layers, got {depths!r}")
    chosen = sorted({whole("depths", one, 1, depth) for one in depths})
    if not chosen:
        raise ValueError(f"depths is empty: name one or more layers, from 1 to {depth}")
    return tuple(chosen)


def measure(
    run: Run,
    source: type[Source],
    depths: tuple[int, ...],
    progress: Callable[[float], object] | None = None,
) -> JacobianSpectrum:
    """The spectrum of a run's networks, drawn by this source."""
    network, sizes = run.network, run.network.widths
    most = min(sizes[0], max(sizes[layer] for layer in depths))
    widest = max(sizes)
    results, each = 8 * run.trials * len(depths) * most, 8 * (10 * widest**2 + 8 * sum(sizes))
    require_memory(
        results + each,
        f"{run.trials} Jacobians of up to {widest} by {sizes[0]}",
        "use fewer trials at a time (first_trial= and + put the parts together), or less width",
    )
    threads = 1
    if _SHORT <= widest <= _SMALL:
        threads = min(within_fork(run.threads), run.trials)
    if threads > 1 and (free := available_memory()) is not None:
        threads = max(1, min(threads, (free - results) // each))
    found = np.full((run.trials, len(depths), most), np.nan)

    def fill(row: int, pause: Pause) -> None:
        drawn = _Watched(source(run, run.first_trial + row), pause)
        for at, logs in enumerate(_of_trial(run, drawn, depths)):
            found[row, at, : len(logs)] = logs

    with (
        one_blas_thread() if widest <= _SMALL else nullcontext(),
        closing(each_trial(fill, run.trials, threads)) as trials,
    ):
        for done in trials:
            if progress is not None:
                progress(done / run.trials)
    return JacobianSpectrum(
        network=network,
        log=found,
        depths=depths,
        seed=run.seed,
        ranges=((run.first_trial, run.first_trial + run.trials),),
        input_label=input_label(run.x),
        input_mean_square_log=run.log_inputs[0],
        version=VERSION,
    )


class _Watched(Source):
    """A source that calls `pause` in every layer."""

    def __init__(self, source: Source, pause: Pause) -> None:
        self._source, self._pause = source, pause

    def weights(self, layer: int) -> FloatArray:
        self._pause()
        return self._source.weights(layer)

    def biases(self, layer: int) -> FloatArray:
        return self._source.biases(layer)

    def kept(self, layer: int) -> FloatArray:
        return self._source.kept(layer)


def _of_trial(run: Run, source: Source, depths: tuple[int, ...]) -> list[FloatArray]:
    _, layers = forward(run, source, [])
    ranks = _ranks(run.network, layers)
    product = GradedProduct(run.network.widths[0])
    found = []
    for layer in range(depths[-1]):
        weights = source.weights(layer)

        def factor(columns: FloatArray, layer: int = layer, weights: FloatArray = weights) -> Moved:
            h: Scaled = (columns[:, np.newaxis, :], np.zeros((1, 1)))
            stream = None
            if layer:
                stream = h if run.network.residual is not None else None
                h = layers[layer - 1].activate(h)
            v, log = layers[layer].add(weights, h, stream)
            square = float(np.squeeze(log))
            if square == -np.inf:
                return Moved(np.zeros(v[:, 0, :].shape), rank=0)
            return Moved(v[:, 0, :], square / 2, ranks[layer])

        product.multiply(factor)
        if layer + 1 in depths:
            found.append(product.log_singular_values())
    return found


def _ranks(network: Network, layers: Sequence[Linearised]) -> list[int]:
    """Of each layer's factor, φ′ below included, the rank that its kinks, masks and norms leave.

    A norm takes the direction of what it reads, z, and LayerNorm that of the mean. Without biases
    z = W h is an image of the units below that live, and its direction is one of theirs.
    """
    sizes, norm = network.widths, network.norm
    taken = 0 if norm is None else {"rms": 1, "layer": 2}[norm.kind]
    pre, post = (norm is not None and norm.place == place for place in ("pre", "post"))
    alive = [sizes[0], *(int(np.count_nonzero(one.slopes[:, 0])) for one in layers)]
    plain = network.bias_std == 0
    ranks = []
    for layer, units in enumerate(sizes[1:]):
        rank = units - taken * post
        if layer == 0 or network.residual is None:  # else the stream goes past
            rank = min(rank, alive[layer] - int(post and plain[layer]))
        if layer > 0 and pre and network.residual is None:
            rank = min(rank, sizes[layer] - taken, alive[layer - 1] - int(plain[layer - 1]))
        ranks.append(rank)
    return ranks
