# Weights that are drawn one by one, times many columns: the numbers of the dense engine.
from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.batch cimport Asked, State
from varprop._core.columns cimport LOOK, Frame, Hand, Team, column, look
from varprop._core.haar cimport multiply_haar
from varprop._core.layer cimport Plan, interrupted, is_haar
from varprop._core.tiles cimport TILE, draw_tile, padded_to, rows_a_stream

cdef enum:
    PARTS = 16  # sums over rows on the way back: part of what the bits are, never change it
    DRAW = 4    # a weight takes as long to draw as so many multiply-adds, more or less


cdef inline int64_t rows_room(int64_t widest) noexcept nogil:
    """Numbers that the rows of a hand take."""
    return padded_to(widest, lanes.VP_SPAN) * lanes.VP_ROWS


cdef inline Frame room_of(Hand* hand, int64_t stride) noexcept nogil:
    """The same room, as columns."""
    cdef Frame room
    room.at, room.stride = hand.weights, stride
    return room


# One pass over the weights of a layer, as all threads see it
cdef struct Sheet:
    const Plan* plan
    Py_ssize_t layer
    int64_t trial
    int64_t fan_in
    int64_t units
    int64_t height    # rows that share a stream
    int64_t pause     # rows between two looks at Python
    Frame source
    Frame to
    int count


cdef inline Sheet sheet(const Asked* asked, Py_ssize_t layer, const State* at, Frame source,
                        Frame to, int count) noexcept nogil:
    cdef Sheet of
    of.plan, of.layer, of.trial, of.count = asked.plans[layer], layer, at.trial, count
    of.fan_in, of.units = asked.widths[layer], asked.widths[layer + 1]
    of.height = rows_a_stream(of.fan_in)
    of.pause = LOOK // (of.fan_in * (DRAW + count)) + 1
    of.source, of.to = source, to
    return of


cdef inline bint goes_on(const Sheet* of, int64_t row) noexcept nogil:
    """Whether to go on from this row, asked every VP_ROWS of them."""
    cdef bint looks = row >= of.pause and row % of.pause < lanes.VP_ROWS
    return not interrupted(of.plan, 0 if looks else 1)


cdef inline int draw_rows(const Sheet* of, int64_t first, int64_t last, lanes.vp_stream* stream,
                          Hand* hand) noexcept nogil:
    """The next rows from `first` on, up to `last` or as many as there is room for; how many."""
    cdef int64_t columns = padded_to(of.fan_in, lanes.VP_GROUP_SINGLE), start
    cdef int rows = <int> min(last - first, <int64_t> lanes.VP_ROWS), row, n
    cdef float tile[TILE]
    for row in range(rows):
        if (first + row) % of.height == 0:
            lanes.vp_stream_start(stream, of.plan.seed, of.trial, of.layer + 1, lanes.VP_WEIGHTS,
                                  (first + row) // of.height)
        start = 0
        while start < columns:
            n = <int> min(columns - start, <int64_t> TILE)
            draw_tile(of.plan, of.layer, stream, hand.one.words, tile, n)
            lanes.vp_place(tile, start, row, hand.weights, n)
            start += n
    return rows


cdef inline void up_rows(const Sheet* of, int64_t first, int64_t last, Hand* hand) noexcept nogil:
    """Some rows, from the beginning of a stream on, times all columns."""
    cdef lanes.vp_stream stream
    cdef int rows
    while first < last and goes_on(of, first):
        rows = draw_rows(of, first, last, &stream, hand)
        lanes.vp_products(hand.weights, rows, of.source.at, of.source.stride, of.count,
                          padded_to(of.fan_in, lanes.VP_SUM_LANES), of.to.at + first,
                          of.to.stride)
        first += rows


cdef inline void multiply_up(const Asked* asked, Py_ssize_t layer, State* at, Frame source,
                             Frame to, int count, Team* team) noexcept nogil:
    """to = W source, weights of unit variance; zeros behind."""
    cdef Sheet of = sheet(asked, layer, at, source, to, count)
    # so many whole streams that a thread has its hands full
    cdef int64_t height = of.height * ((lanes.VP_ROWS + of.height - 1) // of.height), piece, i
    cdef int64_t pieces = (of.units + height - 1) // height
    cdef int j
    look(team, of.units * of.fan_in * (DRAW + count))
    if is_haar(of.plan, layer):
        multiply_haar(of.plan, layer, at.trial, source, to, count, False, team.hands.one.words,
                      room_of(team.hands, to.stride))
        return
    if team.threads == 1:
        for piece in range(pieces):
            up_rows(&of, piece * height, min((piece + 1) * height, of.units), team.hands)
    else:
        for piece in prange(pieces, num_threads=team.threads, schedule="static"):
            up_rows(&of, piece * height, min((piece + 1) * height, of.units),
                    team.hands + threadid())
    for j in range(count):
        for i in range(of.units, padded_to(of.units, lanes.VP_SUM_LANES)):
            column(to, j)[i] = 0.0


cdef inline void down_part(const Sheet* of, int64_t part, Hand* hand, double* u,
                           int64_t stride) noexcept nogil:
    """u = W^T source over one part of the rows."""
    cdef int64_t groups = (of.units + of.height - 1) // of.height
    cdef int64_t row = part * groups // PARTS * of.height
    cdef int64_t last = min((part + 1) * groups // PARTS * of.height, of.units)
    cdef lanes.vp_stream stream
    cdef int rows, j
    for j in range(of.count):
        memset(u + j * stride, 0, padded_to(of.fan_in, lanes.VP_SUM_LANES) * sizeof(double))
    while row < last and goes_on(of, row):
        rows = draw_rows(of, row, last, &stream, hand)
        lanes.vp_add_rows(u, stride, of.count, hand.weights, rows, of.source.at + row,
                          of.source.stride, of.fan_in)
        row += rows


cdef inline void multiply_down(const Asked* asked, Py_ssize_t layer, State* at, Frame source,
                               Frame to, int count, Team* team) noexcept nogil:
    """to = W^T source, weights of unit variance, in sixteen parts that are added in their order."""
    cdef Sheet of = sheet(asked, layer, at, source, to, count)
    cdef int64_t part, i, stride = to.stride, size = count * to.stride
    cdef int j
    look(team, of.units * of.fan_in * (DRAW + count))
    if is_haar(of.plan, layer):
        multiply_haar(of.plan, layer, at.trial, source, to, count, True, team.hands.one.words,
                      room_of(team.hands, to.stride))
        return
    for j in range(count):
        memset(column(to, j), 0, padded_to(of.fan_in, lanes.VP_SUM_LANES) * sizeof(double))
    if team.threads > 1:
        for part in prange(PARTS, num_threads=team.threads, schedule="static"):
            down_part(&of, part, team.hands + threadid(), at.parts + part * size, stride)
    for part in range(PARTS):
        if team.threads == 1:
            down_part(&of, part, team.hands, at.parts, stride)
        for j in range(count):
            for i in range(of.fan_in):
                column(to, j)[i] += at.parts[(part * size if team.threads > 1 else 0)
                                             + j * stride + i]
