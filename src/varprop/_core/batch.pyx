"""The matrix-free engine for several inputs, tangents and gradients, with skips, norms and dropout.

Z = A R with h = Q R (thin QR) and fresh normals A: the exact joint law of all columns, at the cost
of as many numbers as there are columns, not n^2. See batch.pxd for how columns are carried.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from varprop._core cimport lanes
from varprop._core.activate cimport PER_INPUT, Pass, activate, find_norms, find_sample, truly_zero
from varprop._core.batch cimport (
    LOST, NO_NORM, UNCOUNTED, Asked, State, find_units, law_size, write_gaps,
)
from varprop._core.columns cimport (
    Frame, Hand, Team, basis_by, column, draw_frame, orthogonalise, triangle,
)
from varprop._core.compose cimport compose
from varprop._core.drawn cimport multiply_up, rows_room
from varprop._core.descend cimport descend, input_of, rescale, through_norm
from varprop._core.form cimport climb, draw_weights, form
from varprop._core.layer cimport (
    BLOCK, CHUNK, LOG_A, LOG_K, LOG_Q, MEAN, SATURATED, ZERO, Plan, aligned_alloc, is_lost,
)
from varprop._core.plan cimport PlanHolder
from varprop._core.tiles cimport TILE_WORDS, padded_to


cdef enum:
    BACK = 16  # added to a status on the way back


# Where the results go
cdef struct Results:
    double* rows            # (6, trials, inputs, depth)
    int64_t* died           # (trials, inputs)
    double* gradient        # (trials, inputs * cotangents, depth)
    double* sum_gradient
    double* tangent         # (trials, tangents, depth)
    double* adjoint


cdef inline bint keeps_sample(const Asked* asked) noexcept nogil:
    return asked.inputs > 1 or asked.residual or (asked.norm != NO_NORM and not asked.post)


cdef inline int64_t trace_size(const Asked* asked) noexcept nogil:
    return asked.columns * (asked.columns + 4) + asked.inputs


cdef void remember(const Asked* asked, State* at, double* trace, bint law) noexcept nogil:
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


cdef void recall(const Asked* asked, State* at, const double* trace, bint law) noexcept nogil:
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


cdef void keep(const Asked* asked, Py_ssize_t layer, State* at) noexcept nogil:
    """Where z of the next layer goes; that of every `step`th layer is marked before it goes."""
    cdef int64_t size = asked.columns * at.z.stride
    at.before = at.z
    at.loaded = layer // asked.step
    if layer % asked.step == 0 and layer > 0 and asked.gradients:
        memcpy(at.marks + (at.loaded - 1) * size, at.before.at, size * sizeof(double))
        at.before.at = at.marks + (at.loaded - 1) * size
    at.z.at = at.segment + layer % asked.step * size


cdef int load(const Asked* asked, Py_ssize_t segment, State* at, const double* trace,
              Team* team) noexcept nogil:
    """z of a segment's layers again, from the mark below it."""
    cdef int64_t size = asked.columns * at.z.stride
    cdef Py_ssize_t layer, first = segment * asked.step
    at.loaded = segment
    if segment > 0:
        at.z.at = at.marks + (segment - 1) * size
    for layer in range(first, min(first + asked.step, asked.depth)):
        if asked.dense:
            if layer > 0:
                recall(asked, at, trace + (layer - 1) * trace_size(asked), False)
                prepare(asked, layer - 1, at, team)
                if activate(asked, layer - 1, at, True, team):
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
        if draw_weights(asked, layer, at, at.a, team) or form(asked, layer, at, at.a, team):
            return lanes.VP_CALLBACK
        climb(at, at.z, asked.inputs, asked.tangents, at.log_z, asked.widths[layer + 1], at.idle,
              team)
    return lanes.VP_OK


cdef void prepare(const Asked* asked, Py_ssize_t layer, State* at, Team* team) noexcept nogil:
    """What a norm before phi needs to know of z."""
    if asked.norm != NO_NORM and not asked.post:
        find_sample(asked, at, asked.widths[layer + 1], True, team)
        find_norms(asked, at, asked.widths[layer + 1], team)


cdef int restore(const Asked* asked, Py_ssize_t layer, State* at, const double* trace,
                 Team* team) noexcept nogil:
    """A layer as it stood on the way up: A drawn again, z made from it or, with skips, kept."""
    cdef const double* row = trace + layer * trace_size(asked)
    if asked.keeps:
        if layer // asked.step != at.loaded and load(asked, layer // asked.step, at, trace, team):
            return lanes.VP_CALLBACK
        at.z.at = at.segment + layer % asked.step * asked.columns * at.z.stride
    recall(asked, at, row, True)
    if draw_weights(asked, layer, at, at.a, team):
        return lanes.VP_CALLBACK
    if asked.keeps:
        recall(asked, at, row, False)
    else:
        compose(asked, layer, at)
        if form(asked, layer, at, at.a, team):
            return lanes.VP_CALLBACK
        climb(at, at.z, asked.inputs, asked.tangents, at.log_z, asked.widths[layer + 1], at.idle,
              team)
    prepare(asked, layer, at, team)
    return lanes.VP_OK


cdef int start(const Asked* asked, State* at, Team* team) noexcept nogil:
    """The inputs and the tangents as columns of h."""
    cdef int j
    cdef int64_t units = asked.widths[0]
    cdef Frame tangents
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


cdef int write_layer(const Asked* asked, Py_ssize_t layer, State* at, Results* to, Py_ssize_t row,
                     Py_ssize_t trials) noexcept nogil:
    """What is measured of each input."""
    cdef double units = <double> asked.widths[layer + 1], log_a, log_q, square, mean
    cdef double* sums
    cdef double* out
    cdef int64_t* died
    cdef int64_t field = trials * asked.inputs * asked.depth
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
        out[LOG_Q * field] = log_q
        out[LOG_A * field] = log_a
        out[LOG_K * field] = at.log_k[j]
        out[MEAN * field] = max(-1.0, min(1.0, mean))
        out[SATURATED * field] = sums[3] / units
        out[ZERO * field] = sums[4] / units
        died = to.died + row * asked.inputs + j
        if (log_a == lanes.VP_NEVER and died[0] == 0 and layer >= asked.last_source
                and (not asked.residual or log_q == lanes.VP_NEVER)):
            died[0] = layer + 1
    return lanes.VP_OK


cdef int rise(const Asked* asked, State* at, Results* to, double[:, :, :] gaps,
              double[:, :, :] kernel_gaps, Py_ssize_t row, Py_ssize_t trials, double* trace,
              Team* team, int64_t* stopped_at) noexcept nogil:
    """The way up of one trial."""
    cdef int status, j, c = asked.columns
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
        if not triangle(at.h, c, asked.widths[layer], at.r_h, at.room, team):
            orthogonalise(at.h, c, asked.widths[layer], at.r_h, at.inverse, at.room, 0.0, team)
        if trace != NULL:
            remember(asked, at, trace + layer * trace_size(asked), True)
        compose(asked, layer, at)
        for j in range(c):
            if not (at.log_z[j] <= lanes.VP_LARGEST and at.log_ratio[j] <= 230.0):
                return lanes.VP_OVERFLOW
        write_gaps(asked, at, at.column_law, at.law, law_size(asked), kernel_gaps, row, layer)
        if asked.keeps:
            keep(asked, layer, at)
        a = at.a if asked.dense else at.z
        if draw_weights(asked, layer, at, a, team) or form(asked, layer, at, a, team):
            return lanes.VP_CALLBACK
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
        status = activate(asked, layer, at, False, team)
        if status:
            return status
        here.asked, here.layer = asked, layer
        here.at, here.plan, here.units = at, asked.plans[layer], units
        here.normalise = asked.norm != NO_NORM and not asked.post
        for j in range(asked.inputs):
            if (is_lost(here.plan, at.sums[PER_INPUT * j + 1])
                    and at.log_z[at.root[j]] != lanes.VP_NEVER):
                activate(asked, layer, at, True, team)
                if not truly_zero(&here, j, False, team.hands):
                    return LOST
        status = write_layer(asked, layer, at, to, row, trials)
        if status:
            return status
        if trace != NULL:
            remember(asked, at, trace + layer * trace_size(asked), False)
    return lanes.VP_OK


cdef int begin_descent(const Asked* asked, State* at, Team* team) noexcept nogil:
    """The gradients of the last layer: given, or random of mean square 1; and the ladder's."""
    cdef int64_t n = asked.widths[asked.depth]
    cdef int j, each = asked.cotangents, ladder = asked.inputs * each
    cdef Frame some
    if asked.given != NULL:
        for j in range(each):
            memset(column(at.d, j), 0, (n + 15) // 16 * 16 * sizeof(double))
            memcpy(column(at.d, j), asked.given + j * n, n * sizeof(double))
            at.log_d[j] = asked.log_given[j]
    elif draw_frame(asked.plans[asked.depth - 1], asked.depth, at.trial, lanes.VP_COTANGENT, at.d,
                    0, each, n, False, team):
        return lanes.VP_CALLBACK
    for j in range(each):
        if asked.given == NULL:
            rescale(column(at.d, j), at.log_d + j, n, team)
            at.log_d[j] = 0.0
    for j in range(each, ladder):
        memcpy(column(at.d, j), column(at.d, j % each), (n + 15) // 16 * 16 * sizeof(double))
        at.log_d[j] = at.log_d[j % each]
    if asked.tangents:
        some.at, some.stride = column(at.d, ladder), at.d.stride
        if draw_frame(asked.plans[asked.depth - 1], asked.depth, at.trial, lanes.VP_COTANGENT,
                      some, each, asked.tangents, n, False, team):
            return lanes.VP_CALLBACK
        for j in range(asked.tangents):
            at.log_d[ladder + j] = 0.0
        climb(at, at.d, ladder, asked.tangents, at.log_d, n, at.idle, team)
        memset(at.stretch, 0, asked.tangents * sizeof(double))
    return lanes.VP_OK


cdef void write_gradients(const Asked* asked, Py_ssize_t layer, State* at, Results* to,
                          Py_ssize_t row) noexcept nogil:
    cdef int j, each = asked.inputs * asked.cotangents
    for j in range(each):
        to.gradient[(row * each + j) * asked.depth + layer] = 2.0 * at.log_d[j]
    for j in range(asked.tangents):
        to.adjoint[(row * asked.tangents + j) * asked.depth + layer] = (
            at.stretch[j] + lanes.vp_log(<double> asked.widths[asked.depth])
            - lanes.vp_log(<double> asked.widths[layer + 1]))


cdef int fall(const Asked* asked, State* at, Results* to, Py_ssize_t row, const double* trace,
              Team* team, int64_t* stopped_at) noexcept nogil:
    """The way back of one trial."""
    cdef int status, j, ladder = asked.inputs * asked.cotangents
    cdef Py_ssize_t layer = asked.depth - 1
    cdef Frame swapped
    stopped_at[0] = asked.depth
    if restore(asked, layer, at, trace, team) or begin_descent(asked, at, team):
        return lanes.VP_CALLBACK
    if asked.post:
        status = activate(asked, layer, at, True, team)
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
        status = activate(asked, layer - 1, at, True, team)
        if status:
            return status
        if not asked.dense and not basis_by(
                at.h, asked.columns, asked.widths[layer], trace + layer * trace_size(asked),
                at.inverse, at.room, team):
            orthogonalise(at.h, asked.columns, asked.widths[layer], at.r_h, at.inverse, at.room,
                          0.0, team)
        status = descend(asked, layer, at, team)
        if status:
            return status
        layer -= 1
        climb(at, at.d, ladder, asked.tangents, at.log_d, asked.widths[layer + 1], at.stretch,
              team)
        for j in range(asked.tangents):
            if at.stretch[j] == lanes.VP_NEVER:
                at.log_d[ladder + j] = lanes.VP_NEVER  # an exact zero, and not one by underflow


cdef inline double* take(double** room, int64_t count) noexcept nogil:
    cdef double* taken = room[0]
    room[0] = taken + (count + 7) // 8 * 8
    return taken


cdef inline Frame take_frame(double** room, int64_t count, int64_t stride) noexcept nogil:
    cdef Frame frame
    frame.at, frame.stride = take(room, count * stride), stride
    return frame


cdef int64_t lay_out(const Asked* asked, State* at, int64_t stride, bint wide,
                     double* room) noexcept nogil:
    """Deal out the room of one trial; returns how many numbers it takes."""
    cdef double* begin = room
    cdef int c = asked.columns, b = asked.inputs, d = asked.gradients, most = max(c, d)
    at.z.stride = stride
    if not asked.keeps:
        at.z = take_frame(&room, c, stride)
    else:
        at.segment = take(&room, asked.step * c * stride)
        if d:
            at.marks = take(&room, (asked.depth - 1) // asked.step * c * stride)
    if asked.dense and d:
        at.parts = take(&room, (16 if wide else 1) * d * stride)
    at.a = take_frame(&room, c, stride)
    at.h = take_frame(&room, c, stride)
    at.copy = take_frame(&room, c, stride)
    if d:
        at.above = take_frame(&room, c, stride)
        at.d = take_frame(&room, d, stride)
        at.u = take_frame(&room, d, stride)
    at.slope = take_frame(&room, b, stride)
    at.value = take_frame(&room, b, stride)
    at.bias = take(&room, stride)
    at.log_z = take(&room, c)
    at.log_h = take(&room, c)
    at.ratio = take(&room, c)
    at.log_ratio = take(&room, c)
    at.r_h = take(&room, c * c)
    at.r_z = take(&room, c * c)
    at.inverse = take(&room, c)
    at.inverse_d = take(&room, most)
    at.inverse_u = take(&room, d)
    at.weight = take(&room, c * c)
    at.direct = take(&room, c)
    at.bias_share = take(&room, c)
    at.skip_share = take(&room, c)
    at.column_law = take(&room, c * (2 * c + 1))
    at.law = take(&room, b * (2 * c + 1))
    at.sample = take(&room, b * c)
    at.log_k = take(&room, b)
    at.mean = take(&room, c)
    at.turn = take(&room, c)
    at.inverse_spread = take(&room, c)
    at.log_spread = take(&room, b)
    at.log_d = take(&room, d)
    at.r_d = take(&room, most * most)
    at.r_u = take(&room, d * d)
    at.stretch = take(&room, asked.tangents)
    at.idle = take(&room, asked.tangents)
    at.cross = take(&room, c * d)
    at.share = take(&room, c * d)
    at.sums = take(&room, PER_INPUT * b)
    at.per_step = take(&room, b)
    at.room = take(&room, 4 * (c + d) + 1)
    at.differs = <int*> take(&room, c)
    at.differs_h = <int*> take(&room, c)
    at.root = <int*> take(&room, c)
    at.small = <int*> take(&room, b)
    at.regime = <lanes.vp_regime*> take(&room, 8 * b)
    return room - begin


cdef int64_t equip(const Asked* asked, Hand* hand, int capacity, int64_t widest,
                   double* room) noexcept nogil:
    """The same for the buffers of one thread."""
    cdef double* begin = room
    cdef int64_t pitch = capacity + 24
    hand.masks = <lanes.vp_stream*> take(&room, asked.inputs * (sizeof(lanes.vp_stream) // 8))
    hand.sums = <lanes.vp_sums*> take(&room, asked.inputs * (sizeof(lanes.vp_sums) // 8))
    hand.one.capacity = capacity
    hand.one.words = <uint64_t*> take(&room, max(pitch, <int64_t> TILE_WORDS))
    if asked.dense:
        hand.weights = take(&room, rows_room(widest))
    hand.one.scaled = take(&room, pitch)
    hand.normal = take(&room, pitch)
    hand.mask = take(&room, pitch)
    hand.raw = take(&room, asked.inputs * pitch)
    hand.seen = take(&room, asked.inputs * pitch)
    hand.h = take(&room, asked.inputs * pitch)
    hand.d = take(&room, asked.inputs * pitch)
    hand.raw_of = <double**> take(&room, asked.inputs)
    hand.seen_of = <double**> take(&room, asked.inputs)
    hand.h_of = <double**> take(&room, asked.inputs)
    return room - begin


cdef void run_trial(const Asked* asked, State* at, Results* to, double[:, :, :] gaps,
                    double[:, :, :] kernel_gaps, Py_ssize_t row, Py_ssize_t trials,
                    int64_t first_trial, double* trace, Team* team, int* status,
                    int64_t* stopped_at) noexcept nogil:
    at.trial = first_trial + row
    status[0] = rise(asked, at, to, gaps, kernel_gaps, row, trials, trace, team, stopped_at)
    if status[0] == lanes.VP_OK and asked.gradients:
        status[0] = fall(asked, at, to, row, trace, team, stopped_at)
        if status[0] != lanes.VP_OK:
            status[0] += BACK


def run(list holders, int[::1] which, int64_t[::1] widths, int[::1] parent, double[:, ::1] x,
        double[::1] log_x, double[:, ::1] given, double[::1] log_given, dict arch,
        int64_t first_trial, int tangents, int cotangents, int threads, bint wide,
        double[:, :, :, ::1] rows, int64_t[:, ::1] died, double[:, :, :] gaps,
        double[:, :, :] kernel_gaps, double[:, :, ::1] gradient, double[:, :, ::1] sum_gradient,
        double[:, :, ::1] tangent, double[:, :, ::1] adjoint, double[::1] edges,
        int64_t[:, :, :, ::1] counts, int64_t[:, :, ::1] exponents, int64_t[:, :, :, ::1] outside,
        int[::1] status, int64_t[::1] stopped_at):
    """Trials first_trial on, up and, where `gradient` has layers, back.

    ``which`` says which holder is the plan of a layer; ``x`` holds inputs or differences to their
    ``parent`` in units of e^``log_x``, padded with zeros; ``rows`` is (6, trials, inputs, depth),
    the others (trials, number, depth). Each thread counts into its own ``counts`` (threads, 2,
    depth, bins), between ``edges`` or, where there are none, in bins of width 2^exponent. A trial
    that fails leaves its status and layer.
    """
    cdef Asked asked
    cdef Results to
    cdef Py_ssize_t trials = rows.shape[1], row, layer
    cdef int64_t stride = 16, widest, most, state_size, hand_size, trace_size_all
    cdef int workers = 1 if wide else threads, thread, capacity = CHUNK
    cdef bint backward = gradient.shape[2] > 0
    memset(&asked, 0, sizeof(asked))
    asked.depth = len(which)
    asked.widths = &widths[0]
    asked.inputs = x.shape[0]
    asked.tangents = tangents
    asked.columns = asked.inputs + tangents
    asked.cotangents = cotangents
    asked.gradients = asked.inputs * cotangents + tangents if backward else 0
    asked.parent = &parent[0]
    asked.x, asked.x_stride = &x[0, 0], x.shape[1]
    asked.log_x = &log_x[0]
    if given.shape[0]:
        asked.given, asked.log_given = &given[0, 0], &log_given[0]
    asked.residual, asked.skip, asked.branch = arch["residual"], arch["skip"], arch["branch"]
    asked.dense = arch["dense"]
    asked.keeps = asked.residual or asked.dense
    asked.step = arch["step"]
    asked.last_source = arch["last_source"]
    asked.norm, asked.post, asked.keep = arch["norm"], arch["post"], arch["keep"]
    to.rows, to.died = &rows[0, 0, 0, 0], &died[0, 0]
    to.gradient = &gradient[0, 0, 0] if backward else NULL
    to.sum_gradient = &sum_gradient[0, 0, 0] if sum_gradient.shape[2] else NULL
    to.tangent = &tangent[0, 0, 0] if tangents else NULL
    to.adjoint = &adjoint[0, 0, 0] if tangents and backward else NULL
    for layer in range(len(widths)):
        stride = max(stride, (widths[layer] + 15) // 16 * 16)
    most = (stride + BLOCK - 1) // BLOCK * max(
        4 * max(asked.columns, asked.gradients), PER_INPUT * asked.inputs)
    widest = padded_to(stride, lanes.VP_GROUP_SINGLE)
    if stride % 512 == 0:
        stride += 16  # lest columns compete for the same cache sets
    cdef PlanHolder holder
    for holder in holders:
        if holder.plan.callback != NULL:
            capacity = BLOCK
    cdef State probe
    cdef Hand hand_probe
    state_size = lay_out(&asked, &probe, stride, wide, NULL)
    hand_size = equip(&asked, &hand_probe, capacity, widest, NULL)
    trace_size_all = asked.depth * trace_size(&asked) if backward else 0
    cdef int64_t each = (state_size + trace_size_all + most + 7) // 8 * 8
    cdef double* room = <double*> aligned_alloc(64, 8 * (workers * each + threads * hand_size))
    cdef State* states = <State*> calloc(workers, sizeof(State))
    cdef Hand* hands = <Hand*> calloc(threads, sizeof(Hand))
    cdef Team* teams = <Team*> calloc(workers, sizeof(Team))
    cdef lanes.vp_tally* tallies = <lanes.vp_tally*> calloc(threads, sizeof(lanes.vp_tally))
    cdef Plan** plans = <Plan**> malloc(asked.depth * sizeof(Plan*))
    try:
        if (room == NULL or states == NULL or hands == NULL or teams == NULL or plans == NULL
                or tallies == NULL):
            raise MemoryError("no memory for the engine's vectors")
        for layer in range(asked.depth):
            holder = holders[which[layer]]
            plans[layer] = &holder.plan
        asked.plans = plans
        for thread in range(threads):
            equip(&asked, hands + thread, capacity, widest,
                  room + workers * each + thread * hand_size)
            if counts.shape[3]:
                tallies[thread].bins = counts.shape[3]
                tallies[thread].edges = &edges[0] if edges.shape[0] else NULL
                tallies[thread].counts = &counts[thread, 0, 0, 0]
                tallies[thread].exponents = &exponents[thread, 0, 0]
                tallies[thread].outside = &outside[thread, 0, 0, 0]
                hands[thread].tally = tallies + thread
        for thread in range(workers):
            lay_out(&asked, states + thread, stride, wide, room + thread * each)
            teams[thread].hands = hands if wide else hands + thread
            teams[thread].threads = threads if wide else 1
            teams[thread].plan = plans[0]
            teams[thread].parts = room + thread * each + state_size + trace_size_all
        with nogil:
            for row in prange(trials, num_threads=workers, schedule="dynamic"):
                run_trial(&asked, states + threadid(), &to, gaps, kernel_gaps, row, trials,
                          first_trial,
                          (room + threadid() * each + state_size if backward
                           else NULL),
                          teams + threadid(),
                          &status[row], &stopped_at[row])
    finally:
        free(room)
        free(states)
        free(hands)
        free(teams)
        free(tallies)
        free(plans)


LOST_STATUS = LOST
UNCOUNTED_STATUS = UNCOUNTED
BACK_STATUS = BACK
