# What the matrix-free engine draws, on the way up and again on the way back.
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.layer cimport BLOCK, Plan, Work, interrupted, is_haar


# How g, b ~ N(0, 1) mix into z / sqrt(K); squares is |g|^2 of a Haar direction, else unused
cdef struct Mix:
    double weights
    double bias
    double squares


cdef inline int padded_to_group(int n) noexcept nogil:
    return (n + lanes.VP_GROUP - 1) // lanes.VP_GROUP * lanes.VP_GROUP


cdef inline double* draw(const Plan* plan, const Mix* mix, lanes.vp_stream* weights,
                         lanes.vp_stream* bias, Work* work, double* g, int padded) noexcept nogil:
    """The next numbers g of the weights, and where z / sqrt(K) is: in g itself, or in work.z."""
    cdef int i
    lanes.vp_fill_normal(weights, work.words, g, padded)
    if mix.bias != 0.0:
        if plan.uniform_bias:
            lanes.vp_fill_uniform(bias, work.words, work.scaled, padded)
        else:
            lanes.vp_fill_normal(bias, work.words, work.scaled, padded)
        for i in range(padded):
            work.z[i] = mix.weights * g[i] + mix.bias * work.scaled[i]
        return work.z
    if mix.weights != 1.0:
        for i in range(padded):
            work.z[i] = mix.weights * g[i]
        return work.z
    return g


cdef inline void open_streams(const Plan* plan, Py_ssize_t layer, int64_t trial, int64_t block,
                              const Mix* mix, lanes.vp_stream* weights,
                              lanes.vp_stream* bias) noexcept nogil:
    lanes.vp_stream_start(weights, plan.seed, trial, layer + 1, lanes.VP_WEIGHTS, block)
    if mix.bias != 0.0:
        lanes.vp_stream_start(bias, plan.seed, trial, layer + 1, lanes.VP_BIAS, block)


cdef inline double sum_squares_block(const Plan* plan, Py_ssize_t layer, int64_t trial,
                                     int64_t block, int64_t dimension, Work* work) noexcept nogil:
    """Sum of g^2 over one block of a direction in `dimension` dimensions."""
    cdef lanes.vp_stream stream
    cdef lanes.vp_sums sums
    cdef int64_t left = dimension - block * BLOCK
    cdef int n
    if left > BLOCK:
        left = BLOCK
    memset(&sums, 0, sizeof(sums))
    lanes.vp_stream_start(&stream, plan.seed, trial, layer + 1, lanes.VP_WEIGHTS, block)
    while left > 0:
        n = <int> min(left, <int64_t> work.capacity)
        lanes.vp_fill_normal(&stream, work.words, work.z,
                             padded_to_group(n))
        lanes.vp_add(&sums, work.z, work.z, work.z, n, 0.0)
        left -= n
    return lanes.vp_fold(sums.sum[lanes.VP_SUM_ZZ])


cdef inline Mix mix_of(const Plan* plan, Py_ssize_t layer, int64_t trial, double log_share,
                       double log_k, Work* work) noexcept nogil:
    """The shares of weights and biases in z; log_share is ln of the weights' part of K."""
    cdef Mix mix
    cdef int64_t dimension, block = 0
    cdef double squares = 0.0
    mix.weights = 1.0
    mix.bias = 0.0
    mix.squares = 1.0
    if plan.log_bias[layer] != lanes.VP_NEVER:
        mix.weights = lanes.vp_exp(0.5 * log_share)
        mix.bias = lanes.vp_exp(0.5 * (plan.log_bias[layer] - log_k))
    if is_haar(plan, layer):
        # a uniform direction of the larger of the two spaces, of which the layer sees n_l axes
        dimension = max(plan.widths[layer], plan.widths[layer + 1])
        while block * BLOCK < dimension and not interrupted(plan, block + 1):
            squares += sum_squares_block(plan, layer, trial, block, dimension, work)
            block += 1
        mix.squares = squares
        mix.weights *= sqrt(<double> dimension / squares)
    return mix
