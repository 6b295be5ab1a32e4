"""
A width of 1000 is not infinite
===============================

For ReLU and Gaussian weights the law of a deep network's signal is known exactly at any width. Its
logarithm spreads as the root of depth over width, so that most deep and narrow networks lie far
below the mean, which a few large ones hold up. Histograms of drawn networks, exact densities as
lines:
"""

import numpy as np
from matplotlib.figure import Figure

import varprop
from varprop.theory import finite_width

figure = Figure(figsize=(7, 4), layout="constrained")
ax = figure.subplots()
for width, colour in {50: "#D55E00", 200: "#0072B2", 1000: "#000000"}.items():
    p = varprop.simulate(
        depth=50, width=width, act="relu", scheme="he", trials=2000, backward=False
    )
    growth = p.activation.log[:, -1].compressed()
    law = finite_width.norm_law(p.network)
    v = np.linspace(-7, 4, 300)
    ax.hist(growth / np.log(10), bins=60, density=True, color=colour, alpha=0.3)
    ax.plot(v / np.log(10), law.pdf(v) * np.log(10), color=colour, label=f"width {width}")
ax.set_xlim(-3, 1.5)
ax.set_xlabel("log10 of the signal after 50 layers (1 at the input)")
ax.set_ylabel("density over networks")
ax.legend(frameon=False)
