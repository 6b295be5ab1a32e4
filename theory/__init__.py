"""The theory: what random networks do to a signal, derived and computed, never simulated."""

from . import finite_width
from .bivariate import pair_expectation
from .critical import Critical, critical
from .derivation import CheckError, Derivation, Step, Table
from .derivations import derivations, derive
from .figure import Curve, Figure, Overlay
from .fixed_point import FixedPoint, NoFixedPoint, fixed_point
from .gain import Gain, gain
from .gaussian import Diverges, Explanation, NotClosed, explain, gaussian_expectation
from .identities import IDENTITIES, Identity
from .kernel import Kernel, kernel
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
from .notation import Mean, NormalDensity, NormalMean, PairMean
from .pair import CorrelationMap, correlation_map
from .predict import predict
from .prediction import Prediction
from .quadrature import Expectation, expectation
from .scatter import log_relative_variance, relative_variance
from .series import Expansion
from .spectrum import Spectrum, jacobian_moments, lyapunov_exponents, spectrum

__all__ = [
    "IDENTITIES",
    "CheckError",
    "CorrelationMap",
    "Critical",
    "Curve",
    "Derivation",
    "Diverges",
    "Expansion",
    "Expectation",
    "Explanation",
    "Figure",
    "FixedPoint",
    "FourthMoment",
    "Gain",
    "GradientMap",
    "Identity",
    "Kernel",
    "Mean",
    "MeanMap",
    "NoFixedPoint",
    "NormalDensity",
    "NormalMean",
    "NotClosed",
    "Overlay",
    "PairMean",
    "Prediction",
    "Spectrum",
    "Step",
    "Table",
    "VarianceMap",
    "correlation_map",
    "critical",
    "derivations",
    "derive",
    "expectation",
    "explain",
    "finite_width",
    "fixed_point",
    "fourth_moment",
    "gain",
    "gaussian_expectation",
    "gradient_map",
    "jacobian_moments",
    "kernel",
    "log_relative_variance",
    "lyapunov_exponents",
    "mean_map",
    "moment",
    "pair_expectation",
    "predict",
    "relative_variance",
    "spectrum",
    "variance_map",
]


def __dir__() -> list[str]:
    return __all__
