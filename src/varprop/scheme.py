"""Scheme: the law that weights (and biases) are drawn from."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from varprop._parser import shown
from varprop._scheme_table import NAMES, ROWS, SchemeRow
from varprop.activation import Activation

DISTRIBUTIONS = (
    "normal",
    "uniform",
    "truncated_normal",
    "rademacher",
    "student_t",
    "sparse",
    "orthogonal",
)
MODES = ("fan_in", "fan_out", "fan_avg", "fixed")
_SHAPED = ("student_t", "sparse")
_SMALLEST, _LARGEST = 1e-300, 1e300

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SPEC = re.compile(
    rf"(?P<law>[a-z_]+)(?:\((?P<inside>[^()]*)\))?"
    rf"(?:,(?P<scale>{_NUMBER})(?:/(?P<mode>[a-z_]+))?)?"
    rf"(?:,bias_(?P<bias_law>[a-z]+),(?P<bias>{_NUMBER})/fan_in)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Scheme:
    """Weights i.i.d. of one law, with Var W_ij = scale/fan; or orthogonal matrices.

    Schemes with the same law are equal, whatever they are called.

    Parameters
    ----------
    name : str
        For people; takes no part in comparisons.
    distribution : str
        "normal", "uniform", "truncated_normal" (at two standard deviations of the parent law,
        rescaled to the exact variance), "rademacher" (two signs), "student_t" (df = shape),
        "sparse" (non-zero with probability p = shape, then normal), or "orthogonal" (a Haar
        semi-orthogonal matrix times the gain; scale = gain**2).
    scale : float
        Var W_ij times the fan, or Var W_ij itself for mode "fixed"; 1e-300 to 1e300.
    mode : str
        The fan: "fan_in", "fan_out", "fan_avg" = (fan_in + fan_out)/2, or "fixed". Orthogonal
        matrices take "fan_in", and have Var W_ij = gain**2/max(fan_in, fan_out).
    shape : float or None
        2 < df <= 1e6 of student_t, 1e-9 <= p <= 1 of sparse, None for all others.
    bias_scale : float
        Var b_i times fan_in. Default 0: no biases.
    bias_distribution : str
        "normal" (default) or "uniform".

    Raises
    ------
    ValueError
        For a value outside these ranges.

    Examples
    --------
    >>> from varprop.scheme import Scheme
    >>> Scheme.named("he").variance(1000, 500)
    0.002
    >>> str(Scheme("heavy", "student_t", 2.0, "fan_in", shape=5))
    'student_t(5.0), 2.0/fan_in'
    """

    name: str = field(compare=False)
    distribution: str
    scale: float
    mode: str = "fan_in"
    shape: float | None = None
    bias_scale: float = 0.0
    bias_distribution: str = "normal"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"a scheme's name is a str, not {type(self.name).__name__}")
        if self.distribution not in DISTRIBUTIONS:
            raise ValueError(
                f"unknown distribution {self.distribution!r}{_nearest(self.distribution)}; known: "
                + ", ".join(DISTRIBUTIONS)
            )
        if self.mode not in MODES:
            raise ValueError(f"unknown mode {self.mode!r}; known: {', '.join(MODES)}")
        if self.distribution == "orthogonal" and self.mode != "fan_in":
            raise ValueError(
                f"orthogonal matrices take mode 'fan_in', not {self.mode!r}: their variance is "
                "gain**2/max(fan_in, fan_out)"
            )
        limits = (1e-290, 1e290) if self.mode == "fixed" else (_SMALLEST, _LARGEST)
        self._set("scale", _within("scale", self.scale, *limits))
        if self.bias_scale != 0:
            self._set("bias_scale", _within("bias_scale", self.bias_scale, *limits))
        self._set("bias_scale", float(self.bias_scale))
        if self.bias_distribution not in ("normal", "uniform"):
            raise ValueError(
                f"unknown bias_distribution {self.bias_distribution!r}; known: normal, uniform"
            )
        self._set("shape", self._checked_shape())

    def _set(self, attribute: str, value: Any) -> None:
        object.__setattr__(self, attribute, value)

    def _checked_shape(self) -> float | None:
        if self.distribution not in _SHAPED:
            if self.shape is not None:
                raise ValueError(
                    f"{self.distribution} takes no shape, but was given {self.shape!r}"
                )
            return None
        if self.distribution == "student_t":
            what, allowed = "df of student_t", "> 2 (its variance is infinite otherwise), <= 1e6"
            inside = _is_number(self.shape) and 2 < self.shape <= 1e6  # type: ignore[operator]
        else:
            what, allowed = "p of sparse", "from 1e-9 to 1"
            inside = _is_number(self.shape) and 1e-9 <= self.shape <= 1  # type: ignore[operator]
        if not inside:
            raise ValueError(f"the shape, {what}, must be a number {allowed}, not {self.shape!r}")
        return float(self.shape)  # type: ignore[arg-type]

    def variance(self, fan_in: npt.ArrayLike, fan_out: npt.ArrayLike) -> Any:
        """Var W_ij of a fan_out x fan_in matrix; broadcasts, scalars give a float."""
        value = self.scale / self._fan(fan_in, fan_out)
        return float(value) if np.ndim(value) == 0 else value

    def gain(self, fan_in: npt.ArrayLike, fan_out: npt.ArrayLike) -> Any:
        """sigma_w**2 = fan_in Var W_ij; broadcasts, scalars give a float."""
        value = self.scale * (np.asarray(fan_in, np.float64) / self._fan(fan_in, fan_out))
        return float(value) if np.ndim(value) == 0 else value

    def _fan(self, fan_in: npt.ArrayLike, fan_out: npt.ArrayLike) -> Any:
        inputs = np.asarray(fan_in, dtype=np.float64)
        outputs = np.asarray(fan_out, dtype=np.float64)
        if self.distribution == "orthogonal":
            return np.maximum(inputs, outputs)
        if self.mode == "fixed":
            return np.ones(np.broadcast_shapes(inputs.shape, outputs.shape))
        both = np.broadcast_arrays(inputs, outputs)
        return {"fan_in": both[0], "fan_out": both[1]}.get(self.mode, (both[0] + both[1]) / 2)

    def bias_variance(self, fan_in: npt.ArrayLike) -> Any:
        """Var b_i; broadcasts, a scalar gives a float."""
        value = self.bias_scale / np.asarray(fan_in, dtype=np.float64)
        return float(value) if np.ndim(value) == 0 else value

    @property
    def rotation_invariant(self) -> bool:
        """Whether W and W U have the same law for every rotation U."""
        return self.distribution in ("normal", "orthogonal")

    def __str__(self) -> str:
        if _same(self.name, self):
            return self.name
        return self._canonical()

    def _canonical(self) -> str:
        shape = "" if self.shape is None else f"({self.shape!r})"
        fan = "" if self.mode == "fixed" else f"/{self.mode}"
        bias = f", bias_{self.bias_distribution}, {self.bias_scale!r}/fan_in"
        return f"{self.distribution}{shape}, {self.scale!r}{fan}{bias if self.bias_scale else ''}"

    @classmethod
    def named(cls, name: str, act: Activation | None = None) -> Scheme:
        """The scheme of that name; see `schemes`.

        Parameters
        ----------
        name : str
        act : Activation, optional
            Needed by "kumar" only.

        Raises
        ------
        ValueError
            For an unknown name, or "kumar" with an activation that has no slope at 0.
        """
        if name not in NAMES:
            raise ValueError(_unknown(str(name)))
        row = ROWS[NAMES[name]]
        scale = _kumar_scale(act) if row.scale is None else row.scale
        return cls(
            name,
            row.distribution,
            scale,
            row.mode,
            bias_scale=row.bias_scale,
            bias_distribution=row.bias_distribution,
        )

    @classmethod
    def from_sigma_w(cls, sigma_w: float) -> Scheme:
        """Normal weights with Var W_ij = sigma_w**2/fan_in; sigma_w from 1e-150 to 1e150."""
        value = _within("sigma_w", sigma_w, 1e-150, 1e150)
        return cls(f"sigma_w={value!r}", "normal", value**2)

    @classmethod
    def parse(cls, spec: str | Scheme, act: Activation | None = None) -> Scheme:
        """A scheme from what a caller may write.

        Parameters
        ----------
        spec : str or Scheme
            A name (`schemes` lists them); a fixed law, whatever the width: ``"normal(0.01)"``
            (standard deviation; also truncated_normal, rademacher), ``"uniform(-a, a)"``; a law of
            variance 1/fan_in: ``"rademacher"``, ``"student_t(5)"``, ``"sparse(0.1)"``;
            ``"orthogonal(gain)"``; any law with its variance: ``"student_t(5), 2/fan_in"``,
            ``"uniform, 0.01"``; or ``"sigma_w=1.5"``.
        act : Activation, optional
            Needed by "kumar" only.

        Raises
        ------
        ValueError
            For anything else; the text says what is allowed.

        Examples
        --------
        >>> Scheme.parse("uniform(-1, 1)").variance(100, 100)
        0.3333333333333333
        """
        if isinstance(spec, Scheme):
            return spec
        if not isinstance(spec, str):
            raise TypeError(f"a scheme is a str or a Scheme, not {type(spec).__name__}")
        text = spec.strip()
        if text in NAMES:
            return cls.named(text, act)
        if text.startswith("sigma_w="):
            return cls.from_sigma_w(_number(text, text.removeprefix("sigma_w=")))
        match = _SPEC.fullmatch(re.sub(r"\s+", "", text)) if len(text) <= 200 else None
        if match is None or match["law"] not in DISTRIBUTIONS:
            raise ValueError(_unknown(text))
        return _from_match(text, match)


def _from_match(text: str, match: re.Match[str]) -> Scheme:
    law = match["law"]
    inside = match["inside"].split(",") if match["inside"] else []
    numbers = [_number(text, part) for part in inside]
    shape = None
    if law in _SHAPED:
        if len(numbers) != 1:
            what = "df, as in student_t(5)" if law == "student_t" else "p, as in sparse(0.1)"
            raise ValueError(f"scheme {shown(text)}: {law} needs its {what}")
        shape = numbers.pop()
    elif match["inside"] == "":
        raise ValueError(f"scheme {shown(text)}: give a number, as in {law}(0.5), or write {law}")
    bias = {}
    if match["bias"]:
        bias = {"bias_scale": float(match["bias"]), "bias_distribution": match["bias_law"]}
    if match["scale"]:
        if numbers:
            raise ValueError(f"scheme {shown(text)} gives both the width of the law and a variance")
        mode = match["mode"] or ("fan_in" if law == "orthogonal" else "fixed")
        return Scheme(text, law, float(match["scale"]), mode, shape, **bias)  # type: ignore[arg-type]
    if not numbers:
        return Scheme(text, law, 1.0, "fan_in", shape, **bias)  # type: ignore[arg-type]
    if law == "uniform":
        return Scheme(text, law, _half_width(text, numbers) ** 2 / 3, "fixed")
    meaning = "a gain" if law == "orthogonal" else "a standard deviation"
    if len(numbers) != 1 or not numbers[0] > 0:
        raise ValueError(f"scheme {shown(text)}: {law} takes {meaning} > 0, as in {law}(0.01)")
    std = _within(f"{law} takes {meaning}, which", numbers[0], 1e-145, 1e145)
    return Scheme(text, law, std**2, "fan_in" if law == "orthogonal" else "fixed")


def _half_width(text: str, numbers: list[float]) -> float:
    if len(numbers) != 2 or numbers[0] != -numbers[1] or not numbers[1] > 0:
        raise ValueError(
            f"scheme {shown(text)}: a uniform law must be symmetric around 0, as in "
            "uniform(-0.1, 0.1)"
        )
    return _within("the half width", numbers[1], 1e-144, 1e145)


def _kumar_scale(act: Activation | None) -> float:
    if act is None:
        raise ValueError("the scheme 'kumar' depends on the activation: give act as well")
    at_zero, left, right = act.at_zero
    near = act([-1e-30, 1e-30])
    if left != right or not math.isfinite(left) or np.any(np.abs(near - at_zero) > 1e-9):
        raise ValueError(
            f"the scheme 'kumar' needs an activation that is differentiable at 0; {act} has slope "
            f"{left:g} to the left and {right:g} to the right, values {near[0]:g} and {near[1]:g}"
        )
    if left == 0:
        raise ValueError(f"the scheme 'kumar' divides by the slope at 0, and that of {act} is 0")
    return 1 / (left**2 * (1 + at_zero**2))


def _same(name: str, scheme: Scheme) -> bool:
    """Whether the name says the whole law (that of kumar needs the activation beside it)."""
    if name == "kumar":
        return (scheme.distribution, scheme.mode, scheme.bias_scale) == ("normal", "fan_in", 0)
    try:
        return Scheme.parse(name) == scheme
    except ValueError:
        return False


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _within(what: str, value: Any, smallest: float, largest: float) -> float:
    if not _is_number(value) or not smallest <= value <= largest:
        raise ValueError(f"{what} must be a number from {smallest:g} to {largest:g}, not {value!r}")
    return float(value)


def _number(text: str, part: str) -> float:
    if not re.fullmatch(_NUMBER, part.strip(), re.ASCII):
        raise ValueError(f"scheme {shown(text)}: {shown(part)} is not a number")
    return float(part)


def _nearest(name: object) -> str:
    near = difflib.get_close_matches(
        str(name)[:60].lower(), [*NAMES, *DISTRIBUTIONS], n=1, cutoff=0.5
    )
    return f" (did you mean {near[0]!r}?)" if near else ""


def _unknown(text: str) -> str:
    return (
        f"unknown scheme {shown(text)}{_nearest(re.split(r'[(,]', text)[0])}; known: "
        f"{', '.join(NAMES)}; a fixed law such as normal(0.01) or uniform(-1, 1); a law with its "
        f"variance such as 'rademacher, 2/fan_in', of {', '.join(DISTRIBUTIONS)}"
    )


def schemes() -> tuple[SchemeRow, ...]:
    """The named schemes, for listings: names, laws, variances as text, sources.

    Examples
    --------
    >>> row = schemes()[0]
    >>> row.name, row.aliases, row.distribution, row.variance
    ('he', ('kaiming',), 'normal', '2/fan_in')
    """
    return tuple(ROWS.values())
