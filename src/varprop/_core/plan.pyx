"""A network in the form that the engines read: plain numbers and pointers."""
import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t
from libc.string cimport memset
from varprop._core cimport lanes

LAWS = {
    "normal": lanes.VP_LAW_NORMAL,
    "uniform": lanes.VP_LAW_UNIFORM,
    "truncated_normal": lanes.VP_LAW_TRUNCATED_NORMAL,
    "rademacher": lanes.VP_LAW_RADEMACHER,
    "student_t": lanes.VP_LAW_STUDENT_T,
    "sparse": lanes.VP_LAW_SPARSE,
    "orthogonal": lanes.VP_LAW_ORTHOGONAL,
}


cdef void check_signals(void* context) noexcept with gil:
    cdef PlanHolder holder = <PlanHolder> context
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        holder.error = error
        holder.plan.stop = 1


cdef int call_back(void* context, double* z, double* h, double* d, int n) noexcept with gil:
    cdef PlanHolder holder = <PlanHolder> context
    if holder.plan.stop:
        return -1
    try:
        holder.callback(np.asarray(<double[:n]> z), np.asarray(<double[:n]> h),
                        np.asarray(<double[:n]> d))
    except BaseException as error:
        holder.error = error
        holder.plan.stop = 1
        return -1
    return 0


cdef double to_log_value(void* context, double z, double log_k, bint slope,
                         double* sign) noexcept with gil:
    cdef PlanHolder holder = <PlanHolder> context
    sign[0] = 0.0
    if holder.plan.stop:
        return lanes.VP_NEVER
    try:
        value, sign[0] = holder.log_value(z, log_k, slope)
        return value
    except BaseException as error:
        holder.error = error
        holder.plan.stop = 1
        return lanes.VP_NEVER


cdef class PlanHolder:
    """What an engine needs to know of a network and of the streams to use.

    ``activation`` is (code, degree, p0, p1, phi(0), left and right slope at 0, left and right far
    slope or None, whether phi is exactly 0 where a far slope is, threshold of saturation).
    ``laws`` is (codes, shapes), of each layer; the shape is df of student_t, p of sparse, else 0.
    ``callback(z, h, d)`` fills h and d where there is no kernel (code -1); ``log_value(z, log_k,
    slope)`` gives ln |phi(e^(log_k/2) z)|, or of phi', and its sign, for units that underflow. What
    they raise, and what a signal handler raises, is left in ``error``.
    """

    def __cinit__(self, activation, widths, sigma_w, bias_std, seed, *,
                  laws, uniform_bias=False, callback=None, log_value=None):
        cdef int64_t[::1] sizes = np.ascontiguousarray(widths, dtype=np.int64)
        cdef double[::1] gains = np.empty(len(sigma_w))
        cdef double[::1] biases = np.empty(len(bias_std))
        cdef int[::1] codes = np.ascontiguousarray(laws[0], dtype=np.intc)
        cdef double[::1] shapes = np.ascontiguousarray(laws[1], dtype=np.float64)
        cdef Py_ssize_t layer
        for layer in range(gains.shape[0]):
            gains[layer] = 2.0 * lanes.vp_log_or_never(sigma_w[layer])
            biases[layer] = 2.0 * lanes.vp_log_or_never(bias_std[layer])
        self.arrays = (sizes.base, gains.base, biases.base, codes.base, shapes.base)
        memset(&self.plan, 0, sizeof(Plan))
        code, degree, p0, p1, at_zero, left, right, far, far_zeros, threshold = activation
        self.plan.act.code = code
        self.plan.act.degree = degree
        self.plan.act.p0 = p0
        self.plan.act.p1 = p1
        self.plan.act.at_zero = at_zero
        self.plan.act.zero_slopes[0] = left
        self.plan.act.zero_slopes[1] = right
        self.plan.act.has_far_slopes = far is not None
        if far is not None:
            self.plan.act.far_slopes[0] = far[0]
            self.plan.act.far_slopes[1] = far[1]
        self.plan.act.far_zeros = far_zeros
        self.plan.act.threshold = threshold
        self.plan.widths = &sizes[0]
        self.plan.log_gain = &gains[0]
        self.plan.log_bias = &biases[0]
        self.plan.seed = seed
        self.plan.law = &codes[0]
        self.plan.law_shape = &shapes[0]
        self.plan.uniform_bias = uniform_bias
        self.callback = callback
        self.plan.check_signals = check_signals
        self.plan.context = <void*> self
        if callback is not None:
            self.plan.callback = call_back
        self.log_value = log_value
        if log_value is not None:
            self.plan.log_value = to_log_value

    def move_to(self, int64_t first_trial):
        """The number of the trial in the next call's first row."""
        self.plan.first_trial = first_trial
