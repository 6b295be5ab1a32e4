"""
Your own PyTorch model
======================

`varprop.torch.trace` draws a model anew twenty times, measures every module, puts theory beside it,
and says where something first gets lost. Here a stack of sigmoids:
"""

import matplotlib.pyplot as plt
import torch

from varprop.torch import Trace, init_, trace


def stack(activation: type[torch.nn.Module]) -> torch.nn.Sequential:
    layers = [layer for _ in range(6) for layer in (torch.nn.Linear(128, 128), activation())]
    return torch.nn.Sequential(*layers, torch.nn.Linear(128, 10))


torch.manual_seed(0)
x = torch.randn(32, 128)
as_drawn = trace(stack(torch.nn.Sigmoid), x, draws=20)
print(as_drawn)

# %%
# `varprop.torch.init_` sets every layer by the critical point of the activation that follows it.
# A stack of tanh after that:

model = stack(torch.nn.Tanh)
print(init_(model))

# %%
# With ``draws=0`` a model is taken as it stands:

as_set = trace(model, x, draws=0)
print(as_set)

# %%
# A gradient on its way back through both, from right to left:


def gradients(report: Trace) -> tuple[list[str], list[float]]:
    linear = [module for module in report.modules if module.kind == "Linear"]
    names = [f"{module.kind} {module.name}" for module in linear]
    return names, [module.gradient.mean for module in linear]


ax = plt.figure(layout="constrained").subplots()
points = ax.semilogy(*gradients(as_drawn), "o-", label="sigmoid, as PyTorch draws it")
points += ax.semilogy(*gradients(as_set), "s--", label="tanh, after init_")
labels = ax.set(xlabel="module", ylabel="mean square of the gradient")
legend = ax.legend()
