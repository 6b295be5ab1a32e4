"""
Two hundred layers of ReLU
==========================

He's initialisation keeps the mean square of the signal, and of the gradient, *on average*: theory's
line is flat. A network of width 1000 wanders around it, and after 200 layers the networks lie an
order of magnitude apart.
"""

import varprop

p = varprop.simulate(depth=200, act="relu", scheme="he")
figure = p.plot()

# %%
# Is the simulation right about that? Given the variance of a layer, its mean square has an exact
# law at any width. That is what `Propagation.compare` tests.

print(p.compare().verdict)
