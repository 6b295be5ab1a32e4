"""Measured singular values beside theory's: exact moments where it has them, else its limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .compare_tests import FALSE_ALARMS, Test
from .jacobian_spectrum import JacobianSpectrum
from .statistic import FloatArray

if TYPE_CHECKING:
    from .theory.spectrum import Spectrum

_FEWEST = 10  # trials: with fewer, a standard error is too rough to count in
_ROUGHEST = 0.1  # relative error of a mean beyond which its tail, not its error, decides


@dataclass(frozen=True, eq=False, repr=False)
class SpectrumComparison:
    """Theory beside a measured spectrum, depth by depth.

    Attributes
    ----------
    measured : JacobianSpectrum
    exact : bool
        Whether the moments are exact at this width; else they are those of large width.
    log_moments : array, shape (2, depths)
        ln of theory's E tr M/n_0 and E tr M²/n_0.
    participation : array, shape (depths,)
        Theory's E (tr M)²/(n_0 E tr M²).
    log_edge : array, shape (depths,)
        ln of the largest singular value at large width; nan where theory has none.
    tests : tuple of Test
        Only of exact moments.
    """

    measured: JacobianSpectrum
    exact: bool
    log_moments: FloatArray
    participation: FloatArray
    log_edge: FloatArray
    tests: tuple[Test, ...]

    @property
    def consistent(self) -> bool | None:
        """Whether no test is off (a faultless simulation fails once in 1000); None without."""
        if not self.tests:
            return None
        return all(test.p_value * len(self.tests) >= FALSE_ALARMS for test in self.tests)

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.consistent is None:
            if self.exact:
                return (
                    "not tested: too few networks for the scatter of their moments "
                    f"(at least {_FEWEST}, and standard errors below {_ROUGHEST:.0%})"
                )
            width = max(self.measured.network.widths)
            return f"theory is that of large width: deviations of order 1/{width} belong to it"
        worst = min(self.tests, key=lambda test: test.p_value)
        told = f"least likely of {len(self.tests)} tests: {worst.name}, p = {worst.p_value:.2g}"
        agree = "agree" if self.consistent else "DISAGREE"
        return f"simulation and exact moments {agree} ({told})"

    def __repr__(self) -> str:
        return f"<SpectrumComparison: {self.verdict}>"

    def __str__(self) -> str:
        from .text import format_log, text_table, wrapped

        measured, body = self.measured, []
        sigmas = {test.name: f"{test.sigmas:+.2f}" for test in self.tests}
        with np.errstate(divide="ignore"):
            mean = np.log(np.exp(measured.log_moments(1) - self.log_moments[0]).mean(axis=0))
        ratio = _ratio_of_means(measured)
        for at, depth in enumerate(measured.depths):
            edge = self.log_edge[at]
            body.append(
                [
                    str(depth),
                    format_log(mean[at] + self.log_moments[0, at]),
                    format_log(self.log_moments[0, at]),
                    f"{ratio[at]:.4g}",
                    f"{self.participation[at]:.4g}",
                    sigmas.get(f"participation, depth {depth}", "-"),
                    format_log(_finite_mean(measured.log_largest[:, at])),
                    "-" if math.isnan(edge) else "none" if edge == math.inf else format_log(edge),
                ]
            )
        heads = ["depth", "m1", "theory", "particip.", "theory", "sigmas", "largest", "edge"]
        kind = "exact at this width" if self.exact else "of large width"
        notes = (
            f"m1 = tr M/n_0, M = J Jᵀ; participation (tr M)²/(n_0 tr M²), a ratio of means over "
            f"networks; theory of both {kind}. largest: the singular value, geometric mean over "
            "networks; edge: where theory's density of large width ends."
        )
        return "\n\n".join([text_table(heads, body), wrapped(notes), f"{wrapped(self.verdict)}."])


def compare(measured: JacobianSpectrum) -> SpectrumComparison:
    """Hold a measured spectrum against theory.

    Parameters
    ----------
    measured : JacobianSpectrum
        Of a plain network with normal or orthogonal weights of one scheme.

    Returns
    -------
    SpectrumComparison
        For linear and two-slope activations (relu, leaky_relu, abs) without biases with exact
        moments and tests; for others with those of large width, where all widths are equal.

    Raises
    ------
    ValueError
        For other networks: theory has no spectrum of them.

    Examples
    --------
    >>> import varprop
    >>> s = varprop.spectrum(depth=3, width=20, act="relu", scheme="he", trials=200)
    >>> s.compare().consistent
    True
    """
    limits = limits_of(measured)
    moments = _exact_moments(measured)
    if moments is None and limits is None:
        raise ValueError(
            f"theory has no spectrum of {measured.network!r}: it knows plain networks with normal "
            "or orthogonal weights, of equal widths or linear or two-slope"
        )
    depths = len(measured.depths)
    log_edge = np.full(depths, np.nan)
    if limits is not None:
        log_edge = np.array([limit.log_edge / 2 for limit in limits])
    if moments is not None:
        log_size = math.log(measured.network.widths[0])
        logs = np.stack([moments[0], moments[1]]) - log_size
        participation = np.exp(moments[2] - moments[1] - log_size)
        tests = tuple(_tests(measured, moments))
        return SpectrumComparison(measured, True, logs, participation, log_edge, tests)
    assert limits is not None
    logs = np.array([limit.log_moments(2) for limit in limits]).T
    participation = np.array([limit.effective_rank for limit in limits])
    return SpectrumComparison(measured, False, logs, participation, log_edge, ())


def limits_of(measured: JacobianSpectrum) -> list[Spectrum] | None:
    """Theory's spectrum of large width at each depth; None where it has none."""
    from .theory import predict
    from .theory.spectrum import spectrum

    network = measured.network
    law = network.distributions[0]
    if not network.plain or network.width is None or law not in ("normal", "orthogonal"):
        return None
    prediction = predict(network, log_input_mean_square=measured.input_mean_square_log)
    variances: list[float] = np.exp(prediction.log_variance).tolist()
    gain = float(network.sigma_w[0])
    return [
        spectrum(network.act, depth, sigma_w=gain, weights=law, variance=variances[:depth], of="z")
        for depth in measured.depths
    ]


def _exact_moments(measured: JacobianSpectrum) -> FloatArray | None:
    """ln of E tr M, E tr M² and E (tr M)² at the depths; None where they are not known."""
    from .theory.spectrum import jacobian_moments

    try:
        moments = jacobian_moments(measured.network, of="z")
    except ValueError:
        return None
    at = np.array(measured.depths) - 1
    return np.stack([moments.log_trace, moments.log_square, moments.log_trace_square])[:, at]


def _tests(measured: JacobianSpectrum, moments: FloatArray) -> list[Test]:
    if measured.trials < _FEWEST:
        return []
    one, two = measured.log_traces(1), measured.log_traces(2)
    tests = []
    for at, depth in enumerate(measured.depths):
        # all of mean 1 if theory is right
        trace = np.exp(one[:, at] - moments[0, at])
        square = np.exp(two[:, at] - moments[1, at])
        both = np.exp(2 * one[:, at] - moments[2, at])
        for name, values, size in (
            ("tr M", trace - 1, trace),
            ("tr M²", square - 1, square),
            ("participation", both - square, square),
        ):
            error = values.std(ddof=1) / math.sqrt(values.size)
            rough = size.std(ddof=1) / math.sqrt(values.size) / size.mean()
            if error > 1e-12 and rough < _ROUGHEST:
                sigmas = float(values.mean() / error)
                p_value = math.erfc(abs(sigmas) / math.sqrt(2))
                tests.append(Test(f"{name}, depth {depth}", sigmas, p_value))
    return tests


def _ratio_of_means(measured: JacobianSpectrum) -> FloatArray:
    """Mean (tr M)² over n_0 times mean tr M²."""
    one, two = measured.log_traces(1), measured.log_traces(2)
    ratio = np.logaddexp.reduce(2 * one, axis=0) - np.logaddexp.reduce(two, axis=0)
    return np.asarray(np.exp(ratio) / measured.network.widths[0])


def _finite_mean(logs: FloatArray) -> float:
    live = logs[np.isfinite(logs)]
    return float(live.mean()) if live.size else -math.inf
