"""LayerStatistic: one measured quantity, for every trial and every layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# exp() of anything between these is a normal float64.
LOWEST_LOG, HIGHEST_LOG = -708.0, 709.7


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
    ) -> None:
        self.name = name
        self._log = log
        self._sign = sign
        self._values = values

    @classmethod
    def of_values(cls, name: str, values: FloatArray) -> LayerStatistic:
        """Make a statistic of plain values, such as shares.

        Examples
        --------
        >>> LayerStatistic.of_values("zero", np.array([[0.25], [0.75]])).mean
        array([0.5])
        """
        with np.errstate(divide="ignore"):
            return cls(name, np.log(np.abs(values)), sign=np.sign(values), values=values)

    @classmethod
    def side_by_side(cls, statistics: Sequence[LayerStatistic]) -> LayerStatistic:
        """Put the layers of several statistics of as many trials beside each other.

        Summaries of many networks cost one pass this way. All must be of one kind: with signs, of
        plain values, or neither.

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
            return None if parts[0] is None else np.concatenate(parts, axis=1)

        log = np.concatenate([statistic._log for statistic in statistics], axis=1)
        return cls(statistics[0].name, log, sign=joined("_sign"), values=joined("_values"))

    def __repr__(self) -> str:
        trials, layers = self._log.shape
        return f"<LayerStatistic {self.name!r}: {trials} trials x {layers} layers>"

    @property
    def layers(self) -> npt.NDArray[np.int64]:
        """Layer numbers 1..L, the last axis of everything else."""
        return np.arange(1, self._log.shape[1] + 1, dtype=np.int64)

    @property
    def trials(self) -> FloatArray:
        """The values, (trials, layers); OverflowError where one is not representable."""
        if self._values is not None:
            return self._values
        sign = (self._log > -np.inf).astype(np.float64) if self._sign is None else self._sign
        return self._representable(sign, self._log)

    @cached_property
    def log(self) -> np.ma.MaskedArray:
        """ln of the absolute values, (trials, layers); masked where a value is exactly 0."""
        return _masked(self._log)

    @property
    def mean(self) -> FloatArray:
        """Mean over trials, (layers,). At depth a heavy tail may rule it: see `median`."""
        return self._representable(*self._mean())

    @property
    def stderr(self) -> FloatArray:
        """Standard error of `mean`, (layers,); needs two trials."""
        return self._representable(*self._stderr())

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
        return self._representable(*self._quantile(p))

    @property
    def log_mean(self) -> np.ma.MaskedArray:
        """Mean over trials of ln of the non-zero absolute values; masked if there are none."""
        whole = self._never_zero
        result = np.empty(whole.shape)
        result[whole] = self._without_zeros.mean(axis=0)
        if not whole.all():
            result[~whole] = np.ma.mean(self.log[:, ~whole], axis=0).filled(-np.inf)
        return _masked(result)

    @property
    def log_stderr(self) -> np.ma.MaskedArray:
        """Standard error of `log_mean`; masked where fewer than two values are not 0."""
        self._need_two_trials()
        whole = self._never_zero
        result = np.full(whole.shape, -np.inf)
        logs = self._without_zeros
        result[whole] = logs.std(axis=0, ddof=1) / np.sqrt(len(logs))
        if whole.all():
            return _masked(result)
        count = np.ma.count(self.log, axis=0)
        some = (count >= 2) & ~whole
        spread = np.ma.std(self.log[:, some], axis=0, ddof=1).filled(0.0)
        result[some] = spread / np.sqrt(count[some])
        return _masked(result)

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
        return _masked(_logarithm(*self._quantile(p)))

    @property
    def log_of_mean(self) -> np.ma.MaskedArray:
        """ln of the absolute `mean` (not the mean of the logs); masked where that is 0."""
        return _masked(_logarithm(*self._mean()))

    @property
    def log_of_stderr(self) -> np.ma.MaskedArray:
        """ln of `stderr`; masked where that is 0."""
        return _masked(_logarithm(*self._stderr()))

    def summaries(self) -> dict[str, FloatArray]:
        """All summaries as plain arrays, (layers,), for files that can't be asked twice.

        Returns
        -------
        dict
            mean, stderr, log_mean, log_stderr, log_median, log_of_mean and log_of_stderr, the same
            numbers as the properties. -inf is ln 0; nan is where there is none: a mean or standard
            error outside float64's range (its ``log_of_...`` is there), the standard error of one
            trial, log_mean where all values are 0.

        Examples
        --------
        >>> s = LayerStatistic("variance", np.array([[0.0, -3000.0], [0.0, -1000.0]])).summaries()
        >>> s["mean"], s["log_mean"], s["log_of_mean"].round(3)
        (array([ 1., nan]), array([    0., -2000.]), array([    0.   , -1000.693]))
        """
        scaled = self._scaled()
        mean = _mean_of(*scaled)
        found = {
            "mean": _missing_beyond(*mean),
            "log_mean": self.log_mean.filled(np.nan),
            "log_median": _logarithm(*self._quantile(0.5)),
            "log_of_mean": _logarithm(*mean),
        }
        if len(self._log) < 2:
            none = np.full(self._log.shape[1], np.nan)
            return found | {"stderr": none, "log_stderr": none, "log_of_stderr": none}
        stderr = _stderr_of(*scaled)
        return found | {
            "stderr": _missing_beyond(*stderr),
            "log_stderr": self.log_stderr.filled(np.nan),
            "log_of_stderr": _logarithm(*stderr),
        }

    # Results are pairs (factor, shift), standing for factor * exp(shift).

    def _scaled(self) -> tuple[FloatArray, FloatArray]:
        """Values divided by the largest of their layer, and ln of that."""
        if self._values is not None:
            return self._values, np.zeros(self._log.shape[1])
        largest = self._log.max(axis=0)
        shift = np.where(largest == -np.inf, 0.0, largest)
        scaled = np.exp(self._log - shift)
        return (scaled if self._sign is None else scaled * self._sign), shift

    def _mean(self) -> tuple[FloatArray, FloatArray]:
        return _mean_of(*self._scaled())

    def _stderr(self) -> tuple[FloatArray, FloatArray]:
        self._need_two_trials()
        return _stderr_of(*self._scaled())

    def _quantile(self, p: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        wanted = np.asarray(p, dtype=np.float64)
        if not np.all((wanted >= 0) & (wanted <= 1)):
            raise ValueError(f"a quantile must lie in [0, 1], got {p!r}")
        if self._values is not None:
            return np.quantile(self._values, wanted, axis=0), np.zeros(())
        log, sign = self._sorted
        place = wanted * (len(log) - 1)
        below = np.floor(place).astype(np.intp)
        above = np.ceil(place).astype(np.intp)
        weight = (place - below)[..., np.newaxis]
        largest = np.maximum(log[below], log[above])
        shift = np.where(largest == -np.inf, 0.0, largest)
        low = sign[below] * np.exp(log[below] - shift)
        high = sign[above] * np.exp(log[above] - shift)
        return (1 - weight) * low + weight * high, shift

    @cached_property
    def _sorted(self) -> tuple[FloatArray, FloatArray]:
        """Logs and signs with every layer's trials in ascending order of value."""
        if self._sign is None:
            log = np.sort(self._log, axis=0)
            return log, np.ones_like(log)
        within = np.where(self._sign == 0, 0.0, self._sign * np.fmax(self._log, -1e308))
        order = np.lexsort((within, self._sign), axis=0)
        return np.take_along_axis(self._log, order, 0), np.take_along_axis(self._sign, order, 0)

    @cached_property
    def _never_zero(self) -> npt.NDArray[np.bool_]:
        """Layers in which no value is 0: they need no mask, which is many times faster."""
        whole: npt.NDArray[np.bool_] = np.all(self._log > -np.inf, axis=0)
        return whole

    @property
    def _without_zeros(self) -> FloatArray:
        whole = self._never_zero
        return self._log if whole.all() else np.ascontiguousarray(self._log[:, whole])

    def _need_two_trials(self) -> None:
        if len(self._log) < 2:
            raise ValueError("one trial has no standard error; use trials >= 2")

    def _representable(self, factor: FloatArray, shift: FloatArray) -> FloatArray:
        log = _logarithm(factor, shift)
        bad = _beyond(log)
        if bad.any():
            column = int(np.argmax(bad.reshape(-1, bad.shape[-1]).any(axis=0)))
            example = float(log[..., column][bad[..., column]].ravel()[0])
            raise OverflowError(
                f"{self.name} of layer {column + 1} is exp({example:.6g}), outside float64's "
                f"exp({LOWEST_LOG:g}) to exp({HIGHEST_LOG:g}); use .log, .log_mean or "
                ".log_quantile(p), which hold natural logarithms"
            )
        return _product(factor, np.where(log == -np.inf, 0.0, shift))


def _mean_of(scaled: FloatArray, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
    return scaled.mean(axis=0), shift


def _stderr_of(scaled: FloatArray, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
    return scaled.std(axis=0, ddof=1) / np.sqrt(len(scaled)), shift


def _product(factor: FloatArray, shift: FloatArray) -> FloatArray:
    # In two halves: exp(shift) alone may overflow although the product does not.
    half = np.exp(shift / 2)
    return factor * half * half


def _beyond(log: FloatArray) -> npt.NDArray[np.bool_]:
    return (log > -np.inf) & ((log < LOWEST_LOG) | (log > HIGHEST_LOG))


def _missing_beyond(factor: FloatArray, shift: FloatArray) -> FloatArray:
    """Values of factor exp(shift), nan where float64 can't hold them."""
    log = _logarithm(factor, shift)
    bad = _beyond(log)
    return np.where(bad, np.nan, _product(factor, np.where(bad | (log == -np.inf), 0.0, shift)))


def _logarithm(factor: FloatArray, shift: FloatArray) -> FloatArray:
    """ln |factor exp(shift)|, -inf where the factor is 0."""
    with np.errstate(divide="ignore"):
        magnitude = np.log(np.abs(factor))
    return np.where(factor == 0, -np.inf, magnitude + shift)


def _masked(log: FloatArray) -> np.ma.MaskedArray:
    """A read-only masked array: -inf, where the value is exactly 0, is hidden."""
    result = np.ma.MaskedArray(log, mask=log == -np.inf, fill_value=-np.inf, copy=False)
    result.flags.writeable = False
    return result
