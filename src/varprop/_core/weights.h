/* Drawn weights: single precision, two to a word, made in tiles that stay in cache, and used there.
 *
 * A weight is a number with 24 bits; the products and sums are double.
 */
#ifndef VP_WEIGHTS_H
#define VP_WEIGHTS_H
#include "layer.h"

#define VP_GROUP_SINGLE 32

/* -2 ln u for u = v 2^-scale, 0 < u <= 1 */
static inline float vp_squared_radius_single(float v, int scale)
{
    const uint32_t shift = 0x3F3504F3u; /* bits of sqrt(1/2) */
    const uint32_t raised = vp_as_bits32(v) + (0x3F800000u - shift);
    const float f = vp_as_float((raised & 0x007FFFFFu) + shift) - 1.0f;
    const float exponent = (float)((int32_t)(raised >> 23) - (127 + scale));
    const float s = f / (2.0f + f);
    const float t = s * s;
    float p = VP_LOGF[2];
    for (int k = 1; k >= 0; k--)
        p = p * t + VP_LOGF[k];
    return exponent * -1.3862944f - 4.0f * (s + s * (t * p));
}

/* n standard normals from n/2 words, n a multiple of VP_GROUP_SINGLE.
 * One word gives a pair: its low half the radius (at most 6.66), its high half the angle. */
static inline void vp_normals_single(const uint64_t *restrict words, float *restrict out, int n)
{
    for (int i = 0; i < n; i += VP_GROUP_SINGLE) /* two loops, as for doubles */
        for (int j = 0; j < VP_GROUP_SINGLE / 2; j++) {
            const uint32_t low = (uint32_t)words[i / 2 + j];
            out[i + j] = vp_squared_radius_single((float)(int32_t)(low >> 1) + 0.5f, 31);
        }
    for (int i = 0; i < n; i += VP_GROUP_SINGLE) {
        for (int j = 0; j < VP_GROUP_SINGLE / 2; j++) {
            const float radius = __builtin_sqrtf(out[i + j]);
            const uint32_t angle = (uint32_t)(words[i / 2 + j] >> 32);
            const float x = vp_as_float((angle >> 7 & 0x007FFFFFu) | 0x3F800000u) - (1.5f - 0x1p-24f);
            const float z = x * x;
            float sine = VP_QSINF[3], cosine = VP_QCOSF[4];
            for (int k = 2; k >= 0; k--)
                sine = sine * z + VP_QSINF[k];
            for (int k = 3; k >= 0; k--)
                cosine = cosine * z + VP_QCOSF[k];
            const uint32_t sign = angle << 1 & 0x80000000u;
            const uint32_t sine_bits = vp_as_bits32(sine * x) ^ sign;
            const uint32_t cosine_bits = vp_as_bits32(cosine) ^ sign;
            const uint32_t swap = (sine_bits ^ cosine_bits) & (0 - (angle >> 31));
            out[i + j] = radius * vp_as_float(cosine_bits ^ swap);
            out[i + VP_GROUP_SINGLE / 2 + j] = radius * vp_as_float(sine_bits ^ swap);
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
    vp_stream_words(stream, words, n / 2);
    for (int i = 0; i < n; i += VP_GROUP_SINGLE) {
        for (int j = 0; j < VP_GROUP_SINGLE / 2; j++) {
            const uint64_t word = words[i / 2 + j];
            out[i + j] = scale * (float)(int32_t)(uint32_t)word;
            out[i + VP_GROUP_SINGLE / 2 + j] = scale * (float)(int32_t)(uint32_t)(word >> 32);
        }
    }
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
