"""What is installed: the tree's files, light to import, its two witnesses apart."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import varprop
import varprop.theory

TREE = Path(__file__).parents[1]
INSTALLED = Path(varprop.__file__).parent

SIMULATION = {"simulate", "engines", "reference", "_core", "propagation", "rows", "statistic"}
SIMULATION |= {"merge", "storage", "resources", "arguments", "pairs", "histogram", "tally"}
SIMULATION |= {"scaled", "linearised", "pair_statistics", "lyapunov", "frame", "measured"}
SIMULATION |= {"batch", "random_matrix", "jacobian"}
RECORDS = {"activation", "formula", "scheme", "network"}


def python_files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*.py"))
        if "__pycache__" not in path.parts
    }


def tree_files() -> dict[str, bytes]:
    """What should be installed, by its place in the package."""
    files = python_files(TREE / "src" / "varprop")
    del files["_core/make_constants.py"]  # writes constants.h
    return files | {f"theory/{name}": text for name, text in python_files(TREE / "theory").items()}


def test_installed_files_are_those_of_the_tree():
    for name, text in tree_files().items():
        module = f"varprop.{name.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")
        spec = importlib.util.find_spec(module)
        assert spec is not None, name
        assert Path(spec.origin).read_bytes() == text, name
    assert (INSTALLED / "py.typed").exists()


def test_nothing_else_is_installed():
    files = python_files(INSTALLED)
    editable = INSTALLED == TREE / "src" / "varprop"  # then the tree itself is what is imported
    extra = {"_core/make_constants.py"} if editable else {"_core/build_info.py"}
    assert set(files) - set(tree_files()) == extra


def test_version_is_that_of_the_build():
    declared = re.search(r"^  version: '(.*)',$", (TREE / "meson.build").read_text(), re.MULTILINE)
    assert declared is not None
    assert varprop.__version__ == declared[1]
    assert declared[1] in (TREE / "CHANGELOG.md").read_text()


def imports_of(path: Path) -> set[str]:
    """Last-but-first names of what a file imports from varprop, absolute or relative."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            inside = node.level > 0 or module.split(".")[0] == "varprop"
            if inside:
                parts = module.removeprefix("varprop").strip(".").split(".")
                found |= {parts[0]} if parts[0] else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("varprop.")
            }
    return found


@pytest.mark.parametrize("path", sorted((TREE / "theory").rglob("*.py")), ids=lambda p: p.name)
def test_the_theory_knows_nothing_of_the_simulation(path):
    assert not imports_of(path) & (SIMULATION | {"compare", "plot", "cli", "simulate"})


@pytest.mark.parametrize("name", sorted((SIMULATION | RECORDS) - {"_core", "propagation"}))
def test_the_simulation_knows_nothing_of_the_theory(name):
    path = TREE / "src" / "varprop" / f"{name}.py"
    assert not imports_of(path) & {"theory", "compare"}


def test_the_witnesses_stay_apart_when_they_run():
    code = (
        "import sys, varprop\n"
        "varprop.simulate(depth=3, act='tanh', width=9, trials=2)\n"
        "assert not [m for m in sys.modules if m.startswith('varprop.theory')]\n"
        "import varprop.theory as theory\n"
        "before = set(sys.modules)\n"
        "theory.predict(varprop.Network(3, act='tanh'))\n"
        "assert not [m for m in set(sys.modules) - before if 'compare' in m]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_import_is_light():
    code = (
        "import sys, varprop\n"
        "heavy = {'sympy', 'scipy', 'matplotlib', 'rich', 'pandas', 'click', 'mpmath', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "varprop.simulate(depth=3, width=9, trials=2)\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:2] == ["[]", "[]"]


GLOBAL_STATE = """
import importlib, locale, os, random, signal, sys, threading, warnings
import numpy as np, matplotlib, sympy, mpmath
import scipy.linalg, scipy.optimize, scipy.sparse.linalg, scipy.special, scipy.stats

def state():
    return {
        "warnings": list(warnings.filters), "numpy errors": np.geterr(),
        "numpy printing": np.get_printoptions(), "numpy numbers": np.random.get_state()[1].tolist(),
        "random": random.getstate(), "environment": dict(os.environ), "path": list(sys.path),
        "folder": os.getcwd(), "umask": (mask := os.umask(0), os.umask(mask))[0],
        "signals": [signal.getsignal(n) for n in signal.valid_signals()],
        "threads": threading.active_count(), "locale": locale.setlocale(locale.LC_ALL),
        "hooks": (sys.excepthook, sys.displayhook, list(sys.meta_path), list(sys.path_hooks)),
        "digits": (mpmath.mp.prec, mpmath.mp.dps), "recursion": sys.getrecursionlimit(),
        "switching": sys.getswitchinterval(), "figures": dict(matplotlib.rcParams),
        # subnormals stay on, and results are rounded to the nearest
        "arithmetic": [float(np.array([x], dtype=t)[0] * np.array([y], dtype=t)[0]).hex()
                       for x, y, t in ((1e-310, .5, "f8"), (1e-40, .5, "f4"), (1 / 3, 1 / 7, "f8"),
                                       (1 / 3, 1 / 7, "f4"))],
    }

before = state()
import varprop
varprop.simulate(depth=3, width=9, trials=2, threads=2)
varprop.simulate(depth=3, width=9, trials=2, correlation=0.5, engine="dense", threads=2)
for name in ("compare", "plot", "reference", "theory"):
    importlib.import_module(f"varprop.{name}")
varprop.spectrum(depth=2, width=9, trials=2)
varprop.theory.predict(varprop.Network(3, act="tanh"))
after = state()
changed = [name for name in before if before[name] != after[name]]
assert not changed, [(name, before[name], after[name]) for name in changed]
"""


def test_import_changes_nothing_global():
    # A test that imports threadpoolctl has set this, which would hide that varprop sets it.
    clean = {k: v for k, v in os.environ.items() if k != "KMP_DUPLICATE_LIB_OK"}
    subprocess.run([sys.executable, "-c", GLOBAL_STATE], check=True, env=clean)


def test_public_names_exist_and_are_documented():
    for name in varprop.__all__:
        thing = getattr(varprop, name)
        assert name == "__version__" or thing.__doc__
    for name in ("compare", "plot", "reference", "theory", "torch"):
        assert name in dir(varprop)
        assert getattr(varprop, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        varprop.nonsense  # noqa: B018


def test_every_dependency_is_imported_somewhere():
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    text = b"".join(python_files(INSTALLED).values()).decode()
    for requirement in project["dependencies"]:
        name = re.match(r"[a-z]+", requirement)
        assert name is not None
        module = {"pillow": "PIL"}.get(name[0], name[0])
        assert re.search(rf"^\s*(from|import) {module}\b", text, re.MULTILINE), requirement


@pytest.mark.parametrize("module", ["formula", "activation", "scheme", "network"])
def test_importing_the_records_is_light(module):
    code = f"""
import sys
import varprop.{module}
from varprop.formula import parse
parse("max(x, 0)").numpy([1.0])
heavy = {{"sympy", "scipy", "mpmath", "matplotlib", "rich", "pandas", "click"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
