"""The matrix-free engine, back again: gradients through the same weights, still without a matrix.

The forward pass has revealed W along one direction, W h = s |h| g. A gradient d that comes down is
W^T d = (h/|h|) (W h . d)/|h| + s |d| (1 - h h^T/|h|^2) r with fresh normals r: the exact law given
the forward pass. Of a layer only |d| and g . d / |d| matter to the next one, and both are sums over
units that are drawn again; so nothing is stored but two numbers a trial.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.draws cimport Mix, draw, mix_of, open_streams, padded_to_group
from varprop._core.layer cimport (
    BLOCK, LOG_A, LOG_G, LOG_K, Plan, TailSum, Work, add_tail, evaluate, interrupted, is_haar,
    is_lost, log_h, log_slope, log_slope_unit, open_works, regime_of,
)
from varprop._core.plan cimport PlanHolder

cdef enum:
    SUMS = 8  # VP_BACK_SUMS


cdef struct Sums:
    int status
    double of[SUMS]


# One layer of one trial, as all of its blocks see it
cdef struct Layer:
    Py_ssize_t number
    int64_t trial
    int64_t units
    int64_t dimension      # coordinates of r: more than units where a Haar matrix has more rows
    bint top               # the gradient starts here
    bint silent            # every pre-activation is exactly 0
    lanes.vp_regime regime
    double log_k
    double log_a
    double shrink          # from h as evaluated to h of mean square 1
    bint lost              # h underflows float64: only logarithms are left
    double alpha           # the gradient is alpha r + beta h
    double beta
    Mix mix


cdef int load(const Plan* plan, const Layer* at, lanes.vp_stream* weights, lanes.vp_stream* bias,
              lanes.vp_stream* fresh, int units, int n, bint phi, Work* work,
              double** z) noexcept nogil:
    """The next n numbers r, and g, z and, with `phi`, h (as evaluated) and phi' of as many units;
    zeros behind them."""
    cdef int i, padded = padded_to_group(n), drawn = padded_to_group(units)
    lanes.vp_fill_normal(fresh, work.words, work.r, padded)
    z[0] = work.g
    if at.silent:
        memset(work.g, 0, drawn * sizeof(double))
        if phi and evaluate(plan, &at.regime, work.g, work, drawn):
            return lanes.VP_CALLBACK
    elif units > 0:
        z[0] = draw(plan, &at.mix, weights, bias, work, work.g, drawn)
        if phi and not at.top and evaluate(plan, &at.regime, z[0], work,
                                           units if plan.callback != NULL else drawn):
            return lanes.VP_CALLBACK
    if at.top:
        for i in range(units):
            work.d[i] = 1.0
            work.h[i] = 0.0
    for i in range(units, padded):
        z[0][i] = 0.0
        work.g[i] = 0.0
        work.h[i] = 0.0
        work.d[i] = 0.0
    for i in range(n, padded):
        work.r[i] = 0.0
    return lanes.VP_OK


cdef void open_block(const Plan* plan, const Layer* at, int64_t block, lanes.vp_stream* weights,
                     lanes.vp_stream* bias, lanes.vp_stream* fresh) noexcept nogil:
    lanes.vp_stream_start(fresh, plan.seed, at.trial, at.number + 1, lanes.VP_COTANGENT, block)
    if not at.silent:
        open_streams(plan, at.number, at.trial, block, &at.mix, weights, bias)


cdef int sum_block(const Plan* plan, const Layer* at, int64_t block, Work* work,
                   Sums* sums) noexcept nogil:
    """The sums over one block, the gradient being alpha r + beta h."""
    cdef lanes.vp_stream weights, bias, fresh
    cdef lanes.vp_back_sums lane_sums
    cdef double* z
    cdef int64_t units = max(<int64_t> 0, min(at.units - block * BLOCK, <int64_t> BLOCK))
    cdef int64_t left = min(at.dimension - block * BLOCK, <int64_t> BLOCK)
    cdef int n, m, i
    cdef bint relu = (at.regime.code == lanes.VP_CODE_relu and not at.top
                      and at.alpha == 1.0 and at.beta == 0.0)
    if interrupted(plan, block + 1):
        return lanes.VP_CALLBACK
    memset(&lane_sums, 0, sizeof(lane_sums))
    open_block(plan, at, block, &weights, &bias, &fresh)
    while left > 0:
        n = <int> min(left, <int64_t> work.capacity)
        m = <int> min(units, <int64_t> n)
        if load(plan, at, &weights, &bias, &fresh, m, n, not relu, work, &z):
            return lanes.VP_CALLBACK
        if relu:
            lanes.vp_add_back_relu(&lane_sums, work.g, z, at.shrink, work.r, padded_to_group(n))
            left -= n
            units -= m
            continue
        if at.alpha != 1.0 or at.beta != 0.0:
            for i in range(n):
                work.r[i] = at.alpha * work.r[i] + at.beta * (at.shrink * work.h[i])
        lanes.vp_add_back(&lane_sums, work.g, work.h, at.shrink, work.d, work.r,
                          padded_to_group(n))
        left -= n
        units -= m
    for i in range(SUMS):
        sums.of[i] = lanes.vp_fold(lane_sums.sum[i])
    return lanes.VP_OK


cdef int sum_layer(const Plan* plan, const Layer* at, Work* works, Sums* parts, int threads,
                   double* total) noexcept nogil:
    """The sums over a layer, its blocks in parallel if there is more than one thread."""
    cdef int64_t blocks = (at.dimension + BLOCK - 1) // BLOCK, block
    cdef int i
    memset(total, 0, SUMS * sizeof(double))
    if threads > 1:
        for block in prange(blocks, num_threads=threads, schedule="static"):
            parts[block].status = sum_block(plan, at, block, works + threadid(), parts + block)
    for block in range(blocks):
        if threads == 1:
            parts[0].status = sum_block(plan, at, block, works, parts)
        if parts[block if threads > 1 else 0].status:
            return lanes.VP_CALLBACK
        for i in range(SUMS):
            total[i] += parts[block if threads > 1 else 0].of[i]
    return lanes.VP_OK


cdef void reveal(const Plan* plan, Layer* at, const double* sums, double tau) noexcept nogil:
    """How the fresh and the known direction mix in the gradient from above; tau = g . d / |d|.

    Of a Haar matrix the row along d is known but for its direction, so its length is what is left.
    """
    cdef double hh = sums[lanes.VP_BACK_HH], rho = 0.0, rest
    if hh > 0.0:
        rho = sums[lanes.VP_BACK_HR] / sqrt(hh)
    at.alpha = 1.0
    if is_haar(plan, at.number + 1):
        rest = sums[lanes.VP_BACK_RR] - rho * rho
        at.alpha = 0.0
        if rest > 0.0 and at.dimension > 1:
            at.alpha = sqrt((max(0.0, 1.0 - tau * tau) if hh > 0.0 else 1.0) / rest)
    at.beta = (tau - at.alpha * rho) / sqrt(hh) if hh > 0.0 else 0.0


cdef double log_arriving(const Plan* plan, const Layer* at, double log_g) noexcept nogil:
    """ln of the squared length of W^T d over that of alpha r + beta h."""
    cdef double fan_in = <double> at.units, fan_out = <double> plan.widths[at.number + 2]
    cdef double log = plan.log_gain[at.number + 1] + log_g + lanes.vp_log(fan_out)
    if is_haar(plan, at.number + 1):
        return log + lanes.vp_log(max(fan_in, fan_out) / fan_in)
    return log - lanes.vp_log(fan_in)


cdef int rescue(const Plan* plan, Layer* at, double tau_above, Work* work, double* log_square,
                double* tau) noexcept nogil:
    """ln |d|^2 and g . d / |d| where phi or phi' underflows, unit by unit in logarithms."""
    cdef lanes.vp_stream weights, bias, fresh
    cdef TailSum tail
    cdef double sums[SUMS]
    cdef double* z
    cdef double sign, h_sign, value
    cdef int64_t block, units, left
    cdef int turn, n, m, i
    memset(sums, 0, sizeof(sums))
    memset(&tail, 0, sizeof(tail))
    tail.log_top = lanes.VP_NEVER
    at.alpha = 1.0
    at.beta = 0.0
    for turn in range(2):
        for block in range((at.dimension + BLOCK - 1) // BLOCK):
            units = max(<int64_t> 0, min(at.units - block * BLOCK, <int64_t> BLOCK))
            left = min(at.dimension - block * BLOCK, <int64_t> BLOCK)
            open_block(plan, at, block, &weights, &bias, &fresh)
            while left > 0:
                n = <int> min(left, <int64_t> work.capacity)
                m = <int> min(units, <int64_t> n)
                if interrupted(plan, block + 1) or load(plan, at, &weights, &bias, &fresh, m, n,
                                                        True, work, &z):
                    return lanes.VP_CALLBACK
                for i in range(m):
                    work.h[i] *= at.shrink
                    if at.lost:
                        value = log_h(plan, z[i], at.log_k, &h_sign) - 0.5 * at.log_a
                        work.h[i] = h_sign * lanes.vp_exp(value)
                    if turn == 1:
                        value = log_slope(plan, z[i], work.d[i], at.log_k, &sign)
                        h_sign = at.alpha * work.r[i] + at.beta * work.h[i]
                        sign = sign if h_sign > 0.0 else -sign
                        value = value + lanes.vp_log_or_never(lanes.vp_abs(h_sign))
                        add_tail(&tail, value, sign * work.g[i])
                    sums[lanes.VP_BACK_HH] += work.h[i] * work.h[i]
                    sums[lanes.VP_BACK_HR] += work.h[i] * work.r[i]
                for i in range(n):
                    sums[lanes.VP_BACK_RR] += work.r[i] * work.r[i]
                left -= n
                units -= m
        if turn == 0:
            reveal(plan, at, sums, tau_above)
    log_square[0] = lanes.VP_NEVER
    tau[0] = 0.0
    if tail.log_top != lanes.VP_NEVER:
        log_square[0] = 2.0 * tail.log_top + lanes.vp_log(tail.squares)
        tau[0] = tail.values / sqrt(tail.squares)
    return lanes.VP_OK


cdef int run_layer(const Plan* plan, Py_ssize_t layer, Py_ssize_t row, double log_input,
                   double* tau, double[:, :, :] rows, Work* works, Sums* parts,
                   int threads) noexcept nogil:
    """ln g of one layer of one trial, and tau for the layer below."""
    cdef Layer at
    cdef double sums[SUMS]
    cdef double log_below, log_square, log_g = lanes.VP_NEVER, along, parts_square
    at.number = layer
    at.trial = plan.first_trial + row
    at.units = plan.widths[layer + 1]
    at.dimension = at.units
    at.top = layer == rows.shape[2] - 1
    if not at.top:
        log_g = rows[LOG_G, row, layer + 1]
        if log_g == lanes.VP_NEVER:
            rows[LOG_G, row, layer] = log_g
            return lanes.VP_OK
        if is_haar(plan, layer + 1):
            at.dimension = max(at.units, plan.widths[layer + 2])
    at.log_k = rows[LOG_K, row, layer]
    at.log_a = rows[LOG_A, row, layer]
    at.silent = at.log_k == lanes.VP_NEVER
    at.regime = regime_of(plan, at.log_k)
    memset(&at.mix, 0, sizeof(at.mix))
    at.mix.squares = 1.0
    if not at.silent:
        log_below = log_input if layer == 0 else rows[LOG_A, row, layer - 1]
        at.mix = mix_of(plan, layer, at.trial, log_below + plan.log_gain[layer] - at.log_k,
                        at.log_k, works)
    at.shrink = 0.0
    at.lost = False
    if at.log_a != lanes.VP_NEVER:
        log_below = at.log_a - at.regime.log_unit  # of h^2 as it is evaluated
        at.lost = is_lost(plan, <double> at.units * lanes.vp_exp(log_below))
        if not at.lost:
            at.shrink = lanes.vp_exp(-0.5 * log_below)
    at.alpha = 1.0
    at.beta = 0.0
    if sum_layer(plan, &at, works, parts, threads, sums):
        return lanes.VP_CALLBACK
    if at.top:
        rows[LOG_G, row, layer] = 0.0
        tau[0] = sums[lanes.VP_BACK_GR] / sqrt(sums[lanes.VP_BACK_RR] * at.mix.squares)
        return lanes.VP_OK
    reveal(plan, &at, sums, tau[0])
    parts_square = (at.alpha * at.alpha * sums[lanes.VP_BACK_DRR]
                    + at.beta * at.beta * sums[lanes.VP_BACK_DHH])
    log_square = parts_square + 2.0 * at.alpha * at.beta * sums[lanes.VP_BACK_DRH]
    along = at.alpha * sums[lanes.VP_BACK_GR] + at.beta * sums[lanes.VP_BACK_GH]
    if not parts_square <= 1.7e308:
        return lanes.VP_RANGE
    if log_square < 1e-6 * parts_square:
        # the two parts all but cancel: once more, now that both coefficients are known
        if sum_layer(plan, &at, works, parts, threads, sums):
            return lanes.VP_CALLBACK
        log_square = sums[lanes.VP_BACK_DRR]
        along = sums[lanes.VP_BACK_GR]
    if at.lost or is_lost(plan, log_square):
        if rescue(plan, &at, tau[0], works, &log_square, tau):
            return lanes.VP_CALLBACK
    else:
        tau[0] = along / sqrt(log_square) if log_square > 0.0 else 0.0
        log_square = lanes.vp_log_or_never(log_square)
    tau[0] /= sqrt(at.mix.squares)
    log_g = (log_arriving(plan, &at, log_g) + log_square + log_slope_unit(plan, at.log_k)
             - lanes.vp_log(<double> at.units))
    if not log_g <= lanes.VP_LARGEST:
        return lanes.VP_OVERFLOW
    rows[LOG_G, row, layer] = log_g
    return lanes.VP_OK


def backward(PlanHolder holder, double[:, :, :] rows, double[::1] tau, double log_input,
             Py_ssize_t first_layer, Py_ssize_t last_layer, int threads, bint wide,
             int[::1] status, int64_t[::1] stopped_at):
    """Layers last_layer .. first_layer + 1 of a run of trials, downwards.

    ``rows`` holds what the forward pass has measured of all layers; ``tau`` carries g . d / |d| of
    each trial from one call to the next. The rest is as in `matrix_free.forward`.
    """
    cdef Plan* plan = &holder.plan
    cdef Py_ssize_t trials = tau.shape[0], row, layer
    cdef int64_t most = 1
    for layer in range(rows.shape[2] + 1):
        most = max(most, (plan.widths[layer] + BLOCK - 1) // BLOCK)
    cdef Work* works = open_works(plan, threads)
    cdef Sums* parts = <Sums*> malloc((most if wide else threads) * sizeof(Sums))
    if works == NULL or parts == NULL:
        free(works)
        free(parts)
        raise MemoryError("no memory for the engine's buffers")
    with nogil:
        if wide:
            for row in range(trials):
                run_trial(plan, first_layer, last_layer, row, log_input, &tau[row], rows, works,
                          parts, threads, &status[row], &stopped_at[row])
        else:
            for row in prange(trials, num_threads=threads, schedule="dynamic"):
                run_trial(plan, first_layer, last_layer, row, log_input, &tau[row], rows,
                          works + threadid(), parts + threadid(), 1, &status[row],
                          &stopped_at[row])
    free(works)
    free(parts)


cdef void run_trial(const Plan* plan, Py_ssize_t first_layer, Py_ssize_t last_layer,
                    Py_ssize_t row, double log_input, double* tau, double[:, :, :] rows,
                    Work* works, Sums* parts, int threads, int* status,
                    int64_t* stopped_at) noexcept nogil:
    cdef Py_ssize_t layer = last_layer
    while layer > first_layer:
        layer -= 1
        status[0] = run_layer(plan, layer, row, log_input, tau, rows, works, parts, threads)
        if status[0] != lanes.VP_OK:
            stopped_at[0] = layer + 1
            return
