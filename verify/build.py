"""Another build of the tree, beside the one in use: other flags, another compiler, changed sources.

The result is a Python that imports varprop from there; everything else it takes from the Python
that runs this.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).parents[1]
SOURCES = ("src", "theory", "tests", "data", "docs", "meson.build", "meson.options",
           "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile")  # fmt: skip


@dataclass(frozen=True)
class Build:
    """A folder with a copy of the sources, their build, and an environment that imports it."""

    folder: Path

    @property
    def source(self) -> Path:
        """The copy, which may be changed."""
        return self.folder / "source"

    @property
    def installed(self) -> Path:
        """The folder that is imported."""
        return self.folder / "site" / "varprop"

    @property
    def python(self) -> Path:
        """What runs it."""
        return self.folder / "venv" / "bin" / "python"

    def make(self) -> subprocess.CompletedProcess[str]:
        """Compile what has changed, and install it."""
        ninja = _run([_tool("ninja"), "-C", self.folder / "build"], check=False, env=_tools())
        if ninja.returncode == 0:
            _run([_tool("meson"), "install", "-C", self.folder / "build", "--no-rebuild",
                  "--destdir", self.folder], cwd=self.folder)  # fmt: skip
        return ninja

    def run(
        self, arguments: Sequence[object], env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run this Python with arguments, in the copy."""
        return subprocess.run(
            [str(self.python), *map(str, arguments)],
            cwd=self.source, env={**os.environ, **(env or {})}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
        )  # fmt: skip


def build(
    folder: Path,
    *,
    levels: Sequence[str] = ("baseline",),
    compiler: str | None = None,
    flags: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Build:
    """Copy the sources to `folder`, compile and install them there."""
    made = Build(folder.resolve())
    copy_sources(made.source)
    env = _tools() | {"CFLAGS": " ".join(flags), "LDFLAGS": " ".join(flags)}
    if compiler is not None:
        env["CC"] = compiler
    elif "CC" not in env and shutil.which("ccache"):
        env["CC"] = "ccache cc"
    if not (made.folder / "build").exists():
        _run([_tool("meson"), "setup", made.folder / "build", made.source, "--prefix=/",
              "-Dpython.purelibdir=/site", "-Dpython.platlibdir=/site", "-Dbuildtype=release",
              f"-Dlevels={','.join(levels)}", *options], env=env)  # fmt: skip
    ninja = made.make()
    if ninja.returncode:
        raise RuntimeError(ninja.stdout[-4000:])
    _environment(made)
    return made


def borrowed(folder: Path) -> Build:
    """The engines in use as they are, beside a copy of all Python files that may be changed."""
    made = Build(folder.resolve())
    # asked of another process: this one must be free to import a changed copy
    asked = "import varprop._core as c; from varprop import theory; print(c.kernels.__file__, "
    asked += "c.build_info.__file__, theory.__path__[0], sep='\\n')"
    engine, info, theory = _run([sys.executable, "-c", asked]).stdout.splitlines()
    copy_sources(made.source)
    shutil.copytree(TREE / "src" / "varprop", made.installed, dirs_exist_ok=True)
    shutil.copytree(theory, made.installed / "theory", dirs_exist_ok=True)
    for compiled in Path(engine).parent.glob("*.so"):
        shutil.copy2(compiled, made.installed / "_core")
    shutil.copy2(info, made.installed / "_core" / "build_info.py")
    _environment(made)
    return made


def copy_sources(to: Path) -> None:
    """The files that a build and the tests need."""
    to.mkdir(parents=True, exist_ok=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "build_info.py", ".mypy_cache")
    for name in SOURCES:
        if (TREE / name).is_dir():
            shutil.copytree(TREE / name, to / name, dirs_exist_ok=True, ignore=ignored)
        else:
            shutil.copy2(TREE / name, to / name)


def _environment(made: Build) -> None:
    venv = made.folder / "venv"
    _run([sys.executable, "-m", "venv", "--without-pip", venv])
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # plain folders: their own .pth files, of an editable installation too, are not read
    folders = [str(made.folder / "site"), *(p for p in sys.path if p.endswith("site-packages"))]
    pth = venv / "lib" / version / "site-packages" / "verify.pth"
    pth.write_text("\n".join(dict.fromkeys(folders)) + "\n")


def _tool(name: str) -> str:
    found = shutil.which(name, path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
    if found is None:
        raise FileNotFoundError(f"{name} is not there: pip install '.[verify]'")
    return found


def _tools() -> dict[str, str]:
    """The surroundings, where Cython and ninja are found by their names."""
    return os.environ | {"PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"}


def _run(command: Sequence[object], check: bool = True, **more: object):  # type: ignore[no-untyped-def]
    run = subprocess.run(
        [str(part) for part in command], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, **more,  # type: ignore[call-overload]
    )  # fmt: skip
    if check and run.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{run.stdout[-4000:]}")
    return run
