# Where the vectors of a trial and the buffers of a thread lie.
from libc.stdint cimport int64_t, uint64_t
from varprop._core cimport lanes
from varprop._core.batch cimport PER_INPUT, Asked, State
from varprop._core.columns cimport Frame, Hand
from varprop._core.drawn cimport rows_room
from varprop._core.tiles cimport TILE_WORDS


cdef inline double* take(double** room, int64_t count) noexcept nogil:
    cdef double* taken = room[0]
    room[0] = taken + (count + 7) // 8 * 8
    return taken


cdef inline Frame take_frame(double** room, int64_t count, int64_t stride) noexcept nogil:
    cdef Frame frame
    frame.at, frame.stride = take(room, count * stride), stride
    return frame


cdef inline int64_t lay_out(const Asked* asked, State* at, int64_t stride, bint wide,
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
    if asked.holds:
        at.held = take(&room, asked.depth * (c + 1) * stride)
    if asked.holds_layers:
        at.held_h = take(&room, asked.depth * c * stride)
        at.held_slopes = take(&room, asked.depth * asked.graded * stride)
    if asked.shares:
        at.held_back = take(&room, asked.depth * d * stride)
    if asked.dense and d:
        at.parts = take(&room, (16 if wide else 1) * d * stride)
    at.a = take_frame(&room, c, stride)
    at.own_h = take_frame(&room, c, stride)
    at.copy = take_frame(&room, c, stride)
    if d:
        at.above = take_frame(&room, c, stride)
        at.d = take_frame(&room, d, stride)
        at.u = take_frame(&room, d, stride)
    at.slope = take_frame(&room, asked.graded, stride)
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


cdef inline int64_t equip(const Asked* asked, Hand* hand, int capacity, int64_t widest,
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
    hand.d_of = <double**> take(&room, asked.inputs)
    return room - begin
