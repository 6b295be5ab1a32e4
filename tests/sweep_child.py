"""A sweep of many small pieces, to be killed: ``sweep_child.py STORE``; prints pieces done."""

import sys

import varprop
from varprop import sweep_pieces

GOAL = 1e5  # about a millisecond

ARGUMENTS = {
    "act": ["tanh", "relu"],
    "sigma_w": [0.8, 1.0, 1.5],
    "width": [50, 800],  # a wide cell is cut into trials, narrow ones are put together
    "depth": 10,
    "trials": 60,
}


def main() -> None:
    sweep_pieces.GOAL = GOAL
    varprop.sweep(
        **ARGUMENTS, store=sys.argv[1], threads=2, progress=lambda done, _: print(done, flush=True)
    )


if __name__ == "__main__":
    main()
