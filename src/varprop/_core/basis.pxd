# Columns along an orthonormal basis: x = Q R, R alone or Q too.
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.columns cimport (
    Frame, Product, Team, add_and_square, add_columns, add_task, column, columns_from, copy_columns,
    dots, dots_task, each_block, one_column, own_dots_task, product, total,
)


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


cdef inline void reveal(Frame x, int count, int64_t n, double* r, double* inverse, double* room,
                        Frame copy, Team* team) noexcept nogil:
    """R of x = Q R; x stays as it is."""
    if not triangle(x, count, n, r, room, team):
        copy_columns(x, copy, count, n, team)
        orthogonalise(copy, count, n, r, inverse, room, 0.0, team)
