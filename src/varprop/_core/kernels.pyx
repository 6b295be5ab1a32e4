"""The kernels as seen from Python: what simulate prepares with, and what the tests look at."""
import numpy as np

from libc.stdint cimport uint64_t
from varprop._core cimport lanes
from varprop._core.haar cimport TURNS, Reflections, draw_reflections
from varprop._core.layer cimport CHUNK
from varprop._core.plan import LAWS
from varprop._core.tiles cimport TILE, TILE_WORDS, padded_to, rows_a_stream

PURPOSES = {"input": 0, "weights": 1, "bias": 2, "cotangent": 3, "probe": 4,
            "matrix": 5, "mask": 6}


cdef int require_multiple(int n, int of) except -1:
    if n < of or n % of:
        raise ValueError(f"{n} numbers of a stream; allowed are multiples of {of}")
    return 0


def words(uint64_t seed, uint64_t trial, unsigned int layer, str purpose, unsigned int block,
          int n):
    """The first n words of a stream, n a multiple of 16."""
    cdef lanes.vp_stream stream
    cdef uint64_t[::1] out
    require_multiple(n, 16)
    out = np.empty(n, dtype=np.uint64)
    lanes.vp_stream_start(&stream, seed, trial, layer, PURPOSES[purpose], block)
    lanes.vp_stream_words(&stream, &out[0], n)
    return out.base


def numbers(uint64_t seed, uint64_t trial, unsigned int layer, str purpose, unsigned int block,
            int n, str law="normal", bint single=False, double shape=0.0):
    """The first n numbers of a stream, n a multiple of 32.

    Weights are single; in double precision a law is normal or else uniform.
    """
    cdef lanes.vp_stream stream
    cdef uint64_t[::1] room
    cdef double[::1] out
    cdef float[::1] narrow
    require_multiple(n, 32)
    room = np.empty(2 * n, dtype=np.uint64)
    lanes.vp_stream_start(&stream, seed, trial, layer, PURPOSES[purpose], block)
    if single:
        narrow = np.empty(n, dtype=np.float32)
        lanes.vp_fill_law(LAWS[law], shape, &stream, &room[0], &narrow[0], n)
        return narrow.base
    out = np.empty(n, dtype=np.float64)
    if law == "normal":
        lanes.vp_fill_normal(&stream, &room[0], &out[0], n)
    elif law != "uniform":
        raise ValueError(f"{law} numbers come in single precision only")
    else:
        lanes.vp_fill_uniform(&stream, &room[0], &out[0], n)
    return out.base


def fill_repeatedly(int repeats, int n, str law="normal", bint single=False, double shape=0.0):
    """Fill one cache-sized buffer of n numbers again and again: the limit of every engine.

    Single precision has all laws of weights, double precision the normal one; n as in numbers().
    """
    cdef lanes.vp_stream stream
    cdef uint64_t[::1] room
    cdef double[::1] out
    cdef float[::1] narrow
    cdef int _turn, code = LAWS[law]
    require_multiple(n, 32)
    room = np.empty(2 * n, dtype=np.uint64)
    out = np.empty(n)
    narrow = np.empty(n, dtype=np.float32)
    lanes.vp_stream_start(&stream, 0, 0, 0, 4, 0)
    with nogil:
        for _turn in range(repeats):
            if single:
                lanes.vp_fill_law(code, shape, &stream, &room[0], &narrow[0], n)
            else:
                lanes.vp_fill_normal(&stream, &room[0], &out[0], n)


def weights(uint64_t seed, uint64_t trial, unsigned int layer, int units, int fan_in,
            str law="normal", double shape=0.0):
    """A whole matrix (units, fan_in) of variance 1: that of the dense engine in this layer."""
    cdef lanes.vp_stream stream
    cdef uint64_t room[TILE_WORDS]
    cdef float tile[TILE]
    cdef double[:, ::1] out = np.empty((units, fan_in))
    cdef int code = LAWS[law], columns = <int> padded_to(fan_in, lanes.VP_GROUP_SINGLE)
    cdef int height = <int> rows_a_stream(fan_in), row, column, n, i
    if code == LAWS["orthogonal"]:
        raise ValueError("the rows of an orthogonal matrix are not drawn one by one")
    with nogil:
        for row in range(units):
            if row % height == 0:
                lanes.vp_stream_start(&stream, seed, trial, layer, lanes.VP_WEIGHTS, row // height)
            column = 0
            while column < columns:
                n = min(columns - column, <int> TILE)
                lanes.vp_fill_law(code, shape, &stream, room, tile, n)
                for i in range(min(n, fan_in - column)):
                    out[row, column + i] = tile[i]
                column += n
    return out.base


def reflections(uint64_t seed, uint64_t trial, unsigned int layer, int units, int steps):
    """The reflections that an orthogonal matrix (units, steps) of this layer is made of.

    Vectors (steps, units), and the signs that its columns are multiplied with.
    """
    cdef uint64_t room[CHUNK]
    cdef double[:, ::1] vectors = np.empty((TURNS, padded_to(units, lanes.VP_GROUP)))
    cdef double[:, ::1] out = np.zeros((steps, units))
    cdef double[::1] signs = np.empty(steps)
    cdef Reflections some
    cdef int group, j, i
    some.v.at, some.v.stride, some.units = &vectors[0, 0], vectors.shape[1], units
    with nogil:
        for group in range((steps + TURNS - 1) // TURNS):
            draw_reflections(seed, trial, layer, group, steps, room, &some)
            for j in range(some.count):
                signs[some.first + j] = some.sign[j]
                for i in range(some.start, units):
                    out[some.first + j, i] = vectors[j, i]
    return out.base, signs.base


def activate(int code, z, double p0=0.0, double p1=0.0):
    """phi(z) and phi'(z) by the kernel with this code."""
    cdef double[::1] x = np.ascontiguousarray(z, dtype=np.float64)
    cdef double[::1] h = np.empty(x.shape[0]), d = np.empty(x.shape[0])
    if not 0 <= code < lanes.VP_CODES:
        raise ValueError(f"no kernel has code {code}; allowed are 0 to {lanes.VP_CODES - 1}")
    if x.shape[0]:
        lanes.vp_activate(code, &x[0], &h[0], &d[0], <int> x.shape[0], p0, p1)
    return h.base, d.base


def log_mean_square(x):
    """ln of the mean square of finite numbers, not all zero, of any size."""
    cdef double[::1] values = np.ascontiguousarray(x, dtype=np.float64)
    cdef Py_ssize_t i, n = values.shape[0]
    cdef double top = 0.0, total = 0.0, scaled
    for i in range(n):
        top = max(top, lanes.vp_abs(values[i]))
    for i in range(n):
        scaled = values[i] / top
        total += scaled * scaled
    return 2.0 * lanes.vp_log_or_never(top) + lanes.vp_log(total / <double> n)


def exp(x):
    """e^x of each number."""
    cdef double[::1] values = np.ascontiguousarray(x, dtype=np.float64)
    cdef double[::1] out = np.empty(values.shape[0])
    cdef Py_ssize_t i
    for i in range(values.shape[0]):
        out[i] = lanes.vp_exp(values[i])
    return out.base


def log(x):
    """ln of each positive number."""
    cdef double[::1] values = np.ascontiguousarray(x, dtype=np.float64)
    cdef double[::1] out = np.empty(values.shape[0])
    cdef Py_ssize_t i
    for i in range(values.shape[0]):
        out[i] = lanes.vp_log_or_never(values[i])
    return out.base
