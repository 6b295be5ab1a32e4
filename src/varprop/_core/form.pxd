# The vectors of a layer's pre-activations: drawn, mixed, normalised; and its tangents' stretch.
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from varprop._core cimport lanes
from varprop._core.basis cimport orthogonalise
from varprop._core.batch cimport NO_NORM, Asked, State, find_units
from varprop._core.columns cimport (
    Frame, Hand, Team, add_columns, column, draw_frame, each_block, scale,
)
from varprop._core.draws cimport padded_to_group
from varprop._core.layer cimport BLOCK, Plan, is_haar
from varprop._core.norm cimport Pass, find_norms, find_sample, normalise_task


cdef inline int draw_weights(const Asked* asked, Py_ssize_t layer, State* at, Frame a,
                             Team* team) noexcept nogil:
    """A: normals, or an orthonormal frame of the larger of the two spaces.

    Where the whole matrix is drawn, A is W h, and there already.
    """
    cdef const Plan* plan = asked.plans[layer]
    cdef int64_t n = asked.widths[layer + 1]
    cdef int j
    if asked.dense:
        return lanes.VP_CALLBACK if plan.stop else lanes.VP_OK
    if is_haar(plan, layer):
        n = max(n, asked.widths[layer])
    if draw_frame(plan, layer + 1, at.trial, lanes.VP_WEIGHTS, a, 0, asked.columns, n, False,
                  team):
        return lanes.VP_CALLBACK
    if is_haar(plan, layer):
        for j in range(asked.columns):
            if at.r_h[j * asked.columns + j] == 0.0:
                scale(column(a, j), 0.0, n, team)  # no input points there
        orthogonalise(a, asked.columns, n, at.r_d, at.inverse_d, at.room, 0.0, team)
        for j in range(asked.columns):
            scale(column(a, j), at.inverse_d[j], n, team)
    return lanes.VP_OK


cdef inline int draw_bias(const Asked* asked, Py_ssize_t layer, State* at,
                          Team* team) noexcept nogil:
    cdef const Plan* plan = asked.plans[layer]
    cdef Frame bias
    if plan.log_bias[layer] == lanes.VP_NEVER:
        return lanes.VP_OK
    bias.at, bias.stride = at.bias, 0
    return draw_frame(plan, layer + 1, at.trial, lanes.VP_BIAS, bias, 0, 1,
                      asked.widths[layer + 1], plan.uniform_bias, team)


cdef inline int draw(const Asked* asked, Py_ssize_t layer, State* at, Frame a,
                     Team* team) noexcept nogil:
    """All that is drawn for a layer, A and the biases, unless another network has drawn it."""
    if asked.shares and layer < at.drawn:
        return lanes.VP_OK
    if draw_weights(asked, layer, at, a, team) or draw_bias(asked, layer, at, team):
        return lanes.VP_CALLBACK
    at.drawn = layer + 1
    return lanes.VP_OK


cdef inline Frame held(const Asked* asked, Py_ssize_t layer, State* at) noexcept nogil:
    """Where A of a layer is held; the biases lie behind it."""
    cdef Frame a
    a.at = at.held + layer * (asked.columns + 1) * at.z.stride
    a.stride = at.z.stride
    at.bias = column(a, asked.columns)
    return a


cdef inline void take_held(const Asked* asked, Py_ssize_t layer, State* at) noexcept nogil:
    """h and the slopes: where those of a layer are held."""
    at.h.at = at.held_h + layer * asked.columns * at.h.stride
    at.slope.at = at.held_slopes + layer * asked.graded * at.slope.stride


cdef inline int draw_back(const Asked* asked, Py_ssize_t layer, State* at, Frame* x, int first,
                          int count, int64_t n, Team* team) noexcept nogil:
    """Normals for gradients, columns `first` on of a layer (from 1), in x or where x then is.

    Where they are shared, all of a layer's come in one call, and are held.
    """
    cdef const Plan* plan = asked.plans[min(layer, asked.depth - 1)]
    if asked.shares:
        x.at = at.held_back + (layer - 1) * asked.gradients * x.stride
        if layer >= at.drawn_back:
            return lanes.VP_OK
        at.drawn_back = layer
    return draw_frame(plan, layer, at.trial, lanes.VP_COTANGENT, x[0], first, count, n, False,
                      team)


cdef inline int form_task(void* what, int64_t block, int units, Hand* hand,
                          double* part) noexcept nogil:
    """z = A weight + bias share + skip share z_before"""
    cdef Pass* of = <Pass*> what
    cdef State* at = of.at
    cdef int c = of.asked.columns, done = 0, n, j, i
    cdef int64_t start
    cdef double* z
    cdef const double* a
    cdef double factor
    while done < units:
        n = min(units - done, 512)
        start = block * BLOCK + done
        for j in range(c - 1, -1, -1):  # so z may take the place of A
            z = column(at.z, j) + start
            a = column(of.a, j) + start
            factor = at.direct[j] if of.asked.dense else at.weight[j * c + j]
            lanes.vp_mix(z, a, factor, of.a.at + start, of.a.stride, 0 if of.asked.dense else j,
                         at.weight + j * c, padded_to_group(n))
            for i in range(n, padded_to_group(n)):
                z[i] = 0.0
            if at.bias_share[j] != 0.0:
                for i in range(n):
                    z[i] += at.bias_share[j] * at.bias[start + i]
            if at.skip_share[j] != 0.0:
                for i in range(n):
                    z[i] += at.skip_share[j] * column(at.before, j)[start + i]
        done += n
    return 0


cdef inline void form(const Asked* asked, Py_ssize_t layer, State* at, Frame a,
                      Team* team) noexcept nogil:
    """The pre-activations of a composed layer, from A, which may stand where z does."""
    cdef int64_t units = asked.widths[layer + 1]
    cdef Pass of
    cdef int j
    of.asked, of.at, of.a = asked, at, a
    each_block(form_task, &of, units, team, 0)
    if asked.post:
        find_sample(asked, at, units, True, team)
        find_norms(asked, at, units, team)
        each_block(normalise_task, &of, units, team, 0)
        for j in range(asked.columns - 1, -1, -1):
            if j >= asked.inputs:
                at.log_z[j] -= at.log_z[0]
            elif at.differs[j]:
                at.log_z[j] = at.log_ratio[j]
            elif at.log_z[j] != lanes.VP_NEVER:
                at.log_z[j] = 0.0
        find_units(asked, at)


cdef inline void climb(State* at, Frame x, int first, int count, double* logs, int64_t n,
                       double* stretch, Team* team) noexcept nogil:
    """Make `count` columns orthonormal, and add ln R_ii^2 to the stretch."""
    cdef Frame these
    cdef double* r = at.r_d
    cdef int j
    these.at, these.stride = column(x, first), x.stride
    orthogonalise(these, count, n, r, at.inverse_d, at.room, 0.0, team)
    for j in range(count):
        if at.inverse_d[j] == 0.0:
            stretch[j] = lanes.VP_NEVER
            logs[first + j] = 0.0
        else:
            stretch[j] += 2.0 * (lanes.vp_log(r[j * count + j]) + logs[first + j])
            logs[first + j] = -0.5 * lanes.vp_log(<double> n)
        scale(column(these, j), at.inverse_d[j] * sqrt(<double> n), n, team)
