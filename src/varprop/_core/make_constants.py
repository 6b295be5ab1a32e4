"""Write constants.h: the polynomials of the kernels, from mpmath at 60 digits.

Run as ``python make_constants.py > constants.h``; a test regenerates the file and compares.
Each polynomial interpolates its function at Chebyshev nodes, which is within a small factor of
the best polynomial of that degree, and is written lowest coefficient first.
"""

import sys
from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 60
Function = Callable[[mp.mpf], mp.mpf]


def chebyshev(function: Function, low: mp.mpf, high: mp.mpf, degree: int) -> list[mp.mpf]:
    """Monomial coefficients of the interpolant of `function` on [low, high]."""
    nodes = [mp.cos(mp.pi * (2 * k + 1) / (2 * degree + 2)) for k in range(degree + 1)]
    middle, half = (low + high) / 2, (high - low) / 2
    points = [middle + half * t for t in nodes]
    matrix = mp.matrix([[p**j for j in range(degree + 1)] for p in points])
    return list(mp.lu_solve(matrix, mp.matrix([function(p) for p in points])))


def atanh_tail(z: mp.mpf) -> mp.mpf:
    """(2 atanh(s)/(2 s) - 1)/z with z = s^2."""
    return mp.fsum(z**k / (2 * k + 3) for k in range(60))


def minus_four(z: mp.mpf) -> mp.mpf:
    """The same times -4: a radius squared is -2 ln u = -4 atanh(s) + ..."""
    return -4 * atanh_tail(z)


def sin_tail(z: mp.mpf) -> mp.mpf:
    """(sin(r)/r - 1)/z with z = r^2."""
    return mp.fsum((-1) ** (k + 1) * z**k / mp.factorial(2 * k + 3) for k in range(40))


def cos_tail(z: mp.mpf) -> mp.mpf:
    """(cos(r) - 1 + z/2)/z^2 with z = r^2."""
    return mp.fsum((-1) ** k * z**k / mp.factorial(2 * k + 4) for k in range(40))


def quarter_sin(z: mp.mpf) -> mp.mpf:
    """sin(pi x/2)/x with z = x^2."""
    return mp.fsum(
        (-1) ** k * (mp.pi / 2) ** (2 * k + 1) * z**k / mp.factorial(2 * k + 1) for k in range(40)
    )


def quarter_cos(z: mp.mpf) -> mp.mpf:
    """cos(pi x/2) with z = x^2."""
    return mp.cos(mp.pi / 2 * mp.sqrt(z))


def twice_sin(z: mp.mpf) -> mp.mpf:
    """2 sin(pi x/2)/x with z = x^2, for half of a radius."""
    return 2 * quarter_sin(z)


def twice_cos(z: mp.mpf) -> mp.mpf:
    """2 cos(pi x/2), likewise."""
    return 2 * quarter_cos(z)


def expm1_tail(r: mp.mpf) -> mp.mpf:
    """(e^r - 1 - r)/r^2."""
    return mp.fsum(r**k / mp.factorial(k + 2) for k in range(40))


def half_tanh(z: mp.mpf) -> mp.mpf:
    """tanh(r/2)/r with z = r^2."""
    if z < mp.mpf(10) ** -50:
        return mp.mpf(1) / 2
    r = mp.sqrt(z)
    return mp.tanh(r / 2) / r


def atan_tail(z: mp.mpf) -> mp.mpf:
    """(atan(t)/t - 1)/z with z = t^2."""
    if z < mp.mpf(10) ** -8:
        return mp.fsum((-1) ** (k + 1) * z**k / (2 * k + 3) for k in range(12))
    t = mp.sqrt(z)
    return (mp.atan(t) / t - 1) / z


def erf_core(z: mp.mpf) -> mp.mpf:
    """erf(x)/x with z = x^2."""
    return 2 / mp.sqrt(mp.pi) * mp.hyp1f1(mp.mpf(1) / 2, mp.mpf(3) / 2, -z)


def erfcx(x: mp.mpf) -> mp.mpf:
    """e^(x^2) erfc(x)."""
    return mp.exp(x * x) * mp.erfc(x)


def rational(
    function: Function, high: mp.mpf, bend: mp.mpf, degree: int
) -> tuple[list[mp.mpf], list[mp.mpf]]:
    """P of degree - 1 over Q of degree, Q(0) = 1: equal to `function` at nodes in [0, high].

    The nodes are Chebyshev's in (x - bend)/(x + bend), which spreads a decay like 1/x evenly.
    """
    count = 2 * degree
    top = (high - bend) / (high + bend)
    ts = [
        (top - 1) / 2 + (top + 1) / 2 * mp.cos(mp.pi * (2 * k + 1) / (2 * count))
        for k in range(count)
    ]
    points = [bend * (1 + t) / (1 - t) for t in ts]
    values = [function(x) for x in points]
    rows = [
        [x**j for j in range(degree)] + [-y * x**j for j in range(1, degree + 1)]
        for x, y in zip(points, values, strict=True)
    ]
    solution = list(mp.lu_solve(mp.matrix(rows), mp.matrix(values)))
    return solution[:degree], [mp.mpf(1), *solution[degree:]]


# The quantile function of a normal cut at 2 standard deviations, over its own standard deviation,
# is odd in v = 2 P - 1 and has a branch point in v^2 just above 1. t takes v^2 = 0 and 1 to -1 and
# 1, and moves the cut as far away as it can go with short binary numbers.
CUT_BEND, CUT_POLE = mp.mpf(59) / 32, mp.mpf(91) / 64
CUT_MASS = mp.erf(mp.sqrt(2))
CUT_STD = mp.sqrt(1 - 4 * mp.npdf(2) / CUT_MASS)


def cut_quantile(t: mp.mpf) -> mp.mpf:
    """quantile/v with t = (CUT_BEND v^2 - CUT_POLE)/(CUT_POLE - v^2)."""
    z = CUT_POLE * (1 + t) / (CUT_BEND + t)
    if z < mp.mpf(10) ** -50:
        return mp.sqrt(mp.pi / 2) * CUT_MASS / CUT_STD
    v = mp.sqrt(z)
    return mp.sqrt(2) * mp.erfinv(CUT_MASS * v) / (v * CUT_STD)


QUARTER = (mp.pi / 4) ** 2 * mp.mpf("1.0001")
LOG_RANGE = (mp.sqrt(2) - 1) ** 2 / (mp.sqrt(2) + 1) ** 2 * mp.mpf("1.0001")
HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.0001")

POLYNOMIALS: list[tuple[str, str, Function, mp.mpf, mp.mpf, int]] = [
    ("LOG", "(atanh(s)/s - 1)/s^2 in s^2", atanh_tail, mp.mpf(0), LOG_RANGE, 6),
    ("MINUS4LOG", "-4 (atanh(s)/s - 1)/s^2 in s^2", minus_four, mp.mpf(0), LOG_RANGE, 5),
    ("SIN", "(sin(r)/r - 1)/r^2 in r^2", sin_tail, mp.mpf(0), QUARTER, 5),
    ("COS", "(cos(r) - 1 + r^2/2)/r^4 in r^2", cos_tail, mp.mpf(0), QUARTER, 5),
    ("QSIN", "sin(pi x/2)/x in x^2", quarter_sin, mp.mpf(0), mp.mpf("0.2501"), 6),
    ("QCOS", "cos(pi x/2) in x^2", quarter_cos, mp.mpf(0), mp.mpf("0.2501"), 6),
    ("TWICE_QSINF", "2 sin(pi x/2)/x in x^2, single", twice_sin, mp.mpf(0), mp.mpf("0.2501"), 3),
    ("TWICE_QCOSF", "2 cos(pi x/2) in x^2, single", twice_cos, mp.mpf(0), mp.mpf("0.2501"), 3),
    ("LOGF", "(atanh(s)/s - 1)/s^2 in s^2, single", atanh_tail, mp.mpf(0), LOG_RANGE, 2),
    ("HALFSINF", "sin(pi x/2)/x in x^2, |x| <= 1, single", quarter_sin, mp.mpf(0), mp.mpf(1), 4),
    ("EXPM1F", "(e^r - 1 - r)/r^2 in r, single", expm1_tail, -HALF_LN2, HALF_LN2, 4),
    ("CUTF", "quantile/v of the cut normal in t, single", cut_quantile, mp.mpf(-1), mp.mpf(1), 9),
    ("EXPM1", "(e^r - 1 - r)/r^2 in r", expm1_tail, -HALF_LN2, HALF_LN2, 10),
    ("HALF_TANH", "tanh(r/2)/r in r^2", half_tanh, mp.mpf(0), HALF_LN2**2, 6),
    ("ATAN", "(atan(t)/t - 1)/t^2 in t^2", atan_tail, mp.mpf(0), mp.mpf(1), 19),
    ("ERF", "erf(x)/x in x^2, |x| <= 1", erf_core, mp.mpf(0), mp.mpf(1), 12),
]
# A rational function, for x up to this; to 1e-17, with positive coefficients, so nothing cancels
ERFCX_LIMIT = 64


def split(value: mp.mpf, bits: int) -> tuple[float, mp.mpf]:
    """The leading `bits` bits of `value` as a float, and the rest."""
    scale = mp.mpf(2) ** (bits - 1 - int(mp.floor(mp.log(abs(value), 2))))
    head = mp.nint(value * scale) / scale
    return float(head), value - head


def two_over_pi_words(words: int) -> list[int]:
    """Binary digits of 2/pi, 32 a word, for the reduction of huge angles."""
    with mp.workdps(500):
        digits = int(mp.floor(2 / mp.pi * mp.mpf(2) ** (32 * words)))
    return [digits >> (32 * (words - 1 - k)) & 0xFFFFFFFF for k in range(words)]


def array(name: str, what: str, coefficients: list[mp.mpf]) -> str:
    """The coefficients as a C array, in single precision where `what` says so."""
    kind, suffix = ("float", "f") if "single" in what else ("double", "")
    body = ",\n    ".join(f"{float(c)!r}{suffix}" for c in coefficients)
    head = f"static const {kind} VP_{name}[{len(coefficients)}]"
    return f"\n/* {what} */\n{head} = {{\n    {body}\n}};\n"


def main() -> None:
    out = sys.stdout.write
    out("/* Written by make_constants.py; do not edit. Coefficients lowest first. */\n")
    out("#ifndef VP_CONSTANTS_H\n#define VP_CONSTANTS_H\n#include <stdint.h>\n")
    for name, what, function, low, high, degree in POLYNOMIALS:
        out(array(name, what, chebyshev(function, low, high, degree)))
    above, below = rational(erfcx, mp.mpf(ERFCX_LIMIT), mp.mpf(3), 11)
    out(f"\n#define VP_ERFCX_LIMIT {ERFCX_LIMIT}.0\n")
    out(array("ERFCX_ABOVE", "e^(x^2) erfc(x), 0 <= x <= VP_ERFCX_LIMIT: above the line", above))
    out(array("ERFCX_BELOW", "and below it", below))
    ln2_high, rest = split(mp.log(2), 32)
    out(f"\n#define VP_LN2_HIGH {ln2_high!r}\n#define VP_LN2_LOW {float(rest)!r}\n")
    single_high, rest = split(mp.log(2), 16)
    out(f"#define VP_LN2F_HIGH {single_high!r}f\n#define VP_LN2F_LOW {float(rest)!r}f\n")
    out("\n/* the cut normal: where t bends, and the largest float inside its support */\n")
    out(f"#define VP_CUT_BEND {float(CUT_BEND)!r}f\n#define VP_CUT_POLE {float(CUT_POLE)!r}f\n")
    bound = mp.floor(2 / CUT_STD * 2**22) / 2**22
    out(f"#define VP_CUT_BOUND {float(bound)!r}f\n\n")
    first, rest = split(mp.pi / 2, 33)
    second, rest = split(rest, 33)
    third, rest = split(rest, 33)
    names = ("FIRST", "SECOND", "THIRD", "FOURTH")
    for name, value in zip(names, (first, second, third, float(rest)), strict=True):
        out(f"#define VP_HALF_PI_{name} {value!r}\n")
    words = ",\n    ".join(f"0x{word:08x}u" for word in two_over_pi_words(40))
    out("\n/* 2/pi in binary, 32 digits a word */\n")
    out(f"static const uint32_t VP_TWO_OVER_PI[40] = {{\n    {words}\n}};\n")
    out("#endif\n")


if __name__ == "__main__":
    main()
