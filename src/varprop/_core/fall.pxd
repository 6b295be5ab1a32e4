# The way back of one trial.
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset
from varprop._core cimport lanes
from varprop._core.activate cimport SLOPES, VALUES, activate
from varprop._core.basis cimport basis_by, orthogonalise
from varprop._core.batch cimport Asked, Results, State
from varprop._core.columns cimport Frame, Team, column, copy_columns
from varprop._core.descend cimport descend, input_of, rescale, through_norm
from varprop._core.form cimport climb, draw_back
from varprop._core.trace cimport restore, trace_size


cdef inline int begin_descent(const Asked* asked, State* at, Team* team) noexcept nogil:
    """The gradients of the last layer: given, or random of mean square 1; and the ladder's."""
    cdef int64_t n = asked.widths[asked.depth]
    cdef int j, each = asked.cotangents, ladder = asked.graded * each
    cdef Frame some = at.d
    if asked.given != NULL:
        for j in range(each):
            memset(column(at.d, j), 0, (n + 15) // 16 * 16 * sizeof(double))
            memcpy(column(at.d, j), asked.given + j * n, n * sizeof(double))
            at.log_d[j] = asked.log_given[j]
    else:
        if draw_back(asked, asked.depth, at, &some, 0, each, n, team):
            return lanes.VP_CALLBACK
        if some.at != at.d.at:
            copy_columns(some, at.d, each, n, team)
    for j in range(each):
        if asked.given == NULL:
            rescale(column(at.d, j), at.log_d + j, n, team)
            at.log_d[j] = 0.0
    for j in range(each, ladder):
        memcpy(column(at.d, j), column(at.d, j % each), (n + 15) // 16 * 16 * sizeof(double))
        at.log_d[j] = at.log_d[j % each]
    if asked.tangents:
        some.at, some.stride = column(at.d, ladder), at.d.stride
        if draw_back(asked, asked.depth, at, &some, each, asked.tangents, n, team):
            return lanes.VP_CALLBACK
        for j in range(asked.tangents):
            at.log_d[ladder + j] = 0.0
        climb(at, at.d, ladder, asked.tangents, at.log_d, n, at.idle, team)
        memset(at.stretch, 0, asked.tangents * sizeof(double))
    return lanes.VP_OK


cdef inline void write_gradients(const Asked* asked, Py_ssize_t layer, State* at, Results* to,
                                 Py_ssize_t row) noexcept nogil:
    cdef int j, each = asked.graded * asked.cotangents
    for j in range(each):
        to.gradient[(row * each + j) * asked.depth + layer] = 2.0 * at.log_d[j]
    for j in range(asked.tangents):
        to.adjoint[(row * asked.tangents + j) * asked.depth + layer] = (
            at.stretch[j] + lanes.vp_log(<double> asked.widths[asked.depth])
            - lanes.vp_log(<double> asked.widths[layer + 1]))


cdef inline int fall(const Asked* asked, State* at, Results* to, Py_ssize_t row,
                     const double* trace, Team* team, int64_t* stopped_at) noexcept nogil:
    """The way back of one trial."""
    cdef int status, j, ladder = asked.graded * asked.cotangents
    cdef Py_ssize_t layer = asked.depth - 1
    cdef Frame swapped
    stopped_at[0] = asked.depth
    if restore(asked, layer, at, trace, team) or begin_descent(asked, at, team):
        return lanes.VP_CALLBACK
    if asked.post:
        status = activate(asked, layer, at, SLOPES | VALUES, team)
        if status:
            return status
    while True:
        write_gradients(asked, layer, at, to, row)
        stopped_at[0] = layer + 1
        if asked.post:
            for j in range(asked.gradients):
                through_norm(asked, at, column(at.d, j), at.log_d + j, input_of(asked, j),
                             asked.widths[layer + 1], team)
                status = rescale(column(at.d, j), at.log_d + j, asked.widths[layer + 1], team)
                if status:
                    return status
                if j < ladder:
                    to.sum_gradient[(row * ladder + j) * asked.depth + layer] = 2.0 * at.log_d[j]
        if layer == 0:
            return lanes.VP_OK
        if team.plan.stop:
            return lanes.VP_CALLBACK
        stopped_at[0] = layer  # whose slopes come next
        swapped = at.above
        at.above = at.a
        at.a = swapped
        if restore(asked, layer - 1, at, trace, team):
            return lanes.VP_CALLBACK
        if not asked.holds_layers:
            status = activate(asked, layer - 1, at, SLOPES | VALUES, team)
            if status:
                return status
        if not asked.dense and not basis_by(
                at.h, asked.columns, asked.widths[layer], trace + layer * trace_size(asked),
                at.inverse, at.room, team):
            orthogonalise(at.h, asked.columns, asked.widths[layer], at.r_h, at.inverse, at.room,
                          0.0, team)
        status = descend(asked, layer, at, trace, team)
        if status:
            return status
        layer -= 1
        climb(at, at.d, ladder, asked.tangents, at.log_d, asked.widths[layer + 1], at.stretch,
              team)
        for j in range(asked.tangents):
            if at.stretch[j] == lanes.VP_NEVER:
                at.log_d[ladder + j] = lanes.VP_NEVER  # an exact zero, and not one by underflow
