"""Golden values: numbers that a change of the code must not change."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

# Of a process per core: threads of their libraries of linear algebra would wait for each other, and
# singular values take three times as long. NumPy and SciPy read this when they are imported, which
# in the workers of pytest-xdist is later than here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest

# A job in the background of a script is deaf to Ctrl-C, and so would be the programs that tests
# start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

GOLDEN = Path(__file__).parent / "data" / "golden.json"


@pytest.fixture
def golden() -> Callable[[str, np.ndarray], None]:
    """Compare an array with the bits on record under a name.

    VARPROP_RECORD_GOLDEN=1 records in place of comparing; see CONTRIBUTING.md on when that is
    right (a changed stream is a changed result for every user).
    """
    record = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}

    def check(name: str, values: np.ndarray) -> None:
        bits = [float(v).hex() for v in np.ravel(values)]
        if os.environ.get("VARPROP_RECORD_GOLDEN") == "1":
            record[name] = bits
            GOLDEN.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
        assert record.get(name) == bits, f"the bits of {name!r} are not those on record"

    return check
