"""Trace: what came out of tracing a model; immutable, printable."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ._torch_verdict import FALSE_ALARMS, Finding
from .rows import counted
from .text import WIDTH, format_log, format_share, shortened, table_width, text_table, wrapped

if TYPE_CHECKING:
    import pandas

__all__ = ["Estimate", "ModuleTrace", "Trace"]


@dataclass(frozen=True)
class Estimate:
    """A mean over draws and its standard error, None for one draw.

    Examples
    --------
    >>> Estimate(0.5, 0.01).mean
    0.5
    """

    mean: float
    stderr: float | None


@dataclass(frozen=True)
class ModuleTrace:
    """What was measured at one module, and what theory says.

    Attributes
    ----------
    name : str
        The module's name in the model; a function is named ``block.relu()``, a second call
        ``block.relu #2``.
    kind : str
        Its class, or what the function does.
    mean_square : Estimate or None
        Mean square of the output; None where it was never finite.
    relative_mean : Estimate or None
        Mean of the output over its root mean square, in [-1, 1].
    gradient : Estimate or None
        Mean square of the gradient of v . output with respect to what the module returned, v a
        random direction of mean square 1.
    zero : Estimate or None
        Share of numbers that are exactly 0.
    saturated, dead : Estimate or None
        Of activations: share of units with a slope of at most `Trace.saturated_below` of the
        largest; share of units (features, channels) that are flat for every input given.
    predicted_mean_square, predicted_gradient : float or None
        The same two from theory, None where the chain is not one that it knows.
    trunk : bool
        Whether every way from the input to the output passes here.

    Examples
    --------
    >>> import torch
    >>> from varprop.torch import trace
    >>> module = trace(torch.nn.ReLU(), torch.tensor([[-1.0, 3.0]]), draws=0).modules[0]
    >>> module.kind, module.mean_square, module.zero
    ('ReLU', Estimate(mean=4.5, stderr=None), Estimate(mean=0.5, stderr=None))
    """

    name: str
    kind: str
    mean_square: Estimate | None
    relative_mean: Estimate | None
    gradient: Estimate | None
    zero: Estimate | None
    saturated: Estimate | None
    dead: Estimate | None
    predicted_mean_square: float | None
    predicted_gradient: float | None
    trunk: bool


@dataclass(frozen=True, repr=False)
class Trace:
    """What becomes of signals and gradients at every module of a model. Print it for a table.

    Attributes
    ----------
    model : str
        The model's class.
    draws : int
        How often it was initialised; 0 where it was traced as it stands.
    seed : int
    saturated_below : float
    modules : tuple of ModuleTrace
        In the order of execution.
    findings : tuple of Finding
        What is wrong, each at the first module where it is.
    notes : tuple of str
        What one should know about the model's parameters.

    Examples
    --------
    >>> import torch
    >>> from varprop.torch import trace
    >>> model = torch.nn.Sequential(torch.nn.Linear(50, 40), torch.nn.Tanh())
    >>> report = trace(model, torch.ones(1, 50), seed=1)
    >>> report.healthy, report["1"].kind, round(report["0"].predicted_mean_square, 2)
    (True, 'Tanh', 0.34)
    """

    model: str
    draws: int
    seed: int
    saturated_below: float
    modules: tuple[ModuleTrace, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __getitem__(self, name: str) -> ModuleTrace:
        """The module of that name; KeyError, with the names, for another."""
        for module in self.modules:
            if module.name == name:
                return module
        names = ", ".join(module.name for module in self.modules)
        raise KeyError(f"no module {name!r} was traced; there are {names}")

    def __repr__(self) -> str:
        state = "healthy" if self.healthy else counted(len(self.findings), "finding")
        return f"<Trace: {self.model}, {counted(len(self.modules), 'module')}, {state}>"

    def __str__(self) -> str:
        return "\n".join(
            [
                wrapped(self._head()),
                "",
                _table(self.modules),
                "",
                wrapped(_LEGEND.format(below=f"{100 * self.saturated_below:g}%")),
                "",
                *(wrapped(line, "  ") for line in (*self._closing(), *self.notes)),
            ]
        )

    def _head(self) -> str:
        how = "as it stands" if self.draws == 0 else f"initialised {counted(self.draws, 'time')}"
        return f"{self.model}, {how}, seed {self.seed}: {counted(len(self.modules), 'module')}"

    def _closing(self) -> list[str]:
        if self.findings:
            return [finding.text for finding in self.findings]
        if self.draws < 2:
            return ["healthy: nothing beyond its limit"]
        return [f"healthy: nothing beyond its limit (false alarms: at most {FALSE_ALARMS:g})"]

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        rows = [_cells(module, 3) for module in self.modules]
        heads = "".join(f"<th>{html.escape(head)}</th>" for head in _HEADS)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        lines = "".join(f"<li>{html.escape(t)}</li>" for t in (*self._closing(), *self.notes))
        return (
            f"<p>{html.escape(self._head())}</p><table><thead><tr>{heads}</tr></thead>"
            f"<tbody>{body}</tbody></table><ul>{lines}</ul>"
        )

    def to_pandas(self) -> pandas.DataFrame:
        """One line per module, as a pandas DataFrame; missing where there is nothing to say.

        Raises
        ------
        ImportError
            When pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError('to_pandas() needs pandas: pip install "varprop[pandas]"') from None
        return pandas.DataFrame([_flat(module) for module in self.modules])


_HEADS = (
    "module", "kind", "signal", "+-%", "theory", "mean", "grad", "theory", "flat%", "dead%",
)  # fmt: skip
_WIDEST_KIND = 11
_LEGEND = (
    "signal, grad: mean squares of the output and of a gradient on its way back, beside theory's; "
    "+-%: standard error; mean: that of the output over its root mean square; flat%: units with a "
    "slope of at most {below} of the largest; dead%: units that are flat for every input."
)


def _flat(module: ModuleTrace) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for f in fields(module):
        value = getattr(module, f.name)
        if f.name in ("name", "kind", "trunk") or f.name.startswith("predicted"):
            columns[f.name] = value
            continue
        columns[f.name] = None if value is None else value.mean
        columns[f"{f.name}_stderr"] = None if value is None else value.stderr
    return columns


def _table(modules: tuple[ModuleTrace, ...]) -> str:
    body = [_cells(module, 2) for module in modules]
    kind = min(_WIDEST_KIND, max(len(row[1]) for row in [_HEADS, *body]))
    numbers = [["", "", *row[2:]] for row in body]
    name = WIDTH - kind - table_width(["", "", *_HEADS[2:]], numbers, 1)
    name = min(name, max(len(row[0]) for row in [_HEADS, *body]))
    return text_table(
        _HEADS, [[shortened(row[0], name), row[1][:kind], *row[2:]] for row in body], left=2
    )


def _cells(module: ModuleTrace, digits: int) -> list[str]:
    def square(value: float | None) -> str:
        if value is None:
            return "-"
        return format_log(math.log(value) if value > 0 else -math.inf, digits)

    def mean(estimate: Estimate | None) -> float | None:
        return None if estimate is None else estimate.mean

    def share(estimate: Estimate | None) -> str:
        return "-" if estimate is None else format_share(estimate.mean)

    signal = module.mean_square
    error = "-"
    if signal is not None and signal.stderr is not None and signal.mean > 0:
        percent = 100 * signal.stderr / signal.mean
        error = "<0.1" if 0 < percent < 0.05 else f"{percent:.{percent < 10:d}f}"
    relative = mean(module.relative_mean)
    return [
        module.name,
        module.kind,
        square(mean(signal)),
        error,
        square(module.predicted_mean_square),
        "-" if relative is None else f"{relative:.2f}".replace("-0.00", "0.00"),
        square(mean(module.gradient)),
        square(module.predicted_gradient),
        share(module.saturated),
        share(module.dead),
    ]
