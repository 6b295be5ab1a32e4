"""Lyapunov exponents: the growth of perturbations per layer."""

from __future__ import annotations

import numpy as np

from .statistic import FloatArray


def exponents(log_growth: FloatArray, layers: int) -> np.ma.MaskedArray:
    """Half the logarithmic growth per layer of every tangent of every trial.

    Parameters
    ----------
    log_growth : array, shape (trials, tangents) or (trials,)
        ln of the mean-square growth; -inf where a direction was lost.
    layers : int
        How many it grew through.

    Returns
    -------
    masked array, shape (trials, tangents)
        Masked where the direction was lost: the exponent is -inf there.

    Raises
    ------
    ValueError
        When there are no layers.

    Examples
    --------
    >>> exponents(np.array([[4.0, -np.inf]]), 2)
    masked_array(data=[[1.0, --]],
                 mask=[[False,  True]],
           fill_value=1e+20)
    """
    if layers < 1:
        raise ValueError("a network of one layer has none on the way back to grow through")
    log = log_growth.reshape(len(log_growth), -1) / (2 * layers)
    lost = np.isneginf(log)
    return np.ma.MaskedArray(np.where(lost, 0.0, log), mask=lost)


def mean(of_trials: np.ma.MaskedArray) -> np.ma.MaskedArray:
    """Mean over trials, (tangents,); masked where a direction was lost in any of them."""
    lost = np.ma.getmaskarray(of_trials).any(axis=0)
    return np.ma.MaskedArray(of_trials.data.mean(axis=0), mask=lost)


def stderr(of_trials: np.ma.MaskedArray) -> np.ma.MaskedArray:
    """Standard error of `mean`; needs two trials."""
    count = len(of_trials)
    if count < 2:
        raise ValueError("one trial has no standard error; use trials >= 2")
    lost = np.ma.getmaskarray(of_trials).any(axis=0)
    return np.ma.MaskedArray(of_trials.data.std(axis=0, ddof=1) / np.sqrt(count), mask=lost)
