# The way back of several gradients through the same weights: from one layer to the one below.
#
# With A = W Q revealed along the orthonormal basis Q of the activations, gradients D = U S come
# down as W^T D = Q A^T D + (1 - Q Q^T) G S with fresh normals G: the exact law, given the way up.
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from varprop._core cimport lanes
from varprop._core.activate cimport log_slope_of, truly_zero
from varprop._core.basis cimport orthogonalise, triangle
from varprop._core.batch cimport LAYER_NORM, LOST, NO_NORM, Asked, State, power
from varprop._core.columns cimport (
    Frame, Hand, Product, Team, add_products, column, dots, each_block, mean_of, one_column,
    product, products, scale, total,
)
from varprop._core.compose cimport half_log_sum
from varprop._core.drawn cimport multiply_down
from varprop._core.draws cimport padded_to_group
from varprop._core.form cimport draw_back
from varprop._core.layer cimport BLOCK, Plan, is_haar, is_lost
from varprop._core.norm cimport Pass
from varprop._core.trace cimport find_values


cdef inline int input_of(const Asked* asked, int j) noexcept nogil:
    """Which input gradient j belongs to; those of the ladder to the first."""
    return j // asked.cotangents if j < asked.graded * asked.cotangents else 0


cdef inline int mix_task(void* what, int64_t block, int units, Hand* hand,
                         double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    cdef int64_t start = block * BLOCK
    cdef int j
    for j in range(of.count - 1, -1, -1):
        lanes.vp_mix(column(of.y, j) + start, column(of.x, j) + start,
                     of.factor[j * of.count + j], of.x.at + start, of.x.stride, j,
                     of.factor + j * of.count, padded_to_group(units))
    return 0


cdef inline void mix(Frame x, Frame y, int count, double* r, int64_t n,
                     Team* team) noexcept nogil:
    """y_j = sum over i <= j of r_ij x_i, the last column first, so y may be x."""
    cdef Product of = product(x, count, y, count, r)
    each_block(mix_task, &of, n, team, 0)


cdef inline void clear_beyond(Frame x, int count, int64_t n, int64_t end) noexcept nogil:
    cdef int j
    cdef int64_t i
    for j in range(count):
        for i in range(n, (end + 15) // 16 * 16):
            column(x, j)[i] = 0.0


cdef inline void turn_to(const Asked* asked, State* at, int64_t n, bint revealed,
                         Team* team) noexcept nogil:
    """u without what lies along h, but, if so wished, with what the way up has revealed there."""
    cdef int c = asked.columns, j, i
    products(at.h, c, at.u, asked.gradients, n, team, at.share)
    for j in range(asked.gradients):
        for i in range(c):
            at.share[j * c + i] *= -at.inverse[i] * at.inverse[i]
            if revealed:
                at.share[j * c + i] += at.inverse[i] * at.cross[j * c + i]
    add_products(at.u, asked.gradients, at.h, c, at.share, n, team)


cdef inline int transpose(const Asked* asked, Py_ssize_t layer, State* at,
                          Team* team) noexcept nogil:
    """u = W^T d / (sigma_w / sqrt(fan_in)) for the weights of `layer`, h being its input's basis.

    d is left as it was, to rounding, where a skip connection needs it.
    """
    cdef const Plan* plan = asked.plans[layer]
    cdef int c = asked.columns, d = asked.gradients, j, i
    cdef int64_t above = asked.widths[layer + 1], below = asked.widths[layer], n = below
    cdef bint haar = is_haar(plan, layer), whole = True
    cdef Frame normals = at.u
    if asked.dense:
        multiply_down(asked, layer, at, at.d, at.u, d, team)
        return lanes.VP_CALLBACK if plan.stop else lanes.VP_OK
    products(at.above, c, at.d, d, above, team, at.cross)
    for j in range(d):
        for i in range(c):
            if at.inverse[i] == 0.0:
                at.cross[j * c + i] = 0.0  # no input points there: this column of A shows nothing
    if haar:
        # the rest of the rotation is uniform among those that map what is left to what is left
        n = max(above, below)
        clear_beyond(at.d, d, above, n)
        clear_beyond(at.h, c, below, n)
        for i in range(c * d):
            at.share[i] = -at.cross[i]
        add_products(at.d, d, at.above, c, at.share, n, team)
    # gradients have mean square 1: beside that, what is left of a revealed one is rounding
    if haar or not triangle(at.d, d, above, at.r_d, at.room, team):
        orthogonalise(at.d, d, n if haar else above, at.r_d, at.inverse_d, at.room,
                      <double> above if haar else 0.0, team)
        whole = False
    if draw_back(asked, layer, at, &normals, 0, d, n, team):
        return lanes.VP_CALLBACK
    if haar:
        for j in range(d):
            if at.inverse_d[j] == 0.0:
                scale(column(at.u, j), 0.0, n, team)  # leave the dimensions to the others
        turn_to(asked, at, n, False, team)
        orthogonalise(at.u, d, n, at.r_u, at.inverse_u, at.room, 1.0, team)
        for j in range(d):
            scale(column(at.u, j), at.inverse_u[j], n, team)
    mix(normals, at.u, d, at.r_d, n, team)
    turn_to(asked, at, n, True, team)
    if haar:
        clear_beyond(at.u, d, below, n)
    if asked.residual and not whole:
        for j in range(d):
            for i in range(d):
                at.r_d[j * d + i] *= at.inverse_d[i]
            at.r_d[j * d + j] = 1.0
        mix(at.d, at.d, d, at.r_d, n if haar else above, team)
        if haar:
            add_products(at.d, d, at.above, c, at.cross, n, team)
    return lanes.VP_OK


# One gradient through phi, or through a norm, or next to the skip connection
cdef struct Step:
    double* u
    const double* by
    double first
    double second


cdef inline int multiply_task(void* what, int64_t block, int units, Hand* hand,
                              double* part) noexcept nogil:
    cdef Step* of = <Step*> what
    part[0] = lanes.vp_multiply_and_square(of.u + block * BLOCK, of.by + block * BLOCK, units)
    return 0


cdef inline int join_task(void* what, int64_t block, int units, Hand* hand,
                          double* part) noexcept nogil:
    """u <- first u + second by"""
    cdef Step* of = <Step*> what
    cdef int64_t start = block * BLOCK
    cdef int i
    for i in range(units):
        of.u[start + i] = of.first * of.u[start + i] + of.second * of.by[start + i]
    return 0


cdef inline int shift_task(void* what, int64_t block, int units, Hand* hand,
                           double* part) noexcept nogil:
    cdef Step* of = <Step*> what
    cdef int64_t start = block * BLOCK
    cdef int i
    for i in range(units):
        of.u[start + i] -= of.first
    return 0


cdef inline void through_norm(const Asked* asked, State* at, double* u, double* log, int b,
                              int64_t n, Team* team) noexcept nogil:
    """The norm's Jacobian, which is symmetric; of a signal that is exactly 0 it is 0."""
    cdef Step of
    cdef Frame value
    cdef double along
    if at.log_spread[b] == lanes.VP_NEVER:
        scale(u, 0.0, n, team)
        log[0] = lanes.VP_NEVER
        return
    of.u = u
    if asked.norm == LAYER_NORM:
        of.first = mean_of(u, n, team)
        each_block(shift_task, &of, n, team, 0)
    of.by = column(at.value, b)
    value.at, value.stride = column(at.value, b), at.value.stride
    dots(value, 1, u, n, team, &along)
    of.first = 1.0
    of.second = -along / <double> n
    each_block(join_task, &of, n, team, 0)
    log[0] -= at.log_spread[b]


cdef inline int rescale_from(double square, double* u, double* log, int64_t n,
                             Team* team) noexcept nogil:
    """To mean square 1, u . u being known; the rest into the logarithm of the unit."""
    if not square <= 1.7e308:
        return lanes.VP_RANGE
    if square == 0.0:
        log[0] = lanes.VP_NEVER
        return lanes.VP_OK
    square /= <double> n
    scale(u, 1.0 / sqrt(square), n, team)
    log[0] += 0.5 * lanes.vp_log_or_never(square)
    return lanes.VP_OK if log[0] <= lanes.VP_LARGEST else lanes.VP_OVERFLOW


cdef inline int rescale(double* u, double* log, int64_t n, Team* team) noexcept nogil:
    """The same where it is not."""
    cdef double square
    dots(one_column(u), 1, u, n, team, &square)
    return rescale_from(square, u, log, n, team)


cdef inline int through_slopes(const Asked* asked, Py_ssize_t layer, State* at, double* u,
                               double* log, int b, int64_t n, const double* trace,
                               Team* team) noexcept nogil:
    """A gradient with respect to h becomes one with respect to z, both of `layer`."""
    cdef const Plan* plan = asked.plans[layer]
    cdef double log_k = 2.0 * at.log_z[at.root[b]], square
    cdef Step of
    cdef Pass here
    of.u, of.by = u, column(at.slope, b)
    each_block(multiply_task, &of, n, team, 1)
    total(n, team, 1, &square)
    here.asked, here.layer = asked, layer
    here.at, here.plan, here.units = at, plan, n
    here.normalise = asked.norm != NO_NORM and not asked.post
    if log[0] != lanes.VP_NEVER and is_lost(plan, square):
        if find_values(asked, layer, at, trace, team) or not truly_zero(
                &here, b, True, team.hands):
            return LOST
    if here.normalise:
        through_norm(asked, at, u, log, b, n, team)
        log_k = 0.0 if log_k != lanes.VP_NEVER else log_k
        log[0] += log_slope_of(plan, log_k)
        return rescale(u, log, n, team)
    log[0] += log_slope_of(plan, log_k)
    return rescale_from(square, u, log, n, team)


cdef inline int descend(const Asked* asked, Py_ssize_t layer, State* at, const double* trace,
                        Team* team) noexcept nogil:
    """Gradients of `layer` (from 0) become those of the one below.

    A of the layer is in `above`; the layer below is activated, slopes and all, and h is a basis.
    """
    cdef const Plan* plan = asked.plans[layer]
    cdef int64_t n = asked.widths[layer]
    cdef double unit = 0.5 * (plan.log_gain[layer] - lanes.vp_log(<double> n)), log_skip
    cdef int j, status
    cdef Frame swapped
    cdef Step of
    if is_haar(plan, layer) and not asked.dense:
        unit += 0.5 * lanes.vp_log(<double> max(n, asked.widths[layer + 1]))
    if transpose(asked, layer, at, team):
        return lanes.VP_CALLBACK
    for j in range(asked.gradients):
        log_skip = at.log_d[j] + lanes.vp_log_or_never(lanes.vp_abs(asked.skip))
        at.log_d[j] += unit
        status = through_slopes(asked, layer - 1, at, column(at.u, j), at.log_d + j,
                                input_of(asked, j), n, trace, team)
        if status:
            return status
        if asked.residual:
            at.log_d[j] += lanes.vp_log(lanes.vp_abs(asked.branch))
            of.u, of.by = column(at.u, j), column(at.d, j)
            of.first = power(at.log_d[j] - half_log_sum(at.log_d[j], log_skip))
            of.second = power(log_skip - half_log_sum(at.log_d[j], log_skip))
            of.first *= -1.0 if asked.branch < 0.0 else 1.0
            of.second *= -1.0 if asked.skip < 0.0 else 1.0
            each_block(join_task, &of, n, team, 0)
            at.log_d[j] = half_log_sum(at.log_d[j], log_skip)
            status = rescale(column(at.u, j), at.log_d + j, n, team)
            if status:
                return status
    swapped = at.d
    at.d = at.u
    at.u = swapped
    return lanes.VP_OK
