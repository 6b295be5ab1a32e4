# From a layer's activations to the law of the next pre-activations: scalars and small matrices only.
from libc.math cimport sqrt
from varprop._core cimport lanes
from varprop._core.batch cimport Asked, State, add_up, dot, find_units, power
from varprop._core.layer cimport Plan, is_haar


cdef inline double half_log_sum(double a, double b) noexcept nogil:
    """ln of the length of two perpendicular parts of lengths e^a and e^b."""
    return 0.5 * lanes.vp_log_add(2.0 * a, 2.0 * b)


cdef inline double set_column(const Asked* asked, const Plan* plan, Py_ssize_t layer, State* at,
                            int j, double log_weights, bint biased) noexcept nogil:
    """The unit of column j and the shares of bias and skip; its weights are scaled to fit.

    Returns the factor by which they are.
    """
    cdef int c = asked.columns, i
    cdef double log_bias = 0.5 * plan.log_bias[layer] if biased else lanes.VP_NEVER
    cdef double log_layer = half_log_sum(log_weights, log_bias), log_skip = lanes.VP_NEVER, factor
    if asked.residual and layer > 0:
        log_layer += lanes.vp_log(lanes.vp_abs(asked.branch))
        log_weights += lanes.vp_log(lanes.vp_abs(asked.branch))
        log_bias += lanes.vp_log(lanes.vp_abs(asked.branch))
        log_skip = at.log_z[j] + lanes.vp_log(lanes.vp_abs(asked.skip))
    at.log_z[j] = half_log_sum(log_layer, log_skip)
    factor = -1.0 if asked.branch < 0.0 else 1.0
    at.bias_share[j] = factor * power(log_bias - at.log_z[j])
    at.skip_share[j] = (-1.0 if asked.skip < 0.0 else 1.0) * power(log_skip - at.log_z[j])
    if log_weights == at.log_z[j] and factor == 1.0:
        return 1.0  # the usual case, without rounding
    factor *= power(log_weights - at.log_z[j])
    for i in range(c):
        at.weight[j * c + i] *= factor
    return factor


cdef inline void compose(const Asked* asked, Py_ssize_t layer, State* at) noexcept nogil:
    """Weights, shares, units, and K of the next pre-activations, from h = Q R."""
    cdef const Plan* plan = asked.plans[layer]
    cdef int c = asked.columns, j, i, dimensions = 2 * c + 1
    cdef double fan_in = <double> asked.widths[layer]
    cdef double unit = 0.5 * (plan.log_gain[layer] - lanes.vp_log(fan_in)), length, log_weights
    cdef double* column
    cdef double haar = 1.0
    for j in range(c):
        column = at.weight + j * c
        length = sqrt(dot(at.r_h + j * c, at.r_h + j * c, c))
        log_weights = unit + at.log_h[j] + lanes.vp_log_or_never(length)
        if length == 0.0:
            log_weights = lanes.VP_NEVER
        for i in range(c):
            column[i] = at.r_h[j * c + i] / length if length > 0.0 else 0.0
        at.differs[j] = at.differs_h[j]
        at.direct[j] = set_column(asked, plan, layer, at, j, log_weights,
                                  j < asked.inputs and not at.differs[j])
        at.direct[j] = at.direct[j] / length if length > 0.0 else 0.0
    # r_z is still that of the layer below
    for j in range(c):
        column = at.column_law + j * dimensions
        for i in range(c):
            column[i] = at.weight[j * c + i]
            column[c + 1 + i] = 0.0
            if at.skip_share[j] != 0.0:
                column[c + 1 + i] = at.skip_share[j] * at.r_z[j * c + i] / sqrt(fan_in)
        column[c] = at.bias_share[j]
    find_units(asked, at)
    add_up(asked, at, at.column_law, dimensions, at.law)
    for j in range(asked.inputs):
        at.log_k[j] = 2.0 * at.log_z[at.root[j]]
        if at.differs[j] or (asked.residual and layer > 0):
            length = dot(at.law + j * dimensions, at.law + j * dimensions, dimensions)
            at.log_k[j] += lanes.vp_log_or_never(length)
    if is_haar(plan, layer):
        # A's columns then have length 1, not sqrt(n)
        haar = sqrt(<double> max(asked.widths[layer], asked.widths[layer + 1]))
        for j in range(c * c):
            at.weight[j] *= haar
