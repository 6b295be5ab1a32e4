"""How near two activations are, in logarithms: ln of 1 - E phi(u) phi(v) / Q(K) from ln(1-c).

Inside by closed form or quadrature (`difference`), as tables. For c near enough to 1 the gap is a
power law in 1-c, and at both ends of ln K it is a power law in K, or what the slopes there say.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from varprop._cached import cached_property
from varprop.activation import Activation

from .angle import log_gap_of_tilt, tilt_of_gap
from .basemap import reach
from .closed_pair import Angle, Homogeneous, closed_pair
from .difference import log_gap
from .kernel import length_of
from .logtable import LogTable
from .maps import gradient_map, variance_map
from .tensortable import TensorTable

__all__ = ["FARTHEST", "Gap", "gap"]

Array = NDArray[np.float64]

_NEAREST = 62.0  # -ln(1-c) from where the gap is linear in 1-c to about 1e-13
_NEAREST_SMOOTH = 32.0  # the same where the next term is a square: phi has no corner
_NEAREST_JUMP = 28.0  # the same for a gap like sqrt(1-c), by two terms
_CLOSE = 0.08  # tan of half the angle, over the scale of phi, up to which one panel will do
_FAR = 46.0  # ln K from where an activation is its slopes at infinity to 1e-10
FARTHEST = 72.0  # tilt of inputs as opposite as float64 can tell
_SQUARES = 300.0  # ln K up to which closed forms can square K
_MIDDLE = -30.0  # ln(1-c) that is small, and large beside 1/K, far out
_PATIENCE = 60
_FEW = 200  # angles that are not worth a table


class Gap:
    """ln of the gap between the activations of two inputs, from that of their pre-activations.

    Made by `gap`.

    Parameters
    ----------
    act : Activation
        The activation phi.

    Examples
    --------
    >>> from varprop.theory.gap import gap
    >>> round(gap("linear").log_at(0.0, -1000.0), 9)
    -1000.0
    """

    def __init__(self, act: Activation) -> None:
        self.act = act
        self._even = act.parity == "even"
        self._jumps = act.jumps

    def __repr__(self) -> str:
        return f"Gap({str(self.act)!r})"

    @cached_property
    def _by_angle(self) -> LogTable:
        """Of a homogeneous activation: as a function of the tilt alone."""
        return _angle_table(self._at_one_variance(0.0), repr(self))

    @cached_property
    def _far_table(self) -> LogTable:
        """Of what the activation becomes for large K, where it has slopes there."""
        left, right = self.act.at_infinity or (0.0, 0.0)
        forms = Homogeneous(1, -left, right)
        return _angle_table(lambda t: np.log(forms.gap(np.ones_like(t), Angle(t))), repr(self))

    @cached_property
    def _tables(self) -> tuple[TensorTable, TensorTable]:
        """The same gap, as it is cheap (closed) and dear (by quadrature)."""
        function = partial(log_gap, self.act)
        return TensorTable(function, 0), TensorTable(function, _PATIENCE)

    @cached_property
    def _bend(self) -> TensorTable:
        """What is between the gap of near inputs and its power law, ln K and `_closeness`.

        As a function of the angle it is smooth down to 0, where as one of the tilt it would need
        a hundred panels.
        """

        def bend(log_k: Array, closeness: Array) -> Array:
            tilt = 2 * np.log(closeness) - np.logaddexp(0.0, log_k - self._log_scale)
            q, v = variance_map(self.act), gradient_map(self.act)
            law = log_gap_of_tilt(tilt) + log_k + v.log(log_k) - q.log(log_k)
            return np.asarray(log_gap(self.act, log_k, tilt) - law)

        return TensorTable(bend, _PATIENCE, _CLOSE)

    @cached_property
    def _log_scale(self) -> float:
        """ln K from which the scale of phi counts."""
        return 2 * math.log(length_of(self.act))

    def _closeness(self, log_k: float, tilt: float) -> float:
        """tan of half the angle, over the angle at which phi tells two inputs apart."""
        return math.exp((tilt + float(np.logaddexp(0.0, log_k - self._log_scale))) / 2)

    # --- where to look --------------------------------------------------------------------------

    def _floor(self, log_k: float) -> float:
        """ln(1-c) below which the gap is a power of 1-c."""
        if self._jumps:
            nearest = _NEAREST_JUMP
        else:
            nearest = _NEAREST if self.act.kinks or self.act.formula is None else _NEAREST_SMOOTH
        return -nearest - max(0.0, log_k - self._log_scale)

    def _near(self, log_k: float, log_gap: float) -> float:
        """The power law: 1-c times K V(K) / Q(K)."""
        if self._jumps:
            return self._near_jump(log_k, log_gap)
        q, v = variance_map(self.act), gradient_map(self.act)
        return log_gap + log_k + v.log_at(log_k) - q.log_at(log_k)

    def _near_jump(self, log_k: float, log_gap: float) -> float:
        """A jump J at x gives J^2 e^(-x^2/2K) sqrt(2(1-c)) / (2 pi); the rest is linear in 1-c."""
        root = math.exp(log_k / 2)
        chances = [math.exp(-((x / root) ** 2) / 2) * self._height(x) ** 2 for x in self._jumps]
        if not sum(chances) > 0:
            raise ValueError(
                f"inputs as near as ln(1-c) = {log_gap:.6g} are not followed through {self.act} at "
                f"ln K = {log_k:.6g}: its jumps are too far out to tell them apart"
            )
        q = variance_map(self.act).log_at(log_k)
        factor = math.log(sum(chances) / (2 * math.pi)) - q + math.log(2) / 2
        floor = self._floor(log_k)
        rest = math.expm1(self._value(log_k, floor) - factor - floor / 2)
        return factor + log_gap / 2 + math.log1p(rest * math.exp((log_gap - floor) / 2))

    def _height(self, x: float) -> float:
        step = 1e-14 * max(1.0, abs(x))
        below, above = self.act([x - step, x + step])
        return float(above - below)

    @cached_property
    def power_below(self) -> float:
        """p where the gap falls like K^p towards K = 0."""
        start = reach(self.act)[0]
        return self._half(self._value(start + 1, 0.0) - self._value(start, 0.0), "below", start)

    @cached_property
    def _power_above(self) -> float:
        """p where the gap is K^p times a function of K (1-c), for bounded activations."""
        stop = reach(self.act)[1]
        step = self._value(stop, -_NEAREST) - self._value(stop - 1, 1 - _NEAREST)
        return self._half(step, "above", stop)

    def _half(self, slope: float, where: str, end: float) -> float:
        nearest = round(2 * slope) / 2
        if abs(slope - nearest) > 1e-5:
            raise ValueError(
                f"the gap between two activations of {self.act} follows no power of K {where} "
                f"ln K = {end:.4g}"
            )
        return nearest

    def _value(self, log_k: float, log_gap: float) -> float:
        tilt = min(float(tilt_of_gap(log_gap)), FARTHEST)
        forms = closed_pair(self.act)
        dear = forms is None or log_k > math.log(forms.largest) - 1
        tilt = -abs(tilt) if self._even else tilt
        if dear and not self._jumps:
            closeness = self._closeness(log_k, tilt)
            if closeness < _CLOSE:
                law = self._near(log_k, float(log_gap_of_tilt(tilt)))
                return law + self._bend.at(log_k, closeness)
        return self._tables[dear].at(log_k, tilt)

    def log_at(self, log_k: float, log_gap: float) -> float:
        """ln of the gap for two inputs of one variance.

        Parameters
        ----------
        log_k : float
            ln K, finite.
        log_gap : float
            ln(1-c) of the pre-activations, at most ln 2; -inf for identical ones.

        Returns
        -------
        float
            Accurate to about 1e-11, however near the inputs are.
        """
        if log_gap == -math.inf:
            return -math.inf
        if self._even:
            log_gap = float(log_gap_of_tilt(-abs(tilt_of_gap(log_gap))))
            if log_gap == -math.inf:
                return -math.inf
        if self.act.degree is not None:
            return self._by_angle.at(min(float(tilt_of_gap(log_gap)), FARTHEST))
        if log_gap < self._floor(log_k):
            return self._near(log_k, log_gap)
        start = reach(self.act)[0]
        if log_k < start:
            return self._value(start, log_gap) + self.power_below * (log_k - start)
        closed = closed_pair(self.act) and (log_k < _SQUARES or self.act.oscillates)
        if log_k <= self._stop or closed:
            return self._value(log_k, log_gap)
        return self._beyond(log_k, log_gap)

    @cached_property
    def _sloped(self) -> bool:
        """Whether it has slopes far out, and so comes to them."""
        return self.act.at_infinity not in (None, (0.0, 0.0)) and not self.act.oscillates

    @cached_property
    def _stop(self) -> float:
        """ln K where the limit of large K takes over."""
        stop = reach(self.act)[1]
        if not self._sloped or stop < _FAR:
            return stop
        early = abs(self._value(_FAR, -1.0) - self._far_table.at(float(tilt_of_gap(-1.0)))) < 1e-9
        return _FAR if early else stop

    def log(self, log_k: float, log_gaps: Array) -> Array:
        """`log_at` at many angles, a one-dimensional array."""
        tilt = np.minimum(tilt_of_gap(log_gaps), FARTHEST)
        tilt = -np.abs(tilt) if self._even else tilt
        start = reach(self.act)[0]
        inside = (log_gap_of_tilt(tilt) > self._floor(log_k)) & (start <= log_k <= self._stop)
        if self.act.degree is not None or inside.sum() <= _FEW:
            inside = inside & bool(closed_pair(self.act))
        out = np.empty_like(log_gaps)
        for i in np.flatnonzero(~inside):
            out[i] = self.log_at(log_k, float(log_gaps[i]))
        if inside.any():
            direct = self._at_one_variance(log_k)
            if not closed_pair(self.act):
                direct = LogTable(direct, self._floor(log_k) - 2, FARTHEST + 1, repr(self))
            out[inside] = direct(tilt[inside])
        return out

    def _at_one_variance(self, log_k: float) -> Callable[[Array], Array]:
        return lambda tilt: log_gap(self.act, np.full_like(tilt, log_k), tilt)

    def _beyond(self, log_k: float, log_gap: float) -> float:
        """Large K: by the slopes at infinity, or as a function of K (1-c) if there are none."""
        if self._sloped:
            return self._far_table.at(min(float(tilt_of_gap(log_gap)), FARTHEST))
        stop = reach(self.act)[1]
        if self.act.at_infinity is None:
            return self._value(stop, log_gap)
        if self.act.oscillates:
            raise ValueError(
                f"pairs of inputs are not followed through {self.act} at ln K = {log_k:.6g}: "
                f"its waves are too many; allowed is ln K up to {stop:.4g}"
            )
        # K (1-c) alone counts where 1-c is small, and not K where K (1-c) is large.
        over = log_k - stop
        if log_gap >= _MIDDLE:
            return self._value(stop, log_gap)
        if log_gap + over > _MIDDLE:
            return self._value(stop, _MIDDLE) - self._power_above * (log_gap - _MIDDLE)
        return self._value(stop, log_gap + over) + self._power_above * over


def _angle_table(log_gap: Callable[[Array], Array], name: str) -> LogTable:
    return LogTable(log_gap, -_NEAREST, FARTHEST + 1, name)


@lru_cache(maxsize=256)
def gap(act: str | Activation) -> Gap:
    """The gap between the activations of two inputs.

    Examples
    --------
    >>> import math
    >>> round(math.exp(gap("relu").log_at(0.0, 0.0)), 12)
    0.681690113816
    """
    return Gap(Activation.parse(act))
