"""The matrix-free engine: exact propagation of one input without drawing a matrix.

Given the layer below, the pre-activations of a layer with Gaussian weights are independent
normals of variance K; with Haar-orthogonal weights they are a uniform direction times a length.
So a layer of n units costs n normals, not n^2, and nothing is approximated.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.draws cimport Mix, draw, mix_of, open_streams, padded_to_group
from varprop._core.layer cimport (
    BLOCK, Plan, TailSum, Totals, Work, add_tail, add_totals, evaluate, finish_tail, fold_sums,
    interrupted, is_lost, log_h, open_works, settle, write_row, write_silent_row,
)
from varprop._core.plan cimport PlanHolder


cdef int sum_block(const Plan* plan, const lanes.vp_regime* regime, const Mix* mix,
                   Py_ssize_t layer, int64_t trial, int64_t block, Work* work,
                   Totals* totals) noexcept nogil:
    """The sums over one block of units."""
    cdef lanes.vp_stream weights, bias
    cdef lanes.vp_sums sums
    cdef int64_t left = plan.widths[layer + 1] - block * BLOCK
    cdef int n, padded
    if interrupted(plan, block + 1):
        return lanes.VP_CALLBACK
    if left > BLOCK:
        left = BLOCK
    memset(&sums, 0, sizeof(sums))
    memset(totals, 0, sizeof(Totals))
    open_streams(plan, layer, trial, block, mix, &weights, &bias)
    while left > 0:
        n = <int> min(left, <int64_t> work.capacity)
        padded = padded_to_group(n)
        draw(plan, mix, &weights, &bias, work, work.z, padded)
        if regime.code == lanes.VP_CODE_relu:
            lanes.vp_relu_and_add(&sums, work.z, NULL, NULL, n, regime.threshold)
        elif evaluate(plan, regime, work.z, work, n if plan.callback != NULL else padded):
            return lanes.VP_CALLBACK
        else:
            lanes.vp_add(&sums, work.z, work.h, work.d, n, regime.threshold)
        left -= n
    fold_sums(&sums, totals)
    return lanes.VP_OK


cdef double rescue(const Plan* plan, const Mix* mix, Py_ssize_t layer, int64_t trial,
                   double log_k, Work* work, double* mean) noexcept nogil:
    """ln a of a layer whose activations all underflow float64, unit by unit in logarithms."""
    cdef lanes.vp_stream weights, bias
    cdef TailSum tail
    cdef int64_t units = plan.widths[layer + 1], block = 0, left
    cdef int n, i
    cdef double value, sign
    memset(&tail, 0, sizeof(tail))
    tail.log_top = lanes.VP_NEVER
    while block * BLOCK < units:
        left = min(units - block * BLOCK, <int64_t> BLOCK)
        open_streams(plan, layer, trial, block, mix, &weights, &bias)
        while left > 0:
            n = <int> min(left, <int64_t> work.capacity)
            draw(plan, mix, &weights, &bias, work, work.z, padded_to_group(n))
            for i in range(n):
                value = log_h(plan, work.z[i], log_k, &sign)
                add_tail(&tail, value, sign)
            left -= n
        block += 1
    return finish_tail(&tail, units, mean)


cdef int run_layer(const Plan* plan, Py_ssize_t layer, Py_ssize_t row, double* log_a,
                   int64_t* died, double[:, :, :] rows, Work* works, Totals* parts,
                   int threads) noexcept nogil:
    """One layer of one trial, its blocks in parallel if there is more than one thread."""
    cdef int64_t trial = plan.first_trial + row
    cdef int64_t units = plan.widths[layer + 1]
    cdef int64_t blocks = (units + BLOCK - 1) // BLOCK, block
    cdef double log_weights = log_a[0] + plan.log_gain[layer], mean = 0.0, square
    cdef double log_k = lanes.vp_log_add(log_weights, plan.log_bias[layer])
    cdef lanes.vp_regime regime
    cdef Mix mix
    cdef Totals totals
    if log_k == lanes.VP_NEVER:
        return write_silent_row(plan, rows, row, layer, log_a)
    regime = lanes.vp_choose_regime(&plan.act, log_k)
    if regime.status != lanes.VP_OK:
        return regime.status
    mix = mix_of(plan, layer, trial, log_weights - log_k, log_k, works)
    memset(&totals, 0, sizeof(totals))
    if threads == 1:
        for block in range(blocks):
            parts[0].status = sum_block(plan, &regime, &mix, layer, trial, block, works, parts)
            if parts[0].status != lanes.VP_OK:
                return parts[0].status
            add_totals(&totals, parts)
    else:
        for block in prange(blocks, num_threads=threads, schedule="static"):
            parts[block].status = sum_block(plan, &regime, &mix, layer, trial, block,
                                            works + threadid(), parts + block)
        for block in range(blocks):
            if parts[block].status != lanes.VP_OK:
                return parts[block].status
            add_totals(&totals, parts + block)
    if settle(plan, &regime, log_k, &totals):
        return lanes.VP_RANGE
    square = totals.hh / <double> units
    log_a[0] = lanes.vp_log_or_never(square) + regime.log_unit
    if square > 0.0:
        mean = totals.h / <double> units / sqrt(square)
    if is_lost(plan, totals.hh):
        log_a[0] = rescue(plan, &mix, layer, trial, log_k, works, &mean)
        if plan.stop:
            return lanes.VP_CALLBACK
    return write_row(plan, rows, row, layer, &totals, log_k, log_a[0], mean, died)


def forward(PlanHolder holder, double[:, :, :] rows, int64_t[::1] died, double[::1] log_a,
            Py_ssize_t first_layer, Py_ssize_t last_layer, int threads, bint wide,
            int[::1] status, int64_t[::1] stopped_at):
    """Layers first_layer + 1 .. last_layer of a run of trials, from ln a in to ln a out.

    ``rows`` is (statistics, trials, layers). With ``wide`` the threads share each layer, else the
    trials; the numbers are the same. A trial that fails leaves its status and layer.
    """
    cdef Plan* plan = &holder.plan
    cdef Py_ssize_t trials = log_a.shape[0], row, layer
    cdef int64_t most = 1
    for layer in range(first_layer, last_layer):
        most = max(most, (plan.widths[layer + 1] + BLOCK - 1) // BLOCK)
    cdef Work* works = open_works(plan, threads)
    cdef Totals* parts = <Totals*> malloc((most if wide else threads) * sizeof(Totals))
    if works == NULL or parts == NULL:
        free(works)
        free(parts)
        raise MemoryError("no memory for the engine's buffers")
    with nogil:
        if wide:
            for row in range(trials):
                for layer in range(first_layer, last_layer):
                    status[row] = run_layer(plan, layer, row, &log_a[row], &died[row], rows,
                                            works, parts, threads)
                    if status[row] != lanes.VP_OK:
                        stopped_at[row] = layer + 1
                        break
        else:
            for row in prange(trials, num_threads=threads, schedule="dynamic"):
                run_trial(plan, first_layer, last_layer, row, &log_a[row], &died[row], rows,
                          works + threadid(), parts + threadid(), &status[row], &stopped_at[row])
    free(works)
    free(parts)


cdef void run_trial(const Plan* plan, Py_ssize_t first_layer, Py_ssize_t last_layer,
                    Py_ssize_t row, double* log_a, int64_t* died, double[:, :, :] rows,
                    Work* work, Totals* part, int* status, int64_t* stopped_at) noexcept nogil:
    cdef Py_ssize_t layer
    for layer in range(first_layer, last_layer):
        status[0] = run_layer(plan, layer, row, log_a, died, rows, work, part, 1)
        if status[0] != lanes.VP_OK:
            stopped_at[0] = layer + 1
            return
