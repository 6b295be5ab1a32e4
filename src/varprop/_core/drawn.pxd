# Weights that are drawn one by one, times many columns: the numbers of the dense engine.
from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.batch cimport Asked, State
from varprop._core.columns cimport Frame, Hand, Team, column
from varprop._core.layer cimport Plan, interrupted, is_haar
from varprop._core.tiles cimport TILE, draw_tile, padded_to, rows_a_stream

cdef enum:
    ROWS = 4    # rows of weights at a time
    PARTS = 16  # sums over rows on the way back: part of what the bits are, never change it


cdef inline bint is_drawn(const Asked* asked, Py_ssize_t layer) noexcept nogil:
    return asked.dense and not is_haar(asked.plans[layer], layer)


cdef inline void draw_row(const Plan* plan, Py_ssize_t layer, lanes.vp_stream* stream, Hand* hand,
                          float* row, int64_t columns) noexcept nogil:
    cdef int64_t start = 0
    cdef int n
    while start < columns:
        n = <int> min(columns - start, <int64_t> TILE)
        draw_tile(plan, layer, stream, hand.one.words, row + start, n)
        start += n


# One pass over the weights of a layer, as all threads see it
cdef struct Sheet:
    const Asked* asked
    Py_ssize_t layer
    int64_t trial
    Frame source
    Frame to
    int count


cdef inline void up_group(const Sheet* of, int64_t group, Hand* hand) noexcept nogil:
    """The rows of one stream times all columns."""
    cdef const Plan* plan = of.asked.plans[of.layer]
    cdef int64_t fan_in = of.asked.widths[of.layer], units = of.asked.widths[of.layer + 1]
    cdef int64_t columns = padded_to(fan_in, lanes.VP_GROUP_SINGLE)
    cdef int64_t height = rows_a_stream(fan_in), row = group * height
    cdef int64_t last = min(row + height, units)
    cdef lanes.vp_stream stream
    cdef int rows, r
    if interrupted(plan, group + 1):
        return
    lanes.vp_stream_start(&stream, plan.seed, of.trial, of.layer + 1, lanes.VP_WEIGHTS, group)
    while row < last:
        rows = <int> min(last - row, <int64_t> ROWS)
        for r in range(rows):
            draw_row(plan, of.layer, &stream, hand, hand.weights + r * columns, columns)
        lanes.vp_products(hand.weights, columns, rows, of.source.at, of.source.stride, of.count,
                          padded_to(fan_in, lanes.VP_SUM_LANES), of.to.at + row, of.to.stride)
        row += rows


cdef inline int64_t groups_of(const Asked* asked, Py_ssize_t layer) noexcept nogil:
    cdef int64_t height = rows_a_stream(asked.widths[layer])
    return (asked.widths[layer + 1] + height - 1) // height


cdef inline void multiply_up(const Asked* asked, Py_ssize_t layer, State* at, Frame source,
                             Frame to, int count, Team* team) noexcept nogil:
    """to = W source, weights of unit variance; zeros behind."""
    cdef Sheet of
    cdef int64_t group, groups = groups_of(asked, layer), i
    cdef int j
    of.asked, of.layer, of.trial, of.count = asked, layer, at.trial, count
    of.source, of.to = source, to
    if team.threads == 1:
        for group in range(groups):
            up_group(&of, group, team.hands)
    else:
        for group in prange(groups, num_threads=team.threads, schedule="static"):
            up_group(&of, group, team.hands + threadid())
    for j in range(count):
        for i in range(asked.widths[layer + 1], padded_to(asked.widths[layer + 1],
                                                          lanes.VP_SUM_LANES)):
            column(to, j)[i] = 0.0


cdef inline void down_part(const Sheet* of, int64_t part, Hand* hand, double* u,
                           int64_t stride) noexcept nogil:
    """u = W^T source over one part of the rows."""
    cdef const Plan* plan = of.asked.plans[of.layer]
    cdef int64_t fan_in = of.asked.widths[of.layer], units = of.asked.widths[of.layer + 1]
    cdef int64_t columns = padded_to(fan_in, lanes.VP_GROUP_SINGLE)
    cdef int64_t height = rows_a_stream(fan_in), groups = groups_of(of.asked, of.layer)
    cdef int64_t group, row, last
    cdef lanes.vp_stream stream
    cdef int rows, r, j
    for j in range(of.count):
        memset(u + j * stride, 0, padded_to(fan_in, lanes.VP_SUM_LANES) * sizeof(double))
    for group in range(part * groups // PARTS, (part + 1) * groups // PARTS):
        if interrupted(plan, group + 1):
            return
        lanes.vp_stream_start(&stream, plan.seed, of.trial, of.layer + 1, lanes.VP_WEIGHTS, group)
        row = group * height
        last = min(row + height, units)
        while row < last:
            rows = <int> min(last - row, <int64_t> ROWS)
            for r in range(rows):
                draw_row(plan, of.layer, &stream, hand, hand.weights + r * columns, columns)
            lanes.vp_add_rows(u, stride, of.count, hand.weights, columns, rows,
                              of.source.at + row, of.source.stride, fan_in)
            row += rows


cdef inline void multiply_down(const Asked* asked, Py_ssize_t layer, State* at, Frame source,
                               Frame to, int count, Team* team) noexcept nogil:
    """to = W^T source, weights of unit variance, in sixteen parts that are added in their order."""
    cdef Sheet of
    cdef int64_t part, i, fan_in = asked.widths[layer], stride = to.stride
    cdef int64_t size = count * stride
    cdef int j
    of.asked, of.layer, of.trial, of.count = asked, layer, at.trial, count
    of.source = source
    for j in range(count):
        memset(column(to, j), 0, padded_to(fan_in, lanes.VP_SUM_LANES) * sizeof(double))
    if team.threads > 1:
        for part in prange(PARTS, num_threads=team.threads, schedule="static"):
            down_part(&of, part, team.hands + threadid(), at.parts + part * size, stride)
    for part in range(PARTS):
        if team.threads == 1:
            down_part(&of, part, team.hands, at.parts, stride)
        for j in range(count):
            for i in range(fan_in):
                column(to, j)[i] += at.parts[(part * size if team.threads > 1 else 0)
                                             + j * stride + i]
