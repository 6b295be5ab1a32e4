"""The user's own PyTorch model: where its signal fades, and how to initialise it.

>>> import torch
>>> from varprop.torch import trace
>>> model = torch.nn.Sequential(
...     torch.nn.Linear(64, 64), torch.nn.Sigmoid(),
...     torch.nn.Linear(64, 64), torch.nn.Sigmoid(),
...     torch.nn.Linear(64, 64), torch.nn.Sigmoid(),
...     torch.nn.Linear(64, 8),
... )
>>> report = trace(model, torch.randn(16, 64))
>>> [(finding.quantity, finding.verdict, finding.module) for finding in report.findings]
[('gradient', 'vanishes', '2')]

`trace` runs a model many times, newly initialised each time, and says what becomes of signals and
gradients at every module, beside what theory says. `init_` sets every layer by the critical point
of the activation that follows it. Both need PyTorch, which is an optional part.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError:
    raise ImportError('varprop.torch needs PyTorch: pip install "varprop[torch]"') from None

from ._torch_init import InitReport, LayerInit, init_
from ._torch_report import Estimate, ModuleTrace, Trace
from ._torch_trace import trace
from ._torch_verdict import Finding

__all__ = [
    "Estimate",
    "Finding",
    "InitReport",
    "LayerInit",
    "ModuleTrace",
    "Trace",
    "init_",
    "trace",
]
