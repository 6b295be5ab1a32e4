"""
All singular values of a deep network
=====================================

A product of eight Gaussian matrices stretches a few directions of its input and squashes the rest.
The histogram is of drawn networks, the line is the density that theory derives for large width.
"""

import varprop
from varprop import plot, spectrum_plot

gaussian = varprop.spectrum(depth=8, width=100, act="linear", scheme="lecun", trials=10)
axes = plot.spectrum(gaussian)

# %%
# How many directions are kept depends on the law of the weights and on the activation:

kept = spectrum_plot.degrees_of_freedom(depths=(1, 2, 4, 8, 16), width=60, trials=4)
