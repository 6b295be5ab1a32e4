"""The derivations as pages: derived, checked, drawn and written anew when the site is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from made import newer_than_the_package, rewrite
from sphinx.application import Sphinx
from sphinx.util import logging

from varprop import theory
from varprop.derivation_figure import paint
from varprop.derive_command import first_sentence

_LOG = logging.getLogger(__name__)
_INDEX = """# Derivations

What happens to a signal, and to its gradient, on the way through a deep random network: every
result derived step by step, and every step checked by machine when this site was built. In the
figures simulated networks lie over the theory's lines. On your own computer,
`varprop derive NAME` prints one, and `varprop derive "x*tanh(x)"` derives what can be derived of
any formula.

```{{toctree}}
:hidden:

{names}
```

{lines}
"""


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "explanation" / "derivations"
    folder.mkdir(parents=True, exist_ok=True)
    everything = theory.derivations()
    for derivation in everything:
        page = folder / f"{derivation.name}.md"
        if not newer_than_the_package(page):
            _LOG.info("deriving %s", derivation.name)
            derivation.write(page, draw=paint, link="md")
    lines = (f"- [{d.title}]({d.name}.md): {first_sentence(d.claim)}" for d in everything)
    names = (derivation.name for derivation in everything)
    rewrite(folder / "index.md", _INDEX.format(names="\n".join(names), lines="\n".join(lines)))
