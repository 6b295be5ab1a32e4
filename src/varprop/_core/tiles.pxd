# How the weights of a dense layer are laid out in streams, for the way up and the way back.
from libc.stdint cimport int64_t, uint64_t
from varprop._core cimport lanes
from varprop._core.layer cimport Plan

cdef enum:
    TILE = 1024        # weights drawn at a time: a multiple of VP_GROUP_SIGNS, as are all cuts
    TILE_WORDS = 1536  # the words they take at most
    STREAM = 16384     # weights that share a stream, one row at least: defines a network's weights


cdef inline int64_t padded_to(int64_t n, int64_t multiple) noexcept nogil:
    return (n + multiple - 1) // multiple * multiple


cdef inline int64_t rows_a_stream(int64_t fan_in) noexcept nogil:
    return max(<int64_t> 1, STREAM // padded_to(fan_in, lanes.VP_GROUP_SINGLE))


cdef inline void draw_tile(const Plan* plan, Py_ssize_t layer, lanes.vp_stream* stream,
                           uint64_t* words, float* weights, int n) noexcept nogil:
    """The next n weights of a row, of unit variance."""
    lanes.vp_fill_law(plan.law[layer], plan.law_shape[layer], stream, words, weights, n)
