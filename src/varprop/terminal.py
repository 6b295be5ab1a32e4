"""Markdown with LaTeX, for a terminal: formulas in Unicode, headings and tables by rich."""

from __future__ import annotations

import re

from .text import WIDTH

__all__ = ["print_markdown", "unicode_math"]

_SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε",
    "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ",
    "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Phi": "Φ", "Psi": "Ψ", "Sigma": "Σ",
    "infty": "∞", "times": "×", "cdot": "·", "pm": "±", "mp": "∓", "le": "≤", "leq": "≤",
    "ge": "≥", "geq": "≥", "neq": "≠", "ne": "≠", "approx": "≈", "sim": "~", "ll": "≪",
    "gg": "≫", "to": "→", "rightarrow": "→", "mapsto": "↦", "in": "∈", "partial": "∂",
    "int": "∫", "sum": "∑", "prod": "∏", "ldots": "…", "dots": "…", "cdots": "…", "prime": "′",
    "ell": "ℓ", "propto": "∝", "star": "*", "ast": "*", "mid": "|", "quad": " ", "perp": "⊥",
    "parallel": "∥", "lVert": "‖", "rVert": "‖", "top": "ᵀ", "ln": "ln", "langle": "⟨",
    "rangle": "⟩", "equiv": "≡", "circ": "∘", "Rightarrow": "⇒", "odot": "⊙", "forall": "∀",
}  # fmt: skip
_RAISED = dict(zip("0123456789+-=()niklL", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵏˡᴸ", strict=True)) | {"′": "′"}
_LOWERED = dict(zip("0123456789+-=()aeijklnx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑᵢⱼₖₗₙₓ", strict=True))
_WRAPPERS = {
    "operatorname", "mathrm", "text", "mathbf", "mathit", "hat", "tilde", "bar", "substack",
    "mathcal", "mathbb", "boldsymbol", "overline",
}  # fmt: skip
_SILENT = {"left", "right", "bigl", "bigr", "big", "Big", "limits", "displaystyle"}
_SHORT = 3  # longer indices are easier to read on the line
_INDENT = "\N{NO-BREAK SPACE}" * 4
_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|[{}^_]|[^\\{}^_]")


def unicode_math(latex: str) -> str:
    r"""A formula in one line of Unicode.

    Examples
    --------
    >>> print(unicode_math(r"\operatorname{E}\left[x^{2}\right] = \frac{K n}{\sqrt{2 \pi}}"))
    E[x²] = K n/√(2 π)
    """
    tokens = _TOKEN.findall(re.sub(r"\\(begin|end)\{\w+\}|&|\n", " ", latex))
    return re.sub(r" +", " ", _sequence(tokens)).replace("( ", "(").replace(" )", ")").strip()


def _sequence(tokens: list[str]) -> str:
    """Everything up to the closing brace."""
    out = ""
    while tokens and tokens[0] != "}":
        out += _next(tokens)
    return out


def _next(tokens: list[str]) -> str:
    token = tokens.pop(0)
    if token == "{":
        inner = _sequence(tokens)
        if tokens:
            tokens.pop(0)
        return inner
    if token in "^_":
        return _script(token, _argument(tokens))
    if not token.startswith("\\"):
        return token
    name = token[1:]
    if name in ("frac", "tfrac", "dfrac"):
        above, below = _argument(tokens), _argument(tokens)
        if re.fullmatch(r"(d|∂) \S+", below):  # d/dx
            return f"{above}/{below.replace(' ', '')} "
        return f"{_grouped(above)}/{_grouped(below, below=True)}"
    if name == "binom":
        return f"C({_argument(tokens)}, {_argument(tokens)})"
    if name == "sqrt":
        return f"√{_grouped(_argument(tokens), below=True)}"
    if name in _SILENT:
        if tokens and tokens[0] == "." and name in ("left", "right"):
            tokens.pop(0)
        return ""
    if name in _WRAPPERS:
        return _argument(tokens)
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    return {"|": "‖", "{": "{", "}": "}", "!": ""}.get(name, " " if not name.isalpha() else name)


def _argument(tokens: list[str]) -> str:
    while tokens and tokens[0] == " ":
        tokens.pop(0)
    return _next(tokens).strip() if tokens else ""


def _grouped(text: str, below: bool = False) -> str:
    """In brackets, unless it is a single thing already."""
    loose = re.search(r"[ +\-−±/·×]" if below else r"[+\-−±/]", text[1:])
    whole = re.fullmatch(r"√?\([^()]*\)", text)
    return f"({text})" if loose and not whole else text


def _script(mark: str, text: str) -> str:
    table = _RAISED if mark == "^" else _LOWERED
    plain = text.replace(" ", "")
    if 0 < len(plain) <= _SHORT and all(letter in table for letter in plain):
        return "".join(table[letter] for letter in plain)
    if mark == "^" and plain == "*":
        return "*"
    return f"{mark}{text}" if len(plain) == 1 else f"{mark}({text})"


def _readable(markdown: str) -> str:
    """Formulas in Unicode, set as code; displayed ones indented."""

    def displayed(found: re.Match[str]) -> str:
        return f"`{_INDENT}{unicode_math(found[1])}`"

    def inline(found: re.Match[str]) -> str:
        return f"`{unicode_math(found[1])}`"

    text = re.sub(r"\$\$\n(.*?)\n\$\$", displayed, markdown, flags=re.DOTALL)
    return re.sub(r"(?<!\\)\$([^$]+)\$", inline, text)


def print_markdown(markdown: str) -> None:
    r"""Print a document for reading, at most 80 columns wide.

    Examples
    --------
    >>> print_markdown("The factor is $\\frac12$.")
    The factor is 1/2.
    """
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    theme = Theme({"markdown.code": "bold"})
    console = Console(width=min(WIDTH, Console().width), theme=theme)
    console.print(Markdown(_readable(markdown), hyperlinks=False))
