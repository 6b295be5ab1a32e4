"""Lyapunov exponents: the growth of perturbations per layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .statistic import FloatArray


@dataclass(frozen=True, eq=False)
class Lyapunov:
    """Leading exponents over a network's depth, in descending order of their tangents.

    Parameters
    ----------
    trials : masked array, shape (trials, tangents)
        Half the logarithmic growth of each tangent, per layer; masked where its direction was
        lost exactly (the exponent is -inf).

    Examples
    --------
    >>> l = Lyapunov.of(np.log([[16.0], [4.0]]), 2)
    >>> l.mean.data.round(6), l.stderr.data.round(6)
    (array([0.519860]), array([0.173287]))
    """

    trials: np.ma.MaskedArray

    @classmethod
    def of(cls, log_growth: FloatArray, layers: int) -> Lyapunov:
        """Of ln of the mean-square growth over so many layers, (trials,) or (trials, tangents).

        Raises
        ------
        ValueError
            When there are no layers to grow through.
        """
        if layers < 1:
            raise ValueError("a network of one layer has none on the way back to grow through")
        log = log_growth.reshape(len(log_growth), -1) / (2 * layers)
        lost = np.isneginf(log)
        return cls(np.ma.MaskedArray(np.where(lost, 0.0, log), mask=lost))

    @property
    def mean(self) -> np.ma.MaskedArray:
        """Mean over trials, (tangents,); masked where a direction was lost in any of them."""
        lost = np.ma.getmaskarray(self.trials).any(axis=0)
        return np.ma.MaskedArray(self.trials.data.mean(axis=0), mask=lost)

    @property
    def stderr(self) -> np.ma.MaskedArray:
        """Standard error of `mean`; needs two trials."""
        count = len(self.trials)
        if count < 2:
            raise ValueError("one trial has no standard error; use trials >= 2")
        lost = np.ma.getmaskarray(self.trials).any(axis=0)
        error = self.trials.data.std(axis=0, ddof=1) / np.sqrt(count)
        return np.ma.MaskedArray(error, mask=lost)
