"""The derivations as pages: derived, checked, drawn and written anew when the site is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from made import newer_than_the_package
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
    index = folder / "index.md"
    if newer_than_the_package(index):
        return
    everything = theory.derivations()
    for derivation in everything:
        _LOG.info("deriving %s", derivation.name)
        derivation.write(folder / f"{derivation.name}.md", draw=paint, link="md")
    lines = (f"- [{d.title}]({d.name}.md): {first_sentence(d.claim)}" for d in everything)
    names = (derivation.name for derivation in everything)
    index.write_text(_INDEX.format(names="\n".join(names), lines="\n".join(lines)))
