"""
Your own PyTorch model
======================

`varprop.torch.trace` draws a model anew twenty times, measures every module, puts theory beside it,
and says where something first gets lost. Here a stack of sigmoids:
"""

import torch

from varprop.torch import init_, trace


def stack(activation: type[torch.nn.Module]) -> torch.nn.Sequential:
    layers = [layer for _ in range(6) for layer in (torch.nn.Linear(128, 128), activation())]
    return torch.nn.Sequential(*layers, torch.nn.Linear(128, 10))


torch.manual_seed(0)
x = torch.randn(32, 128)
print(trace(stack(torch.nn.Sigmoid), x, draws=20))

# %%
# `varprop.torch.init_` sets every layer by the critical point of the activation that follows it.
# A stack of tanh after that:

model = stack(torch.nn.Tanh)
print(init_(model))

# %%
# With ``draws=0`` a model is taken as it stands:

print(trace(model, x, draws=0))
