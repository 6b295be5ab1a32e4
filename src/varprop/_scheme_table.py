"""The named initialisation schemes: one row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SchemeRow:
    """What a named scheme draws, for listings.

    Attributes
    ----------
    name : str
    aliases : tuple of str
    distribution : str
        Law of the weights.
    variance : str
        Variance of a weight as a formula in fan_in, fan_out.
    bias : str
        Variance of a bias, with its law.
    source : str
        Where the scheme comes from.
    scale, mode, bias_scale, bias_distribution
        As in `varprop.scheme.Scheme`; the scale is None where it depends on the activation.
    """

    name: str
    aliases: tuple[str, ...]
    distribution: str
    variance: str
    source: str
    scale: float | None
    mode: str = "fan_in"
    bias: str = "0"
    bias_scale: float = 0.0
    bias_distribution: str = "normal"


_HE = "He et al., arXiv 1502.01852"
_XAVIER = "Glorot and Bengio, AISTATS 2010"
_LECUN = "LeCun et al., Efficient BackProp, 1998"
_ROWS = (
    SchemeRow("he", ("kaiming",), "normal", "2/fan_in", _HE, 2.0),
    SchemeRow("he_uniform", ("kaiming_uniform",), "uniform", "2/fan_in", _HE, 2.0),
    SchemeRow("xavier", ("glorot",), "normal", "2/(fan_in + fan_out)", _XAVIER, 1.0, "fan_avg"),
    SchemeRow(
        "xavier_uniform",
        ("glorot_uniform",),
        "uniform",
        "2/(fan_in + fan_out)",
        _XAVIER,
        1.0,
        "fan_avg",
    ),
    SchemeRow("lecun", (), "normal", "1/fan_in", _LECUN, 1.0),
    SchemeRow("lecun_uniform", (), "uniform", "1/fan_in", _LECUN, 1.0),
    SchemeRow(
        "orthogonal",
        (),
        "orthogonal",
        "1/max(fan_in, fan_out)",
        "Saxe et al., arXiv 1312.6120",
        1.0,
    ),
    SchemeRow(
        "torch",
        (),
        "uniform",
        "1/(3 fan_in)",
        "PyTorch, torch.nn.Linear.reset_parameters",
        1 / 3,
        bias="1/(3 fan_in), uniform",
        bias_scale=1 / 3,
        bias_distribution="uniform",
    ),
    SchemeRow("keras_he", (), "truncated_normal", "2/fan_in", "Keras, HeNormal", 2.0),
    SchemeRow(
        "keras_glorot",
        (),
        "truncated_normal",
        "2/(fan_in + fan_out)",
        "Keras, GlorotNormal",
        1.0,
        "fan_avg",
    ),
    SchemeRow("keras_lecun", (), "truncated_normal", "1/fan_in", "Keras, LecunNormal", 1.0),
    SchemeRow(
        "rashid",
        (),
        "uniform",
        "1/(3 fan_out)",
        "Rashid, Make Your Own Neural Network, 2016",
        1 / 3,
        "fan_out",
    ),
    SchemeRow(
        "kumar",
        (),
        "normal",
        "1/(phi'(0)**2 (1 + phi(0)**2) fan_in)",
        "Kumar, arXiv 1704.08863",
        None,
    ),
)

ROWS: dict[str, SchemeRow] = {row.name: row for row in _ROWS}
NAMES: dict[str, str] = {name: row.name for row in _ROWS for name in (row.name, *row.aliases)}
