"""Faults in the Cython engines: layers, blocks, streams, the way back."""

from . import Mutant

_C = "src/varprop/_core/"


def _in(name: str, old: str, new: str, tests: str) -> Mutant:
    return Mutant(_C + name, old, new, tests)


_LAWS = "laws:each_step_follows_its_law or preactivations_with_biases"
_BACK = "backward:joint_law or chi_square"
_BATCH = "batch_agrees:drawn_matrices"
_SIGNS = "batch_agrees:law_is and signs"
_AFTER = "batch_agrees:law_is and after"

MUTANTS = [
    # one input, up
    _in("matrix_free.pyx", "log_a[0] + plan.log_gain[layer], mean = 0.0, square",
        "log_a[0] + plan.log_gain[0], mean = 0.0, square", "engine_edges"),
    _in("matrix_free.pyx", "square = totals.hh / <double> units",
        "square = totals.hh / <double> (units + 1)", _LAWS),
    _in("draws.pxd", "mix.bias = lanes.vp_exp(0.5 * (plan.log_bias[layer] - log_k))",
        "mix.bias = 0.0", "laws:preactivations_with_biases or bias_seen"),
    _in("draws.pxd", "lanes.vp_stream_start(bias, plan.seed, trial, layer + 1, lanes.VP_BIAS",
        "lanes.vp_stream_start(bias, plan.seed, trial, layer + 1, lanes.VP_WEIGHTS",
        "laws:preactivations_with_biases"),
    _in("draws.pxd", "lanes.vp_stream_start(weights, plan.seed, trial, layer + 1,",
        "lanes.vp_stream_start(weights, plan.seed, trial, 1,", "compare:every_engine"),
    _in("draws.pxd", "dimension = max(plan.widths[layer], plan.widths[layer + 1])",
        "dimension = plan.widths[layer + 1]", "laws:wide_orthogonal"),
    _in("draws.pxd", "mix.weights *= sqrt(<double> dimension / squares)",
        "mix.weights *= 1.0", "laws:orthogonal"),
    _in("layer.pxd", "rows[SATURATED, row, layer] = <double> totals.saturated / n",
        "rows[SATURATED, row, layer] = <double> totals.zero / n", "engines_agree:normal"),
    _in("layer.pxd", "tail.squares *= shrink * shrink", "tail.squares *= shrink",
        "engine_edges"),
    _in("layer.pxd", "died[0] = layer + 1  # no bias", "died[0] = layer  # no bias",
        "simulate laws:dead or die"),
    _in("plan.pyx", "gains[layer] = 2.0 * lanes.vp_log_or_never(sigma_w[layer])",
        "gains[layer] = 1.98 * lanes.vp_log_or_never(sigma_w[layer])", "compare:every_engine"),
    _in("plan.pyx", "biases[layer] = 2.0 * lanes.vp_log_or_never(bias_std[layer])",
        "biases[layer] = 1.98 * lanes.vp_log_or_never(bias_std[layer])", "compare:every_engine"),
    # one input, back
    _in("matrix_free_back.pyx", "at.beta = (tau - at.alpha * rho) / sqrt(hh)",
        "at.beta = (tau + at.alpha * rho) / sqrt(hh)", _BACK),
    _in("matrix_free_back.pyx", "return log - lanes.vp_log(fan_in)",
        "return log - lanes.vp_log(fan_out)", "gradient_agreement:unequal"),
    _in("matrix_free_back.pyx", "at.number + 1, lanes.VP_COTANGENT, block)",
        "at.number + 1, lanes.VP_WEIGHTS, block)", _BACK),
    _in("matrix_free_back.pyx", "tau[0] = along / sqrt(log_square) if",
        "tau[0] = 0.0 * along / sqrt(log_square) if", _BACK),
    # drawn weights
    _in("dense.pyx", "layer + 1, lanes.VP_WEIGHTS, group)", "layer + 1, lanes.VP_WEIGHTS, 0)",
        "engine_edges"),
    _in("layer.pxd", "plan.act.degree >= 0 and plan.act.degree != 1 and", "plan.act.degree > 1 and",
        "several_inputs:near_inputs"),
    _in("dense.pyx", "/ sqrt(square) if", "/ sqrt(<double> fan_in) if",
        "weight_laws:drawn_in_tiles"),
    _in("dense.pyx", "unit = ldexp(1.0, -exponent)", "unit = 1.0 / root",
        "weight_laws:signs_that_are_exactly_0"),
    _in("dense.pyx", "z[unit + i] = weights * z[unit + i] + bias * work.h[i]",
        "z[unit + i] = weights * z[unit + i] + 0.98 * bias * work.h[i]",
        "engine_edges"),
    _in("dense_back.pyx", "delta[i] *= sqrt(<double> units / squares)",
        "delta[i] *= 1.0", "backward:drawn_matrices or size_one"),
    _in("dense_back.pyx", "delta[unit + i] = work.d[i] * u[unit + i]",
        "delta[unit + i] = u[unit + i]", "engine_edges"),
    _in("dense_back.pyx", "range(part * groups // PARTS, (part + 1) * groups // PARTS)",
        "range(part * groups // PARTS + (part > 8), (part + 1) * groups // PARTS)",
        "engine_edges"),
    # many columns: inputs, tangents, gradients, architectures
    _in("activate.pxd", "lanes.VP_MASK, block | <int64_t> input << COLUMN)",
        "lanes.VP_MASK, block)", _BATCH),
    _in("activate.pxd",
        "lanes.vp_stream_start(hand.masks + input, of.plan.seed, of.at.trial, of.layer + 1,",
        "lanes.vp_stream_start(hand.masks + input, of.plan.seed, of.at.trial, 1,",
        "batch_agrees:law_is and dropout and skips"),
    _in("activate.pxd", "    join(asked, at, units)\n", "", "several_inputs:steps_have_made"),
    _in("activate.pxd", "at.sums[PER_INPUT * j + 5] == 0.0", "at.sums[PER_INPUT * j + 5] >= 0.0",
        "batch:dies_leaves"),
    _in("activate.pxd", "one.d[i] *= hand.mask[i]", "one.d[i] *= 1.0",
        "batch_agrees:law_is and beside"),
    _in("norm.pxd", "- value_mean[j] * value_mean[j])", "- 0.0 * value_mean[j])", _AFTER),
    _in("norm.pxd", "at.turn[j] = (2.0 * along + at.ratio[j] * across) / (spread + other)",
        "at.turn[j] = 0.0", _BATCH),
    _in("compose.pxd", "log_skip = at.log_z[j] + lanes.vp_log(lanes.vp_abs(asked.skip))",
        "log_skip = at.log_z[j]", _SIGNS),
    _in("compose.pxd", "log_bias += lanes.vp_log(lanes.vp_abs(asked.branch))", "pass", _AFTER),
    _in("form.pxd", "z[i] += at.skip_share[j] * column(at.before, j)[start + i]",
        "z[i] += 0.98 * at.skip_share[j] * column(at.before, j)[start + i]", "engine_edges"),
    _in("form.pxd", "n = max(n, asked.widths[layer])", "pass", "batch_agrees:drawn_matrices"),
    _in("descend.pxd", "of.second = -along / <double> n", "of.second = 0.0",
        _AFTER),
    _in("descend.pxd", "of.second *= -1.0 if asked.skip < 0.0 else 1.0", "of.second *= 1.0",
        _BATCH),
    _in("descend.pxd", "at.share[j * c + i] += at.inverse[i] * at.cross[j * c + i]",
        "at.share[j * c + i] -= at.inverse[i] * at.cross[j * c + i]", _BATCH),
    _in("columns.pxd", "block | <int64_t> (of.first + j) << COLUMN)", "block)", _BATCH),
    # what is held for the way back, or for other networks
    _in("form.pxd", "if asked.shares and layer < at.drawn:",
        "if asked.shares and layer <= at.drawn:", "batch_bits:together"),
    _in("form.pxd", "at.drawn_back = layer", "at.drawn_back = 0", "batch_bits:together"),
    _in("form.pxd", "at.held_slopes + layer * asked.graded", "at.held_slopes + asked.graded",
        "batch_bits:held"),
    _in("basis.pxd", "            if shrank(before, after, many):", "            if False:",
        "batch_bits:golden"),
    _in("fall.pxd", "to.gradient[(row * each + j) * asked.depth + layer] = 2.0 * at.log_d[j]",
        "to.gradient[(row * each + j) * asked.depth + layer] = 1.98 * at.log_d[j]",
        "engine_edges"),
    _in("transcript.pyx", "lanes.vp_stream_start(&stream, seed, draw, 0, VP_MATRIX, block)",
        "lanes.vp_stream_start(&stream, seed, 0, 0, VP_MATRIX, block)",
        "random_matrix:draws_are_apart or joint_law"),
]  # fmt: skip
