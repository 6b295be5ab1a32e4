/* The laws that weights are drawn from: mean 0, variance 1, a fixed number of words for each.
 *
 * No rejection, so that number i of a stream comes from the same words however a row is cut into
 * tiles.
 */
#ifndef VP_LAWS_H
#define VP_LAWS_H
#include "weights.h"

enum {
    VP_LAW_NORMAL,
    VP_LAW_UNIFORM,
    VP_LAW_TRUNCATED_NORMAL,
    VP_LAW_RADEMACHER,
    VP_LAW_STUDENT_T,
    VP_LAW_SPARSE,
    VP_LAW_ORTHOGONAL, /* rows are not independent: no fill here */
};

#define VP_GROUP_SIGNS 512 /* signs from 8 words: rows are cut at its multiples only */

static inline float vp_polynomial_single(const float *coefficient, int degree, float x)
{
    float p = coefficient[degree];
#pragma GCC unroll 32 /* else the loops around it are not vectorised */
    for (int k = degree - 1; k >= 0; k--)
        p = p * x + coefficient[k];
    return p;
}

/* A normal cut at 2 standard deviations, over the standard deviation that the cut leaves: the
 * quantile of a uniform number on (-1, 1). */
static inline float vp_cut_normal(uint32_t bits)
{
    const float v = (float)(int32_t)bits * 0x1p-31f;
    const float z = v * v;
    const float t = (VP_CUT_BEND * z - VP_CUT_POLE) / (VP_CUT_POLE - z);
    const float x = v * vp_polynomial_single(VP_CUTF, 9, t);
    const float above = x < -VP_CUT_BOUND ? -VP_CUT_BOUND : x;
    return above > VP_CUT_BOUND ? VP_CUT_BOUND : above;
}

static inline void vp_fill_truncated_normal(vp_stream *stream, uint64_t *restrict words,
                                            float *restrict out, int n)
{
    const vp_half *halves = (const vp_half *)words;
    vp_stream_words(stream, words, n / 2);
    for (int i = 0; i < n; i++)
        out[i] = vp_cut_normal(halves[i]);
}

/* Signs: bit b of half word h is number 16 (31 - b) + h of VP_GROUP_SIGNS. */
static inline void vp_fill_rademacher(vp_stream *stream, uint64_t *restrict words,
                                      float *restrict out, int n)
{
    vp_stream_words(stream, words, (n + VP_GROUP_SIGNS - 1) / VP_GROUP_SIGNS * VP_LANES);
    for (int start = 0; start < n; start += VP_GROUP_SIGNS, words += VP_LANES) {
        const int end = start + VP_GROUP_SIGNS < n ? start + VP_GROUP_SIGNS : n;
        uint32_t halves[2 * VP_LANES];
        for (int lane = 0; lane < VP_LANES; lane++) {
            halves[lane] = (uint32_t)words[lane];
            halves[VP_LANES + lane] = (uint32_t)(words[lane] >> 32);
        }
        for (int i = start; i < end; i += 2 * VP_LANES) {
            for (int half = 0; half < 2 * VP_LANES; half++) {
                out[i + half] = vp_as_float((halves[half] & 0x80000000u) | 0x3F800000u);
                halves[half] <<= 1;
            }
        }
    }
}

/* e^x - 1 for 0 <= x < 80, to full relative accuracy */
static inline float vp_expm1_single(float x)
{
    const float shifted = x * 1.44269504f + 0x1.8p23f; /* rounds to an integer, in the low bits */
    const float k = shifted - 0x1.8p23f;
    const float r = (x - k * VP_LN2F_HIGH) - k * VP_LN2F_LOW;
    const float q = r + (r * r) * vp_polynomial_single(VP_EXPM1F, 4, r);
    const float scale = vp_as_float((vp_as_bits32(shifted) << 23) + 0x3F800000u);
    return scale * q + (scale - 1.0f);
}

/* Student's t over its standard deviation: Bailey, Math. Comp. 62, 1994. A word a number, of which
 * 41 bits give the radius and 23 the angle. The sine of the same angle would be another t, but
 * not an independent one. */
static inline void vp_fill_student_t(vp_stream *stream, uint64_t *restrict words,
                                     float *restrict out, int n, double df)
{
    const float share = (float)(4.0 / df), height = (float)(df - 2.0);
    vp_stream_words(stream, words, n);
    for (int i = 0; i < n; i++) {
        const uint32_t high = (uint32_t)(words[i] >> 32), low = (uint32_t)words[i];
        const uint32_t rest = (high & 1u) << 9 | low >> 23;
        /* in two parts: small u keep their digits */
        const float v = (float)(int32_t)(high >> 1) + ((float)(int32_t)rest + 0.5f) * 0x1p-10f;
        const float square = height * vp_expm1_single(share * vp_half_log_single(v, 31));
        const float x = 2.0f * (vp_as_float((low & 0x007FFFFFu) | 0x3F800000u) - (1.5f - 0x1p-24f));
        const float cosine = x * vp_polynomial_single(VP_HALFSINF, 4, x * x);
        out[i] = __builtin_sqrtf(square) * cosine;
    }
}

/* Normals of variance 1/p with probability p, else 0. A group of 32 takes 16 words for its normals
 * and 32 that choose, so that p is met to 2^-64. */
static inline void vp_fill_sparse(vp_stream *stream, uint64_t *restrict words,
                                  float *restrict out, int n, double p)
{
    const int pitch = VP_GROUP_SINGLE + VP_GROUP_SINGLE / 2;
    const float scale = (float)(1.0 / __builtin_sqrt(p));
    /* words are compared as signed numbers, as AVX2 can */
    const int64_t last = p < 1.0 ? (int64_t)((uint64_t)(p * 0x1p64) - 1 + 0x8000000000000000u)
                                 : INT64_MAX;
    vp_stream_words(stream, words, n / VP_GROUP_SINGLE * pitch);
    for (int i = 0; i < n; i += VP_GROUP_SINGLE, words += pitch) {
        vp_normals_single(words, out + i, VP_GROUP_SINGLE);
        for (int j = 0; j < VP_GROUP_SINGLE; j++) {
            const int64_t choice = (int64_t)words[VP_GROUP_SINGLE / 2 + j];
            const uint32_t kept = choice <= last ? 0xFFFFFFFFu : 0u;
            out[i + j] = vp_as_float(vp_as_bits32(scale * out[i + j]) & kept);
        }
    }
}

/* The next n weights of a row: n a multiple of VP_GROUP_SINGLE, room for 3 n / 2 words.
 * shape is df of Student's t, p of sparse. */
static inline void vp_fill_law(int law, double shape, vp_stream *stream, uint64_t *restrict words,
                               float *restrict out, int n)
{
    switch (law) {
    case VP_LAW_UNIFORM:
        vp_fill_uniform_single(stream, words, out, n);
        break;
    case VP_LAW_TRUNCATED_NORMAL:
        vp_fill_truncated_normal(stream, words, out, n);
        break;
    case VP_LAW_RADEMACHER:
        vp_fill_rademacher(stream, words, out, n);
        break;
    case VP_LAW_STUDENT_T:
        vp_fill_student_t(stream, words, out, n, shape);
        break;
    case VP_LAW_SPARSE:
        vp_fill_sparse(stream, words, out, n, shape);
        break;
    default:
        vp_fill_normal_single(stream, words, out, n);
    }
}

#endif
