"""The recursions of infinite width in mpmath, typed from the definition of a network."""

from __future__ import annotations

from types import SimpleNamespace

import mpmath as mp


def _relu(a, b, k):
    cosine = k / mp.sqrt(a * b)
    angle = mp.acos(cosine) if cosine < 1 else mp.mpf(0)
    return mp.sqrt(a * b) * (mp.sin(angle) + (mp.pi - angle) * cosine) / (2 * mp.pi)


def _erf(a, b, k):
    return 2 / mp.pi * mp.asin(2 * k / mp.sqrt((1 + 2 * a) * (1 + 2 * b)))


# E phi(u) phi(v), E phi'^2 and E phi
MOMENTS = {
    "linear": (lambda a, b, k: k, lambda q: mp.mpf(1), lambda q: mp.mpf(0)),
    "relu": (_relu, lambda q: mp.mpf(1) / 2, lambda q: mp.sqrt(q / (2 * mp.pi))),
    "erf": (_erf, lambda q: 4 / (mp.pi * mp.sqrt(1 + 4 * q)), lambda q: mp.mpf(0)),
}


def followed(net, squares, cosine):
    """Both inputs through all layers: what each layer has, in the digits of mp.

    With `a`, `b`, `k` for the mean squares of the two inputs' pre-activations and their product.
    """
    place = None if net.norm is None else net.norm.place
    below = [*squares, cosine * mp.sqrt(squares[0] * squares[1])]
    stream, out = [mp.mpf(0)] * 3, []
    for layer in range(net.depth):
        skip, branch = mp.mpf(0), mp.mpf(1)
        if net.residual is not None and layer:
            skip, branch = mp.mpf(net.residual.skip), mp.mpf(net.residual.factor(net.depth))
        fan_in, fan_out = net.widths[layer : layer + 2]
        weight = mp.mpf(net.weight_variance[layer]) * fan_in
        bias = mp.mpf(net.bias_std[layer]) ** 2
        total = [
            skip**2 * z + branch**2 * (bias + weight * h)
            for z, h in zip(stream, below, strict=True)
        ]
        met = SimpleNamespace(variance=total[0], input=below[0], fans=(fan_in, fan_out))
        met.skip, met.branch, met.weight = skip, branch, weight
        stream = _unit(total) if place == "post" else total
        met.a, met.b, met.k = stream
        read = _unit(stream) if place == "pre" else stream
        kernel, slope, mean = MOMENTS[str(net.acts[layer])]
        met.slope, met.mean = slope(read[0]) / net.keep, mean(read[0])
        below = [kernel(u, u, u) / net.keep for u in read[:2]] + [kernel(*read)]
        met.activation = below[0]
        out.append(met)
    _pull_back(out, place)
    return out


def _unit(squares):
    a, b, k = squares
    return [mp.mpf(1), mp.mpf(1), k / mp.sqrt(a * b)]


def _pull_back(layers, place):
    g = mp.mpf(1)
    for layer in range(len(layers) - 1, -1, -1):
        met = layers[layer]
        n_in, n_out = met.fans
        met.gradient = g
        at_sum = g / met.variance if place == "post" else g
        met.bias_gradient = n_out * met.branch**2 * at_sum
        met.weight_gradient = met.bias_gradient * n_in * met.input
        arriving = met.branch**2 * met.weight * n_out / n_in * at_sum
        if layer:
            lower = layers[layer - 1]
            arriving *= lower.slope / (lower.a if place == "pre" else 1)
        met.input_gradient = arriving  # of layer 1, that of the network's input
        g = arriving + met.skip**2 * at_sum
