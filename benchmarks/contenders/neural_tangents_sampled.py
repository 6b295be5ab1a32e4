"""neural-tangents: `monte_carlo_kernel_fn` of a stack of Dense and Relu, on the JAX it needs.

It gives the kernel of the last layer, mean over networks; a call is one network for each sample.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import neural_tangents as nt
from neural_tangents import stax

PACKAGES = ("neural-tangents", "jax", "jaxlib")


def forward(depth: int, width: int, trials: int) -> Callable[[], jax.Array]:
    layers = [stax.Dense(width, W_std=math.sqrt(2), b_std=None)]
    for _ in range(depth - 1):
        layers += [stax.Relu(), stax.Dense(width, W_std=math.sqrt(2), b_std=None)]
    init, apply, _ = stax.serial(*layers)
    kernel = nt.monte_carlo_kernel_fn(init, apply, jax.random.PRNGKey(0), trials)
    x = jnp.ones((1, width))
    return lambda: jnp.log(kernel(x, None, "nngp").block_until_ready()).reshape(1, 1)
