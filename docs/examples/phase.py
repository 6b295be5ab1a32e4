"""
Where gradients grow and where they fade
========================================

Growth of the gradient per layer over the two numbers that one can choose, the spreads of weights
and of biases. Each cell is simulated until its standard error is small; the line is the edge of
chaos that theory derives.
"""

import numpy as np

import varprop

diagram = varprop.phase_diagram(
    "tanh",
    sigma_w=np.linspace(0.5, 3.0, 11),
    sigma_b=np.linspace(0.0, 1.0, 6),
    width=200,
    depth=20,
    stderr=0.01,
)
figure = diagram.plot()
