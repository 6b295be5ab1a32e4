/* Drawn weights: single precision, two to a word, made in tiles that stay in cache, and used there.
 *
 * A weight is a number with 24 bits; the products and sums are double.
 */
#ifndef VP_WEIGHTS_H
#define VP_WEIGHTS_H
#include "layer.h"

#define VP_GROUP_SINGLE 32

/* Words as their halves, the low one first, which needs no shuffling of registers. */
typedef uint32_t __attribute__((may_alias)) vp_half;
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half of a word comes first");

/* -(ln u)/2 for u = v 2^-scale, 0 < u <= 1. The power of two is taken off the bits of v, and both
 * sides of the quotient stay in units of 2^scale: drawn weights take as long as these steps. */
static inline float vp_half_log_single(float v, int scale)
{
    const uint32_t bits = vp_as_bits32(v);
    const uint32_t shift = 0x3F3504F3u + ((uint32_t)scale << 23); /* bits of sqrt(1/2) 2^scale */
    const uint32_t power = (bits - shift) & 0xFF800000u;
    const float m = vp_as_float(bits - power), one = (float)((uint64_t)1 << scale);
    const float s = (m - one) / (m + one);
    const float t = s * s;
    float p = VP_LOGF[2];
    for (int k = 1; k >= 0; k--)
        p = p * t + VP_LOGF[k];
    return (float)(int32_t)power * (-0.34657359f * 0x1p-23f) - (s + s * (t * p));
}

/* n standard normals from n/2 words, n a multiple of VP_GROUP_SINGLE. Of the 32 halves of 16 words
 * the first 16 give radii, at most 6.66, halved until the doubled cosine; the others give angles. */
static inline void vp_normals_single(const uint64_t *restrict words, float *restrict out, int n)
{
    const vp_half *halves = (const vp_half *)words;
    for (int i = 0; i < n; i += VP_GROUP_SINGLE) /* two loops, as for doubles */
        for (int j = 0; j < VP_GROUP_SINGLE / 2; j++)
            out[i + j] = vp_half_log_single((float)(int32_t)(halves[i + j] >> 1) + 0.5f, 31);
    for (int i = 0; i < n; i += VP_GROUP_SINGLE) {
        for (int j = 0; j < VP_GROUP_SINGLE / 2; j++) {
            const float radius = __builtin_sqrtf(out[i + j]);
            const uint32_t angle = halves[i + VP_GROUP_SINGLE / 2 + j];
            const float x = vp_as_float((angle & 0x007FFFFFu) | 0x3F800000u) - (1.5f - 0x1p-24f);
            const float z = x * x;
            float sine = VP_TWICE_QSINF[3], cosine = VP_TWICE_QCOSF[3];
            for (int k = 2; k >= 0; k--) {
                sine = sine * z + VP_TWICE_QSINF[k];
                cosine = cosine * z + VP_TWICE_QCOSF[k];
            }
            sine *= x;
            const float side = vp_as_float(vp_as_bits32(radius) ^ (angle & 0x80000000u));
            const uint32_t turned = (uint32_t)((int32_t)(angle << 1) >> 31);
            const uint32_t swap = (vp_as_bits32(sine) ^ vp_as_bits32(cosine)) & turned;
            out[i + j] = side * vp_as_float(vp_as_bits32(cosine) ^ swap);
            out[i + VP_GROUP_SINGLE / 2 + j] = side * vp_as_float(vp_as_bits32(sine) ^ swap);
        }
    }
}

/* n standard normals in single precision, n a multiple of VP_GROUP_SINGLE; room for n/2 words */
static inline void vp_fill_normal_single(vp_stream *stream, uint64_t *restrict words,
                                         float *restrict out, int n)
{
    vp_stream_words(stream, words, n / 2);
    vp_normals_single(words, out, n);
}

/* The same for the uniform law of mean 0 and variance 1 */
static inline void vp_fill_uniform_single(vp_stream *stream, uint64_t *restrict words,
                                          float *restrict out, int n)
{
    const float scale = 1.7320508f * 0x1p-31f;
    const vp_half *halves = (const vp_half *)words;
    vp_stream_words(stream, words, n / 2);
    for (int i = 0; i < n; i++)
        out[i] = scale * (float)(int32_t)halves[i];
}

/* A register of weights as doubles. GCC 12 makes two of a conversion of 4 or 8 floats, one of the loop. */
static inline vp_doubles vp_widened(const float *p)
{
#if VP_REGISTER > 16
    vp_doubles wide;
    for (int lane = 0; lane < VP_PER_REGISTER; lane++)
        wide[lane] = p[lane];
    return wide;
#else
    float narrow __attribute__((vector_size(VP_REGISTER / 2)));
    memcpy(&narrow, p, sizeof narrow);
    return __builtin_convertvector(narrow, vp_doubles);
#endif
}

/* lanes += w h; n is a multiple of VP_SUM_LANES */
static inline void vp_add_products(double *lanes, const float *restrict w, const double *restrict h,
                                   int n)
{
    vp_doubles sum[VP_PARTS];
    memcpy(sum, lanes, sizeof sum);
    for (int i = 0; i < n; i += VP_SUM_LANES) {
        for (int part = 0; part < VP_PARTS; part++) {
            const int at = i + part * VP_PER_REGISTER;
            sum[part] += vp_widened(w + at) * vp_load(h + at);
        }
    }
    memcpy(lanes, sum, sizeof sum);
}

#endif
