# The norm of a layer: what it takes from z, column by column, and z without it.
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.basis cimport orthogonalise, reveal
from varprop._core.batch cimport LAYER_NORM, Asked, State, add_up
from varprop._core.columns cimport Frame, Hand, Team, column, mean_of
from varprop._core.layer cimport BLOCK, Plan


# One layer of one trial, as all of its blocks see it
cdef struct Pass:
    const Asked* asked
    const Plan* plan
    State* at
    Py_ssize_t layer
    int64_t units
    bint normalise          # before phi, or, alone, in place
    int wanted              # SLOPES, VALUES, COUNTS
    Frame a                 # where A is
    lanes.vp_regime* regime  # of each input
    double* per_step        # of each difference
    int* small


cdef inline void find_sample(const Asked* asked, State* at, int64_t units, bint all_columns,
                             Team* team) noexcept nogil:
    """z = Q R, and the inputs' values as coordinates; of the tangents too if asked."""
    cdef int c = asked.columns, count = c if all_columns else asked.inputs, i, j
    if count == 1:
        orthogonalise(at.z, 1, units, at.r_z, at.inverse, at.room, 0.0, team)
        memset(at.r_z + 1, 0, (c - 1) * sizeof(double))  # nothing along the tangents
    else:
        reveal(at.z, count, units, at.r_z, at.inverse, at.room, at.copy, team)
        for j in range(count - 1, -1, -1):
            for i in range(c - 1, -1, -1):  # from columns of `count` numbers to such of c
                at.r_z[j * c + i] = at.r_z[j * count + i] if i < count else 0.0
    add_up(asked, at, at.r_z, c, at.sample)


cdef inline void find_norms(const Asked* asked, State* at, int64_t units,
                            Team* team) noexcept nogil:
    """What the norm does to each column: mean, spread, and what leaves along the parent."""
    cdef int c = asked.columns, j, parent
    cdef double n = <double> units, spread, other, along, across
    cdef double* value_mean = at.room
    cdef double* value_spread = at.room + c
    for j in range(c):
        at.mean[j] = 0.0
        if asked.norm == LAYER_NORM:
            at.mean[j] = mean_of(column(at.z, j), units, team)
    for j in range(c):
        parent = asked.parent[j] if j < asked.inputs else 0
        at.turn[j] = 0.0
        along = lanes.vp_short_dot(at.sample + parent * c, at.r_z + j * c, c) / n
        if j >= asked.inputs:
            spread = value_spread[0]
            if spread > 0.0:
                at.turn[j] = (along - value_mean[0] * at.mean[j]) / spread
        else:
            value_mean[j] = at.mean[j]
            if at.differs[j]:
                value_mean[j] = value_mean[parent] + at.ratio[j] * at.mean[j]
            spread = (lanes.vp_short_dot(at.sample + j * c, at.sample + j * c, c) / n
                      - value_mean[j] * value_mean[j])
            value_spread[j] = spread = sqrt(spread) if spread > 0.0 else 0.0
            at.log_spread[j] = lanes.vp_log_or_never(spread) + at.log_z[at.root[j]]
            if at.differs[j]:
                other = value_spread[parent]
                across = lanes.vp_short_dot(at.r_z + j * c, at.r_z + j * c, c) / n
                across -= at.mean[j] * at.mean[j]
                along -= value_mean[parent] * at.mean[j]
                if spread + other > 0.0:
                    at.turn[j] = (2.0 * along + at.ratio[j] * across) / (spread + other)
        at.inverse_spread[j] = 1.0 / spread if spread > 0.0 else 0.0


cdef inline void normalise(const Pass* of, int j, const double* z, const double* parent, int n,
                           double* out) noexcept nogil:
    """A column without its mean and what leaves along the parent's normalised value."""
    cdef double mean = of.at.mean[j], turn = of.at.turn[j], inverse = of.at.inverse_spread[j]
    cdef int i
    if turn == 0.0:
        for i in range(n):
            out[i] = (z[i] - mean) * inverse
    else:
        for i in range(n):
            out[i] = ((z[i] - mean) - turn * parent[i]) * inverse


cdef inline int normalise_task(void* what, int64_t block, int units, Hand* hand,
                               double* part) noexcept nogil:
    """The norm in place, columns after those that they are differences to."""
    cdef Pass* of = <Pass*> what
    cdef const Asked* asked = of.asked
    cdef State* at = of.at
    cdef int done = 0, n, j, i
    cdef double* values = hand.h
    cdef double* z
    cdef double* parent
    while done < units:
        n = min(units - done, hand.one.capacity)
        for j in range(asked.columns):
            z = column(at.z, j) + block * BLOCK + done
            parent = values + (asked.parent[j] if j < asked.inputs else 0) * hand.one.capacity
            if j >= asked.inputs or at.differs[j]:
                normalise(of, j, z, parent, n, z)
                if j < asked.inputs:
                    for i in range(n):
                        values[j * hand.one.capacity + i] = parent[i] + at.ratio[j] * z[i]
            else:
                at.turn[j] = 0.0
                normalise(of, j, z, z, n, z)
                for i in range(n):
                    values[j * hand.one.capacity + i] = z[i]
        done += n
    return 0
