"""Drawn networks of any architecture, by its definition and nothing else: every weight a number."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

GRADIENTS = ("gradient", "weight_gradient", "bias_gradient")


def normed(z, norm):
    """The normalised signal and what was divided by; zeros stay zeros."""
    centred = z - z.mean() if norm.kind == "layer" else z
    size = math.sqrt(np.mean(centred**2))
    return (centred / size if size > 0 else np.zeros_like(z)), size


def pulled(delta, out, size, norm):
    """A gradient through the norm that gave `out`."""
    if size == 0:
        return np.zeros_like(delta)
    delta = delta - delta.mean() if norm.kind == "layer" else delta
    return (delta - out * np.mean(delta * out)) / size


def weights(net, rng):
    """(W, b) of each layer, all of them normal."""
    sizes = net.widths
    each = zip(sizes, sizes[1:], net.sigma_w, net.bias_std, strict=False)
    return [
        (rng.normal(0, w / math.sqrt(n_in), (n, n_in)), rng.normal(size=n) * b)
        for n_in, n, w, b in each
    ]


def masks(net, rng):
    """What multiplies the activations of each layer: 0 or 1/keep."""
    return [(rng.random(n) < net.keep) / net.keep for n in net.widths[1:]]


def factors(net, layer):
    """skip and branch of a layer, counted from 0."""
    if net.residual is None or layer == 0:
        return 0.0, 1.0
    return net.residual.skip, net.residual.factor(net.depth)


def forward(net, drawn, dropped, x):
    """What is met on the way up, layer by layer."""
    pre = net.norm if net.norm is not None and net.norm.place == "pre" else None
    post = net.norm if net.norm is not None and net.norm.place == "post" else None
    h, z, layers = x, 0.0, []
    for layer, (w, b) in enumerate(drawn):
        skip, branch = factors(net, layer)
        below = np.mean(h**2)
        variance = branch**2 * (net.bias_std[layer] ** 2 + net.sigma_w[layer] ** 2 * below)
        variance += skip**2 * np.mean(np.square(z)) if skip else 0.0
        total = branch * (w @ h + b)
        if skip:
            total = total + skip * z
        z, after = normed(total, post) if post else (total, 1.0)
        read, before = normed(z, pre) if pre else (z, 1.0)
        act = net.acts[layer]
        slope = act.derivative(read) * dropped[layer]
        met = SimpleNamespace(input=h, variance=variance, z=z, read=read, slope=slope)
        met.after, met.before = after, before
        h = act(read) * dropped[layer]
        met.h = h
        layers.append(met)
    return layers


def backward(net, drawn, layers, v):
    """Squared gradients of v . z^L, layer by layer, and that of the input."""
    norm = net.norm
    delta, out = v, []
    for layer in range(net.depth - 1, -1, -1):
        met, (w, _) = layers[layer], drawn[layer]
        skip, branch = factors(net, layer)
        g = np.mean(delta**2)
        if norm is not None and norm.place == "post":
            delta = pulled(delta, met.z, met.after, norm)
        own = branch * delta
        out.insert(0, (g, np.sum(own**2) * np.sum(met.input**2), np.sum(own**2)))
        back = w.T @ own
        if layer:
            back = back * layers[layer - 1].slope
            if norm is not None and norm.place == "pre":
                back = pulled(back, layers[layer - 1].read, layers[layer - 1].before, norm)
            if skip:
                back = back + skip * delta
        delta = back
    return np.array(out), np.mean(delta**2)


def cosine(one, two):
    return one @ two / math.sqrt((one @ one) * (two @ two))


def measure(net, inputs, trials, seed):
    """What `trials` networks do to one input or two: arrays of shape (trials, ...), by name."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(trials):
        drawn = weights(net, rng)
        ways = [forward(net, drawn, masks(net, rng), x) for x in inputs]
        row = {
            "variance": [met.variance for met in ways[0]],
            "preactivation": [np.mean(met.z**2) for met in ways[0]],
            "activation": [np.mean(met.h**2) for met in ways[0]],
            "mean": [np.mean(met.h) for met in ways[0]],
        }
        v = rng.normal(size=net.widths[-1])
        each, row["input_gradient"] = backward(net, drawn, ways[0], v / math.sqrt(np.mean(v**2)))
        row |= dict(zip(GRADIENTS, each.T, strict=True))
        if len(ways) == 2:
            row["correlation"] = [cosine(a.z, b.z) for a, b in zip(*ways, strict=True)]
        rows.append(row)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def pair_of_inputs(size, correlation, log_ratio=0.0):
    """Two inputs of mean square 1 and e^log_ratio whose cosine is the correlation, exactly."""
    one = np.ones(size)
    other = np.where(np.arange(size) % 2, 1.0, -1.0)  # size must be even
    two = correlation * one + math.sqrt(1 - correlation**2) * other
    return one, two * math.exp(log_ratio / 2)
