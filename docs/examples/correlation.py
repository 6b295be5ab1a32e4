"""
Two inputs: order, chaos, and the edge between
==============================================

Two inputs with a correlation of 0.5 go through the same tanh networks. Below the edge of chaos all
inputs become alike, beyond it they are driven apart; on the edge they approach each other so
slowly that a hundred layers still tell them apart.
"""

from matplotlib.figure import Figure

import varprop
from varprop import plot, theory

edge = theory.critical("tanh", sigma_b=0.3).sigma_w
figure = Figure(figsize=(9, 3.6), layout="constrained")
panels = figure.subplots(1, 3, sharey=True)
for ax, (name, sigma_w) in zip(
    panels, {"ordered": 0.8, "critical": edge, "chaotic": 2.5}.items(), strict=True
):
    pairs = varprop.simulate(
        depth=100, act="tanh", sigma_w=sigma_w, sigma_b=0.3, correlation=0.5, trials=20
    )
    plot.correlation(pairs, ax)
    ax.set_title(f"{name}: $\\sigma_w$ = {sigma_w:.2f}")
