/* Uniform and normal numbers from the words of a stream, in groups of 16.
 *
 * Box and Muller, Ann. Math. Statist. 29, 1958, with polynomials in place of libm: 8 words give radii, the
 * next 8 angles, and every group gives 8 cosines and 8 sines. No rejection: number i of a stream comes from the
 * same words on every machine.
 */
#ifndef VP_NORMAL_H
#define VP_NORMAL_H
#include "constants.h"
#include "random.h"

#define VP_GROUP 16

static inline double vp_as_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t vp_as_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof x);
    return bits;
}

static inline float vp_as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t vp_as_bits32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof x);
    return bits;
}

/* (k + 1/2) 2^-52 for the upper 52 bits k: never 0, never 1, symmetric about 1/2. */
static inline double vp_uniform(uint64_t word)
{
    return vp_as_double(word >> 12 | 0x3FF0000000000000u) - (1.0 - 0x1p-53);
}

/* -2 ln u for 0 < u < 1 */
static inline double vp_squared_radius(double u)
{
    const uint64_t shift = 0x3FE6A09E667F3BCDu; /* bits of sqrt(1/2) */
    const uint64_t raised = vp_as_bits(u) + (0x4330000000000000u - shift);
    const uint64_t mantissa = (raised & 0x000FFFFFFFFFFFFFu) + shift;
    const double exponent =
        vp_as_double((raised >> 52) | 0x4330000000000000u) - (0x1p52 + (double)0x433);
    const double f = vp_as_double(mantissa) - 1.0;
    const double s = f / (2.0 + f);
    const double z = s * s;
    double p = VP_MINUS4LOG[5];
    for (int k = 4; k >= 0; k--)
        p = p * z + VP_MINUS4LOG[k];
    return exponent * (-2.0 * (VP_LN2_HIGH + VP_LN2_LOW)) + s * (z * p - 4.0);
}

/* Radius times cosine and sine of a random angle: two bits choose the rotation, 52 the angle in it. */
static inline void vp_direction(uint64_t word, double radius, double *first, double *second)
{
    const uint64_t fraction = word >> 10 & 0x000FFFFFFFFFFFFFu;
    const double x = vp_as_double(fraction | 0x3FF0000000000000u) - (1.5 - 0x1p-53);
    const double z = x * x;
    double s = VP_QSIN[6], c = VP_QCOS[6];
    for (int k = 5; k >= 0; k--) {
        s = s * z + VP_QSIN[k];
        c = c * z + VP_QCOS[k];
    }
    s *= x;
    const double side = vp_as_double(vp_as_bits(radius) ^ (word << 1 & 0x8000000000000000u));
    const uint64_t swap = (vp_as_bits(s) ^ vp_as_bits(c)) & (0 - (word >> 63));
    *first = side * vp_as_double(vp_as_bits(c) ^ swap);
    *second = side * vp_as_double(vp_as_bits(s) ^ swap);
}

/* n standard normals, n a multiple of VP_GROUP; words is room for n words. */
static inline void vp_fill_normal(vp_stream *stream, uint64_t *restrict words, double *restrict out, int n)
{
    vp_stream_words(stream, words, n);
    /* two loops: in one, logarithm, root, sine and cosine would be a chain too long to overlap */
    for (int i = 0; i < n; i += VP_GROUP)
        for (int j = 0; j < VP_GROUP / 2; j++)
            out[i + j] = vp_squared_radius(vp_uniform(words[i + j]));
    for (int i = 0; i < n; i += VP_GROUP) {
        double *pair = out + i;
        for (int j = 0; j < VP_GROUP / 2; j++)
            vp_direction(words[i + VP_GROUP / 2 + j], __builtin_sqrt(pair[j]), pair + j,
                         pair + VP_GROUP / 2 + j);
    }
}

/* n uniform numbers of mean 0 and variance 1, on (-sqrt 3, sqrt 3); n a multiple of VP_LANES */
static inline void vp_fill_uniform(vp_stream *stream, uint64_t *restrict words,
                                   double *restrict out, int n)
{
    vp_stream_words(stream, words, n);
    for (int i = 0; i < n; i++)
        out[i] = 3.4641016151377546 * (vp_uniform(words[i]) - 0.5);
}

#endif
