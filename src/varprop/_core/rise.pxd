# The way up of one trial, and what is measured on it.
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.activate cimport COUNTS, SLOPES, VALUES, activate, truly_zero
from varprop._core.basis cimport reveal
from varprop._core.batch cimport (
    LOST, NO_NORM, PER_INPUT, Asked, Results, State, law_size, write_gaps,
)
from varprop._core.columns cimport Frame, Team
from varprop._core.compose cimport compose
from varprop._core.drawn cimport multiply_up
from varprop._core.form cimport climb, draw, form, held, take_held
from varprop._core.layer cimport LOG_A, LOG_K, LOG_Q, MEAN, SATURATED, ZERO, is_lost
from varprop._core.norm cimport Pass, find_norms, find_sample
from varprop._core.trace cimport keep, remember, start, trace_size


cdef inline bint keeps_sample(const Asked* asked) noexcept nogil:
    return asked.inputs > 1 or asked.residual or (asked.norm != NO_NORM and not asked.post)


cdef inline int write_layer(const Asked* asked, Py_ssize_t layer, State* at, Results* to,
                            Py_ssize_t row) noexcept nogil:
    """What is measured of each input."""
    cdef double units = <double> asked.widths[layer + 1], log_a, log_q, square, mean
    cdef double* sums
    cdef double* out
    cdef int64_t* died
    cdef int j
    for j in range(asked.inputs):
        sums = at.sums + PER_INPUT * j
        out = to.rows + (row * asked.inputs + j) * asked.depth + layer
        square = sums[1] / units
        log_a = lanes.vp_log_or_never(square) + at.regime[j].log_unit
        log_q = lanes.vp_log_or_never(sums[0] / units)
        if at.log_z[at.root[j]] != lanes.VP_NEVER:
            log_q += 2.0 * at.log_z[at.root[j]]
        mean = sums[2] / units / sqrt(square) if square > 0.0 else 0.0
        if not (log_q <= lanes.VP_LARGEST and log_a <= lanes.VP_LARGEST
                and at.log_k[j] <= lanes.VP_LARGEST):
            return lanes.VP_OVERFLOW
        out[LOG_Q * to.field] = log_q
        out[LOG_A * to.field] = log_a
        out[LOG_K * to.field] = at.log_k[j]
        out[MEAN * to.field] = max(-1.0, min(1.0, mean))
        out[SATURATED * to.field] = sums[3] / units
        out[ZERO * to.field] = sums[4] / units
        died = to.died + row * asked.inputs + j
        if (log_a == lanes.VP_NEVER and died[0] == 0 and layer >= asked.last_source
                and (not asked.residual or log_q == lanes.VP_NEVER)):
            died[0] = layer + 1
    return lanes.VP_OK


cdef inline int rise(const Asked* asked, State* at, Results* to, double[:, :, :] gaps,
                     double[:, :, :] kernel_gaps, Py_ssize_t row, double* trace, Team* team,
                     int64_t* stopped_at) noexcept nogil:
    """The way up of one trial."""
    cdef int status, j, wanted, c = asked.columns
    cdef int64_t units
    cdef Py_ssize_t layer
    cdef Frame a
    cdef Pass here
    if start(asked, at, team):
        return lanes.VP_CALLBACK
    memset(at.stretch, 0, asked.tangents * sizeof(double))
    for layer in range(asked.depth):
        if team.plan.stop:
            return lanes.VP_CALLBACK
        stopped_at[0] = layer + 1
        units = asked.widths[layer + 1]
        if asked.dense:
            multiply_up(asked, layer, at, at.h, at.a, c, team)
        reveal(at.h, c, asked.widths[layer], at.r_h, at.inverse, at.room, at.copy, team)
        if trace != NULL:
            remember(asked, at, trace + layer * trace_size(asked), True)
        compose(asked, layer, at)
        for j in range(c):
            if not (at.log_z[j] <= lanes.VP_LARGEST and at.log_ratio[j] <= 230.0):
                return lanes.VP_OVERFLOW
        write_gaps(asked, at, at.column_law, at.law, law_size(asked), kernel_gaps, row, layer)
        if asked.keeps:
            keep(asked, layer, at)
        a = held(asked, layer, at) if asked.holds else at.a if asked.dense else at.z
        if draw(asked, layer, at, a, team):
            return lanes.VP_CALLBACK
        form(asked, layer, at, a, team)
        climb(at, at.z, asked.inputs, asked.tangents, at.log_z, units, at.stretch, team)
        for j in range(asked.tangents):
            to.tangent[(row * asked.tangents + j) * asked.depth + layer] = (
                at.stretch[j] + lanes.vp_log(<double> asked.widths[0])
                - lanes.vp_log(<double> units))
        if keeps_sample(asked):
            find_sample(asked, at, units, asked.norm != NO_NORM, team)
            write_gaps(asked, at, at.r_z, at.sample, c, gaps, row, layer)
        if asked.norm != NO_NORM and not asked.post:
            find_norms(asked, at, units, team)
        wanted = COUNTS
        if asked.holds_layers:
            take_held(asked, layer, at)
            wanted |= SLOPES
        status = activate(asked, layer, at, wanted, team)
        if status:
            return status
        here.asked, here.layer = asked, layer
        here.at, here.plan, here.units = at, asked.plans[layer], units
        here.normalise = asked.norm != NO_NORM and not asked.post
        for j in range(asked.inputs):
            if (is_lost(here.plan, at.sums[PER_INPUT * j + 1])
                    and at.log_z[at.root[j]] != lanes.VP_NEVER):
                activate(asked, layer, at, VALUES, team)
                if not truly_zero(&here, j, False, team.hands):
                    return LOST
        status = write_layer(asked, layer, at, to, row)
        if status:
            return status
        if trace != NULL:
            remember(asked, at, trace + layer * trace_size(asked), False)
    return lanes.VP_OK
