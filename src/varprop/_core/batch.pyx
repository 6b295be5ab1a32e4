"""The matrix-free engine for several inputs, tangents and gradients, with skips, norms and dropout.

Z = A R with h = Q R (thin QR) and fresh normals A: the exact joint law of all columns, at the cost
of as many numbers as there are columns, not n^2. See batch.pxd for how columns are carried.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset
from varprop._core cimport lanes
from varprop._core.batch cimport LOST, PER_INPUT, UNCOUNTED, Asked, Results, State
from varprop._core.columns cimport Hand, Team
from varprop._core.fall cimport fall
from varprop._core.layer cimport BLOCK, CHUNK, Plan, aligned_alloc
from varprop._core.plan cimport PlanHolder
from varprop._core.rise cimport rise
from varprop._core.room cimport equip, lay_out
from varprop._core.tiles cimport padded_to
from varprop._core.trace cimport trace_size


cdef enum:
    BACK = 16  # added to a status on the way back


cdef void run_trial(const Asked* asked, State* at, Results* to, double[:, :, :] gaps,
                    double[:, :, :] kernel_gaps, Py_ssize_t row, double* trace, Team* team,
                    int* status, int64_t* stopped_at) noexcept nogil:
    """One trial of one network."""
    team.plan = asked.plans[0]
    status[0] = rise(asked, at, to, gaps, kernel_gaps, row, trace, team, stopped_at)
    if status[0] == lanes.VP_OK and asked.gradients:
        status[0] = fall(asked, at, to, row, trace, team, stopped_at)
        if status[0] != lanes.VP_OK:
            status[0] += BACK


def run(list holders, int[:, ::1] which, int64_t[::1] widths, int[::1] parent, double[:, ::1] x,
        double[::1] log_x, double[:, ::1] given, double[::1] log_given, dict arch,
        int64_t first_trial, Py_ssize_t start, Py_ssize_t stop, int graded, int tangents,
        int cotangents, int threads, bint wide, double[:, :, :, ::1] rows, int64_t[:, ::1] died,
        double[:, :, :] gaps, double[:, :, :] kernel_gaps, double[:, :, ::1] gradient,
        double[:, :, ::1] sum_gradient, double[:, :, ::1] tangent, double[:, :, ::1] adjoint,
        double[::1] edges,
        int64_t[:, :, :, ::1] counts, int64_t[:, :, ::1] exponents, int64_t[:, :, :, ::1] outside,
        int[::1] status, int64_t[::1] stopped_at):
    """The trials start .. stop of each network, up and, where `gradient` has layers, back.

    ``which`` (networks, depth) says which of the ``holders`` is the plan of a layer; ``x`` holds
    inputs or differences to their ``parent`` in units of e^``log_x``, padded with zeros; ``rows``
    is (6, networks * trials, inputs, depth), the others (networks * trials, number, depth). Trial
    0 is ``first_trial`` of the seed. Each thread counts into its own ``counts`` (threads, 2, depth,
    bins), between ``edges`` or, where there are none, in bins of width 2^exponent. A trial that
    fails leaves its status and layer.
    """
    cdef Asked asked
    cdef Results to
    cdef Py_ssize_t networks = which.shape[0], trials = rows.shape[1] // networks
    cdef Py_ssize_t trial, row, layer, network, other
    cdef int64_t stride = 16, widest, most, state_size, hand_size, trace_size_all
    cdef int workers = 1 if wide else threads, thread, capacity = CHUNK
    cdef bint backward = gradient.shape[2] > 0
    memset(&asked, 0, sizeof(asked))
    asked.depth = which.shape[1]
    asked.widths = &widths[0]
    asked.inputs = x.shape[0]
    asked.tangents = tangents
    asked.columns = asked.inputs + tangents
    asked.cotangents = cotangents
    asked.graded = graded if backward else 0
    asked.gradients = graded * cotangents + tangents if backward else 0
    asked.parent = &parent[0]
    asked.x, asked.x_stride = &x[0, 0], x.shape[1]
    asked.log_x = &log_x[0]
    if given.shape[0]:
        asked.given, asked.log_given = &given[0, 0], &log_given[0]
    asked.residual, asked.skip, asked.branch = arch["residual"], arch["skip"], arch["branch"]
    asked.dense = arch["dense"]
    asked.keeps = asked.residual or asked.dense
    asked.holds, asked.holds_layers = arch["holds"] > 0, arch["holds"] > 1
    asked.shares = arch["shares"]
    asked.step = arch["step"]
    asked.last_source = arch["last_source"]
    asked.norm, asked.post, asked.keep = arch["norm"], arch["post"], arch["keep"]
    to.rows, to.field = &rows[0, 0, 0, 0], rows.strides[0] // sizeof(double)
    to.died = &died[0, 0]
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
    cdef Asked* each_asked = <Asked*> calloc(networks, sizeof(Asked))
    cdef Plan** plans = <Plan**> malloc(networks * asked.depth * sizeof(Plan*))
    try:
        if (room == NULL or states == NULL or hands == NULL or teams == NULL or plans == NULL
                or tallies == NULL or each_asked == NULL):
            raise MemoryError("no memory for the engine's vectors")
        for network in range(networks):
            each_asked[network] = asked
            each_asked[network].plans = plans + network * asked.depth
            for layer in range(asked.depth):
                holder = holders[which[network, layer]]
                each_asked[network].plans[layer] = &holder.plan
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
            teams[thread].parts = room + thread * each + state_size + trace_size_all
        with nogil:
            for trial in prange(start, stop, num_threads=workers, schedule="dynamic"):
                states[threadid()].trial = first_trial + trial
                states[threadid()].drawn = 0
                states[threadid()].drawn_back = asked.depth + 1
                for network in range(networks):
                    row = network * trials + trial
                    run_trial(each_asked + network, states + threadid(), &to, gaps, kernel_gaps,
                              row, room + threadid() * each + state_size if backward else NULL,
                              teams + threadid(), &status[row], &stopped_at[row])
                    if each_asked[network].plans[0].stop:
                        for other in range(networks):
                            each_asked[other].plans[0].stop = 1
    finally:
        free(room)
        free(states)
        free(hands)
        free(teams)
        free(tallies)
        free(each_asked)
        free(plans)


LOST_STATUS = LOST
UNCOUNTED_STATUS = UNCOUNTED
BACK_STATUS = BACK
