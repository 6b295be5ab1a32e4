# Many vectors at once: drawn, multiplied, added, copied; each block of units by one thread.
from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset
from varprop._core cimport lanes
from varprop._core.draws cimport padded_to_group
from varprop._core.layer cimport BLOCK, Plan, Work, interrupted

cdef enum:
    LOOK = 30_000_000  # multiply-adds, more or less, between two looks at Python: some 0.05 s
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
    double** d_of           # in d or, on the way back, where slopes are kept
    double* normal
    double* mask
    double* weights         # some rows of drawn ones
    lanes.vp_stream* masks
    lanes.vp_sums* sums
    lanes.vp_tally* tally   # NULL: no histogram


# Who works on a trial: threads, their buffers, and room for what each block adds up
cdef struct Team:
    const Plan* plan        # whom to ask whether to stop
    int64_t work            # done since it was asked
    Hand* hands
    int threads
    double* parts


# A task handles `units` units from block * BLOCK on and leaves its sums in `part`
ctypedef int (*Task)(void* what, int64_t block, int units, Hand* hand, double* part) noexcept nogil


cdef inline double* column(Frame frame, int64_t number) noexcept nogil:
    return frame.at + number * frame.stride


cdef inline int units_of(int64_t block, int64_t n) noexcept nogil:
    return <int> min(n - block * BLOCK, <int64_t> BLOCK)


cdef inline void look(Team* team, int64_t work) noexcept nogil:
    """Before so many multiply-adds, more or less: ask Python for signals, now and then."""
    team.work += work
    if team.work > LOOK:
        team.work = 0
        interrupted(team.plan, 0)


cdef inline int each_block(Task task, void* what, int64_t n, Team* team,
                           int sums) noexcept nogil:
    """Run the task on every block of n units; each leaves `sums` numbers behind it.

    Once the run is to stop, nothing is done any more, and nothing that was done is of use.
    """
    cdef int64_t blocks = (n + BLOCK - 1) // BLOCK, block
    cdef int failed = 0
    look(team, n * (1 + sums))
    if team.plan.stop:
        return lanes.VP_CALLBACK
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


# Columns of x against columns of y
cdef struct Product:
    Frame x
    int count
    Frame y
    int many
    double* factor


cdef inline Product product(Frame x, int count, Frame y, int many, double* factor) noexcept nogil:
    cdef Product of
    of.x, of.count, of.y, of.many, of.factor = x, count, y, many, factor
    return of


cdef inline Frame columns_from(Frame frame, int64_t first) noexcept nogil:
    frame.at += first * frame.stride
    return frame


cdef inline Frame one_column(double* at) noexcept nogil:
    cdef Frame frame
    frame.at, frame.stride = at, 0
    return frame


cdef inline int dots_task(void* what, int64_t block, int units, Hand* hand,
                          double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    lanes.vp_dots(of.x.at + block * BLOCK, of.x.stride, of.count, of.y.at + block * BLOCK,
                  of.y.stride, of.many, padded_to_group(units), part)
    return 0


cdef inline int own_dots_task(void* what, int64_t block, int units, Hand* hand,
                              double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    lanes.vp_own_dots(of.x.at + block * BLOCK, of.x.stride, of.count, of.many,
                      padded_to_group(units), part)
    return 0


cdef inline void dots(Frame x, int count, double* y, int64_t n, Team* team,
                      double* out) noexcept nogil:
    """out[j] = x_j . y"""
    cdef Product of = product(x, count, one_column(y), 1, NULL)
    if count > 0:
        each_block(dots_task, &of, n, team, count)
        total(n, team, count, out)


cdef inline void products(Frame x, int count, Frame y, int many, int64_t n, Team* team,
                          double* out) noexcept nogil:
    """out[k * count + j] = x_j . y_k"""
    cdef Product of
    cdef int first
    for first in range(0, many, 4):
        of = product(x, count, columns_from(y, first), min(4, many - first), NULL)
        if count > 0:
            each_block(dots_task, &of, n, team, count * of.many)
            total(n, team, count * of.many, out + first * count)


cdef inline int add_task(void* what, int64_t block, int units, Hand* hand,
                         double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    lanes.vp_add_columns_to(of.y.at + block * BLOCK, of.y.stride, of.many,
                            of.x.at + block * BLOCK, of.x.stride, of.count, of.factor,
                            padded_to_group(units))
    return 0


cdef inline void add_columns(double* y, Frame x, int count, double* factor, int64_t n,
                             Team* team) noexcept nogil:
    """y += sum of factor_j x_j"""
    cdef Product of = product(x, count, one_column(y), 1, factor)
    if count > 0:
        each_block(add_task, &of, n, team, 0)


cdef inline void add_products(Frame y, int many, Frame x, int count, double* factor, int64_t n,
                              Team* team) noexcept nogil:
    """y_k += sum of factor[k * count + j] x_j"""
    cdef Product of = product(x, count, y, many, factor)
    if count > 0:
        each_block(add_task, &of, n, team, 0)


cdef inline int add_and_square_task(void* what, int64_t block, int units, Hand* hand,
                                    double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    part[0] = lanes.vp_add_and_square(of.y.at + block * BLOCK, of.x.at + block * BLOCK,
                                      of.x.stride, of.count, of.factor, padded_to_group(units))
    return 0


cdef inline double add_and_square(double* y, Frame x, int count, double* factor, int64_t n,
                                  Team* team) noexcept nogil:
    """y += sum of factor_j x_j, of one column at least; returns y . y."""
    cdef Product of = product(x, count, one_column(y), 1, factor)
    cdef double square
    each_block(add_and_square_task, &of, n, team, 1)
    total(n, team, 1, &square)
    return square


cdef inline int sum_task(void* what, int64_t block, int units, Hand* hand,
                         double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    part[0] = lanes.vp_sum(of.y.at + block * BLOCK, padded_to_group(units))
    return 0


cdef inline double mean_of(double* y, int64_t n, Team* team) noexcept nogil:
    cdef Product of
    cdef double out
    of.y.at = y
    each_block(sum_task, &of, n, team, 1)
    total(n, team, 1, &out)
    return out / <double> n


cdef inline int scale_task(void* what, int64_t block, int units, Hand* hand,
                           double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    cdef double* y = of.y.at + block * BLOCK
    cdef int i
    for i in range(units):
        y[i] *= of.factor[0]
    return 0


cdef inline void scale(double* y, double factor, int64_t n, Team* team) noexcept nogil:
    cdef Product of
    of.y.at, of.factor = y, &factor
    each_block(scale_task, &of, n, team, 0)


cdef inline int copy_task(void* what, int64_t block, int units, Hand* hand,
                          double* part) noexcept nogil:
    cdef Product* of = <Product*> what
    cdef int j
    for j in range(of.count):
        memcpy(column(of.y, j) + block * BLOCK, column(of.x, j) + block * BLOCK,
               padded_to_group(units) * sizeof(double))
    return 0


cdef inline void copy_columns(Frame x, Frame y, int count, int64_t n, Team* team) noexcept nogil:
    """y = x"""
    cdef Product of = product(x, count, y, count, NULL)
    each_block(copy_task, &of, n, team, 0)


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
