"""The dense engine: every weight is drawn, used in the tile where it was made, and forgotten.

It serves the laws that the matrix-free engine can't, and stands as its oracle. Memory is a few
vectors: row r of a matrix is drawn from the stream of its group of rows, whenever it is needed.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport frexp, ldexp, sqrt
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from varprop._core cimport lanes
from varprop._core.columns cimport Frame, columns_from, one_column
from varprop._core.haar cimport TURNS, multiply_haar
from varprop._core.layer cimport (
    BLOCK, MEAN, Plan, TailSum, Totals, Work, add_tail, add_totals, evaluate, finish_tail,
    fold_sums, interrupted, is_haar, is_lost, log_h, open_works, settle, write_row,
    write_silent_row,
)
from varprop._core.plan cimport PlanHolder
from varprop._core.tiles cimport TILE, TILE_WORDS, draw_tile, padded_to, rows_a_stream

cdef void multiply_rows(const Plan* plan, Py_ssize_t layer, int64_t trial, int64_t group,
                        const double* h, double* z) noexcept nogil:
    """z = W h for one group of rows, W of unit variance; h is padded with zeros."""
    cdef lanes.vp_stream stream
    cdef uint64_t words[TILE_WORDS]
    cdef float weights[TILE]
    cdef double sums[16]  # VP_SUM_LANES
    cdef int64_t columns = padded_to(plan.widths[layer], lanes.VP_GROUP_SINGLE)
    cdef int64_t height = rows_a_stream(plan.widths[layer])
    cdef int64_t row, first = group * height
    cdef int64_t last = min(first + height, plan.widths[layer + 1]), column
    cdef int n
    if interrupted(plan, group + 1):
        return
    lanes.vp_stream_start(&stream, plan.seed, trial, layer + 1, lanes.VP_WEIGHTS, group)
    for row in range(first, last):
        memset(sums, 0, sizeof(sums))
        column = 0
        while column < columns:
            n = <int> min(columns - column, <int64_t> TILE)
            draw_tile(plan, layer, &stream, words, weights, n)
            lanes.vp_add_products(sums, weights, h + column, n)
            column += n
        z[row] = lanes.vp_fold(sums)


cdef void multiply(const Plan* plan, Py_ssize_t layer, int64_t trial, double* h, double* z,
                   Work* work, Frame room, int threads) noexcept nogil:
    """z = W h, W of unit variance; `room` is for an orthogonal one, which one thread turns."""
    cdef int64_t height = rows_a_stream(plan.widths[layer]), group
    cdef int64_t groups = (plan.widths[layer + 1] + height - 1) // height
    if is_haar(plan, layer):
        multiply_haar(plan, layer, trial, one_column(h), one_column(z), 1, False, work.words, room)
    elif threads == 1:
        for group in range(groups):
            multiply_rows(plan, layer, trial, group, h, z)
    else:
        for group in prange(groups, num_threads=threads, schedule="static"):
            multiply_rows(plan, layer, trial, group, h, z)


cdef void mix_in_biases(const Plan* plan, Py_ssize_t layer, int64_t trial, double weights,
                        double bias, Work* work, double* z) noexcept nogil:
    """z <- weights z + bias b, with the biases that the matrix-free engine has too."""
    cdef lanes.vp_stream stream
    cdef int64_t units = plan.widths[layer + 1], unit = 0, end
    cdef int n, i
    while unit < units:
        end = min(unit + BLOCK, units)
        lanes.vp_stream_start(&stream, plan.seed, trial, layer + 1, lanes.VP_BIAS, unit // BLOCK)
        while unit < end:
            n = <int> min(end - unit, <int64_t> work.capacity)
            if bias == 0.0:
                memset(work.h, 0, n * sizeof(double))
            elif plan.uniform_bias:
                lanes.vp_fill_uniform(&stream, work.words, work.h,
                                      <int> padded_to(n, lanes.VP_GROUP))
            else:
                lanes.vp_fill_normal(&stream, work.words, work.h,
                                     <int> padded_to(n, lanes.VP_GROUP))
            for i in range(n):
                z[unit + i] = weights * z[unit + i] + bias * work.h[i]
            unit += n


cdef int activate(const Plan* plan, const lanes.vp_regime* regime, int64_t units, double* z,
                  Work* work, double* h, Totals* totals) noexcept nogil:
    """h = phi(z) for a whole layer, summed block by block."""
    cdef lanes.vp_sums sums
    cdef Totals part
    cdef int64_t unit = 0, end
    cdef int n
    memset(totals, 0, sizeof(Totals))
    while unit < units:
        end = min(unit + BLOCK, units)
        memset(&sums, 0, sizeof(sums))
        memset(&part, 0, sizeof(part))
        while unit < end:
            n = <int> min(end - unit, <int64_t> work.capacity)
            if evaluate(plan, regime, z + unit, work, n):
                return lanes.VP_CALLBACK
            lanes.vp_add(&sums, z + unit, work.h, work.d, n, regime.threshold)
            memcpy(h + unit, work.h, n * sizeof(double))
            unit += n
        fold_sums(&sums, &part)
        add_totals(totals, &part)
    return lanes.VP_OK


cdef double rescue(const Plan* plan, int64_t units, const double* z, double log_k, double* h,
                   double* mean) noexcept nogil:
    """ln a, and h over its root mean square, where all activations underflow float64."""
    cdef TailSum tail
    cdef int64_t i
    cdef double sign, value, log_a
    memset(&tail, 0, sizeof(tail))
    tail.log_top = lanes.VP_NEVER
    for i in range(units):
        value = log_h(plan, z[i], log_k, &sign)
        add_tail(&tail, value, sign)
    log_a = finish_tail(&tail, units, mean)
    if log_a != lanes.VP_NEVER:
        for i in range(units):
            value = log_h(plan, z[i], log_k, &sign)
            h[i] = 0.0 if value == lanes.VP_NEVER else sign * lanes.vp_exp(value - 0.5 * log_a)
    return log_a


cdef int run_layer(const Plan* plan, Py_ssize_t layer, Py_ssize_t row, double* h, double* z,
                   double* log_a, int64_t* died, double[:, :, :] rows, Work* work, Frame room,
                   int threads) noexcept nogil:
    """One layer of one trial. h holds activations and receives the next ones.

    In units of a power of two, which rounds nothing: sums of signs that are 0 stay 0.
    """
    cdef int64_t trial = plan.first_trial + row
    cdef int64_t units = plan.widths[layer + 1], fan_in = plan.widths[layer], i
    cdef int status, exponent
    cdef int64_t padded = padded_to(units, lanes.VP_GROUP_SINGLE)
    cdef double log_weights = log_a[0] + plan.log_gain[layer], mean = 0.0, square, root, unit
    cdef double log_k = lanes.vp_log_add(log_weights, plan.log_bias[layer])
    cdef lanes.vp_regime regime
    cdef Totals totals
    if log_k == lanes.VP_NEVER:
        status = write_silent_row(plan, rows, row, layer, log_a)
        for i in range(padded):
            h[i] = rows[MEAN, row, layer] if i < units else 0.0
        return status
    regime = lanes.vp_choose_regime(&plan.act, log_k)
    if regime.status != lanes.VP_OK:
        return regime.status
    lanes.vp_own_dots(h, 0, 1, 1, <int> padded_to(fan_in, lanes.VP_GROUP_SINGLE), &square)
    multiply(plan, layer, trial, h, z, work, room, threads)
    if plan.stop:
        return lanes.VP_CALLBACK
    mix_in_biases(plan, layer, trial,
                  lanes.vp_exp(0.5 * (log_weights - log_k)) / sqrt(square) if square > 0.0 else 0.0,
                  lanes.vp_exp(0.5 * (plan.log_bias[layer] - log_k)), work, z)
    if activate(plan, &regime, units, z, work, h, &totals):
        return lanes.VP_CALLBACK
    if settle(plan, &regime, log_k, &totals):
        return lanes.VP_RANGE
    log_a[0] = lanes.vp_log_or_never(totals.hh / <double> units) + regime.log_unit
    if is_lost(plan, totals.hh):
        log_a[0] = rescue(plan, units, z, log_k, h, &mean)
        if plan.stop:
            return lanes.VP_CALLBACK
    elif totals.hh > 0.0:
        root = sqrt(totals.hh / <double> units)
        mean = totals.h / <double> units / root
        frexp(root, &exponent)
        unit = ldexp(1.0, -exponent)
        for i in range(units):
            h[i] = h[i] * unit
    for i in range(units, padded):
        h[i] = 0.0
    return write_row(plan, rows, row, layer, &totals, log_k, log_a[0], mean, died)


cdef void run_trial(const Plan* plan, Py_ssize_t first_layer, Py_ssize_t last_layer,
                    Py_ssize_t row, double* h, double* z, int64_t stride, double* log_a,
                    int64_t* died, double[:, :, :] rows, Work* work, Frame room, int threads,
                    int* status, int64_t* stopped_at) noexcept nogil:
    cdef Py_ssize_t layer
    for layer in range(first_layer, last_layer):
        status[0] = run_layer(plan, layer, row, h, z + layer * stride, log_a, died, rows, work,
                              room, threads)
        if status[0] != lanes.VP_OK:
            stopped_at[0] = layer + 1
            return


def forward(PlanHolder holder, double[:, :, :] rows, int64_t[::1] died, double[::1] log_a,
            Py_ssize_t first_layer, Py_ssize_t last_layer, int threads, bint wide,
            int[::1] status, int64_t[::1] stopped_at, double[:, ::1] h, double[:, :, ::1] kept):
    """Layers first_layer + 1 .. last_layer, as in the matrix-free engine.

    ``h`` (trials, padded width) carries each trial's activations, of a size near 1 and padded
    with zeros to a multiple of 32, from one call to the next. ``kept`` (trials, layers, padded
    width) receives every z / sqrt(K) for the way back; it has no layers where there is none.
    """
    cdef Plan* plan = &holder.plan
    cdef Py_ssize_t trials = log_a.shape[0], row
    cdef int64_t room = h.shape[1], stride = room if kept.shape[1] else 0
    cdef Work* works = open_works(plan, threads)
    cdef int workers = 1 if wide else threads
    # z where it is not kept, and behind all of them the reflections of an orthogonal matrix
    cdef double* z = <double*> malloc((1 + TURNS) * workers * room * sizeof(double))
    cdef Frame spare
    spare.at, spare.stride = z + workers * room, room
    if works == NULL or z == NULL:
        free(works)
        free(z)
        raise MemoryError("no memory for the engine's buffers")
    with nogil:
        if wide:
            for row in range(trials):
                run_trial(plan, first_layer, last_layer, row, &h[row, 0],
                          &kept[row, 0, 0] if stride else z, stride, &log_a[row], &died[row],
                          rows, works, spare, threads, &status[row], &stopped_at[row])
        else:
            for row in prange(trials, num_threads=threads, schedule="dynamic"):
                run_trial(plan, first_layer, last_layer, row, &h[row, 0],
                          &kept[row, 0, 0] if stride else z + threadid() * room, stride,
                          &log_a[row], &died[row], rows, works + threadid(),
                          columns_from(spare, threadid() * TURNS), 1, &status[row],
                          &stopped_at[row])
    free(works)
    free(z)
