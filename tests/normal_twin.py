"""Normals of single precision once more, in NumPy's double precision."""

import numpy as np
import numpy.typing as npt


def halves(words: npt.NDArray[np.uint64], columns: int) -> npt.NDArray[np.uint64]:
    """Rows of half words: of each word the lower half, then the upper one."""
    pair = [words & np.uint64(2**32 - 1), words >> np.uint64(32)]
    return np.stack(pair, axis=-1).reshape(-1, columns)


def box_muller(words: npt.NDArray[np.uint64]) -> tuple[npt.NDArray, npt.NDArray]:
    """32 normals from every 16 words, and how far the kernel's may be from them.

    Its u has 24 bits, so that r^2 = -2 ln u has an error of 2^-23 next to u = 1.
    """
    rows = halves(words, 32)
    u = ((rows[:, :16] >> np.uint64(1)).astype(float) + 0.5) / 2**31
    angle = rows[:, 16:]
    radius = np.sqrt(-2 * np.log(u))
    step = (angle & np.uint64(2**23 - 1)).astype(float)
    t = (step + 0.5 - 2**22) / 2**23 * np.pi / 2
    sign = np.where(angle >> np.uint64(31), -1.0, 1.0)
    cosine, sine = radius * sign * np.cos(t), radius * sign * np.sin(t)
    swap = (angle >> np.uint64(30) & np.uint64(1)).astype(bool)
    pair = [np.where(swap, sine, cosine), np.where(swap, cosine, sine)]
    r = np.maximum(radius, 1e-4)
    error = 4e-7 * r + 2.0**-23 / r
    return np.concatenate(pair, axis=-1), np.concatenate([error, error], axis=-1)
