# Many vectors at once: drawn, multiplied, made orthonormal; each block of units by one thread.
from cython.parallel cimport prange, threadid
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.string cimport memset
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


cdef inline int each_block(Task task, void* what, int64_t n, Team* team,
                           int sums) noexcept nogil:
    """Run the task on every block of n units; each leaves `sums` numbers behind it.

    Once the run is to stop, nothing is done any more, and nothing that was done is of use.
    """
    cdef int64_t blocks = (n + BLOCK - 1) // BLOCK, block
    cdef int failed = 0
    team.work += n * (1 + sums)
    if team.work > LOOK:
        team.work = 0
        interrupted(team.plan, 0)
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


cdef inline void factors_of(int first, int count, const double* inverse, double* shares,
                            double* row) noexcept nogil:
    """Products with orthogonal columns become coordinates, added to R's, and what to take away."""
    cdef int i
    for i in range(count):
        row[first + i] += inverse[first + i] * shares[i]
        shares[i] *= -inverse[first + i] * inverse[first + i]


cdef inline void clear_panel(Frame x, int known, int many, int count, int64_t n, double* r,
                             const double* inverse, double* room, Team* team) noexcept nogil:
    """Take what lies along the first `known` of `count` columns out of the next `many`."""
    cdef Frame panel = columns_from(x, known)
    cdef Product of
    cdef int share = count // many  # as many sums as each block has room for
    cdef int first = 0, k
    while first < known:
        of = product(columns_from(x, first), min(share, known - first), panel, many, room)
        each_block(dots_task, &of, n, team, of.count * many)
        total(n, team, of.count * many, room)
        for k in range(many):
            factors_of(first, of.count, inverse, room + k * of.count, r + (known + k) * count)
        each_block(add_task, &of, n, team, 0)
        first += share


cdef inline bint stands_out(double left, double square) noexcept nogil:
    """Whether what is left of a column without those before it keeps its digits (all but 3)."""
    return left > 1e-3 * square


cdef inline bint triangle(Frame x, int count, int64_t n, double* r, double* room,
                          Team* team) noexcept nogil:
    """R of x = Q R from products alone (Cholesky): one pass, and x stays as it is.

    False where a column lies so much along those before it that digits would be lost; then
    `orthogonalise` has them.
    """
    cdef Product of
    cdef double* to
    cdef double left
    cdef int panel, many, k, j, i
    memset(r, 0, count * count * sizeof(double))
    for panel in range(0, count, 4):
        many = min(4, count - panel)
        of = product(x, panel + many, x, many, NULL)
        each_block(own_dots_task, &of, n, team, of.count * many)
        total(n, team, of.count * many, room)
        for k in range(many):
            j = panel + k
            to = r + j * count
            for i in range(j):
                to[i] = (room[k * of.count + i]
                         - lanes.vp_short_dot(r + i * count, to, i)) / r[i * count + i]
            left = room[k * of.count + j] - lanes.vp_short_dot(to, to, j)
            if not stands_out(left, room[k * of.count + j]):
                return False
            to[j] = sqrt(left)
    return True


cdef inline bint basis_by(Frame x, int count, int64_t n, const double* r, double* inverse,
                          double* room, Team* team) noexcept nogil:
    """x = Q R in place as `orthogonalise` leaves it, R being known; False where it loses digits."""
    cdef int j, i
    for j in range(count):
        if not stands_out(r[j * count + j] ** 2,
                          lanes.vp_short_dot(r + j * count, r + j * count, j + 1)):
            return False
    for j in range(count):
        inverse[j] = 1.0 / r[j * count + j]
        for i in range(j):
            room[i] = -r[j * count + i] * inverse[i]
        add_columns(column(x, j), x, j, room, n, team)
    return True


cdef inline void squares_of(Frame x, int count, int64_t n, Team* team, double* out) noexcept nogil:
    cdef int j
    for j in range(count):
        dots(one_column(column(x, j)), 1, column(x, j), n, team, out + j)


cdef inline bint shrank(const double* before, const double* after, int count) noexcept nogil:
    """Whether a column lost so much of its length that what is left is not orthogonal enough."""
    cdef int j
    for j in range(count):
        if 0.0 < after[j] < 0.25 * before[j]:
            return True
    return False


cdef inline void orthogonalise(Frame x, int count, int64_t n, double* r, double* inverse,
                               double* room, double floor, Team* team) noexcept nogil:
    """x = Q R in place: column j of Q is inverse[j] x_j, R's column j at r[j * count].

    Gram-Schmidt by panels of 4 columns, twice where a column loses much of its length. A column
    that depends on those before it to rounding gets R_jj = 0 and inverse 0.
    """
    cdef int i, j, panel, many
    cdef double square, cleared
    cdef double before[4]
    cdef double after[4]
    memset(r, 0, count * count * sizeof(double))
    for panel in range(0, count, 4):
        many = min(4, count - panel)
        if panel > 0:
            squares_of(columns_from(x, panel), many, n, team, before)
            clear_panel(x, panel, many, count, n, r, inverse, room, team)
            squares_of(columns_from(x, panel), many, n, team, after)
            if shrank(before, after, many):
                clear_panel(x, panel, many, count, n, r, inverse, room, team)
        for i in range(many):
            j = panel + i
            dots(columns_from(x, panel), i + 1, column(x, j), n, team, room)
            square = cleared = room[i]
            if panel == 0:
                before[i] = square
            if i > 0 and square > 0.0:
                factors_of(panel, i, inverse, room, r + j * count)
                square = add_and_square(column(x, j), columns_from(x, panel), i, room, n, team)
                if shrank(&cleared, &square, 1):
                    dots(x, j, column(x, j), n, team, room)
                    factors_of(0, j, inverse, room, r + j * count)
                    square = add_and_square(column(x, j), x, j, room, n, team)
            inverse[j] = 0.0
            if square > 1e-26 * max(before[i], floor):
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
