"""neural-tangents: kernels of Dense and an activation, in float64, jitted, K along a batch.

`ElementwiseNumerical` is Gauss-Hermite quadrature of a degree; `closed` is its own formula.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import erf
from neural_tangents import stax

jax.config.update("jax_enable_x64", True)

PACKAGES = ("neural-tangents", "jax", "jaxlib")
ACTIVATIONS = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "erf": erf,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
}
CLOSED = {"relu": stax.Relu, "erf": stax.Erf, "gelu": stax.Gelu}


def _kernel(act: str, ks: list[float], rho: float, get: str, degree: int | None) -> Callable:
    """Kernel between two inputs of mean square K and cosine rho, for each K."""
    layer = CLOSED[act]() if degree is None else (
        stax.ElementwiseNumerical(ACTIVATIONS[act], deg=degree)
    )  # fmt: skip
    _, _, kernel = stax.serial(stax.Dense(1, W_std=1.0, b_std=None), layer)
    one, two = jnp.array([[1.0, 0.0]]), jnp.array([[rho, math.sqrt(1 - rho * rho)]])

    def single(k: jax.Array) -> jax.Array:
        # Dense divides by the number of inputs, 2
        found = kernel(jnp.sqrt(2 * k) * one, None if rho == 1 else jnp.sqrt(2 * k) * two, get)
        return found[0, 0]

    many, k = jax.jit(jax.vmap(single)), jnp.array(ks)
    return lambda: many(k).block_until_ready()


def variance(act: str, ks: list[float], degree: int | None = None) -> Callable[[], jax.Array]:
    return _kernel(act, ks, 1.0, "nngp", degree)


def gradient(act: str, ks: list[float], degree: int | None = None) -> Callable[[], jax.Array]:
    """The tangent kernel of Dense and activation is K V(K)."""
    kernel, k = _kernel(act, ks, 1.0, "ntk", degree), jnp.array(ks)
    return lambda: (kernel() / k).block_until_ready()


def correlation(
    act: str, ks: list[float], rho: float, degree: int | None = None
) -> Callable[[], jax.Array]:
    return _kernel(act, ks, rho, "nngp", degree)
