"""What happens to a signal, and to its gradient, in a very deep and wide random network?

>>> import varprop
>>> p = varprop.simulate(depth=200, act="relu", scheme="he")
>>> p.trials, p.engine
(100, 'matrix-free')

`simulate` draws networks; `varprop.theory` derives what they do on average; ``p.compare()`` holds
the two against each other.
"""

import importlib
from typing import Any

from ._core.build_info import VERSION as __version__
from .activation import Activation, activations
from .architecture import Norm, Residual
from .histogram import Histogram
from .network import Network
from .phase import PhaseDiagram, phase_diagram
from .propagation import Propagation
from .scheme import Scheme, schemes
from .simulate import simulate
from .statistic import LayerStatistic
from .storage import load
from .sweep import sweep

__all__ = [
    "Activation",
    "Histogram",
    "Jacobian",
    "JacobianSpectrum",
    "LayerStatistic",
    "Network",
    "Norm",
    "PhaseDiagram",
    "Propagation",
    "RandomMatrix",
    "Residual",
    "Scheme",
    "__version__",
    "activations",
    "load",
    "phase_diagram",
    "schemes",
    "simulate",
    "spectrum",
    "sweep",
]

# Rooms that bring SymPy, SciPy, Matplotlib or PyTorch with them: loaded when first asked for.
_LAZY = ("compare", "plot", "reference", "theory", "torch")
_LAZY_NAMES = {
    "Jacobian": "jacobian",
    "JacobianSpectrum": "jacobian_spectrum",
    "RandomMatrix": "random_matrix",
    "spectrum": "singular",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"varprop.{name}")
    if name in _LAZY_NAMES:
        return getattr(importlib.import_module(f"varprop.{_LAZY_NAMES[name]}"), name)
    raise AttributeError(f"module 'varprop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_LAZY])
