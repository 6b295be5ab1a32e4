# What both engines do with a layer once its pre-activations are there.
from libc.stdint cimport int64_t, uint64_t
from cython.parallel cimport threadid
from libc.math cimport sqrt
from varprop._core cimport lanes

cdef extern from "stdlib.h" nogil:
    void* aligned_alloc(size_t alignment, size_t size)


cdef enum:
    BLOCK = 4096   # units that share a stream: part of the definition of a network, never change it
    CHUNK = 512    # units worked on at a time; the buffers stay in the first-level cache

cdef enum:
    LOG_Q, LOG_A, LOG_K, MEAN, SATURATED, ZERO, LOG_G

ctypedef int (*Callback)(void* context, double* z, double* h, double* d, int n) noexcept nogil
ctypedef double (*LogValue)(
    void* context, double z, double log_k, bint slope, double* sign) noexcept nogil

cdef struct Plan:
    lanes.vp_activation act
    Callback callback          # NULL: the activation has a kernel
    LogValue log_value         # ln |phi| or ln |phi'|, and its sign; NULL for kernels and callables
    void (*check_signals)(void* context) noexcept nogil
    void* context
    int stop                   # set once a callback or a signal handler has raised
    uint64_t seed
    int64_t first_trial
    const int64_t* widths      # n_0 .. n_L
    const double* log_gain     # ln(sigma_w^2) for each layer
    const double* log_bias     # ln Var b, or VP_NEVER
    const int* law             # VP_LAW_... of each layer's weights
    const double* law_shape    # df or p for those that have one
    int uniform_bias

cdef struct Work:
    uint64_t* words
    double* z                  # pre-activations over sqrt(K)
    double* scaled             # the same at the scale where phi is evaluated
    double* h
    double* d
    double* g                  # the way back: the weights' numbers, and the fresh ones
    double* r
    int capacity

cdef struct Totals:
    int status
    double zz
    double hh
    double h
    int64_t saturated
    int64_t zero

# A sum of squares and a sum, in logarithms, for units far out in a tail of phi
cdef struct TailSum:
    double log_top
    double squares
    double values


cdef inline bint is_haar(const Plan* plan, Py_ssize_t layer) noexcept nogil:
    return plan.law[layer] == lanes.VP_LAW_ORTHOGONAL


cdef inline Work* open_works(const Plan* plan, int threads) noexcept nogil:
    """Room for each thread; a callback gets whole blocks, for each call costs microseconds."""
    cdef int n = BLOCK if plan.callback != NULL else CHUNK, thread
    cdef int pitch = n + 24  # not a power of two, lest the buffers compete for the same cache sets
    cdef size_t heads = (threads * sizeof(Work) + 63) // 64 * 64
    cdef Work* works = <Work*> aligned_alloc(64, heads + threads * 7 * pitch * sizeof(double))
    cdef double* room = <double*> (<char*> works + heads)
    if works == NULL:
        return NULL
    for thread in range(threads):
        works[thread].capacity = n
        works[thread].words = <uint64_t*> room
        works[thread].z = room + pitch
        works[thread].scaled = room + 2 * pitch
        works[thread].h = room + 3 * pitch
        works[thread].d = room + 4 * pitch
        works[thread].g = room + 5 * pitch
        works[thread].r = room + 6 * pitch
        room += 7 * pitch
    return works


cdef inline int evaluate(const Plan* plan, const lanes.vp_regime* regime, double* z,
                         Work* work, int n) noexcept nogil:
    """phi and phi' of z at the regime's scale, into work.h and work.d."""
    cdef int i
    cdef double* y = z
    if regime.scale != 1.0:
        y = work.scaled
        for i in range(n):
            y[i] = regime.scale * z[i]
    if regime.code < 0:
        return plan.callback(plan.context, y, work.h, work.d, n)
    lanes.vp_activate(regime.code, y, work.h, work.d, n, regime.p0, regime.p1)
    return 0


cdef inline bint interrupted(const Plan* plan, int64_t step) noexcept nogil:
    """Ask Python for signals now and then; just the first thread may be the one that gets them."""
    if step % 1024 == 0 and threadid() == 0:
        plan.check_signals(plan.context)
    return plan.stop


cdef inline void fold_sums(const lanes.vp_sums* sums, Totals* totals) noexcept nogil:
    totals.zz += lanes.vp_fold(sums.sum[lanes.VP_SUM_ZZ])
    totals.hh += lanes.vp_fold(sums.sum[lanes.VP_SUM_HH])
    totals.h += lanes.vp_fold(sums.sum[lanes.VP_SUM_H])
    totals.saturated += sums.count[lanes.VP_COUNT_SATURATED]
    totals.zero += sums.count[lanes.VP_COUNT_ZERO]


cdef inline void add_totals(Totals* into, const Totals* part) noexcept nogil:
    into.zz += part.zz
    into.hh += part.hh
    into.h += part.h
    into.saturated += part.saturated
    into.zero += part.zero


cdef inline bint is_lost(const Plan* plan, double hh) noexcept nogil:
    """Whether the sum of squares fell into a tail where float64 says 0 and phi does not."""
    return (hh < 1e-250 and plan.act.degree < 0
            and (plan.callback == NULL or plan.log_value != NULL))


cdef inline int settle(const Plan* plan, const lanes.vp_regime* regime, double log_k,
                       Totals* totals) noexcept nogil:
    """Check the sums, and take back zeros that are the far slope's and not phi's."""
    if not totals.hh <= 1.7e308:
        return lanes.VP_RANGE
    if regime.code == lanes.VP_CODE_two_slope and log_k > 0.0 and not plan.act.far_zeros:
        totals.zero = 0
    return lanes.VP_OK


cdef inline double log_h(const Plan* plan, double z, double log_k, double* sign) noexcept nogil:
    """ln |phi| of one unit, and the sign of phi."""
    cdef double side = 1.0 if z > 0.0 else -1.0
    cdef int code = plan.act.code
    if z == 0.0 and plan.act.at_zero == 0.0:
        sign[0] = 0.0
        return lanes.VP_NEVER
    if plan.log_value != NULL:
        return plan.log_value(plan.context, z, log_k, False, sign)
    sign[0] = side
    if (code == lanes.VP_CODE_sigmoid or code == lanes.VP_CODE_softplus
            or code == lanes.VP_CODE_probit or code == lanes.VP_CODE_gaussian):
        sign[0] = 1.0
    return lanes.vp_log_tail(code, plan.act.p0, side,
                             lanes.vp_log_or_never(lanes.vp_abs(z)) + 0.5 * log_k)


cdef inline lanes.vp_regime regime_of(const Plan* plan, double log_k) noexcept nogil:
    """The scale of a layer that the way up has passed; a silent one is evaluated at 0."""
    cdef lanes.vp_regime regime
    if log_k != lanes.VP_NEVER:
        return lanes.vp_choose_regime(&plan.act, log_k)
    regime.status = lanes.VP_OK
    regime.code = plan.act.code
    regime.p0 = plan.act.p0
    regime.p1 = plan.act.p1
    regime.scale = 1.0
    regime.log_unit = 0.0
    regime.threshold = plan.act.threshold
    return regime


cdef inline double log_slope_unit(const Plan* plan, double log_k) noexcept nogil:
    """phi'^2 comes in units of its exp. Differences of phi do too: those of degree 0 know no K."""
    if plan.act.degree >= 0 and plan.act.degree != 1 and log_k != lanes.VP_NEVER:
        return (plan.act.degree - 1) * log_k
    return 0.0


cdef inline double log_slope(const Plan* plan, double z, double d, double log_k,
                             double* sign) noexcept nogil:
    """ln |phi'| of one unit, and its sign, also where phi' underflows."""
    sign[0] = 1.0 if d > 0.0 else -1.0
    if lanes.vp_abs(d) > 1e-290 or log_k == lanes.VP_NEVER:
        return lanes.vp_log_or_never(lanes.vp_abs(d))
    if plan.log_value != NULL:
        return plan.log_value(plan.context, z, log_k, True, sign)
    if plan.callback != NULL:
        return lanes.VP_NEVER
    return lanes.vp_log_slope_tail(plan.act.code, plan.act.p0, 1.0 if z > 0.0 else -1.0,
                                   lanes.vp_log_or_never(lanes.vp_abs(z)) + 0.5 * log_k, sign)


cdef inline void add_tail(TailSum* tail, double log_value, double sign) noexcept nogil:
    cdef double shrink
    if log_value == lanes.VP_NEVER:
        return
    if log_value > tail.log_top:
        shrink = 0.0
        if tail.log_top != lanes.VP_NEVER:
            shrink = lanes.vp_exp(tail.log_top - log_value)
        tail.squares *= shrink * shrink
        tail.values *= shrink
        tail.log_top = log_value
    shrink = lanes.vp_exp(log_value - tail.log_top)
    tail.squares += shrink * shrink
    tail.values += sign * shrink


cdef inline double finish_tail(const TailSum* tail, int64_t units, double* mean) noexcept nogil:
    """ln of the mean square, and the mean over the root mean square."""
    cdef double square = tail.squares / <double> units
    if tail.log_top == lanes.VP_NEVER:
        mean[0] = 0.0
        return lanes.VP_NEVER
    mean[0] = tail.values / <double> units / sqrt(square)
    return 2.0 * tail.log_top + lanes.vp_log(square)


cdef inline int write_row(const Plan* plan, double[:, :, :] rows, Py_ssize_t row,
                          Py_ssize_t layer, const Totals* totals, double log_k, double log_a,
                          double mean, int64_t* died) noexcept nogil:
    cdef double n = <double> plan.widths[layer + 1]
    cdef double log_q = lanes.vp_log_or_never(totals.zz / n) + log_k
    # a logarithm that is not a number, or past the range of float64 itself
    if not (log_q <= lanes.VP_LARGEST and log_a <= lanes.VP_LARGEST
            and -lanes.VP_LARGEST <= log_k <= lanes.VP_LARGEST):
        return lanes.VP_OVERFLOW
    rows[LOG_Q, row, layer] = log_q
    rows[LOG_A, row, layer] = log_a
    rows[LOG_K, row, layer] = log_k
    rows[MEAN, row, layer] = max(-1.0, min(1.0, mean))  # rounding may pass the bounds
    rows[SATURATED, row, layer] = <double> totals.saturated / n
    rows[ZERO, row, layer] = <double> totals.zero / n
    if (log_a == lanes.VP_NEVER and died[0] == 0 and plan.act.at_zero == 0.0
            and plan.log_bias[layer] == lanes.VP_NEVER):
        died[0] = layer + 1  # no bias can bring it back: biases are in all layers or in none
    return lanes.VP_OK


cdef inline int write_silent_row(const Plan* plan, double[:, :, :] rows, Py_ssize_t row,
                                 Py_ssize_t layer, double* log_a) noexcept nogil:
    """A layer above zeros, without biases: every unit is phi(0)."""
    cdef double zero = 0.0, value = 0.0, slope = 0.0
    if plan.callback == NULL:
        lanes.vp_activate(plan.act.code, &zero, &value, &slope, 1, plan.act.p0, plan.act.p1)
    elif plan.callback(plan.context, &zero, &value, &slope, 1):
        return lanes.VP_CALLBACK
    log_a[0] = 2.0 * lanes.vp_log_or_never(lanes.vp_abs(value))
    rows[LOG_Q, row, layer] = lanes.VP_NEVER
    rows[LOG_A, row, layer] = log_a[0]
    rows[LOG_K, row, layer] = lanes.VP_NEVER
    rows[MEAN, row, layer] = 1.0 if value > 0.0 else -1.0 if value < 0.0 else 0.0
    rows[SATURATED, row, layer] = 1.0 if lanes.vp_abs(slope) <= plan.act.threshold else 0.0
    rows[ZERO, row, layer] = 1.0 if value == 0.0 else 0.0
    return lanes.VP_OK
