"""
Two inputs: order, chaos, and the edge between
==============================================

Two inputs with a correlation c of 0.5 go through the same tanh networks. In the ordered phase they
become alike, exponentially fast:
"""

import varprop
from varprop import plot, theory


def pairs(sigma_w: float) -> varprop.Propagation:
    return varprop.simulate(
        depth=100, width=500, act="tanh", sigma_w=sigma_w, sigma_b=0.3, correlation=0.5, trials=20
    )


ordered = plot.correlation(pairs(0.8))

# %%
# On the edge of chaos they approach each other so slowly that a hundred layers still tell them
# apart:

critical = plot.correlation(pairs(round(theory.critical("tanh", sigma_b=0.3).sigma_w, 4)))

# %%
# Beyond it they are driven apart, however near they began:

chaotic = plot.correlation(pairs(2.5))
