"""Expressions in LaTeX as one would write them on a blackboard."""

from __future__ import annotations

import re

import sympy
from sympy import Expr
from sympy.printing.latex import LatexPrinter

__all__ = ["equation", "latex"]

_LINE = 47  # letters that fit between the margins


class _Printer(LatexPrinter):  # type: ignore[misc, unused-ignore]
    def __init__(self) -> None:
        super().__init__({"ln_notation": True, "inv_trig_style": "full", "fold_frac_powers": True})

    def _print_Subs(self, expr: Expr) -> str:
        """The values in one line, small as they are: (...)|_{v = 2/n}."""
        body, names, values = expr.args
        small = _Small()
        places = ", ".join(
            f"{self.doprint(name)} = {small.doprint(value)}"
            for name, value in zip(names, values, strict=True)
        )
        return rf"\left. {self.doprint(body)} \right|_{{{places}}}"

    def _print_harmonic(self, expr: Expr) -> str:
        return f"H_{{{self.doprint(expr.args[0])}}}"


class _Small(_Printer):
    def _print_Mul(self, expr: Expr) -> str:
        top, bottom = sympy.fraction(expr)
        if bottom == 1:
            return str(super()._print_Mul(expr))
        above, below = self.doprint(top), self.doprint(bottom)
        if bottom.is_Mul or bottom.is_Add:
            below = f"({below})"
        return f"({above})/{below}" if top.is_Add else f"{above}/{below}"

    def _print_Rational(self, expr: Expr) -> str:
        return f"{expr.p}/{expr.q}" if expr.q != 1 else str(expr.p)

    def _print_Pow(self, expr: Expr) -> str:
        if expr.exp.is_Rational and expr.exp.is_negative:
            return self._print_Mul(expr)
        return str(super()._print_Pow(expr))


def latex(expr: Expr) -> str:
    r"""LaTeX of an expression, the notation of derivations included.

    Examples
    --------
    >>> n, v = sympy.symbols("n v", positive=True)
    >>> print(latex(sympy.Subs(n * v, v, 2 / n)))
    \left. n v \right|_{v = 2/n}
    >>> print(latex(sympy.log(sympy.asin(v))))
    \ln{\left(\arcsin{\left(v \right)} \right)}
    """
    return str(_Printer().doprint(expr))


def equation(left: Expr, right: Expr, *, sign: str = "=", rest: str = "") -> str:
    r"""An equation in LaTeX, over several lines where one would be too long for a page.

    Parameters
    ----------
    left, right : sympy.Expr
        The two sides.
    sign : str
        What stands between them.
    rest : str
        LaTeX of what follows the right side: an O(...), before which powers rise.

    Examples
    --------
    >>> x = sympy.Symbol("x")
    >>> print(equation(x**2, x + x**2, rest=r" + O\left(x^{3}\right)"))
    x^{2} = x + x^{2} + O\left(x^{3}\right)
    """
    first, *more = _terms(right, "rev-lex" if rest else None)
    if rest:
        more.append(rest)
    shown = latex(left)
    if _width(shown) + sum(map(_width, [first, *more])) <= _LINE:
        return f"{shown} {sign} {first}{''.join(more)}"
    lines, line = [], first
    for term in more:
        if _width(line) + _width(term) > _LINE:
            lines.append(line)
            line = term
        else:
            line += term
    lines.append(line)
    short = _width(shown) + _width(lines[0]) <= _LINE
    head = [rf"{shown} &{sign} {lines[0]}"] if short else [rf"& {shown}", rf"&{sign} {lines[0]}"]
    body = [*head, *(rf"&\quad{more_of_it}" for more_of_it in lines[1:])]
    joined = " \\\\\n".join(body)
    return f"\\begin{{aligned}}\n{joined}\n\\end{{aligned}}"


def _terms(expr: Expr, order: str | None) -> list[str]:
    """The summands in LaTeX, each but the first with its sign."""
    if not expr.is_Add:
        return [latex(expr)]
    printer = _Printer()
    found = []
    for i, term in enumerate(expr.as_ordered_terms(order=order)):
        text = str(printer.doprint(term))
        sign = "-" if text.startswith("-") else "+" if i else ""
        found.append(f"{' ' if i else ''}{sign} {text.removeprefix('-').lstrip()}")
    return [found[0].lstrip(), *found[1:]]


def _width(text: str) -> int:
    """About how many letters wide: of a fraction the wider part counts."""
    plain = re.sub(r"\\(left|right|operatorname|quad|sqrt|begin|end)|[{}^_&\\ ]", "", _slim(text))
    return len(re.sub(r"[a-zA-Z]{2,}", "xxx", plain))


def _slim(text: str) -> str:
    """Fractions without nested braces replaced by their wider part."""
    pattern = re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}")
    while pattern.search(text):
        text = pattern.sub(lambda found: max(found[1], found[2], key=len), text)
    return text
