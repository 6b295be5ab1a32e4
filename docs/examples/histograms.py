"""
What the units of each layer look like
======================================

The grid of histograms that is shown in lectures, for a tanh network. With weights from
N(0, 0.01²) the activations of deep layers are all but 0; the axis is that of the first layer.
"""

import varprop
from varprop import plot

fades = varprop.simulate(
    depth=10, width=500, act="tanh", scheme="normal(0.01)", trials=20, histogram=128
)
figure = plot.histograms(fades)

# %%
# With weights from N(0, 1) nearly all units are at -1 or 1:

saturates = varprop.simulate(
    depth=10, width=500, act="tanh", scheme="normal(1)", trials=20, histogram=128
)
other = plot.histograms(saturates)

# %%
# And with variance 1/n every layer looks like the one before, a little narrower:

keeps = varprop.simulate(depth=10, width=500, act="tanh", scheme="lecun", histogram=128)
last = plot.histograms(keeps)
