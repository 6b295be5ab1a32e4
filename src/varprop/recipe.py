"""How to initialise for an activation: the numbers, the lines to write, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .activation import Activation
from .architecture import Residual
from .network import Network
from .text import WIDTH, format_log, wrapped

if TYPE_CHECKING:
    from .theory import Gain

_FINE = 2 * math.log(100.0)  # mean squares: the root changes by less than a factor of 100
_SIGNS = {
    "K*": "the variance that is kept",
    "chi_1": "factor per layer of a squared gradient",
    "chi_K": "that of a small deviation of K",
    "Q(K)": "E phi(z)^2, z of variance K",
    "V(K)": "E phi'(z)^2",
}


@dataclass(frozen=True)
class Recipe:
    """What to write for an activation, and why. Print it for an answer.

    Attributes
    ----------
    act : Activation
    sigma_w, sigma_b : float
        Weights of variance sigma_w^2/fan_in, biases of variance sigma_b^2.
    because : str
        Why these.
    gain : Gain
        Beside the gains that are published, and what those do.
    depth : int
        The depth that the following are about, at infinite width:
    log_variance : tuple of float
        ln K of the first and the last layer, for an input of mean square 1.
    log_gradient : float or None
        ln of the mean square of a gradient in layer 1, being 1 in the last; None for an
        activation that jumps.
    with_skips : tuple of float or None
        ln K of the last layer and ln of the gradient of the same layers as residual branches,
        scaled by 1/sqrt(depth); None where the depth is fine without or there is no gradient.

    Examples
    --------
    >>> made = recipe("relu")
    >>> round(made.sigma_w**2, 9), made.sigma_b, made.fine
    (2.0, 0.0, True)
    >>> made.lines["JAX"][0]
    'jax.nn.initializers.variance_scaling(2, "fan_in", "normal")'
    """

    act: Activation
    sigma_w: float
    sigma_b: float
    because: str
    gain: Gain
    depth: int
    log_variance: tuple[float, float]
    log_gradient: float | None
    with_skips: tuple[float, float] | None

    @property
    def lines(self) -> dict[str, tuple[str, str]]:
        """For each framework, the initialiser of the weights and that of the biases."""
        w, scale, b = _number(self.sigma_w), _number(self.sigma_w**2), _number(self.sigma_b)
        some = self.sigma_b > 0
        keras = f'keras.initializers.VarianceScaling({scale}, "fan_in", "untruncated_normal")'
        return {
            "PyTorch": (
                f"nn.init.normal_(m.weight, std={w} / m.in_features**0.5)",
                f"nn.init.normal_(m.bias, std={b})" if some else "nn.init.zeros_(m.bias)",
            ),
            "Keras": (
                keras,
                f"keras.initializers.RandomNormal(stddev={b})" if some else '"zeros"',
            ),
            "JAX": (
                f'jax.nn.initializers.variance_scaling({scale}, "fan_in", "normal")',
                f"jax.nn.initializers.normal({b})" if some else "jax.nn.initializers.zeros",
            ),
        }

    @property
    def fine(self) -> bool:
        """Whether rms signal and gradient change by less than a factor of 100 through the depth."""
        return _fine(self.log_variance, self.log_gradient)

    @property
    def outlook(self) -> str:
        """Whether the depth is fine, and why."""
        first, last = (format_log(log) for log in self.log_variance)
        text = f"depth {self.depth} is {'fine' if self.fine else 'not fine'}: K, the variance of "
        text += f"pre-activations, goes from {first} in the first layer to {last} in the last, "
        if self.log_gradient is None:
            return f"{text}but no gradient comes back through a jump."
        text += f"and a squared gradient changes by a factor {format_log(self.log_gradient)} "
        text += "on its way back. (Fine: neither changes by 10^4, that is 100 in root mean square.)"
        return text if self.fine else f"{text} {self._remedy}".rstrip()

    @property
    def kept(self) -> float | None:
        """Mean square of an input whose K is K* from the first layer on; None without K* > 0."""
        variance = self.gain.critical.variance
        if not variance:
            return None
        return float((variance - self.sigma_b**2) / self.sigma_w**2)

    @property
    def _remedy(self) -> str:
        """A way out; empty where none is known."""
        if self.kept is not None:
            return (
                f"With inputs of mean square {self.kept:.4g}, not 1, K is "
                f"{self.gain.critical.variance:.4g} in every layer, and squared gradients keep "
                "their size."
            )
        if self.with_skips is None:
            return ""
        last, gradient = self.with_skips
        if not _fine((self.log_variance[0], last), gradient):
            return ""
        return (
            "Skip connections help: with layers 2 and on added to what came before, "
            f"z + (W phi(z) + b)/sqrt({self.depth}), K goes to {format_log(last)} and a "
            f"squared gradient changes by a factor {format_log(gradient)}."
        )

    def __str__(self) -> str:
        numbers = f"gain sigma_w = {self.sigma_w:.10g}, biases sigma_b = {self.sigma_b:.10g}"
        law = "  (Var W = sigma_w^2/fan_in, Var b = sigma_b^2)"
        parts = [wrapped(f"{self.act}: {numbers}", "  ") + f"\n{law}", wrapped(self.outlook, "  ")]
        for framework, lines in self.lines.items():
            weights, biases = (_within(line, WIDTH - 11) for line in lines)
            parts.append(f"{framework}\n  weights  {weights}\n  biases   {biases}")
        parts.append(wrapped(f"why: {self.because}{_glossary(self.because)}", "  "))
        parts.append(self.gain.table())
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Numbers and lines by name, for JSON."""
        return {
            "act": str(self.act),
            "sigma_w": self.sigma_w,
            "sigma_b": self.sigma_b,
            "because": self.because,
            "write": {
                name: {"weights": weights, "biases": biases}
                for name, (weights, biases) in self.lines.items()
            },
            "depth": self.depth,
            "log_variance": list(self.log_variance),
            "log_gradient": self.log_gradient,
            "fine": self.fine,
            "gains": self.gains(),
        }

    def gains(self) -> list[dict[str, Any]]:
        """Every gain that is known for the activation, and what it does."""
        return [
            {"source": row.source, "gain": row.gain, "does": row.does} for row in self.gain.rows
        ]


def recipe(act: Any, depth: int = 100) -> Recipe:
    """Find the initialisation of an activation: its critical point, or else its gain.

    Parameters
    ----------
    act : str, Activation or pair of callables
        See `Activation.parse`.
    depth : int, default 100
        The depth to look ahead to.

    Returns
    -------
    Recipe

    Raises
    ------
    ValueError
        For an unknown activation, one that no gain helps, or a depth out of range.

    Examples
    --------
    >>> found = recipe("relu", 50)
    >>> found.fine, found.outlook[:17]
    (True, 'depth 50 is fine:')
    """
    from . import theory

    found = theory.gain(act)
    point = found.critical
    if point.sigma_w is None or point.sigma_b is None:
        sigma_w, sigma_b = found.gain, 0.0
        because = f"it keeps a variance of 1. There is no critical point, because {point.because}."
    else:
        sigma_w, sigma_b = point.sigma_w, point.sigma_b
        because = f"the critical point ({point.kind}). {point.because}"
    scheme: dict[str, Any] = {"act": found.act, "sigma_w": sigma_w, "sigma_b": sigma_b}
    ahead = theory.predict(Network(depth, **scheme))
    variance = float(ahead.log_variance[0]), float(ahead.log_variance[-1])
    try:
        gradient: float | None = float(ahead.log_gradient[0])
    except ValueError:  # the activation jumps
        gradient = None
    skips = None
    if gradient is not None and not _fine(variance, gradient):
        added = theory.predict(Network(depth, **scheme, residual=Residual("1/sqrt(depth)")))
        skips = float(added.log_variance[-1]), float(added.log_gradient[0])
    return Recipe(found.act, sigma_w, sigma_b, because, found, depth, variance, gradient, skips)


def _fine(log_variance: tuple[float, float], log_gradient: float | None) -> bool:
    if log_gradient is None:
        return False
    change = log_variance[1] - log_variance[0]
    return abs(change) < _FINE and abs(log_gradient) < _FINE


def _glossary(text: str) -> str:
    """What the signs in a text mean, in brackets."""
    meant = [f"{sign}: {meaning}" for sign, meaning in _SIGNS.items() if sign in text]
    return f" ({'; '.join(meant)}.)" if meant else ""


def _within(call: str, room: int) -> str:
    """A call that is too long for a line, with its arguments on the next one."""
    return call if len(call) <= room else call.replace("(", "(\n" + 13 * " ", 1)


def _number(value: float) -> str:
    return f"{value:.8g}"
