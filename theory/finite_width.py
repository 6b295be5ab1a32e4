"""Finite width: exact laws where there are any, the leading orders in 1/width elsewhere.

At any width the pre-activations of a layer are, given the layer below, independent normals (for
normal weights); infinite width only makes their mean square certain. So:

- `predicted` gives mean and standard deviation of q, a and of their logarithms, by layer, for any
  network: exactly for two slopes without biases, else to leading order by way of `vertex`.
- `step_law`, `norm_law`, `unit_law` and `log_normal` give whole laws: of one layer's growth, of a
  deep network's norm, of one of its units, and their log-normal limit.
- `dead_probability`, `second_moments` and `weight_kurtosis` say how often a network dies, and what
  the law of the weights does.
- `log_norm_gain` is the gain that keeps the mean logarithm.
"""

from __future__ import annotations

from .finite.death import dead_probability
from .finite.kurtosis import SecondMoments, second_moments, weight_kurtosis
from .finite.log_law import NormLaw, norm_law
from .finite.log_normal import LogNormal, log_normal
from .finite.norm_gain import log_norm_gain, sussillo_abbott_fit
from .finite.predicted import FiniteWidth, Spread, predicted
from .finite.step import NormalStep, OrthogonalStep, StepLaw, step_law
from .finite.unit import UnitLaw, unit_law
from .finite.vertex import Vertex, vertex

__all__ = [
    "FiniteWidth",
    "LogNormal",
    "NormLaw",
    "NormalStep",
    "OrthogonalStep",
    "SecondMoments",
    "Spread",
    "StepLaw",
    "UnitLaw",
    "Vertex",
    "dead_probability",
    "log_norm_gain",
    "log_normal",
    "norm_law",
    "predicted",
    "second_moments",
    "step_law",
    "sussillo_abbott_fit",
    "unit_law",
    "vertex",
    "weight_kurtosis",
]
