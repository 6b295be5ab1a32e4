"""What a random matrix that is never stored computes with: one vector against the kept rows.

Threads share the blocks of a vector; the numbers are the same for any number of threads.
"""
import numpy as np

from cython.parallel cimport prange
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.layer cimport Work, evaluate, is_lost, log_slope_unit, regime_of
from varprop._core.plan cimport PlanHolder

cdef extern from "transcript.h" nogil:
    enum:
        VP_MATRIX
    double vp_dot(const double* x, const double* y, int n) noexcept
    void vp_add_row(double* out, const double* row, double factor, int n) noexcept

cdef enum:
    BLOCK = 4096   # numbers of one stream: part of the definition of a matrix, never change it
    CHUNK = 512    # numbers worked on at a time; they stay in the first-level cache

PITCH = lanes.VP_SUM_LANES  # vectors and rows have a multiple of this length, zeros at the end


cdef void dot_block(const double* rows, Py_ssize_t pitch, Py_ssize_t count, const double* x,
                    double* out, int n) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(count):
        out[row] = vp_dot(rows + row * pitch, x, n)


def dots(const double[:, ::1] rows, Py_ssize_t count, const double[::1] x, int threads):
    """The products of x with the first `count` rows."""
    cdef Py_ssize_t n = x.shape[0], blocks = (n + BLOCK - 1) // BLOCK, block, row
    cdef double[:, ::1] parts = np.empty((blocks, count))
    cdef double[::1] out = np.zeros(count)
    if count == 0:
        return out.base
    with nogil:
        for block in prange(blocks, num_threads=min(<Py_ssize_t> threads, blocks),
                            schedule="static"):
            dot_block(&rows[0, 0] + block * BLOCK, n, count, &x[0] + block * BLOCK,
                      &parts[block, 0], <int> min(<Py_ssize_t> BLOCK, n - block * BLOCK))
        for block in range(blocks):
            for row in range(count):
                out[row] += parts[block, row]
    return out.base


cdef void add_block(const double* rows, Py_ssize_t pitch, Py_ssize_t count,
                    const double* factors, double* out, int n) noexcept nogil:
    cdef Py_ssize_t row
    cdef int at = 0
    while at < n:
        for row in range(count):
            vp_add_row(out + at, rows + at + row * pitch, factors[row], min(<int> CHUNK, n - at))
        at += CHUNK


def add(double[::1] out, const double[:, ::1] rows, const double[::1] factors, int threads):
    """Add the first rows, each times its factor, to `out`."""
    cdef Py_ssize_t n = out.shape[0], count = factors.shape[0], block
    cdef Py_ssize_t blocks = (n + BLOCK - 1) // BLOCK
    if count == 0:
        return
    with nogil:
        for block in prange(blocks, num_threads=min(<Py_ssize_t> threads, blocks),
                            schedule="static"):
            add_block(&rows[0, 0] + block * BLOCK, n, count, &factors[0],
                      &out[0] + block * BLOCK, <int> min(<Py_ssize_t> BLOCK, n - block * BLOCK))


cdef void fill_block(uint64_t seed, uint64_t draw, uint32_t block, double* out,
                     int n) noexcept nogil:
    cdef lanes.vp_stream stream
    cdef uint64_t words[CHUNK]
    cdef int at = 0
    lanes.vp_stream_start(&stream, seed, draw, 0, VP_MATRIX, block)
    while at < n:
        lanes.vp_fill_normal(&stream, words, out + at, min(<int> CHUNK, n - at))
        at += CHUNK


def normals(uint64_t seed, uint64_t draw, Py_ssize_t n, int threads):
    """A vector of n standard normals, padded."""
    cdef Py_ssize_t padded = (n + lanes.VP_SUM_LANES - 1) // lanes.VP_SUM_LANES * lanes.VP_SUM_LANES
    cdef Py_ssize_t blocks = (padded + BLOCK - 1) // BLOCK, block
    cdef double[::1] out = np.empty(padded)
    with nogil:
        for block in prange(blocks, num_threads=min(<Py_ssize_t> threads, blocks),
                            schedule="static"):
            fill_block(seed, draw, <uint32_t> block, &out[0] + block * BLOCK,
                       <int> min(<Py_ssize_t> BLOCK, padded - block * BLOCK))
        memset(&out[0] + n, 0, (padded - n) * sizeof(double))
    return out.base


def activate(PlanHolder holder, double[::1] z, double log_k):
    """phi and phi' of a layer from z / sqrt(K) and ln K.

    Returns activations, slopes, the logarithms of the units of their squares, and a status.
    """
    cdef double[::1] h = np.empty(z.shape[0]), d = np.empty(z.shape[0])
    cdef double[::1] scaled = np.empty(z.shape[0])
    cdef Py_ssize_t i
    cdef double squares = 0.0
    cdef Work work
    cdef lanes.vp_regime regime = regime_of(&holder.plan, log_k)
    work.h = &h[0]
    work.d = &d[0]
    work.scaled = &scaled[0]
    if regime.status == lanes.VP_OK:
        if evaluate(&holder.plan, &regime, &z[0], &work, <int> z.shape[0]):
            raise holder.error
        for i in range(z.shape[0]):
            squares += h[i] * h[i]
        if not squares <= lanes.VP_LARGEST or (squares > 0.0 and is_lost(&holder.plan, squares)):
            regime.status = lanes.VP_RANGE
    units = regime.log_unit, log_slope_unit(&holder.plan, log_k)
    return h.base, d.base, units[0], units[1], regime.status
