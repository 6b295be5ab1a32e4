"""The maps to 30 digits by mpmath, kept in results/truth.json: what the section "maps" asks for.

E phi(sqrt(K) u) phi(sqrt(K) v), of correlation rho, is a sum over squared Hermite coefficients
(Mehler), so that one-dimensional integrals are all it takes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

import mpmath
from mpmath import mp, mpf
from record import RESULTS

KS = ("0.01", "1", "10", "100")
RHO = "0.5"
MAPS = ("variance", "gradient", "correlation")
DIGITS = 30

Function = Callable[[mpf], mpf]


def _sigmoid(x: mpf) -> mpf:
    return 1 / (1 + mpmath.exp(-x))


def _density(x: mpf) -> mpf:
    return mpmath.npdf(x)


ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "relu": (lambda x: max(x, mpf(0)), lambda x: mpf(x > 0)),
    "tanh": (mpmath.tanh, lambda x: mpmath.sech(x) ** 2),
    "gelu": (lambda x: x * mpmath.ncdf(x), lambda x: mpmath.ncdf(x) + x * _density(x)),
    "erf": (mpmath.erf, lambda x: 2 / mpmath.sqrt(mp.pi) * mpmath.exp(-x * x)),
    "silu": (
        lambda x: x * _sigmoid(x),
        lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))),
    ),
    "elu": (
        lambda x: x if x > 0 else mpmath.expm1(x),
        lambda x: mpf(1) if x > 0 else mpmath.exp(x),
    ),
}


def truths() -> dict[str, dict[str, list[str]]]:
    """Map -> activation -> values at KS, as decimals; computed once."""
    path = RESULTS / "truth.json"
    if path.exists():
        found: dict[str, dict[str, list[str]]] = json.loads(path.read_text())
        return found
    values: dict[str, dict[str, list[str]]] = {name: {} for name in MAPS}
    with mp.workdps(DIGITS + 10):
        for act, (f, slope) in ACTIVATIONS.items():
            for name in MAPS:
                values[name][act] = []
            for k in KS:
                s = mpmath.sqrt(mpf(k))
                nodes = _nodes(s)
                here = [(z, w, f(s * z)) for z, w in nodes]
                values["variance"][act].append(_text(mpmath.fsum(w * h * h for _, w, h in here)))
                slopes = mpmath.fsum(w * slope(s * z) ** 2 for z, w in nodes)
                values["gradient"][act].append(_text(slopes))
                values["correlation"][act].append(_text(_mehler(here, mpf(RHO))))
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(values, indent=1) + "\n")
    return values


def _text(value: mpf) -> str:
    return str(mpmath.nstr(value, DIGITS))


def _nodes(scale: mpf) -> list[tuple[mpf, mpf]]:
    """Gauss-Legendre panels for the normal density, split at 0; finer where phi turns faster."""
    end, finest = mpf(13), min(mpf(1), 1 / scale)
    edges = [mpf(0)]
    while edges[-1] < end:
        edges.append(min(end, edges[-1] + max(finest, edges[-1] / 2 if scale > 1 else finest)))
    panels = list(pairwise(edges))
    rule = mpmath.calculus.quadrature.GaussLegendre(mp).calc_nodes(5, mp.prec)
    found = []
    for a, b in panels + [(-b, -a) for a, b in panels]:
        for x, w in rule:
            z = (a + b) / 2 + (b - a) / 2 * x
            found.append((z, (b - a) / 2 * w * _density(z)))
    return found


def _mehler(here: list[tuple[mpf, mpf, mpf]], rho: mpf) -> mpf:
    """Sum of rho^n E[phi h_n]^2, h_n the normalised Hermite polynomials."""
    total = mpf(0)
    last, now = [mpf(0)] * len(here), [w * h for _, w, h in here]
    for n in range(int(DIGITS / -mpmath.log10(rho)) + 10):
        total += rho**n * mpmath.fsum(now) ** 2
        root, below = mpmath.sqrt(n + 1), mpmath.sqrt(n)
        points = zip(here, now, last, strict=True)
        last, now = now, [(z * a - below * b) / root for (z, _, _), a, b in points]
    return total
