"""
From one layer to the next: the variance map
============================================

At large width the variance of a layer follows from that of the layer below by a map, which is
derived for every activation. Where it meets the diagonal, a variance is kept; the cobweb shows how
fast a signal comes there.
"""

from varprop import plot, theory

ax = plot.variance_map("tanh", sigma_w=1.5, sigma_b=0.3)

# %%
# GELU has no initialisation without biases that keeps a variance stably: its fixed point repels.

gelu = plot.variance_map("gelu")
print(theory.gain("gelu"))
