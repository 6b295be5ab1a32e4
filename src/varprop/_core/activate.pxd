# A layer's units: phi, dropout and sums, for all inputs and tangents at once.
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset
from varprop._core cimport lanes
from varprop._core.batch cimport (
    LOST, NO_NORM, PER_INPUT, UNCOUNTED, Asked, State, find_units, power,
)
from varprop._core.columns cimport (
    COLUMN, Frame, Hand, Team, add_columns, column, each_block, scale, total, units_of,
)
from varprop._core.draws cimport padded_to_group
from varprop._core.layer cimport (
    BLOCK, Plan, Work, evaluate, is_lost, log_h, log_slope, log_slope_unit, regime_of,
)
from varprop._core.norm cimport Pass, find_norms, normalise

cdef enum:  # what is wanted of a layer beside activations and sums
    SLOPES = 1  # phi' of the inputs whose gradients are measured
    VALUES = 2  # what phi is applied to
    COUNTS = 4  # in histograms


cdef inline void fill_mask(const Pass* of, int64_t block, int input, int done, int n,
                           Hand* hand) noexcept nogil:
    """1/keep for the units that the input's dropout keeps, else 0, into hand.mask."""
    cdef double whole = of.asked.keep * 18446744073709551616.0
    if done == 0:
        lanes.vp_stream_start(hand.masks + input, of.plan.seed, of.at.trial, of.layer + 1,
                              lanes.VP_MASK, block | <int64_t> input << COLUMN)
    lanes.vp_stream_words(hand.masks + input, hand.one.words, padded_to_group(n))
    lanes.vp_mask(hand.one.words, <uint64_t> whole, 1.0 / of.asked.keep, hand.mask, n)


cdef inline void add_ratio(const double* parent, double ratio, const double* difference,
                           double* out, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        out[i] = parent[i] + ratio * difference[i]


cdef inline bint are_equal(const double* a, const double* b, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        if a[i] != b[i]:
            return False
    return True


cdef inline int activate_task(void* what, int64_t block, int units, Hand* hand,
                              double* part) noexcept nogil:
    """phi of every input; differences of activations; tangents times phi'; sums."""
    cdef Pass* of = <Pass*> what
    cdef const Asked* asked = of.asked
    cdef State* at = of.at
    cdef int cap = hand.one.capacity, done = 0, n, padded, j, i, parent
    cdef int64_t start = block * BLOCK
    cdef Work one = hand.one     # buffers of one input
    cdef lanes.vp_sums* sums = hand.sums
    cdef double* z
    cdef double* e              # a difference as phi sees it
    cdef double* out
    cdef bint slopes = of.wanted & SLOPES or asked.tangents > 0  # or for small differences
    for j in range(asked.inputs):
        slopes = slopes or (at.differs_h[j] and of.small[j])
    memset(sums, 0, asked.inputs * sizeof(lanes.vp_sums))
    for j in range(asked.inputs):
        part[PER_INPUT * j + 5] = 0.0
    while done < units:
        n = min(units - done, cap)
        padded = padded_to_group(n)
        for j in range(asked.columns):
            z = column(at.z, j) + start + done
            out = column(at.h, j) + start + done
            parent = asked.parent[j] if j < asked.inputs else 0
            e = z
            if of.normalise:
                e = hand.normal
                if j < asked.inputs and not at.differs[j]:
                    e = hand.seen + j * cap
                normalise(of, j, z, hand.seen_of[parent], n, e)
            if j >= asked.inputs:
                for i in range(n):
                    out[i] = hand.d_of[0][i] * e[i]
            else:
                hand.raw_of[j] = z
                hand.seen_of[j] = e
                if at.differs[j]:
                    hand.raw_of[j] = hand.raw + j * cap
                    add_ratio(hand.raw_of[parent], at.ratio[j], z, hand.raw_of[j], n)
                    hand.seen_of[j] = hand.raw_of[j]
                    if of.normalise:
                        hand.seen_of[j] = hand.seen + j * cap
                        add_ratio(hand.seen_of[parent], at.ratio[j], e, hand.seen_of[j], n)
                for i in range(n, padded):
                    hand.seen_of[j][i] = 0.0
                # the activations of an input that is no difference are its column of h
                one.h = hand.h + j * cap if at.differs_h[j] else out
                one.d = hand.d + j * cap
                if of.wanted & SLOPES and j < asked.graded:
                    one.d = column(at.slope, j) + start + done
                hand.h_of[j], hand.d_of[j] = one.h, one.d
                if (of.regime[j].code == lanes.VP_CODE_relu and asked.keep == 1.0
                        and not of.normalise):
                    lanes.vp_relu_and_add(sums + j, hand.raw_of[j], one.h,
                                          one.d if slopes else NULL, n, of.regime[j].threshold)
                else:
                    if evaluate(of.plan, of.regime + j, hand.seen_of[j], &one,
                                n if of.plan.callback != NULL else padded):
                        return 1
                    if asked.keep < 1.0:
                        fill_mask(of, block, j, done, n, hand)
                        for i in range(n):
                            one.h[i] *= hand.mask[i]
                    lanes.vp_add(sums + j, hand.raw_of[j], one.h, one.d, n,
                                 of.regime[j].threshold)
                    if asked.keep < 1.0:
                        for i in range(n):
                            one.d[i] *= hand.mask[i]
                if at.differs_h[j]:
                    lanes.vp_difference(e, hand.h_of[parent], hand.d_of[parent], one.h, one.d,
                                        of.per_step[j], of.small[j], out, n)
                elif j > 0 and parent >= 0 and not are_equal(one.h, hand.h_of[parent], n):
                    part[PER_INPUT * j + 5] = 1.0
                if hand.tally != NULL and of.wanted & COUNTS:
                    lanes.vp_count(hand.tally, 0, asked.depth, of.layer, hand.raw_of[j],
                                   at.log_z[at.root[j]], n)
                    lanes.vp_count(hand.tally, 1, asked.depth, of.layer, one.h,
                                   0.5 * of.regime[j].log_unit, n)
                if of.wanted & VALUES:
                    for i in range(n):
                        column(at.value, j)[start + done + i] = hand.seen_of[j][i]
                    for i in range(n, padded):  # sums run over whole groups
                        column(at.value, j)[start + done + i] = 0.0
            for i in range(n, padded):
                out[i] = 0.0
        done += n
    for j in range(asked.inputs):
        part[PER_INPUT * j] = lanes.vp_fold(sums[j].sum[lanes.VP_SUM_ZZ])
        part[PER_INPUT * j + 1] = lanes.vp_fold(sums[j].sum[lanes.VP_SUM_HH])
        part[PER_INPUT * j + 2] = lanes.vp_fold(sums[j].sum[lanes.VP_SUM_H])
        part[PER_INPUT * j + 3] = <double> sums[j].count[lanes.VP_COUNT_SATURATED]
        part[PER_INPUT * j + 4] = <double> sums[j].count[lanes.VP_COUNT_ZERO]
    return 0


cdef inline double log_slope_of(const Plan* plan, double log_k) noexcept nogil:
    """ln of the unit of phi'."""
    return 0.5 * log_slope_unit(plan, log_k)


cdef inline bint truly_zero(const Pass* of, int j, bint slopes, Hand* hand) noexcept nogil:
    """Whether every phi (or slope) that is kept is exactly 0, and not merely below float64."""
    cdef State* at = of.at
    cdef double log_k = 0.0 if of.normalise else 2.0 * at.log_z[at.root[j]], sign, log, z
    cdef int64_t block
    cdef int done, n, i
    for block in range((of.units + BLOCK - 1) // BLOCK):
        done = 0
        while done < units_of(block, of.units):
            n = min(units_of(block, of.units) - done, hand.one.capacity)
            if of.asked.keep < 1.0:
                fill_mask(of, block, j, done, n, hand)
            for i in range(n):
                z = column(at.value, j)[block * BLOCK + done + i]
                if slopes and lanes.vp_abs(column(at.slope, j)[block * BLOCK + done + i]) > 1e-290:
                    continue  # what it is multiplied by is 0
                if slopes:
                    log = log_slope(of.plan, z, 0.0, log_k, &sign)
                else:
                    log = log_h(of.plan, z, log_k, &sign)
                if log != lanes.VP_NEVER and (of.asked.keep == 1.0 or hand.mask[i] > 0.0):
                    return False
            done += n
    return True


cdef inline bint stand_alone(const Asked* asked, State* at) noexcept nogil:
    """Make those inputs values whose length has left that of their root by a factor of 1000.

    As differences they would cancel: a dead one would be rounding noise.
    """
    cdef bint any_does = False
    cdef double mine, other
    cdef int j, root
    for j in range(asked.inputs):
        root = j
        while at.differs_h[root]:
            root = asked.parent[root]
        mine = at.sums[PER_INPUT * j + 1]
        other = at.sums[PER_INPUT * root + 1]
        if at.differs_h[j] and (mine == 0.0 or not 1e-6 * other <= mine <= 1e6 * other):
            at.differs_h[j] = False
            at.log_h[j] = 0.5 * at.regime[j].log_unit
            any_does = True
    return any_does


cdef inline void join(const Asked* asked, State* at, int64_t units) noexcept nogil:
    """Make those values whose activations are their parent's a difference of 0 to it.

    So inputs that steps have made one stay one; as columns of their own they would differ by dust.
    """
    cdef int j, parent
    if asked.residual or asked.keep < 1.0:
        return
    for j in range(1, asked.inputs):
        parent = asked.parent[j]
        if (not at.differs_h[j] and parent >= 0 and at.sums[PER_INPUT * j + 5] == 0.0
                and at.sums[PER_INPUT * j + 1] > 0.0
                and at.regime[j].log_unit == at.regime[parent].log_unit):
            at.differs_h[j] = True
            at.log_h[j] = lanes.VP_NEVER
            memset(column(at.h, j), 0, padded_to_group(<int> units) * sizeof(double))


cdef inline void detach(const Asked* asked, State* at, int64_t units, Team* team) noexcept nogil:
    """The same for their z, which a skip connection carries on."""
    cdef double* factor = at.room
    cdef int c = asked.columns, j, up
    for j in range(asked.inputs):
        if not at.differs[j] or at.differs_h[j]:
            continue
        memset(factor, 0, j * sizeof(double))
        up = asked.parent[j]
        while at.differs[up]:
            factor[up] = at.ratio[up]
            up = asked.parent[up]
        factor[up] = 1.0
        scale(column(at.z, j), at.ratio[j], units, team)
        add_columns(column(at.z, j), at.z, j, factor, units, team)
        memcpy(at.r_z + j * c, at.sample + j * c, c * sizeof(double))
        at.differs[j] = False
        at.log_z[j] = at.log_z[up]
    find_units(asked, at)
    if asked.norm != NO_NORM and not asked.post:
        find_norms(asked, at, units, team)


cdef inline bint countable(double log) noexcept nogil:
    return log == lanes.VP_NEVER or -lanes.VP_COUNTABLE <= log <= lanes.VP_COUNTABLE


cdef inline int activate(const Asked* asked, Py_ssize_t layer, State* at, int wanted,
                         Team* team) noexcept nogil:
    """h, its columns' units and kinds, the sums of each input, and what else is wanted."""
    cdef Pass of
    cdef double log_k, step
    cdef int j, root
    cdef int64_t units = asked.widths[layer + 1]
    of.asked, of.plan, of.at, of.layer, of.units = asked, asked.plans[layer], at, layer, units
    of.normalise = asked.norm != NO_NORM and not asked.post
    of.wanted = wanted
    of.regime, of.per_step, of.small = at.regime, at.per_step, at.small
    for j in range(asked.inputs):
        root = at.root[j]
        log_k = 2.0 * at.log_z[root]
        if of.normalise and log_k != lanes.VP_NEVER:
            log_k = 0.0
        at.regime[j] = regime_of(of.plan, log_k)
        if at.regime[j].status:
            return at.regime[j].status
        if wanted & COUNTS and team.hands.tally != NULL and team.hands.tally.edges == NULL:
            if not (countable(at.log_z[root]) and countable(0.5 * at.regime[j].log_unit)):
                return UNCOUNTED
        step = at.log_ratio[j] + 0.5 * log_k if at.differs[j] else 0.0
        at.log_h[j] = 0.5 * at.regime[j].log_unit
        at.differs_h[j] = at.differs[j] and asked.keep == 1.0
        if at.differs_h[j]:
            at.log_h[j] = step + log_slope_of(of.plan, log_k)
            at.small[j] = at.log_ratio[j] < -13.8
            at.per_step[j] = 0.0
            if at.log_ratio[j] > -230.0:
                at.per_step[j] = lanes.vp_exp(0.5 * at.regime[j].log_unit - at.log_h[j])
    for j in range(asked.inputs, asked.columns):
        log_k = 2.0 * at.log_z[0]
        at.log_h[j] = at.log_z[j]
        if of.normalise and log_k != lanes.VP_NEVER:
            at.log_h[j] -= at.log_z[0]
            log_k = 0.0
        at.log_h[j] += log_slope_of(of.plan, log_k)
    if each_block(activate_task, &of, units, team, PER_INPUT * asked.inputs):
        return lanes.VP_CALLBACK
    total(units, team, PER_INPUT * asked.inputs, at.sums)
    if stand_alone(asked, at):
        if asked.residual:
            detach(asked, at, units, team)
        of.wanted = wanted & ~COUNTS
        if each_block(activate_task, &of, units, team, PER_INPUT * asked.inputs):
            return lanes.VP_CALLBACK
        total(units, team, PER_INPUT * asked.inputs, at.sums)
    join(asked, at, units)
    for j in range(asked.inputs):
        if not at.sums[PER_INPUT * j + 1] <= 1.7e308:
            return lanes.VP_RANGE
    return lanes.VP_OK
