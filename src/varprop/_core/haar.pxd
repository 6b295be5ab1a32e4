# Orthogonal matrices of Haar's measure, drawn: Q of the QR of normal numbers with R's diagonal > 0.
#
# Householder's QR reflects what is left of column k after k - 1 steps. That is again a column of
# independent normals, so it is drawn there, and the matrix never stored: Q = H_1 D_1 H_2 D_2 ...,
# H_k a reflection that leaves the first k - 1 units alone, D_k the sign of unit k (Stewart, SIAM J.
# Numer. Anal. 17, 1980). Several reflections at a time are 1 - V T V^T, where 1/T is the upper half
# of V^T V with half of its diagonal (Joffrain et al., ACM Trans. Math. Softw. 32, 2006).
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.columns cimport LOOK, Frame, column, columns_from, one_column
from varprop._core.draws cimport padded_to_group
from varprop._core.layer cimport CHUNK, Plan, interrupted
from varprop._core.tiles cimport padded_to

cdef enum:
    TURNS = 4     # reflections that share a stream: part of what the bits are, never change it
    AT_ONCE = 16  # columns that are reflected together while they stay in cache


# Some consecutive reflections
cdef struct Reflections:
    Frame v           # a column each, with zeros where nothing is moved
    int count
    int64_t first     # the unit of the first one's sign
    int64_t start     # units from here on are read: a multiple of VP_GROUP
    int64_t units
    double gram[16]   # V^T V
    double sign[4]


cdef inline void dots_with(const Reflections* of, Frame v, int count, Frame x, int many,
                           double* out) noexcept nogil:
    """out[k * count + j] = v_j . x_k"""
    lanes.vp_dots(v.at + of.start, v.stride, count, x.at + of.start, x.stride, many,
                  <int> (padded_to(of.units, lanes.VP_GROUP) - of.start), out)


cdef inline void draw_reflections(uint64_t seed, int64_t trial, int64_t layer, int64_t group,
                                  int64_t steps, uint64_t* words, Reflections* to) noexcept nogil:
    """The `group`th few of a matrix with `steps` of them, in to.v; room for CHUNK words."""
    cdef lanes.vp_stream stream
    cdef int64_t unit, k
    cdef double square
    cdef double* v
    cdef int j, n
    to.first = group * TURNS
    to.count = <int> min(steps - to.first, <int64_t> TURNS)
    to.start = to.first // lanes.VP_GROUP * lanes.VP_GROUP
    lanes.vp_stream_start(&stream, seed, trial, layer, lanes.VP_WEIGHTS, group)
    for j in range(to.count):
        v, k, unit = column(to.v, j), to.first + j, to.start
        while unit < to.units:
            n = padded_to_group(<int> min(to.units - unit, <int64_t> CHUNK))
            lanes.vp_fill_normal(&stream, words, v + unit, n)
            unit += n
        memset(v + to.start, 0, (k - to.start) * sizeof(double))
        memset(v + to.units, 0, (unit - to.units) * sizeof(double))
        dots_with(to, one_column(v), 1, one_column(v), 1, &square)
        to.sign[j] = -1.0 if v[k] > 0.0 else 1.0
        v[k] -= to.sign[j] * sqrt(square)
    dots_with(to, to.v, to.count, to.v, to.count, to.gram)


cdef inline void solve(const Reflections* of, bint back, double* p) noexcept nogil:
    """p <- -T p or, back, -T^T p"""
    cdef int c = of.count, i, j, row
    cdef double value
    for i in range(c):
        row = i if back else c - 1 - i
        value = p[row]
        for j in range(0 if back else row + 1, row if back else c):
            value += of.gram[row * c + j] * p[j]
        p[row] = -2.0 * value / of.gram[row * c + row]


cdef inline void set_signs(const Reflections* of, Frame x, int count) noexcept nogil:
    cdef int j, i
    for j in range(count):
        for i in range(of.count):
            column(x, j)[of.first + i] *= of.sign[i]


cdef inline void reflect(const Reflections* of, Frame x, int count, bint back) noexcept nogil:
    """x <- H_k D_k H_(k+1) D_(k+1) ... x or, back, the transpose of that times x."""
    cdef double shares[64]  # TURNS * AT_ONCE
    cdef int first = 0, many, j
    cdef Frame some
    while first < count:
        some, many = columns_from(x, first), min(count - first, <int> AT_ONCE)
        if not back:
            set_signs(of, some, many)
        dots_with(of, of.v, of.count, some, many, shares)
        for j in range(many):
            solve(of, back, shares + j * of.count)
        lanes.vp_add_columns_to(some.at + of.start, some.stride, many, of.v.at + of.start,
                                of.v.stride, of.count, shares,
                                <int> (padded_to(of.units, lanes.VP_GROUP) - of.start))
        if back:
            set_signs(of, some, many)
        first += many


cdef inline void multiply_haar(const Plan* plan, Py_ssize_t layer, int64_t trial, Frame source,
                               Frame to, int count, bint down, uint64_t* words,
                               Frame room) noexcept nogil:
    """to = W source or, down, W^T source, for W of unit variance; zeros up to a multiple of 16.

    `to` has room for the larger of the layer's two widths, as do TURNS columns of `room`.
    """
    cdef Reflections of
    cdef int64_t above = plan.widths[layer + 1], below = plan.widths[layer], steps, groups, i, unit
    cdef int64_t pause  # groups of reflections between two looks at Python
    cdef int64_t read = above if down else below, written = below if down else above
    cdef bint back = (above < below) != down  # from many units to few
    cdef double scale
    cdef int j
    of.v, of.units, steps = room, max(above, below), min(above, below)
    groups, scale = (steps + TURNS - 1) // TURNS, sqrt(<double> of.units)
    pause = LOOK // (of.units * TURNS * (1 + count)) + 1
    for j in range(count):
        for unit in range(read):
            column(to, j)[unit] = scale * column(source, j)[unit]
        memset(column(to, j) + read, 0,
               (padded_to(of.units, lanes.VP_GROUP) - read) * sizeof(double))
    for i in range(groups):
        if interrupted(plan, 0 if (i + 1) % pause == 0 else 1):
            return
        draw_reflections(plan.seed, trial, layer + 1, i if back else groups - 1 - i, steps, words,
                         &of)
        reflect(&of, to, count, back)
    for j in range(count):
        memset(column(to, j) + written, 0,
               (padded_to(of.units, lanes.VP_GROUP) - written) * sizeof(double))
