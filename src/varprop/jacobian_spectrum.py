"""What singular values of drawn Jacobians came out: immutable, mergeable, printable."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .arguments import whole
from .merge import describe_ranges, joined
from .network import Network
from .statistic import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .spectrum_compare import SpectrumComparison

_ONE_PLACE = 1e-9  # singular values that differ by less, relatively, fill one bin
_SAME = ("version", "network", "seed", "depths", "input_label", "input_mean_square_log")


@dataclass(frozen=True)
class MeanOverTrials:
    """A mean over trials, by depth, and its standard error (nan for one trial)."""

    mean: FloatArray
    stderr: FloatArray

    @classmethod
    def of(cls, each: FloatArray) -> MeanOverTrials:
        """Of an array (trials, depths)."""
        trials = len(each)
        spread = each.std(axis=0, ddof=1) if trials > 1 else np.full(each.shape[1:], np.nan)
        return cls(each.mean(axis=0), spread / np.sqrt(trials))


@dataclass(frozen=True, eq=False, repr=False)
class JacobianSpectrum:
    """All singular values of J = ∂z^l/∂x of random networks, as natural logarithms.

    Attributes
    ----------
    network : Network
    log : array, shape (trials, depths, most)
        Descending; -inf for those that are 0, and nan where a layer of fewer units has no more.
    depths : tuple of int
        The layers l.
    seed : int
    ranges : tuple of (first, stop)
        Which trials.
    input_label : str
    input_mean_square_log : float
        ln(|x|²/n_0).
    version : str

    Examples
    --------
    >>> import varprop
    >>> s = varprop.spectrum(depth=4, width=50, act="linear", scheme="lecun", trials=20)
    >>> s
    <JacobianSpectrum: trials 0-19 of depths 1, 2, 4, 50 singular values each>
    >>> s.participation.mean.round(1)
    array([0.5, 0.3, 0.2])
    """

    network: Network
    log: FloatArray
    depths: tuple[int, ...]
    seed: int
    ranges: tuple[tuple[int, int], ...]
    input_label: str
    input_mean_square_log: float
    version: str

    def __post_init__(self) -> None:
        expected = (sum(stop - first for first, stop in self.ranges), len(self.depths))
        if self.log.shape[:2] != expected or self.log.ndim != 3:
            raise ValueError(
                f"singular values of shape {self.log.shape} don't fit (trials, depths) = {expected}"
            )
        self.log.setflags(write=False)

    @property
    def trials(self) -> int:
        """How many networks."""
        return len(self.log)

    @property
    def trial_numbers(self) -> Any:
        """The number of each."""
        return np.concatenate([np.arange(*one) for one in self.ranges])

    def at(self, depth: int) -> FloatArray:
        """The logarithms at one of the depths, (trials, singular values).

        Raises
        ------
        ValueError
            Where that depth was not asked for.
        """
        if depth not in self.depths:
            raise ValueError(
                f"the spectrum was measured at depths {', '.join(map(str, self.depths))}, "
                f"not {depth!r}"
            )
        logs: FloatArray = self.log[:, self.depths.index(depth)]
        return logs[:, ~np.isnan(logs[0])]

    def log_traces(self, power: int) -> FloatArray:
        """ln tr M^power of each network, M = J Jᵀ; -inf where J is 0. Shape (trials, depths)."""
        logs = np.where(np.isnan(self.log), -np.inf, 2 * power * self.log)
        total: FloatArray = np.logaddexp.reduce(logs, axis=2)
        return total

    def log_moments(self, order: int) -> FloatArray:
        """ln of tr(J Jᵀ)^order / n_0 of each network at each depth, (trials, depths).

        Parameters
        ----------
        order : int
            1 or more.

        Examples
        --------
        >>> import varprop
        >>> s = varprop.spectrum(depth=3, width=8, act="linear", scheme="orthogonal", trials=2)
        >>> bool(abs(s.log_moments(2)).max() < 1e-12)
        True
        """
        power = whole("order", order, 1, 2**20)
        logs: FloatArray = self.log_traces(power) - np.log(self.network.widths[0])
        return logs

    @property
    def log_largest(self) -> FloatArray:
        """ln of the largest singular value of each network, (trials, depths)."""
        largest: FloatArray = self.log[:, :, 0]
        return largest

    @property
    def log_smallest(self) -> FloatArray:
        """ln of the smallest, (trials, depths): -inf where it is 0."""
        smallest: FloatArray = np.nanmin(self.log, axis=2)
        return smallest

    @property
    def zero(self) -> MeanOverTrials:
        """The share of singular values that are 0."""
        count = np.isneginf(self.log).sum(axis=2) / (~np.isnan(self.log)).sum(axis=2)
        return MeanOverTrials.of(count)

    @property
    def participation(self) -> MeanOverTrials:
        """Participation ratio (tr M)²/(n_0 tr M²): 1 for an isometry, 1/n_0 for one direction.

        0 for a Jacobian that is 0.
        """
        one, two = self.log_traces(1), self.log_traces(2)
        live = np.isfinite(two)
        ratio = np.exp(2 * np.where(live, one, 0.0) - np.where(live, two, 0.0))
        return MeanOverTrials.of(np.where(live, ratio / self.network.widths[0], 0.0))

    @property
    def effective_rank(self) -> MeanOverTrials:
        """e^H/n_0, H the entropy of the squared singular values' shares of tr M.

        0 for a Jacobian that is 0.
        """
        total = self.log_traces(1)[:, :, np.newaxis]
        live = np.isfinite(total) & np.isfinite(self.log)
        share = np.where(live, 2 * self.log, 0.0) - np.where(live, total, 0.0)
        entropy = -(np.where(live, np.exp(share) * share, 0.0)).sum(axis=2)
        rank = np.where(live.any(axis=2), np.exp(entropy), 0.0) / self.network.widths[0]
        return MeanOverTrials.of(rank)

    def lyapunov(self, depth: int | None = None) -> MeanOverTrials:
        """ln of each singular value over the depth, largest first.

        -inf where it is 0 in any trial. In deep plain networks: the Lyapunov exponents.

        Parameters
        ----------
        depth : int, optional
            Default: the last.
        """
        at = self.depths[-1] if depth is None else depth
        rates = self.at(at) / at
        dead = np.isneginf(rates).any(axis=0)
        found = MeanOverTrials.of(np.where(dead, 0.0, rates))
        return MeanOverTrials(
            np.where(dead, -np.inf, found.mean), np.where(dead, np.nan, found.stderr)
        )

    def density(
        self, depth: int | None = None, bins: int | ArrayLike = 40, logarithmic: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """A histogram of the singular values that are not 0, over trials.

        Parameters
        ----------
        depth : int, optional
            Default: the last.
        bins : int or edges, default 40
        logarithmic : bool, default False
            Of their logarithms, rather than of themselves.

        Returns
        -------
        density, edges : arrays
            The density's integral is the share of singular values in these bins.

        Raises
        ------
        OverflowError
            Where a singular value is beyond float64, and not its logarithm is asked for.
        """
        logs = self.at(self.depths[-1] if depth is None else depth)
        values = logs[np.isfinite(logs)]
        if not logarithmic:
            if values.size and values.max() > 709.0:
                raise OverflowError(
                    f"a singular value is e^{values.max():.6g}, beyond float64: ask for "
                    "logarithmic=True"
                )
            values = np.exp(values)
        ends = None
        if values.size and np.ptp(values) <= _ONE_PLACE * np.abs(values).max():
            # Of products of orthogonal matrices, to rounding. No edge of bins lies on them.
            middle, scale = float(values.mean()), float(np.abs(values).max()) or 1.0
            ends = middle - 0.101 * scale, middle + 0.099 * scale
        counts, edges = np.histogram(values, bins=bins, range=ends)
        return counts / logs.size / np.diff(edges), edges

    def compare(self) -> SpectrumComparison:
        """Theory's moments, edge and effective rank beside these; see `spectrum_compare`."""
        from .spectrum_compare import compare

        return compare(self)

    def plot(self, ax: Axes | None = None, *, depth: int | None = None) -> Axes:
        """Draw the histogram of singular values, and theory's; see `varprop.plot.spectrum`."""
        from .spectrum_plot import spectrum

        return spectrum(self, ax, depth=depth)

    def __add__(self, other: JacobianSpectrum) -> JacobianSpectrum:
        """The spectrum of the trials of both; ValueError where they overlap or differ."""
        if not isinstance(other, JacobianSpectrum):
            return NotImplemented
        for name in _SAME:
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                raise ValueError(f"can't merge: {name} differs: {ours!r} and {theirs!r}")
        ranges = sorted(self.ranges + other.ranges)
        for (_, stop), (first, next_stop) in pairwise(ranges):
            if first < stop:
                raise ValueError(
                    f"can't merge: trials {first} to {min(stop, next_stop) - 1} are in both"
                )
        order = np.argsort(np.concatenate([self.trial_numbers, other.trial_numbers]))
        logs = np.concatenate([self.log, other.log])[order]
        return dataclasses.replace(self, log=logs, ranges=joined(ranges))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, JacobianSpectrum):
            return NotImplemented
        same = all(getattr(self, name) == getattr(other, name) for name in (*_SAME, "ranges"))
        return same and np.array_equal(self.log, other.log, equal_nan=True)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        depths = ", ".join(map(str, self.depths)) if len(self.depths) < 8 else (
            f"{self.depths[0]}, ..., {self.depths[-1]}"
        )  # fmt: skip
        noun = "depths" if len(self.depths) > 1 else "depth"
        return (
            f"<JacobianSpectrum: {describe_ranges(self.ranges)} of {noun} {depths}, "
            f"{self.log.shape[2]} singular values each>"
        )

    def __str__(self) -> str:
        from .spectrum_table import table

        return table(self)
