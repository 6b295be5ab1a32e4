"""Ctrl-C within a second, wherever it falls: ``python -m verify.interrupts [--only TEXT]``.

Each case runs in a process of its own, in which a timer raises a signal after some seconds of CPU
time, as Ctrl-C does. What is measured is the CPU time until KeyboardInterrupt arrives, so that a
busy machine changes nothing. Afterwards the same process must still be able to simulate.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from verify.report import Report

CASES = {
    "matrix-free, many trials": "simulate(depth=200, trials=10**6, act='tanh', threads=1)",
    "matrix-free, one wide trial": "simulate(depth=10**5, width=10**6, trials=1, threads=1)",
    "matrix-free, one layer of 2^30": "simulate(depth=1, width=2**30, trials=1, threads=1)",
    "matrix-free, haar": "simulate(depth=9, width=2**25, trials=1, scheme='orthogonal', threads=1)",
    "dense, one trial": "simulate(depth=1000, width=20000, trials=1, engine='dense', threads=1)",
    "dense, one layer": "simulate(depth=2, width=2**19, trials=1, scheme='torch', threads=1)",
    "formula": "simulate(depth=1000, trials=10**5, act='x*sigmoid(1.5*x)', threads=1)",
    "callable": "simulate(depth=1000, trials=10**5, threads=1,"
                " act=(np.tanh, lambda x: 1 - np.tanh(x)**2))",
    "batch of inputs": "simulate(depth=300, width=2000, x=np.random.randn(64, 2000), threads=1)",
    "tangents": "simulate(depth=300, width=2000, tangents=200, trials=20, threads=1)",
    "batch of drawn weights": "simulate(depth=100, width=6000, correlation=.5, scheme='torch',"
                              " threads=1)",
    "architecture": "simulate(depth=2000, width=20000, norm='layer', dropout=0.9, trials=50,"
                    " residual=varprop.Residual(0.1), threads=1)",
    "histogram": "simulate(depth=500, width=20000, histogram=True, trials=500, threads=1)",
    "reference": "simulate(depth=100, width=700, trials=1000, engine='reference')",
    "spectrum": "spectrum(depth=200, width=700, trials=50)",
    "random matrix": "[varprop.RandomMatrix(2**26, 2**26, 1.0, threads=1) @ np.ones(2**26)"
                     " for _ in range(9)]",
    "jacobian": "[varprop.Jacobian(varprop.Network(99, width=10**6), threads=1) for _ in range(9)]",
    "critical point of a formula": "[theory.critical(f'x - tanh({a}*x)')"
                                   " for a in np.linspace(1, 2, 99)]",
    "prediction of a pair": "[theory.predict(varprop.Network(10**5, act=f'x*sigmoid({a}*x)'),"
                            " correlation=0.3) for a in np.linspace(1, 2, 99)]",
    "kernel of a formula": "[theory.kernel('sin(3*x)*tanh(x)')(1.0, 1.0, c)"
                           " for c in np.linspace(-1, 1, 10**5)]",
    "derivation": "[theory.derive('tanh').check() for _ in range(10**7)]",
    "derivation of a formula": "[theory.derive(f'x*tanh({1 + i / 1000}*x)').check()"
                               " for i in range(10**6)]",
    "sweep": "sweep(depth=200, act='tanh', sigma_w=list(np.linspace(1, 3, 400)), trials=1000,"
             " threads=1)",
    "phase diagram": "phase_diagram('tanh', sigma_w=np.linspace(.5, 3, 40),"
                     " sigma_b=np.linspace(0, 1, 40))",
    "comparison": "simulate(depth=3000, width=30, trials=3000, act='gelu').compare().verdict",
}  # fmt: skip

_CHILD = """
import signal, sys, time
import numpy as np
import varprop
from varprop import phase_diagram, simulate, spectrum, sweep, theory
simulate(depth=2, width=9, trials=2)
signal.signal(signal.SIGPROF, signal.default_int_handler)
start = time.process_time()
signal.setitimer(signal.ITIMER_PROF, {after})
try:
    {code}
except KeyboardInterrupt:
    signal.setitimer(signal.ITIMER_PROF, 0)
    print("latency", time.process_time() - start - {after}, flush=True)
    simulate(depth=2, width=9, trials=2)
    sys.exit()
print("finished in", time.process_time() - start)
"""


def latency(code: str, after: float = 1.0) -> str | float:
    """CPU seconds from the signal to the exception; or what happened instead."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _CHILD.format(code=code, after=after)],
        capture_output=True, text=True, timeout=3600,
    )  # fmt: skip
    last = run.stdout.split("\n")[-2] if "\n" in run.stdout else ""
    if run.returncode or not last.startswith("latency"):
        return f"{last} {run.stderr[-500:]}"
    return float(last.split()[1])


def main() -> None:
    """Every case at two moments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--after", nargs="+", type=float, default=[0.3, 1.7])
    asked = parser.parse_args()
    report = Report("interrupts")
    for name, code in CASES.items():
        if asked.only not in name:
            continue
        for after in asked.after:
            found = latency(code, after)
            report.count("interrupted")
            shown = found if isinstance(found, str) else f"{found:.2f} s"
            print(f"  {name}, after {after} s: {shown}", flush=True)
            if isinstance(found, str) or found > 1.0:
                report.fail(f"{name}, after {after} s: {shown}")
    report.close()


if __name__ == "__main__":
    main()
