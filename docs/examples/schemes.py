"""
Initialisations of a tanh network, side by side
===============================================

The same network under five initialisations. Two of them lose the signal, one saturates every unit,
and two keep it; dashed lines are theory.
"""

import varprop
from varprop import plot

schemes = ["normal(0.01)", "torch", "lecun", "normal(1)", "orthogonal(1.1)"]
networks = [
    varprop.simulate(depth=50, width=500, act="tanh", scheme=scheme, sigma_b=0.0, trials=20)
    for scheme in schemes
]
ax = plot.compare(networks)

# %%
# The gradient, on its way back from the last layer to the first:

gradients = plot.compare(networks, statistic="gradient")
