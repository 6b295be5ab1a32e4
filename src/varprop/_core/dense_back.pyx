"""The dense engine, back again: every weight drawn a second time, and multiplied from the left.

The way up has kept each layer's pre-activations. Rows of a matrix are shared out in a fixed number
of parts with a sum each, and the sums folded in order: the same bits for any number of threads.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.columns cimport Frame, one_column
from varprop._core.haar cimport TURNS, multiply_haar
from varprop._core.layer cimport (
    BLOCK, LOG_G, LOG_K, Plan, TailSum, Work, add_tail, evaluate, finish_tail, interrupted, is_haar,
    is_lost, log_slope, log_slope_unit, open_works, regime_of,
)
from varprop._core.plan cimport PlanHolder
from varprop._core.tiles cimport TILE, TILE_WORDS, draw_tile, padded_to, rows_a_stream

cdef enum:
    PARTS = 16  # sums over rows: part of what the bits are, never change it


cdef void add_rows(const Plan* plan, Py_ssize_t layer, int64_t trial, int64_t part,
                   const double* delta, double* u) noexcept nogil:
    """u = W^T delta over one part of the rows, W of unit variance."""
    cdef lanes.vp_stream stream
    cdef uint64_t words[TILE_WORDS]
    cdef float weights[TILE]
    cdef int64_t columns = padded_to(plan.widths[layer], lanes.VP_GROUP_SINGLE)
    cdef int64_t height = rows_a_stream(plan.widths[layer]), units = plan.widths[layer + 1]
    cdef int64_t groups = (units + height - 1) // height, group, row, column
    cdef int n
    memset(u, 0, columns * sizeof(double))
    for group in range(part * groups // PARTS, (part + 1) * groups // PARTS):
        if interrupted(plan, group + 1):
            return
        lanes.vp_stream_start(&stream, plan.seed, trial, layer + 1, lanes.VP_WEIGHTS, group)
        for row in range(group * height, min((group + 1) * height, units)):
            column = 0
            while column < columns:
                n = <int> min(columns - column, <int64_t> TILE)
                draw_tile(plan, layer, &stream, words, weights, n)
                lanes.vp_add_scaled(u + column, weights, delta[row], n)
                column += n


cdef void multiply(const Plan* plan, Py_ssize_t layer, int64_t trial, double* delta, double* u,
                   double* parts, int64_t room, Work* work, int threads) noexcept nogil:
    """u = W^T delta; parts is room for one sum a thread, or for all, or for TURNS reflections."""
    cdef int64_t columns = plan.widths[layer], part, i
    cdef Frame spare
    if is_haar(plan, layer):
        spare.at, spare.stride = parts, room
        multiply_haar(plan, layer, trial, one_column(delta), one_column(u), 1, True, work.words,
                      spare)
        return
    memset(u, 0, columns * sizeof(double))
    if threads > 1:
        for part in prange(PARTS, num_threads=threads, schedule="static"):
            add_rows(plan, layer, trial, part, delta, parts + part * room)
    for part in range(PARTS):
        if threads == 1:
            add_rows(plan, layer, trial, part, delta, parts)
        for i in range(columns):
            u[i] += parts[(part * room if threads > 1 else 0) + i]


cdef void draw_cotangent(const Plan* plan, int64_t trial, Py_ssize_t layer, Work* work,
                         double* delta) noexcept nogil:
    """A random direction of mean square 1, the one of the matrix-free engine."""
    cdef lanes.vp_stream stream
    cdef int64_t units = plan.widths[layer + 1], unit = 0, end, i
    cdef double squares = 0.0
    cdef int n
    while unit < units:
        end = min(unit + BLOCK, units)
        lanes.vp_stream_start(&stream, plan.seed, trial, layer + 1, lanes.VP_COTANGENT,
                              unit // BLOCK)
        while unit < end:
            n = <int> min(end - unit, <int64_t> work.capacity)
            lanes.vp_fill_normal(&stream, work.words, work.r,
                                 <int> padded_to(n, lanes.VP_GROUP))
            for i in range(n):
                delta[unit + i] = work.r[i]
                squares += work.r[i] * work.r[i]
            unit += n
    for i in range(units):
        delta[i] *= sqrt(<double> units / squares)


cdef int apply_slopes(const Plan* plan, const lanes.vp_regime* regime, int64_t units,
                      const double* z, double log_k, const double* u, double* delta, Work* work,
                      double* square) noexcept nogil:
    """delta = phi'(z) u, and its sum of squares."""
    cdef int64_t unit = 0
    cdef int n, i
    square[0] = 0.0
    while unit < units:
        n = <int> min(units - unit, <int64_t> work.capacity)
        for i in range(n):
            work.z[i] = z[unit + i] if log_k != lanes.VP_NEVER else 0.0
        if evaluate(plan, regime, work.z, work, n):
            return lanes.VP_CALLBACK
        for i in range(n):
            delta[unit + i] = work.d[i] * u[unit + i]
            square[0] += delta[unit + i] * delta[unit + i]
        unit += n
    return lanes.VP_OK


cdef double rescue(const Plan* plan, int64_t units, const double* z, double log_k, double* u,
                   double* delta) noexcept nogil:
    """ln of the mean square of delta = phi' u, and delta over its root, where it underflows."""
    cdef TailSum tail
    cdef double slope, sign, log_square, mean
    cdef int64_t i
    memset(&tail, 0, sizeof(tail))
    tail.log_top = lanes.VP_NEVER
    for i in range(units):
        if u[i] == 0.0:
            u[i] = lanes.VP_NEVER
            continue
        slope = log_slope(plan, z[i], delta[i] / u[i], log_k, &sign)
        delta[i] = sign if u[i] > 0.0 else -sign
        u[i] = lanes.vp_log_or_never(lanes.vp_abs(u[i])) + slope
        add_tail(&tail, u[i], 0.0)
    log_square = finish_tail(&tail, units, &mean)
    for i in range(units):
        delta[i] *= 0.0 if u[i] == lanes.VP_NEVER else lanes.vp_exp(u[i] - 0.5 * log_square)
    return log_square


cdef int run_layer(const Plan* plan, Py_ssize_t layer, Py_ssize_t row, const double* z,
                   double* delta, double* u, double* parts, int64_t room,
                   double[:, :, :] rows, Work* work, int threads) noexcept nogil:
    """ln g of one layer of one trial, and its gradient of mean square 1 in delta."""
    cdef int64_t trial = plan.first_trial + row, units = plan.widths[layer + 1], i
    cdef double log_g, log_k = rows[LOG_K, row, layer], square = 0.0, log_square, shrink
    cdef lanes.vp_regime regime
    if layer == rows.shape[2] - 1:
        draw_cotangent(plan, trial, layer, work, delta)
        rows[LOG_G, row, layer] = 0.0
        return lanes.VP_OK
    log_g = rows[LOG_G, row, layer + 1]
    if log_g == lanes.VP_NEVER:
        rows[LOG_G, row, layer] = log_g
        return lanes.VP_OK
    multiply(plan, layer + 1, trial, delta, u, parts, room, work, threads)
    if plan.stop:
        return lanes.VP_CALLBACK
    regime = regime_of(plan, log_k)
    if apply_slopes(plan, &regime, units, z, log_k, u, delta, work, &square):
        return lanes.VP_CALLBACK
    if not square <= 1.7e308:
        return lanes.VP_RANGE
    if is_lost(plan, square):
        log_square = rescue(plan, units, z, log_k, u, delta)
        if plan.stop:
            return lanes.VP_CALLBACK
    else:
        log_square = lanes.vp_log_or_never(square / <double> units)
        shrink = sqrt(<double> units / square) if square > 0.0 else 0.0
        for i in range(units):
            delta[i] *= shrink
    log_g += (log_square + log_slope_unit(plan, log_k) + plan.log_gain[layer + 1]
              - lanes.vp_log(<double> units))
    if not log_g <= lanes.VP_LARGEST:
        return lanes.VP_OVERFLOW
    rows[LOG_G, row, layer] = log_g
    return lanes.VP_OK


cdef void run_trial(const Plan* plan, Py_ssize_t first_layer, Py_ssize_t last_layer,
                    Py_ssize_t row, const double* z, double* delta, double* room_of, int64_t room,
                    double[:, :, :] rows, Work* work, int threads, int* status,
                    int64_t* stopped_at) noexcept nogil:
    cdef Py_ssize_t layer = last_layer
    while layer > first_layer:
        layer -= 1
        status[0] = run_layer(plan, layer, row, z + layer * room, delta, room_of, room_of + room,
                              room, rows, work, threads)
        if status[0] != lanes.VP_OK:
            stopped_at[0] = layer + 1
            return


def backward(PlanHolder holder, double[:, :, :] rows, double[:, ::1] delta,
             double[:, :, ::1] kept, Py_ssize_t first_layer, Py_ssize_t last_layer, int threads,
             bint wide, int[::1] status, int64_t[::1] stopped_at):
    """Layers last_layer .. first_layer + 1 of a run of trials, downwards.

    ``kept`` holds what the way up has kept; ``delta`` (trials, padded width) carries each trial's
    gradient, of mean square 1, from one call to the next.
    """
    cdef Plan* plan = &holder.plan
    cdef Py_ssize_t trials = delta.shape[0], row
    cdef int64_t room = delta.shape[1]
    cdef Work* works = open_works(plan, threads)
    cdef int64_t vectors = 1 + PARTS if wide else (1 + TURNS) * threads
    cdef double* vector = <double*> malloc(vectors * room * sizeof(double))
    if works == NULL or vector == NULL:
        free(works)
        free(vector)
        raise MemoryError("no memory for the engine's buffers")
    with nogil:
        if wide:
            for row in range(trials):
                run_trial(plan, first_layer, last_layer, row, &kept[row, 0, 0], &delta[row, 0],
                          vector, room, rows, works, threads, &status[row], &stopped_at[row])
        else:
            for row in prange(trials, num_threads=threads, schedule="dynamic"):
                run_trial(plan, first_layer, last_layer, row, &kept[row, 0, 0], &delta[row, 0],
                          vector + (1 + TURNS) * threadid() * room, room, rows,
                          works + threadid(), 1, &status[row], &stopped_at[row])
    free(works)
    free(vector)
