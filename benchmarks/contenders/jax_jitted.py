"""JAX, current release, on the CPU: one jitted scan over the layers, float32, its default keys."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

PACKAGES = ("jax", "jaxlib")
Draw = Callable[[Array, int], Array]


def normal(key: Array, width: int) -> Array:
    return jax.random.normal(key, (width, width))


def uniform(key: Array, width: int) -> Array:
    bound = math.sqrt(3)
    return jax.random.uniform(key, (width, width), minval=-bound, maxval=bound)


def orthogonal(key: Array, width: int) -> Array:
    return math.sqrt(width) * jax.random.orthogonal(key, width)


def _run(network: Callable[[Array], Array], trials: int) -> Callable[[], Array]:
    """All trials in one call; numbered anew in every call."""
    many = jax.jit(lambda keys: jax.lax.map(network, keys))
    calls = [0]

    def work() -> Array:
        calls[0] += 1
        return many(jax.random.split(jax.random.key(calls[0]), trials)).block_until_ready()

    return work


def forward(
    depth: int, width: int, trials: int, inputs: int = 1, draw: Draw = normal
) -> Callable[[], Array]:
    x = jnp.ones(width)
    if inputs > 1:
        x = jax.random.normal(jax.random.key(0), (width, inputs))

    def layer(h: Array, key: Array) -> tuple[Array, Array]:
        z = draw(key, width) @ (math.sqrt(2 / width) * h)
        return jax.nn.relu(z), jnp.log(jnp.mean(z * z, axis=0))

    return _run(lambda key: jax.lax.scan(layer, x, jax.random.split(key, depth))[1], trials)


def pair(depth: int, width: int, trials: int) -> Callable[[], Array]:
    return forward(depth, width, trials, inputs=2)


def batch(depth: int, width: int, trials: int) -> Callable[[], Array]:
    return forward(depth, width, trials, inputs=64)


def uniform_weights(depth: int, width: int, trials: int) -> Callable[[], Array]:
    return forward(depth, width, trials, draw=uniform)


def orthogonal_weights(depth: int, width: int, trials: int) -> Callable[[], Array]:
    return forward(depth, width, trials, draw=orthogonal)


def both_ways(depth: int, width: int, trials: int) -> Callable[[], Array]:
    """The gradient at every layer is that of an addition, 0, to its pre-activations."""

    def network(key: Array) -> Array:
        keys, last = jax.random.split(key, depth), jax.random.fold_in(key, depth)

        def output(added: Array) -> tuple[Array, Array]:
            def layer(h: Array, given: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
                z = normal(given[0], width) @ (math.sqrt(2 / width) * h) + given[1]
                return jax.nn.relu(z), (jnp.mean(z * z), z)

            _, (squares, zs) = jax.lax.scan(layer, jnp.ones(width), (keys, added))
            return zs[-1] @ jax.random.normal(last, (width,)), squares

        gradients, squares = jax.grad(output, has_aux=True)(jnp.zeros((depth, width)))
        return jnp.stack([squares, jnp.mean(gradients**2, axis=1)])

    return _run(network, trials)


def spectrum(depth: int, width: int, trials: int) -> Callable[[], Array]:
    """Of linear networks; values below 1e-7 of the largest are lost."""

    def network(key: Array) -> Array:
        def layer(product: Array, key: Array) -> tuple[Array, None]:
            return normal(key, width) @ product / math.sqrt(width), None

        product, _ = jax.lax.scan(layer, jnp.eye(width), jax.random.split(key, depth))
        return jnp.linalg.svd(product, compute_uv=False)

    return _run(network, trials)
