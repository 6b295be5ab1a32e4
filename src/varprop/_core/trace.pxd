# What the way back needs of the way up: remembered, and a layer made again from it.
from libc.stdint cimport int64_t
from libc.string cimport memcpy
from varprop._core cimport lanes
from varprop._core.activate cimport SLOPES, VALUES, activate
from varprop._core.batch cimport NO_NORM, Asked, State, find_units
from varprop._core.columns cimport Frame, Team, column, draw_frame
from varprop._core.compose cimport compose
from varprop._core.drawn cimport multiply_up
from varprop._core.form cimport (
    climb, draw, draw_bias, draw_weights, form, held, take_held,
)
from varprop._core.norm cimport find_norms, find_sample


cdef inline int64_t trace_size(const Asked* asked) noexcept nogil:
    return asked.columns * (asked.columns + 4) + asked.inputs


cdef inline void remember(const Asked* asked, State* at, double* trace, bint law) noexcept nogil:
    """What the way back needs of a layer: the law of its z, and, of a stream, where z stands."""
    cdef int c = asked.columns, j
    if law:
        memcpy(trace, at.r_h, c * c * sizeof(double))
        trace += c * c
        for j in range(c):
            trace[j] = at.log_h[j]
            trace[c + j] = at.differs_h[j]
    else:
        trace += c * (c + 2)
        for j in range(c):
            trace[j] = at.log_z[j]
            trace[c + j] = at.differs[j]
        memcpy(trace + 2 * c, at.log_spread, asked.inputs * sizeof(double))


cdef inline void recall(const Asked* asked, State* at, const double* trace,
                        bint law) noexcept nogil:
    """What `remember` has noted of a layer."""
    cdef int c = asked.columns, j
    if law:
        memcpy(at.r_h, trace, c * c * sizeof(double))
        trace += c * c
        for j in range(c):
            at.log_h[j] = trace[j]
            at.differs_h[j] = <int> trace[c + j]
    else:
        trace += c * (c + 2)
        for j in range(c):
            at.log_z[j] = trace[j]
            at.differs[j] = <int> trace[c + j]
        memcpy(at.log_spread, trace + 2 * c, asked.inputs * sizeof(double))
        find_units(asked, at)


cdef inline void keep(const Asked* asked, Py_ssize_t layer, State* at) noexcept nogil:
    """Where z of the next layer goes; that of every `step`th layer is marked before it goes."""
    cdef int64_t size = asked.columns * at.z.stride
    at.before = at.z
    at.loaded = layer // asked.step
    if layer % asked.step == 0 and layer > 0 and asked.gradients:
        memcpy(at.marks + (at.loaded - 1) * size, at.before.at, size * sizeof(double))
        at.before.at = at.marks + (at.loaded - 1) * size
    at.z.at = at.segment + layer % asked.step * size


cdef inline int start(const Asked* asked, State* at, Team* team) noexcept nogil:
    """The inputs and the tangents as columns of h."""
    cdef int j
    cdef int64_t units = asked.widths[0]
    cdef Frame tangents
    at.h = at.own_h
    for j in range(asked.inputs):
        memcpy(column(at.h, j), asked.x + j * asked.x_stride,
               (units + 15) // 16 * 16 * sizeof(double))
        at.log_h[j] = asked.log_x[j]
        at.differs_h[j] = asked.parent[j] >= 0
    if asked.tangents:
        tangents.at, tangents.stride = column(at.h, asked.inputs), at.h.stride
        if draw_frame(asked.plans[0], 0, at.trial, lanes.VP_PROBE, tangents, 0, asked.tangents,
                      units, False, team):
            return lanes.VP_CALLBACK
        for j in range(asked.inputs, asked.columns):
            at.differs_h[j] = 0
            at.log_h[j] = 0.0
        climb(at, at.h, asked.inputs, asked.tangents, at.log_h, units, at.idle, team)
    return lanes.VP_OK


cdef inline void prepare(const Asked* asked, Py_ssize_t layer, State* at,
                         Team* team) noexcept nogil:
    """What a norm before phi needs to know of z."""
    if asked.norm != NO_NORM and not asked.post:
        find_sample(asked, at, asked.widths[layer + 1], True, team)
        find_norms(asked, at, asked.widths[layer + 1], team)


cdef inline int load(const Asked* asked, Py_ssize_t segment, State* at, const double* trace,
                     Team* team) noexcept nogil:
    """z of a segment's layers again, from the mark below it."""
    cdef int64_t size = asked.columns * at.z.stride
    cdef Py_ssize_t layer, first = segment * asked.step
    cdef Frame a
    at.loaded = segment
    if segment > 0:
        at.z.at = at.marks + (segment - 1) * size
    for layer in range(first, min(first + asked.step, asked.depth)):
        if asked.dense:
            if layer > 0:
                recall(asked, at, trace + (layer - 1) * trace_size(asked), False)
                prepare(asked, layer - 1, at, team)
                if activate(asked, layer - 1, at, SLOPES | VALUES, team):
                    return lanes.VP_CALLBACK
            elif start(asked, at, team):
                return lanes.VP_CALLBACK
            multiply_up(asked, layer, at, at.h, at.a, asked.columns, team)
        if layer > 0:
            recall(asked, at, trace + (layer - 1) * trace_size(asked), False)
        recall(asked, at, trace + layer * trace_size(asked), True)
        compose(asked, layer, at)
        at.before = at.z
        at.z.at = at.segment + (layer - first) * size
        a = held(asked, layer, at) if asked.holds else at.a
        if not asked.holds and draw(asked, layer, at, a, team):
            return lanes.VP_CALLBACK
        form(asked, layer, at, a, team)
        climb(at, at.z, asked.inputs, asked.tangents, at.log_z, asked.widths[layer + 1], at.idle,
              team)
    return lanes.VP_OK


cdef inline void form_again(const Asked* asked, Py_ssize_t layer, State* at,
                            Team* team) noexcept nogil:
    """z of a layer whose A is at hand."""
    compose(asked, layer, at)
    form(asked, layer, at, at.a, team)
    climb(at, at.z, asked.inputs, asked.tangents, at.log_z, asked.widths[layer + 1], at.idle, team)


cdef inline int restore(const Asked* asked, Py_ssize_t layer, State* at, const double* trace,
                        Team* team) noexcept nogil:
    """A layer as on the way up: A held or drawn again, z made of it or, with skips, kept.

    Where h and the slopes are held, z is not needed.
    """
    cdef const double* row = trace + layer * trace_size(asked)
    if asked.holds_layers:
        at.a = held(asked, layer, at)
        take_held(asked, layer, at)
        recall(asked, at, row, False)
        return lanes.VP_OK
    if asked.keeps:
        if layer // asked.step != at.loaded and load(asked, layer // asked.step, at, trace, team):
            return lanes.VP_CALLBACK
        at.z.at = at.segment + layer % asked.step * asked.columns * at.z.stride
    recall(asked, at, row, True)
    if asked.holds:
        at.a = held(asked, layer, at)
    elif draw_weights(asked, layer, at, at.a, team) or (
            not asked.keeps and draw_bias(asked, layer, at, team)):
        return lanes.VP_CALLBACK
    if asked.keeps:
        recall(asked, at, row, False)
    else:
        form_again(asked, layer, at, team)
    prepare(asked, layer, at, team)
    return lanes.VP_OK


cdef inline int find_values(const Asked* asked, Py_ssize_t layer, State* at, const double* trace,
                            Team* team) noexcept nogil:
    """What phi was applied to, where it is not kept: of no more use for what h was."""
    if not asked.holds_layers:
        return lanes.VP_OK
    recall(asked, at, trace + layer * trace_size(asked), True)
    at.a = held(asked, layer, at)
    form_again(asked, layer, at, team)
    return activate(asked, layer, at, SLOPES | VALUES, team)
