"""The theory: what random networks do to a signal, derived and computed, never simulated."""

from .derivation import CheckError, Derivation, Step, Table
from .derivations import derivations, derive
from .gaussian import NotClosed, gaussian_expectation
from .maps import (
    FourthMoment,
    GradientMap,
    MeanMap,
    VarianceMap,
    fourth_moment,
    gradient_map,
    mean_map,
    variance_map,
)
from .moments import moment
from .predict import Prediction, predict
from .proof import Mean, NormalDensity
from .quadrature import Expectation, expectation
from .scatter import log_relative_variance, relative_variance

__all__ = [
    "CheckError",
    "Derivation",
    "Expectation",
    "FourthMoment",
    "GradientMap",
    "Mean",
    "MeanMap",
    "NormalDensity",
    "NotClosed",
    "Prediction",
    "Step",
    "Table",
    "VarianceMap",
    "derivations",
    "derive",
    "expectation",
    "fourth_moment",
    "gaussian_expectation",
    "gradient_map",
    "log_relative_variance",
    "mean_map",
    "moment",
    "predict",
    "relative_variance",
    "variance_map",
]
