"""LayerStatistic: one measured quantity, for every trial and every layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from ._cached import cached_property
from .log_numbers import (
    HIGHEST_LOG,
    LOWEST_LOG,
    beyond,
    deviation,
    logarithm,
    masked,
    missing_beyond,
    of_columns,
    product,
    taken,
)

FloatArray = npt.NDArray[np.float64]

_SPREADS = ("stderr", "log_stderr", "log_of_stderr")  # summaries that need two trials


class LayerStatistic:
    """One quantity in every layer of every trial, and its summaries over trials.

    Depth makes numbers that no float64 can hold, so the quantity is kept as the natural logarithm
    of its absolute value (and a sign). Everything named ``log...`` always works; the plain
    summaries raise OverflowError where a value is not representable, and never give inf, nan or a
    0 that isn't one.

    Parameters
    ----------
    name : str
        What is measured; used in messages.
    log : array of float64, shape (trials, layers)
        ln of the absolute value; -inf where the value is exactly 0.
    sign : array of float64, shape (trials, layers), optional
        -1, 0 or 1. Default: the values are not negative.
    values : array of float64, shape (trials, layers), optional
        The values themselves, for quantities such as shares that are always representable.
    missing : array of bool, shape (trials, layers), optional
        Where a trial has no such quantity, as two inputs of which one is 0 have no correlation.
        Summaries are over the other trials, and come as masked arrays: masked where none is left.

    Between trials and layers there may be more axes, for inputs, pairs or cotangents; summaries
    keep them.

    Examples
    --------
    >>> s = LayerStatistic("preactivation", np.log([[1.0, 4.0], [3.0, 4.0]]))
    >>> s.mean.round(12)
    array([2., 4.])
    >>> LayerStatistic("preactivation", np.array([[-2000.0], [-2001.0]])).log_mean.data
    array([-2000.5])
    """

    def __init__(
        self,
        name: str,
        log: FloatArray,
        *,
        sign: FloatArray | None = None,
        values: FloatArray | None = None,
        missing: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.name = name
        _require_array("log", log)
        for what, given in (("sign", sign), ("values", values), ("missing", missing)):
            if given is not None:
                _require_array(what, given)
                if given.shape != log.shape:
                    raise ValueError(f"{what} has shape {given.shape}, but log {log.shape}")
        self._missing = missing if missing is not None and missing.any() else None
        # what is missing is an exact 0 to sums and logarithms
        self._log = self._where_there(log, -np.inf)
        self._sign = None if sign is None else self._where_there(sign, 0.0)
        self._values = None if values is None else self._where_there(values, 0.0)

    @classmethod
    def of_values(
        cls, name: str, values: FloatArray, missing: npt.NDArray[np.bool_] | None = None
    ) -> LayerStatistic:
        """Make a statistic of plain values, such as shares.

        Examples
        --------
        >>> LayerStatistic.of_values("zero", np.array([[0.25], [0.75]])).mean
        array([0.5])
        """
        with np.errstate(divide="ignore"):
            log = np.log(np.abs(values))
        return cls(name, log, sign=np.sign(values), values=values, missing=missing)

    @classmethod
    def side_by_side(cls, statistics: Sequence[LayerStatistic]) -> LayerStatistic:
        """Put the layers of several statistics of as many trials beside each other.

        Summaries of many networks cost one pass this way. All must be of one kind (with signs, of
        plain values, or neither), with nothing missing.

        Examples
        --------
        >>> a = LayerStatistic.of_values("zero", np.array([[0.25], [0.75]]))
        >>> LayerStatistic.side_by_side([a, a]).mean
        array([0.5, 0.5])
        """
        if len(statistics) == 1:
            return statistics[0]

        def joined(name: str) -> FloatArray | None:
            parts = [getattr(statistic, name) for statistic in statistics]
            return None if parts[0] is None else np.concatenate(parts, axis=-1)

        log = np.concatenate([statistic._log for statistic in statistics], axis=-1)
        return cls(statistics[0].name, log, sign=joined("_sign"), values=joined("_values"))

    def __repr__(self) -> str:
        trials, *between, layers = self._log.shape
        each = "".join(f"{size} x " for size in between)
        return f"<LayerStatistic {self.name!r}: {trials} trials x {each}{layers} layers>"

    @property
    def layers(self) -> npt.NDArray[np.int64]:
        """Layer numbers 1..L, the last axis of everything else."""
        return np.arange(1, self._log.shape[-1] + 1, dtype=np.int64)

    @property
    def between(self) -> tuple[int, ...]:
        """Lengths of the axes between trials and layers."""
        return self._log.shape[1:-1]

    @property
    def complete(self) -> bool:
        """Whether every trial has the quantity."""
        return self._missing is None

    @property
    def trials(self) -> FloatArray:
        """The values, (trials, layers); OverflowError where one is not representable."""
        if self._values is not None:
            return self._hidden(self._values, self._missing)
        sign = (self._log > -np.inf).astype(np.float64) if self._sign is None else self._sign
        return self._hidden(self._representable(sign, self._log), self._missing)

    @cached_property
    def log(self) -> np.ma.MaskedArray:
        """ln of the absolute values, (trials, layers); masked where a value is exactly 0."""
        return masked(self._log)

    @property
    def mean(self) -> FloatArray:
        """Mean over trials, (layers,). At depth a heavy tail may rule it: see `median`."""
        return self._hidden(self._representable(*self._mean()), self._fewer_than(1))

    @property
    def stderr(self) -> FloatArray:
        """Standard error of `mean`, (layers,); needs two trials."""
        return self._hidden(self._representable(*self._stderr()), self._fewer_than(2))

    @property
    def median(self) -> FloatArray:
        """Median over trials, (layers,)."""
        return self.quantile(0.5)

    def quantile(self, p: npt.ArrayLike) -> FloatArray:
        """Quantiles over trials, interpolated linearly between neighbouring values.

        Parameters
        ----------
        p : float or array of floats in [0, 1]
            Which quantiles.

        Returns
        -------
        array, p's shape + (layers,)

        Raises
        ------
        ValueError
            When p is outside [0, 1].
        OverflowError
            When a quantile is not representable; `log_quantile` always is.

        Examples
        --------
        >>> s = LayerStatistic.of_values("zero", np.array([[0.0], [0.5], [1.0]]))
        >>> s.quantile([0.25, 0.5])
        array([[0.25],
               [0.5 ]])
        """
        factor, shift = self._quantile(p)
        none = self._fewer_than(1)
        if none is not None:
            none = np.broadcast_to(none, factor.shape)
        return self._hidden(self._representable(factor, shift), none)

    @property
    def log_mean(self) -> np.ma.MaskedArray:
        """Mean over trials of ln of the non-zero absolute values; masked if there are none."""
        whole = self._never_zero
        if whole.all():
            return masked(self._log.mean(axis=0))
        result = np.empty(whole.shape)
        result[whole] = of_columns(partial(np.mean, axis=0), self._log[:, whole])
        result[~whole] = of_columns(partial(np.ma.mean, axis=0), self.log[:, ~whole]).filled(
            -np.inf
        )
        return masked(result)

    @property
    def log_stderr(self) -> np.ma.MaskedArray:
        """Standard error of `log_mean`; masked where fewer than two values are not 0."""
        self._need_two_trials()
        whole, trials = self._never_zero, len(self._log)
        if whole.all():
            return masked(deviation(self._log) / np.sqrt(trials))
        result = np.full(whole.shape, -np.inf)
        result[whole] = of_columns(deviation, self._log[:, whole])
        result[whole] /= np.sqrt(trials)
        count = np.ma.count(self.log, axis=0)
        some = (count >= 2) & ~whole
        spread = of_columns(partial(np.ma.std, axis=0, ddof=1), self.log[:, some]).filled(0.0)
        result[some] = spread / np.sqrt(count[some])
        return masked(result)

    @property
    def log_median(self) -> np.ma.MaskedArray:
        """ln of the absolute `median`; masked where that is 0."""
        return self.log_quantile(0.5)

    def log_quantile(self, p: npt.ArrayLike) -> np.ma.MaskedArray:
        """ln of the absolute `quantile`, representable or not; masked where that is 0.

        Examples
        --------
        >>> s = LayerStatistic("variance", np.array([[-3000.0], [-2000.0], [-1000.0]]))
        >>> s.log_quantile(0.5).data
        array([-2000.])
        """
        return masked(logarithm(*self._quantile(p)))

    @property
    def log_of_mean(self) -> np.ma.MaskedArray:
        """ln of the absolute `mean` (not the mean of the logs); masked where that is 0."""
        return masked(logarithm(*self._mean()))

    @property
    def log_of_stderr(self) -> np.ma.MaskedArray:
        """ln of `stderr`; masked where that is 0."""
        return masked(logarithm(*self._stderr()))

    def _where_there(self, array: FloatArray, other: float) -> FloatArray:
        return array if self._missing is None else np.where(self._missing, other, array)

    @staticmethod
    def _hidden(values: FloatArray, hide: npt.NDArray[np.bool_] | None) -> FloatArray:
        """Masked where asked; a plain array as long as nothing is missing anywhere."""
        return values if hide is None else np.ma.MaskedArray(values, mask=hide)

    @cached_property
    def _counts(self) -> npt.NDArray[np.int64]:
        """How many trials have the quantity."""
        if self._missing is None:
            return np.full(self._log.shape[1:], len(self._log), dtype=np.int64)
        counts: npt.NDArray[np.int64] = np.count_nonzero(~self._missing, axis=0)
        return counts

    def _fewer_than(self, least: int) -> npt.NDArray[np.bool_] | None:
        return None if self._missing is None else self._counts < least

    def summaries(self) -> dict[str, FloatArray]:
        """All summaries as plain arrays, (layers,), for files that can't be asked twice.

        Returns
        -------
        dict
            mean, stderr, log_mean, log_stderr, log_median, log_of_mean and log_of_stderr, the same
            numbers as the properties. -inf is ln 0; nan is where there is none: a mean or standard
            error outside float64's range (its ``log_of_...`` is there), the standard error of one
            trial, log_mean where all values are 0, everything where all are missing.

        Examples
        --------
        >>> s = LayerStatistic("variance", np.array([[0.0, -3000.0], [0.0, -1000.0]])).summaries()
        >>> s["mean"], s["log_mean"], s["log_of_mean"].round(3)
        (array([ 1., nan]), array([    0., -2000.]), array([    0.   , -1000.693]))
        """
        mean = self._mean()
        found = {
            "mean": missing_beyond(*mean),
            "log_mean": self.log_mean.filled(np.nan),
            "log_median": logarithm(*self._quantile(0.5)),
            "log_of_mean": logarithm(*mean),
        }
        spread = {name: np.full(self._log.shape[1:], np.nan) for name in _SPREADS}
        if len(self._log) >= 2:
            stderr = self._stderr()
            spread["stderr"] = missing_beyond(*stderr)
            spread["log_stderr"] = self.log_stderr.filled(np.nan)
            spread["log_of_stderr"] = logarithm(*stderr)
        for least, group in ((1, found), (2, spread)):
            none = self._fewer_than(least)
            if none is not None:
                group.update({name: np.where(none, np.nan, v) for name, v in group.items()})
        return found | spread

    # Results are pairs (factor, shift), standing for factor * exp(shift).

    def _scaled(self) -> tuple[FloatArray, FloatArray]:
        """Values divided by the largest of their layer, and ln of that."""
        if self._values is not None:
            return self._values, np.zeros(self._log.shape[1:])
        largest = self._log.max(axis=0)
        shift = np.where(largest == -np.inf, 0.0, largest)
        scaled = np.exp(self._log - shift)
        return (scaled if self._sign is None else scaled * self._sign), shift

    def _mean(self) -> tuple[FloatArray, FloatArray]:
        scaled, shift = self._scaled()
        if self._missing is None:
            return scaled.mean(axis=0), shift
        return scaled.sum(axis=0) / np.fmax(self._counts, 1), shift

    def _stderr(self) -> tuple[FloatArray, FloatArray]:
        self._need_two_trials()
        scaled, shift = self._scaled()
        if self._missing is None:
            return scaled.std(axis=0, ddof=1) / np.sqrt(len(scaled)), shift
        there = np.ma.MaskedArray(scaled, mask=self._missing)
        spread = np.ma.std(there, axis=0, ddof=0).filled(0.0)
        return spread / np.sqrt(np.fmax(self._counts - 1, 1)), shift

    def _quantile(self, p: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        wanted = np.asarray(p, dtype=np.float64)
        if not np.all((wanted >= 0) & (wanted <= 1)):
            raise ValueError(f"a quantile must lie in [0, 1], got {p!r}")
        if self._values is not None and self._missing is None:
            return np.quantile(self._values, wanted, axis=0), np.zeros(())
        log, sign = self._sorted
        place = wanted.reshape(wanted.shape + (1,) * self._counts.ndim) * (
            np.fmax(self._counts, 1) - 1
        )
        below = np.floor(place).astype(np.intp)
        above = np.ceil(place).astype(np.intp)
        weight = place - below
        ends = [
            [taken(array, index, wanted.shape) for array in (log, sign)] for index in (below, above)
        ]
        (low_log, low_sign), (high_log, high_sign) = ends
        largest = np.maximum(low_log, high_log)
        shift = np.where(largest == -np.inf, 0.0, largest)
        low = low_sign * np.exp(low_log - shift)
        high = high_sign * np.exp(high_log - shift)
        return (1 - weight) * low + weight * high, shift

    @cached_property
    def _sorted(self) -> tuple[FloatArray, FloatArray]:
        """Logs and signs with every layer's trials in ascending order of value, missing last."""
        if self._sign is None and self._missing is None:
            log = np.sort(self._log, axis=0)
            return log, np.ones_like(log)
        sign = np.ones_like(self._log) if self._sign is None else self._sign
        within = np.where(sign == 0, 0.0, sign * np.fmax(self._log, -1e308))
        keys = [within, sign] if self._missing is None else [within, sign, self._missing]
        order = np.lexsort(keys, axis=0)
        return np.take_along_axis(self._log, order, 0), np.take_along_axis(sign, order, 0)

    @cached_property
    def _never_zero(self) -> npt.NDArray[np.bool_]:
        """Layers in which no value is 0 or missing: without a mask they are many times faster."""
        there = self._log > -np.inf
        if self._missing is not None:
            there &= ~self._missing
        whole: npt.NDArray[np.bool_] = np.all(there, axis=0)
        return whole

    def _need_two_trials(self) -> None:
        if len(self._log) < 2:
            raise ValueError("one trial has no standard error; use trials >= 2")

    def _representable(self, factor: FloatArray, shift: FloatArray) -> FloatArray:
        log = logarithm(factor, shift)
        bad = beyond(log)
        if bad.any():
            column = int(np.argmax(bad.reshape(-1, bad.shape[-1]).any(axis=0)))
            example = float(log[..., column][bad[..., column]].ravel()[0])
            raise OverflowError(
                f"{self.name} of layer {column + 1} is exp({example:.6g}), outside float64's "
                f"exp({LOWEST_LOG:g}) to exp({HIGHEST_LOG:g}); use .log, .log_mean or "
                ".log_quantile(p), which hold natural logarithms"
            )
        return product(factor, np.where(log == -np.inf, 0.0, shift))


def _require_array(what: str, given: object) -> None:
    """Raise TypeError unless it is an array of numbers (or bool, of what is missing)."""
    kinds = "b" if what == "missing" else "fiu"
    if not isinstance(given, np.ndarray) or given.dtype.kind not in kinds or given.ndim < 2:
        raise TypeError(
            f"{what} must be an array of {'bool' if kinds == 'b' else 'real numbers'} of shape "
            f"(trials, layers), not {str(given)[:60]!r}"
        )
