"""Faults in the C headers: generator, laws, kernels, sums."""

from . import Mutant

_C = "src/varprop/_core/"


def _in(name: str, old: str, new: str, tests: str) -> Mutant:
    return Mutant(_C + name, old, new, tests)


_TWIN = "streams:twin"
_APART = "streams:no_two_streams"
_LAWS = "laws:each_step_follows_its_law or preactivations_with_biases"

MUTANTS = [
    # the generator, and which numbers belong to which stream
    _in("random.h", "key0 += 0x9E3779B9u;", "key0 += 0x9E3779B8u;", _TWIN),
    _in("random.h", "sum << 23 | sum >> 41", "sum << 23 | sum >> 40", _TWIN),
    _in("random.h", "| purpose << 16 |", "|", _APART),
    _in("random.h", "counter[half][0] = zero + block;", "counter[half][0] = zero;", _APART),
    _in("random.h", "counter[half][1] = zero + layer;", "counter[half][1] = zero + (layer | 1);",
        _TWIN),
    _in("random.h", "[2 * half + 1][part] = counter[half][3] << 32",
        "[2 * half + 1][part] = counter[half][1] << 32", _TWIN),
    _in("random.h", "a[k] = vp_xor(d[k], b[k], a[k]);", "a[k] = vp_xor(d[k], next, a[k]);", _TWIN),
    # laws of numbers
    _in("normal.h", "p = p * z + VP_MINUS4LOG[k];", "p = (float)(p * z + VP_MINUS4LOG[k]);",
        "streams:box_and_muller_of_the_words"),
    _in("normal.h", "*second = side * vp_as_double(vp_as_bits(s) ^ swap);",
        "*second = side * vp_as_double(vp_as_bits(c) ^ swap);",
        "streams:box_and_muller_of_the_words"),
    _in("normal.h", "out[i] = 3.4641016151377546 *", "out[i] = 3.46 *", "streams"),
    _in("weights.h", "halves[i + VP_GROUP_SINGLE / 2 + j];", "halves[i + j];", "weights:moments"),
    _in("weights.h", "(angle & 0x80000000u));", "(angle & 0x40000000u) << 1);",
        "streams:single_precision"),
    _in("laws.h", "height = (float)(df - 2.0)", "height = (float)(df - 1.98)",
        "weights:moments or student"),
    _in("laws.h", "halves[half] <<= 1;", "halves[half] <<= 2;", "weights:signs"),
    _in("laws.h", "const float z = v * v;", "const float z = v * v * 0.98f;",
        "weights:truncated_normals"),
    # activations and the functions they are made of
    _in("elementary.h", "a > 1.0 ? 1.0 - erfc : small", "a > 1.5 ? 1.0 - erfc : small",
        "kernels:30_digits"),
    _in("elementary.h", "(x - high) * (x + high)", "0.0", "kernels:30_digits"),
    _in("elementary.h", "vp_as_bits(x + 600.0)", "vp_as_bits(x + 800.0)", "kernels:30_digits"),
    _in("elementary.h", "*near = 1.0 - *far;", "*near = below * inverse;",
        "kernels:last_bit"),
    _in("elementary.h", "*far < 0.25 ? 1.0 - 2.0 * *far : close", "close", "kernels:step_back"),
    _in("elementary.h", "*far = above * inverse * unit;", "*far = above * inverse;",
        "kernels:30_digits"),
    _in("elementary.h", "#define VP_SIN_LIMIT 1e6", "#define VP_SIN_LIMIT 1e12",
        "kernels:30_digits"),
    _in("activations.h", "*d = 4.0 * near * far;", "*d = -4.0 * near * far;",
        "kernels:values_against"),
    _in("activations.h", "*d = cdf + 0.39894228040143268 * (z * gauss);",
        "*d = cdf - 0.39894228040143268 * (z * gauss);", "kernels:values_against"),
    _in("activations.h", "*d = z > 0.0 ? 1.0 : p0; *h = z * *d; }",
        "*d = z >= 0.0 ? 1.0 : p0; *h = z * *d; }", "kernels:kink"),
    _in("activations.h", "*d = vp_abs(z) < 3.0 ? 1.0 / 6.0 : 0.0;",
        "*d = vp_abs(z) < 3.0 ? 1.0 / 6.1 : 0.0;", "kernels:values_against"),
    _in("activations.h", "*d = z > 3.0 ? 1.0 : z < -3.0 ? 0.0 : z * (1.0 / 3.0) + 0.5;",
        "*d = z > 3.0 ? 1.0 : z < -3.0 ? 0.0 : z * (1.0 / 3.0);", "kernels:values_against"),
    _in("activations.h", "vp_phi_##name(z[i], p0, p1, h + i, d + i);",
        "vp_phi_##name((float)z[i], p0, p1, h + i, d + i);", "kernels:values_against"),
    # sums and scales
    _in("layer.h", "sums->sum[VP_SUM_HH][lane] += h[i] * h[i];",
        "sums->sum[VP_SUM_HH][lane] += h[i] * z[i];", "agreement"),
    _in("layer.h", "for (int width = VP_PARTS / 2; width > 0; width /= 2)",
        "for (int width = VP_PARTS / 2; width > 1; width /= 2)", _LAWS),
    _in("layer.h", "c = vp_load(d + at);\n            sum[VP_SUM_ZZ][part] += a * a;",
        "c = vp_load(d + at);\n            sum[VP_SUM_ZZ][part] += 0.99 * a * a;", _LAWS),
    _in("layer.h", "sums->sum[VP_SUM_H][lane] += b;\n        zeros += a <= 0.0;",
        "sums->sum[VP_SUM_H][lane] += a;\n        zeros += a <= 0.0;", "engines_agree:normal"),
    _in("layer.h", "sums->count[VP_COUNT_ZERO] += zeros;",
        "sums->count[VP_COUNT_ZERO] += n - zeros;", "simulate:dead"),
    _in("layer.h", "sums->count[VP_COUNT_SATURATED] += vp_abs(d[i]) <= threshold;",
        "sums->count[VP_COUNT_SATURATED] += vp_abs(d[i]) < threshold;",
        "engine_edges"),
    _in("layer.h", "return high + vp_log1p(vp_exp(low - high));",
        "return high + vp_exp(low - high);", _LAWS),
    _in("layer.h", "#define VP_FAR 552.6", "#define VP_FAR 5.526", "simulate:scales_far"),
    _in("layer.h", "return y > 1e154 ? VP_NEVER : -y * y;",
        "return y > 1e154 ? VP_NEVER : -0.5 * y * y;", "engine_edges"),
    _in("layer.h", "regime.log_unit = act->degree == 0 ? 0.0 : act->degree * log_k;",
        "regime.log_unit = act->degree == 0 ? 0.0 : 1.98 * log_k;", "engine_edges"),
    # the way back, histograms, many columns
    _in("backward.h", "sum[VP_BACK_DRH] += u * v;", "sum[VP_BACK_DRH] += u * u;",
        "backward:joint_law"),
    _in("backward.h", "return vp_log_or_never(y - 1.0) - y;",
        "return vp_log_or_never(y + 1.0) - y;", "engine_edges"),
    _in("drawn.h", "count, d + r + j * stride_d, stride_d, span, 0)",
        "count, d + j * stride_d, stride_d, span, 0)",
        "haar"),
    _in("drawn.h", "for (int r = 0; r < rows; r++)", "for (int r = 0; r + 1 < rows; r++)",
        "jacobian_spectrum:architectures_are_those"),
    _in("columns.h", "mask[i] = words[i] <= below ? kept : 0.0;",
        "mask[i] = words[i] <= below ? 0.99 * kept : 0.0;",
        "engine_edges"),
    _in("columns.h", "const double slope = 0.5 * (dp[i] + dc[i]) * e[i];",
        "const double slope = 0.5 * (dp[i] - dc[i]) * e[i];",
        "growth:over_100_decades"),
    _in("tally.h", "if (edges[middle] <= value)", "if (edges[middle] < value)",
        "engine_edges"),
    _in("tally.h", "(mantissa >= half)", "(mantissa > half)", "engine_edges"),
    _in("transcript.h", "vp_load(out + i) + factor * vp_load(row + i)",
        "vp_load(out + i) - factor * vp_load(row + i)", "random_matrix:adjoint or linear"),
]  # fmt: skip
