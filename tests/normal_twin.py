"""Normals of single precision once more, in NumPy's double precision."""

import numpy as np
import numpy.typing as npt


def box_muller(words: npt.NDArray[np.uint64]) -> tuple[npt.NDArray, npt.NDArray]:
    """32 normals from each row of 16 words, and how far the kernel's may be from them.

    Its u has 24 bits, so that r^2 = -2 ln u has an error of 2^-23 next to u = 1.
    """
    low, high = words & np.uint64(0xFFFFFFFF), words >> np.uint64(32)
    radius = np.sqrt(-2 * np.log(((low >> np.uint64(1)).astype(float) + 0.5) / 2**31))
    step = (high & np.uint64(0x3FFFFFFF)) >> np.uint64(7)
    t = (step.astype(float) + 0.5 - 2**22) / 2**23 * np.pi / 2
    sign = np.where(high >> np.uint64(30) & np.uint64(1), -1.0, 1.0)
    cosine, sine = radius * sign * np.cos(t), radius * sign * np.sin(t)
    swap = (high >> np.uint64(31)).astype(bool)
    pair = [np.where(swap, sine, cosine), np.where(swap, cosine, sine)]
    r = np.maximum(radius, 1e-4)
    error = 4e-7 * r + 2.0**-23 / r
    return np.concatenate(pair, axis=-1), np.concatenate([error, error], axis=-1)
