# Many vectors at once: drawn, multiplied, made orthonormal; each block of units by one thread.
from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.draws cimport padded_to_group
from varprop._core.layer cimport BLOCK, Plan, Work, interrupted

cdef enum:
    COLUMN = 18  # bits of a block's number; a column's number lies above them in a stream's address


# Columns of one stride; beyond a column's last unit there are zeros up to a multiple of 16
cdef struct Frame:
    double* at
    int64_t stride


# One thread's buffers: those of one input, and, of `capacity` units, of each
cdef struct Hand:
    Work one
    double* raw             # each input's pre-activations
    double* seen            # the same as phi sees them
    double* h
    double* d
    double** raw_of         # where an input's pre-activations are: in raw, or where they came from
    double** seen_of
    double** h_of
    double* normal
    double* mask
    float* weights          # some rows of drawn ones
    lanes.vp_stream* masks
    lanes.vp_sums* sums
    lanes.vp_tally* tally   # NULL: no histogram


# Who works on a trial: threads, their buffers, and room for what each block adds up
cdef struct Team:
    Hand* hands
    int threads
    double* parts


# A task handles `units` units from block * BLOCK on and leaves its sums in `part`
ctypedef int (*Task)(void* what, int64_t block, int units, Hand* hand, double* part) noexcept nogil


cdef inline double* column(Frame frame, int64_t number) noexcept nogil:
    return frame.at + number * frame.stride


cdef inline int units_of(int64_t block, int64_t n) noexcept nogil:
    return <int> min(n - block * BLOCK, <int64_t> BLOCK)


cdef inline int each_block(Task task, void* what, int64_t n, Team* team,
                           int sums) noexcept nogil:
    """Run the task on every block of n units; each leaves `sums` numbers behind it."""
    cdef int64_t blocks = (n + BLOCK - 1) // BLOCK, block
    cdef int failed = 0
    if team.threads == 1 or blocks == 1:
        for block in range(blocks):
            failed |= task(what, block, units_of(block, n), team.hands,
                           team.parts + block * sums)
    else:
        for block in prange(blocks, num_threads=team.threads, schedule="static"):
            failed |= task(what, block, units_of(block, n), team.hands + threadid(),
                           team.parts + block * sums)
    return lanes.VP_CALLBACK if failed else lanes.VP_OK


cdef inline void total(int64_t n, Team* team, int sums, double* out) noexcept nogil:
    """Add up what the blocks have left, in their order."""
    cdef int64_t block
    cdef int i
    memset(out, 0, sums * sizeof(double))
    for block in range((n + BLOCK - 1) // BLOCK):
        for i in range(sums):
            out[i] += team.parts[block * sums + i]


cdef struct Product:
    Frame x
    int count
    double* y
    double* factor


cdef inline int dots_task(void* what, int64_t block, int units, Hand* hand,
                          double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    lanes.vp_dots(of.x.at + block * BLOCK, of.x.stride, of.count, of.y + block * BLOCK,
                  padded_to_group(units), part)
    return 0


cdef inline void dots(Frame x, int count, double* y, int64_t n, Team* team,
                      double* out) noexcept nogil:
    """out[j] = x_j . y"""
    cdef Product of
    of.x, of.count, of.y = x, count, y
    if count > 0:
        each_block(dots_task, &of, n, team, count)
        total(n, team, count, out)


cdef inline int add_task(void* what, int64_t block, int units, Hand* hand,
                         double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    lanes.vp_add_columns(of.y + block * BLOCK, of.x.at + block * BLOCK, of.x.stride, of.count,
                         of.factor, padded_to_group(units))
    return 0


cdef inline void add_columns(double* y, Frame x, int count, double* factor, int64_t n,
                             Team* team) noexcept nogil:
    """y += sum of factor_j x_j"""
    cdef Product of
    of.x, of.count, of.y, of.factor = x, count, y, factor
    if count > 0:
        each_block(add_task, &of, n, team, 0)


cdef inline int sum_task(void* what, int64_t block, int units, Hand* hand,
                         double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    part[0] = lanes.vp_sum(of.y + block * BLOCK, padded_to_group(units))
    return 0


cdef inline double mean_of(double* y, int64_t n, Team* team) noexcept nogil:
    cdef Product of
    cdef double out
    of.y = y
    each_block(sum_task, &of, n, team, 1)
    total(n, team, 1, &out)
    return out / <double> n


cdef inline int scale_task(void* what, int64_t block, int units, Hand* hand,
                           double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    cdef double* y = of.y + block * BLOCK
    cdef int i
    for i in range(units):
        y[i] *= of.factor[0]
    return 0


cdef inline void scale(double* y, double factor, int64_t n, Team* team) noexcept nogil:
    cdef Product of
    of.y, of.factor = y, &factor
    each_block(scale_task, &of, n, team, 0)


cdef inline void orthogonalise(Frame x, int count, int64_t n, double* r, double* inverse,
                               double* room, double floor, Team* team) noexcept nogil:
    """x = Q R in place: column j of Q is inverse[j] x_j, R's column j at r[j * count].

    Gram-Schmidt, twice where a column loses much of its length. A column that depends on those
    before it to rounding gets R_jj = 0 and inverse 0.
    """
    cdef int i, j, turn
    cdef double before, square, after
    cdef Frame these
    these.stride = 0
    memset(r, 0, count * count * sizeof(double))
    for j in range(count):
        dots(x, j + 1, column(x, j), n, team, room)
        before = square = room[j]
        for turn in range(2):
            if j == 0 or square == 0.0:
                break
            for i in range(j):
                r[j * count + i] += inverse[i] * room[i]
                room[i] *= -inverse[i] * inverse[i]
            add_columns(column(x, j), x, j, room, n, team)
            these.at = column(x, j)
            dots(these, 1, these.at, n, team, &after)
            if turn == 1 or after >= 0.25 * square:
                square = after
                break
            dots(x, j + 1, column(x, j), n, team, room)
            square = after
        inverse[j] = 0.0
        if square > 1e-26 * max(before, floor):
            r[j * count + j] = sqrt(square)
            inverse[j] = 1.0 / sqrt(square)


cdef struct Draw:
    const Plan* plan
    Frame x
    int first
    int count
    int64_t layer
    int64_t trial
    int purpose
    bint uniform


cdef inline int draw_task(void* what, int64_t block, int units, Hand* hand,
                          double* part) noexcept nogil:
    cdef Draw* of = <Draw*> what
    cdef lanes.vp_stream stream
    cdef double* at
    cdef int j, n, done, i
    if interrupted(of.plan, block + 1):
        return 1
    for j in range(of.count):
        at = column(of.x, j) + block * BLOCK
        lanes.vp_stream_start(&stream, of.plan.seed, of.trial, of.layer, of.purpose,
                              block | <int64_t> (of.first + j) << COLUMN)
        done = 0
        while done < units:
            n = min(units - done, hand.one.capacity)
            if of.uniform:
                lanes.vp_fill_uniform(&stream, hand.one.words, at + done, padded_to_group(n))
            else:
                lanes.vp_fill_normal(&stream, hand.one.words, at + done, padded_to_group(n))
            done += n
        for i in range(units, padded_to_group(units)):
            at[i] = 0.0
    return 0


cdef inline int draw_frame(const Plan* plan, int64_t layer, int64_t trial, int purpose, Frame x,
                           int first, int count, int64_t n, bint uniform,
                           Team* team) noexcept nogil:
    """Standard normals (or uniforms of variance 1), columns `first` on of that purpose."""
    cdef Draw of
    of.plan, of.layer, of.trial, of.purpose = plan, layer, trial, purpose
    of.x, of.first, of.count, of.uniform = x, first, count, uniform
    return each_block(draw_task, &of, n, team, 0)
