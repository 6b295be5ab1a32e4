"""The expectations of an activation at many K at once, on panels in ln K."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from varprop.activation import Activation

from .gaussian import NotClosed
from .moments import asked, moment
from .panels import Panels
from .precise import closed_form
from .quadrature import Expectation

__all__ = ["LOG_REACH", "evaluated", "few", "reach", "tabulated"]

Array = NDArray[np.float64]

LOG_REACH = 36 * math.log(10.0)  # beyond K = 1e-36 and 1e36 the maps are power laws to 1e-16
_LOG_WAVES = 6 * math.log(10.0)  # where waves without a closed form are left out
_GOOD = 2e-14
_ASKED = (1e-12, 4e-11, 1e-10)  # relative bounds at which a value from a panel is given out
_EPS = float(np.finfo(float).eps)


@lru_cache(maxsize=1024)
def reach(act: Activation) -> tuple[float, float, float]:
    """The range of ln K in which an activation's maps are computed; outside they are power laws.

    Returns
    -------
    start, stop, slack : float
        The two ends, and how exact the power law must be there.

    Examples
    --------
    >>> [round(end, 1) for end in reach(Activation.parse("tanh"))[:2]]
    [-82.9, 82.9]
    """
    start, stop, slack = -LOG_REACH, LOG_REACH, 1e-7
    if act.oscillates and act.at_infinity is not None:
        try:
            closed_form(act, asked("variance"))
        except (NotClosed, ValueError):
            # Waves far out cost time and weigh little.
            stop, slack = _LOG_WAVES, 1e-5
    return start, stop, slack


@lru_cache(maxsize=512)
def tabulated(act: Activation, quantity: str) -> Panels:
    """The panels of a quantity in u = ln K, good to about 1e-14 of each panel's largest value.

    Examples
    --------
    >>> round(tabulated(Activation.parse("cos"), "variance").at(0.0), 12)
    0.567667641618
    """

    def values(u: Array) -> tuple[Array, Array]:
        found = moment(act, quantity, np.exp(u))
        return np.asarray(found.value), np.asarray(found.bound)

    return Panels(values, _GOOD, tilted=True)


def few(act: Activation, quantity: str, variances: Array) -> Array | None:
    """The values of `evaluated` at few K, one by one: arrays cost more than what is in them.

    None where not every value comes from a panel.

    Examples
    --------
    >>> few(Activation.parse("tanh"), "variance", np.array([1.0])).round(6)
    array([0.394294])
    """
    start, stop, _ = reach(act)
    panels, good = tabulated(act, quantity), _ASKED[asked(quantity).order]
    found = []
    for u in np.log(variances).ravel().tolist():
        if not start < u < stop:
            return None
        try:
            value, bound = panels.near(u)
        except ValueError:
            whole = moment(act, quantity, variances.ravel())
            return np.asarray(whole.value).reshape(variances.shape)
        if not bound + 4 * _EPS * (1 + abs(u)) * abs(value) <= good * abs(value):
            return None
        found.append(value)
    return np.array(found).reshape(variances.shape)


def evaluated(act: Activation, quantity: str, variances: Array) -> Expectation:
    """What `moment` gives, by panels: a first call near some K takes milliseconds, any later one
    a tenth of one. What a value is does not depend on the calls before it.

    Parameters
    ----------
    act : Activation
        The activation phi.
    quantity : str
        As for `moment`.
    variances : ndarray, (points,)
        K, finite and > 0.

    Examples
    --------
    >>> k = np.geomspace(1e-8, 1e8, 2000)
    >>> found = evaluated(Activation.parse("tanh"), "variance", k)
    >>> bool((found.bound < 1e-12 * found.value).all())
    True
    """
    u = np.log(variances)
    start, stop, _ = reach(act)
    inside = (u > start) & (u < stop)
    value, bound = np.zeros_like(u), np.full_like(u, np.inf)
    try:
        value[inside], bound[inside] = tabulated(act, quantity)(u[inside])
    except ValueError:  # a panel may reach to where the expectation diverges, and the points not
        return moment(act, quantity, variances)
    bound += 4 * _EPS * (1 + np.abs(u)) * np.abs(value)  # u = ln K is itself rounded
    left = ~(bound <= _ASKED[asked(quantity).order] * np.abs(value))
    if left.any():
        found = moment(act, quantity, variances[left])
        value[left], bound[left] = found.value, found.bound
    return Expectation(value, bound)
