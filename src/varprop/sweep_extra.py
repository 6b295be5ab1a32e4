"""What a sweep needs beyond varprop itself."""

from importlib.util import find_spec


def require(*packages: str) -> None:
    """Raise ImportError, with the remedy, unless these packages are installed.

    Examples
    --------
    >>> require("numpy")
    >>> require("numpi")
    Traceback (most recent call last):
    ImportError: sweeps need numpi: pip install "varprop[sweep]"
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ImportError(f'sweeps need {" and ".join(missing)}: pip install "varprop[sweep]"')
