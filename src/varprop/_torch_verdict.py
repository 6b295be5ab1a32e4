"""Where a signal vanishes, explodes, saturates or dies: the limits, and the first module beyond.

The limits are on averages over draws, so a verdict has a stated rate of false alarms: the chance
that a model whose true averages keep to all limits is called ill by one trace is at most
`FALSE_ALARMS` (a one-sided t test of the mean logarithm or share at every module, Bonferroni; the
means of some draws are taken to be normal). One pass alone (draws=0 or 1) has no such statement:
there the measured number itself is held against the limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .activation import Activation
from .text import format_log

__all__ = ["FALSE_ALARMS", "LIMITS", "Finding", "find"]

FloatArray = npt.NDArray[np.float64]

FALSE_ALARMS = 1e-3
# Mean squares. Initialisations in use have fan_in Var W from 1/3 (torch's own) to 3.2 (NF-nets):
# one layer beyond 1/8 or 10 is none of them. A thousandfold over the whole way is a factor 30 in
# size: a He network stays within 2, torch's own Linear with ReLU reaches it after 4 layers.
LIMITS: Mapping[str, float] = {
    "one layer down": 8.0,
    "one layer up": 10.0,
    "in all": 1e3,
    "saturated": 0.5,
    "dead": 0.9,  # weights without a preferred sign leave at most half of the units dead
}
_FLOOR = 1e-300  # stands for 0 in logarithms


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, at the first module where it is.

    Attributes
    ----------
    module : str
        The module's name in the model; ``relu()`` and the like for a function.
    verdict : str
        "vanishes", "explodes", "saturates" or "dies".
    quantity : str
        "signal", "gradient" or "units".
    text : str
        The same as a sentence, with the numbers.

    Examples
    --------
    >>> print(Finding("3", "saturates", "units", "units saturate at 3: 73.0% of them"))
    units saturate at 3: 73.0% of them
    """

    module: str
    verdict: str
    quantity: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Step:
    """What the verdict looks at of one module; arrays have one number a draw, nan if unmeasured."""

    name: str
    kind: str
    act: str | None
    trunk: bool
    output: bool
    mean_square: FloatArray
    below: FloatArray  # mean square of what a weighted layer reads
    without_bias: FloatArray  # and of its output before the bias is added
    gradient: FloatArray  # sum of squares over that of the output
    saturated: FloatArray
    dead: FloatArray
    units: float
    broken: FloatArray  # 1 where the output is not finite
    gradient_broken: FloatArray


def find(steps: Sequence[Step], reference: FloatArray) -> tuple[Finding, ...]:
    """The findings of a trace, in the order of execution, gradients last.

    Parameters
    ----------
    steps : sequence of Step
        In the order of execution.
    reference : array
        Mean square of the input, one a draw.

    Returns
    -------
    tuple of Finding
        One for each kind of fault.
    """
    level = FALSE_ALARMS / max(1, 6 * len(steps))
    found: dict[tuple[str, str], Finding] = {}

    def note(step: Step, verdict: str, quantity: str, text: str) -> None:
        found.setdefault((quantity, verdict), Finding(step.name, verdict, quantity, text))

    for step in steps:
        if step.broken.mean() > 0.5:
            note(step, "explodes", "signal", f"the signal explodes at {step.name}: not finite")
            break
        _units(step, level, note)
        silent = (step.mean_square == 0).mean() > 0.5 and step.trunk and not step.output
        if silent and ("units", "dies") not in found:
            note(step, "dies", "signal", f"the signal dies at {step.name}: every number is 0")
        if ("signal", "dies") in found or ("units", "dies") in found:
            break  # what comes after is biases, not the signal
        _signal(step, reference, level, note)
    if not any(finding.verdict == "dies" for finding in found.values()):
        for step in reversed(steps):
            _gradient(step, level, note)
    return tuple(found.values())


Note = Callable[[Step, str, str, str], None]


def _signal(step: Step, reference: FloatArray, level: float, note: Note) -> None:
    log = _log(step.mean_square)
    fades = step.trunk and not step.output
    if not np.isnan(step.below).all():
        gain = _log(step.without_bias) - _log(step.below)
        what = f"its weights turn the mean square of what it reads by {_factor(gain)}"
        if fades and _beyond(-gain, math.log(LIMITS["one layer down"]), level):
            note(step, "vanishes", "signal", f"the signal vanishes at {step.name}: {what}")
        if _beyond(gain, math.log(LIMITS["one layer up"]), level):
            note(step, "explodes", "signal", f"the signal explodes at {step.name}: {what}")
    whole = log - _log(reference)
    limit = math.log(LIMITS["in all"])
    what = f"its mean square is {_factor(whole)} that of the input"
    if fades and _beyond(-whole, limit, level):
        note(step, "vanishes", "signal", f"the signal vanishes at {step.name}: {what}")
    if _beyond(whole, limit, level):
        note(step, "explodes", "signal", f"the signal explodes at {step.name}: {what}")


def _gradient(step: Step, level: float, note: Note) -> None:
    if step.gradient_broken.mean() > 0.5:
        text = f"the gradient explodes on its way to {step.name}: not finite"
        note(step, "explodes", "gradient", text)
    log = _log(step.gradient)
    limit = math.log(LIMITS["in all"])
    what = f"its squared norm is {_factor(log)} that at the output"
    if step.trunk and _beyond(-log, limit, level):
        note(
            step, "vanishes", "gradient", f"the gradient vanishes on its way to {step.name}: {what}"
        )
    if _beyond(log, limit, level):
        note(
            step, "explodes", "gradient", f"the gradient explodes on its way to {step.name}: {what}"
        )


def _units(step: Step, level: float, note: Note) -> None:
    if step.act is None or np.isnan(step.dead).all():
        return
    share = float(np.nanmean(step.dead))
    if share >= LIMITS["dead"]:
        from scipy import stats

        count = round(step.units * len(step.dead))
        if stats.binom.sf(math.ceil(share * count) - 1, count, 0.5) < level:
            text = f"units die at {step.name}: {100 * share:.3g}% of them answer to no input"
            note(step, "dies", "units", text)
            return
    if _two_sided(step.act) and _beyond(step.saturated, LIMITS["saturated"], level):
        share = float(np.nanmean(step.saturated))
        text = f"units saturate at {step.name}: {100 * share:.3g}% of them are flat"
        note(step, "saturates", "units", text)


def _two_sided(act: str) -> bool:
    """Whether φ goes flat on both sides, and is not cut off at 0 (where half of it is flat)."""
    record = Activation.parse(act)
    return record.at_infinity == (0.0, 0.0) and 0.0 not in record.at_zero[1:]


def _beyond(values: FloatArray, limit: float, level: float) -> bool:
    """Whether the mean over draws is beyond a limit, by more than chance does."""
    values = values[~np.isnan(values)]
    if values.size == 0 or not values.mean() > limit:
        return False
    if values.size == 1:
        return True
    error = float(values.std(ddof=1)) / math.sqrt(values.size)
    if error == 0:
        return True
    from scipy import stats

    return bool(stats.t.sf((values.mean() - limit) / error, values.size - 1) < level)


def _log(values: FloatArray) -> FloatArray:
    return np.log(np.maximum(values, _FLOOR))


def _factor(logs: FloatArray) -> str:
    return f"x{format_log(float(np.nanmean(logs)))}" if not np.isnan(logs).all() else "?"
