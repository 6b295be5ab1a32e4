# Several inputs and tangents through one network: what is asked for, and where a trial stands.
#
# An input is a column of pre-activations, or, close to another one, its difference to that one
# ("parent"): so 1 - c keeps its relative accuracy however small it is. Columns are mantissas of
# order 1 beside the logarithm of their unit. Parents come before their children.
from libc.math cimport sqrt
from libc.stdint cimport int64_t
from varprop._core cimport lanes
from varprop._core.columns cimport Frame
from varprop._core.layer cimport Plan

cdef enum:
    NO_NORM, RMS_NORM, LAYER_NORM

cdef enum:
    LOST = 4  # a status: all of a layer underflows, and only the one-input engine follows it
    UNCOUNTED = 5  # a status: values of a size that no histogram's exponent holds

cdef enum:
    # sums: z^2, h^2, h, counts of saturated and zero units, and of blocks unlike the parent's
    PER_INPUT = 6


# What a run asks for, the same for all trials
cdef struct Asked:
    Plan** plans            # of each layer
    const int64_t* widths
    Py_ssize_t depth
    int inputs
    int tangents
    int columns             # inputs + tangents
    int cotangents
    int graded              # of so many inputs, the first ones, gradients are measured
    int gradients           # graded * cotangents + tangents; 0: no way back
    const int* parent       # of each input: one before it, or -1
    const double* x         # (inputs, stride) as columns are: inputs or differences
    const double* log_x     # ln of their units
    int64_t x_stride
    const double* given     # (cotangents, n_L), or NULL for random ones
    const double* log_given
    bint dense              # weights are drawn, all of them; A is W h
    bint keeps              # z of the layers is kept for the way back, not made again
    bint holds              # what is drawn on the way up is held for the way back
    bint holds_layers       # and so are activations and slopes, which are not made again
    bint shares             # what is drawn serves several networks, gradients' normals too
    Py_ssize_t step         # so many layers at a time; of the others one in `step`
    bint residual
    double skip
    double branch
    int norm
    bint post
    double keep
    Py_ssize_t last_source  # from that layer on, only the layer below makes a signal


# Where a trial stands; c columns, b inputs, d gradients
cdef struct State:
    int64_t trial
    Frame z                 # c: pre-activations
    Frame before            # c: those of the layer below, for a skip connection
    double* segment         # z of the layers that are at hand, of each c columns
    double* marks           # z of the last layer before each segment but the first
    Py_ssize_t loaded       # which segment is at hand
    double* held            # (depth, c + 1): A and the biases of all layers
    double* held_h          # (depth, c): activations
    double* held_slopes     # (depth, graded)
    double* held_back       # (depth, d): normals that gradients meet, from layer 1 on
    Py_ssize_t drawn        # so many layers' A and biases are held already
    Py_ssize_t drawn_back   # and the gradients' normals from this layer on
    double* parts           # sums over rows of drawn weights
    Frame a                 # c: what is drawn of the weights, W Q = sigma_w/sqrt(fan_in) A
    Frame above             # c: the same of the layer above, on the way back
    Frame own_h             # c: room for h where it is not held
    Frame h                 # c: activations, then an orthonormal basis of them
    Frame copy              # c: pre-activations, then an orthonormal basis of them
    Frame slope             # graded: phi', masks included
    Frame value             # b: what phi was applied to
    Frame d                 # d: gradients
    Frame u                 # d: the gradients below, W^T d
    double* bias
    double* log_z           # c: ln of the columns' units
    double* log_h           # c
    int* differs            # c: z is a difference to its parent
    int* differs_h          # c: the same for h
    int* root               # b: in whose unit the input's value is
    double* ratio           # c: a difference's unit over its root's, 0 where that underflows
    double* log_ratio       # c
    double* r_h             # c x c: h = Q R
    double* r_z             # c x c: the same for z
    double* inverse         # c
    double* inverse_d       # max(c, d)
    double* inverse_u       # d
    double* weight          # c x c: z = A weight + bias share + skip share z_before
    double* direct          # c: the same where A is W h itself
    double* bias_share      # c
    double* skip_share      # c
    double* column_law      # c x (2 c + 1): a column's law given the layer below, as coordinates
    double* law             # b x (2 c + 1): a value's, added up
    double* sample          # b x c: a value as coordinates
    double* log_k           # b
    double* mean            # c: over the units, of z
    double* turn            # c: how much of the parent's normalised value leaves with the norm
    double* inverse_spread  # c: 1 / root mean square about the mean, of the column's input
    double* log_spread      # b: ln of the same, and of its unit
    double* log_d           # d
    double* r_d             # max(c, d) squared
    double* r_u             # d x d
    double* stretch         # tangents: sum of ln R_ii^2, upwards and then downwards
    double* idle            # the same, of no use
    double* cross           # d x c: A^T d
    double* share           # d x c: of the columns of h in W^T d
    double* sums            # b x PER_INPUT
    double* per_step        # b
    int* small              # b
    lanes.vp_regime* regime  # b
    double* room            # scratch, 4 (c + d) + 1


# Where the results go
cdef struct Results:
    double* rows            # (6, rows, inputs, depth); a row is a trial of a network
    int64_t field           # from one of the six to the next
    int64_t* died           # (rows, inputs)
    double* gradient        # (rows, graded * cotangents, depth)
    double* sum_gradient
    double* tangent         # (rows, tangents, depth)
    double* adjoint


cdef inline double power(double log) noexcept nogil:
    """e^log, with 0 where it underflows."""
    return lanes.vp_exp(log) if log > -700.0 else 0.0


cdef inline int law_size(const Asked* asked) noexcept nogil:
    """Coordinates of a law given the layer below: weights, bias, and the stream that is skipped."""
    return (2 if asked.residual else 1) * asked.columns + 1


cdef inline void find_units(const Asked* asked, State* at) noexcept nogil:
    """Whose unit each input's value is in, and the differences' units over it."""
    cdef int j
    for j in range(asked.columns):
        if j < asked.inputs:
            at.root[j] = at.root[asked.parent[j]] if at.differs[j] else j
        at.log_ratio[j] = lanes.VP_NEVER
        if j < asked.inputs and at.log_z[j] != lanes.VP_NEVER:
            at.log_ratio[j] = at.log_z[j] - at.log_z[at.root[j]]
        at.ratio[j] = power(at.log_ratio[j])


cdef inline void add_up(const Asked* asked, State* at, const double* r, int dimensions,
                        double* values) noexcept nogil:
    """Coordinates of the inputs' values from those of their columns, r (columns, dimensions)."""
    cdef int j, i
    cdef double* value
    for j in range(asked.inputs):
        value = values + j * dimensions
        for i in range(dimensions):
            value[i] = r[j * dimensions + i]
            if at.differs[j]:
                value[i] = (values[asked.parent[j] * dimensions + i]
                            + at.ratio[j] * value[i])


cdef inline double log_gap(const Asked* asked, State* at, const double* r, const double* values,
                           int dimensions, const double* squares, int a, int b) noexcept nogil:
    """ln(1 - cosine) of two inputs; VP_NEVER where it is 0, inf where one has no direction.

    Accurate relative to 1 - c where one is the other plus differences: then only the part of the
    difference across both counts, and nothing cancels.
    """
    cdef const double* x = values + a * dimensions
    cdef const double* y = values + b * dimensions
    cdef double* delta = at.room
    cdef double xx = squares[a], yy = squares[b], top = lanes.VP_NEVER
    cdef double xy, lengths, ss, along, ee, factor, other
    cdef int up[2]
    cdef int i, j
    if xx == 0.0 or yy == 0.0:
        return -lanes.VP_NEVER
    xy = lanes.vp_short_dot(x, y, dimensions)
    lengths = sqrt(xx) * sqrt(yy)
    if xy <= 0.9 * lengths:
        return lanes.vp_log_or_never(1.0 - xy / lengths)
    if xy <= 0.999 * lengths or at.root[a] != at.root[b]:
        factor, other = 1.0 / sqrt(xx), 1.0 / sqrt(yy)
        for i in range(dimensions):
            delta[i] = factor * x[i] - other * y[i]
        return lanes.vp_log_or_never(0.5 * lanes.vp_short_dot(delta, delta, dimensions))
    # the largest difference on the way from one to the other, over the tree
    up[0], up[1] = a, b
    while up[0] != up[1]:
        i = 0 if up[0] > up[1] else 1
        top = max(top, at.log_ratio[up[i]])
        up[i] = asked.parent[up[i]]
    if top == lanes.VP_NEVER:
        return top
    for i in range(dimensions):
        delta[i] = 0.0
    up[0], up[1] = a, b
    while up[0] != up[1]:
        i = 0 if up[0] > up[1] else 1
        j = up[i]
        factor = (1.0 if i == 0 else -1.0) * power(at.log_ratio[j] - top)
        for j in range(dimensions):
            delta[j] += factor * r[up[i] * dimensions + j]
        up[i] = asked.parent[up[i]]
    ss = xx + 2.0 * xy + yy
    along = lanes.vp_short_dot(delta, x, dimensions) + lanes.vp_short_dot(delta, y, dimensions)
    for i in range(dimensions):
        delta[i] -= along / ss * (x[i] + y[i])
    ee = lanes.vp_short_dot(delta, delta, dimensions)
    # |x| + |y| is longer than |x + y|: by (1 - c) itself
    factor = power(2.0 * top) * along * along / (ss * (sqrt(xx) + sqrt(yy)) ** 2)
    return 2.0 * top + lanes.vp_log_or_never(ee / (2.0 * lengths * (1.0 - factor)))


cdef inline void write_gaps(const Asked* asked, State* at, const double* r, const double* values,
                            int dimensions, double[:, :, :] gaps, Py_ssize_t row,
                            Py_ssize_t layer) noexcept nogil:
    cdef int a, b, pair = 0
    cdef double* squares = at.room + dimensions
    for a in range(asked.inputs):
        squares[a] = lanes.vp_short_dot(values + a * dimensions, values + a * dimensions,
                                        dimensions)
    for a in range(asked.inputs):
        for b in range(a + 1, asked.inputs):
            gaps[row, pair, layer] = log_gap(asked, at, r, values, dimensions, squares, a, b)
            pair += 1
