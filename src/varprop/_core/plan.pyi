from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LAWS: dict[str, int]

class PlanHolder:
    error: BaseException | None
    def __init__(
        self,
        activation: Sequence[Any],
        widths: Sequence[int],
        sigma_w: FloatArray,
        bias_std: FloatArray,
        seed: int,
        *,
        laws: tuple[npt.NDArray[np.intc], FloatArray],
        uniform_bias: bool = False,
        callback: Callable[[FloatArray, FloatArray, FloatArray], None] | None = None,
        log_value: Callable[[float, float, bool], tuple[float, float]] | None = None,
    ) -> None: ...
    def move_to(self, first_trial: int) -> None: ...
