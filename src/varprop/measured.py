"""Measured: everything that can be read off a result's rows, as statistics over trials."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import lyapunov, pair_statistics
from ._cached import cached_property
from .network import Network
from .rows import Rows
from .statistic import FloatArray, LayerStatistic


class Measured:
    """The quantities of a `Propagation`, each computed when first asked for.

    Examples
    --------
    >>> import varprop
    >>> p = varprop.simulate(depth=3, width=50, act="tanh", trials=4)
    >>> isinstance(p, Measured), p.gradient
    (True, <LayerStatistic 'gradient': 4 trials x 3 layers>)
    """

    network: Network
    rows: Rows
    input_mean_square_log: float | tuple[float, ...]

    @property
    def dead(self) -> int:
        """How many networks died: all units exactly 0 in a layer, with no way back.

        Of several inputs, all: a network in which one of them lives is not counted.
        """
        died = self.rows.died.reshape(len(self.rows.died), -1) > 0
        return int(np.count_nonzero(died.all(axis=1)))

    @property
    def died(self) -> npt.NDArray[np.int64]:
        """First dead layer of every trial (and input), 0 where the network lives."""
        return self.rows.died

    @cached_property
    def preactivation(self) -> LayerStatistic:
        """q: mean over units of the squared pre-activations."""
        return LayerStatistic("preactivation", self.rows.log_preactivation)

    @cached_property
    def activation(self) -> LayerStatistic:
        """a: mean over units of the squared activations."""
        return LayerStatistic("activation", self.rows.log_activation)

    @cached_property
    def variance(self) -> LayerStatistic:
        """K: variance of a pre-activation given the layer below."""
        return LayerStatistic("variance", self.rows.log_variance)

    @cached_property
    def activation_mean(self) -> LayerStatistic:
        """Mean over units of the activations; a signed quantity."""
        relative = self.rows.relative_mean
        with np.errstate(divide="ignore"):
            log = np.log(np.abs(relative)) + self.rows.log_activation / 2
        return LayerStatistic("activation_mean", log, sign=np.sign(relative))

    @cached_property
    def relative_mean(self) -> LayerStatistic:
        """Mean of the activations over their root mean square, in [-1, 1]."""
        return LayerStatistic.of_values("relative_mean", self.rows.relative_mean)

    @cached_property
    def saturated(self) -> LayerStatistic:
        """Share of units whose slope is at most `saturated_below` times the largest slope."""
        return LayerStatistic.of_values("saturated", self.rows.saturated)

    @cached_property
    def zero(self) -> LayerStatistic:
        """Share of units that are exactly 0."""
        return LayerStatistic.of_values("zero", self.rows.zero)

    @property
    def backward(self) -> bool:
        """Whether gradients were measured."""
        return self.rows.log_gradient is not None

    @cached_property
    def gradient(self) -> LayerStatistic:
        """g: mean over units of the squared gradient with respect to their pre-activations.

        Of v . z^L, v a random direction with mean square 1: so g is 1 in the last layer.
        """
        return LayerStatistic("gradient", self._log_gradient)

    @cached_property
    def weight_gradient(self) -> LayerStatistic:
        """Squared norm of the gradient with respect to a layer's weight matrix."""
        activation = self.rows.log_activation
        below = np.empty_like(activation)
        below[..., 0] = self.input_mean_square_log
        below[..., 1:] = activation[..., :-1]
        log = self._log_sum_gradient
        if log.ndim > below.ndim:  # several cotangents read the same activations
            below = below[..., np.newaxis, :]
        log_fans = np.log(np.array(self.network.widths, dtype=np.float64))
        return LayerStatistic("weight_gradient", log + below + log_fans[1:] + log_fans[:-1])

    @cached_property
    def bias_gradient(self) -> LayerStatistic:
        """Squared norm of the gradient with respect to a layer's biases."""
        log_units = np.log(np.array(self.network.widths[1:], dtype=np.float64))
        return LayerStatistic("bias_gradient", self._log_sum_gradient + log_units)

    @property
    def _log_gradient(self) -> FloatArray:
        if self.rows.log_gradient is None:
            raise ValueError("no gradient was measured: simulate with backward=True")
        return self.rows.log_gradient

    @property
    def _log_sum_gradient(self) -> FloatArray:
        """ln of the mean square of the gradient with respect to W h + b."""
        log = self._log_gradient
        if self.rows.log_sum_gradient is not None:
            log = self.rows.log_sum_gradient
        depth, residual = self.network.depth, self.network.residual
        if residual is None:
            return log
        branch = np.full(depth, 2 * np.log(abs(residual.factor(depth))))
        branch[0] = 0.0  # the first layer reads the input and has no branch
        with_branch: FloatArray = log + branch
        return with_branch

    @cached_property
    def gap(self) -> LayerStatistic:
        """1 - c, c the cosine of two inputs' pre-activations, for every pair.

        Its logarithms hold however close the inputs are; masked in them where the two are
        identical (1 - c is exactly 0), and everywhere where one is 0 and has no direction.
        """
        return pair_statistics.gap("gap", self.rows.log_gap)

    @cached_property
    def kernel_gap(self) -> LayerStatistic:
        """1 minus the cosine of the kernel: K_ab over the root of K_aa K_bb, given the layer below.

        Masked as `gap`.
        """
        return pair_statistics.gap("kernel_gap", self.rows.log_kernel_gap)

    @cached_property
    def correlation(self) -> LayerStatistic:
        """c: cosine of two inputs' pre-activations, for every pair."""
        return pair_statistics.correlation(self.rows.log_gap)

    @cached_property
    def kernel(self) -> LayerStatistic:
        """K_ab of all inputs, given the layer below: axes (trials, inputs, inputs, layers)."""
        return pair_statistics.kernel(self.rows.log_variance, self.rows.log_kernel_gap)

    @cached_property
    def tangent(self) -> LayerStatistic:
        """Mean-square growth of the first input's tangents from the input to each layer.

        Of the first tangent; of further ones, the growth of what is orthogonal to those before.
        """
        return LayerStatistic("tangent", self._measured_tangents("log_tangent"))

    @cached_property
    def adjoint(self) -> LayerStatistic:
        """The same of cotangents, from the last layer back to each."""
        return LayerStatistic("adjoint", self._measured_tangents("log_adjoint"))

    @property
    def lyapunov(self) -> np.ma.MaskedArray:
        """Leading exponents, (tangents,): mean of half the tangents' ln growth per layer.

        Masked where a direction was lost, for it is -inf there; `lyapunov_adjoint` is the same
        by cotangents, from the last layer back to the first.
        """
        return lyapunov.mean(self._exponents)

    @property
    def lyapunov_stderr(self) -> np.ma.MaskedArray:
        """Standard error of `lyapunov`."""
        return lyapunov.stderr(self._exponents)

    @property
    def lyapunov_adjoint(self) -> np.ma.MaskedArray:
        """The exponents of `lyapunov` by cotangents that are pulled back."""
        return lyapunov.mean(self._adjoint_exponents)

    @property
    def lyapunov_adjoint_stderr(self) -> np.ma.MaskedArray:
        """Standard error of `lyapunov_adjoint`."""
        return lyapunov.stderr(self._adjoint_exponents)

    @property
    def _exponents(self) -> np.ma.MaskedArray:
        log = self._measured_tangents("log_tangent")
        return lyapunov.exponents(log[..., -1], self.network.depth)

    @property
    def _adjoint_exponents(self) -> np.ma.MaskedArray:
        log = self._measured_tangents("log_adjoint")
        return lyapunov.exponents(log[..., 0], self.network.depth - 1)

    def _measured_tangents(self, name: str) -> FloatArray:
        log = getattr(self.rows, name)
        if log is None:
            back = " and backward=True" if name == "log_adjoint" else ""
            raise ValueError(f"none were measured: simulate with tangents=1 or more{back}")
        return log  # type: ignore[no-any-return]
