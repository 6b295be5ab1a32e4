/* exp, log, sine, erf and their kin, without libm: the same bits on every instruction set.
 *
 * Straight-line code, so that the loops around it become SIMD loops. Results are within a few ulp
 * of the function, or of what a last-bit change of the argument makes of it.
 */
#ifndef VP_ELEMENTARY_H
#define VP_ELEMENTARY_H
#include "normal.h"

/* What several activations share must not become a call, or their loops are no SIMD loops. */
#define VP_INLINE static inline __attribute__((always_inline))

#define VP_ROUND 0x1.8p52 /* adding it rounds to an integer, kept in the low bits */

/* Even and odd powers apart: two chains of half the length run beside each other. degree > 0 */
static inline double vp_polynomial(const double *coefficient, int degree, double x)
{
    const double square = x * x;
    double p = coefficient[degree], q = coefficient[degree - 1];
#pragma GCC unroll 32 /* else the loops around it are not vectorised */
    for (int k = degree - 2; k >= 0; k -= 2)
        p = p * square + coefficient[k];
#pragma GCC unroll 32
    for (int k = degree - 3; k >= 0; k -= 2)
        q = q * square + coefficient[k];
    return degree % 2 ? q + x * p : p + x * q;
}

static inline double vp_abs(double x)
{
    return vp_as_double(vp_as_bits(x) & 0x7FFFFFFFFFFFFFFFu);
}

static inline double vp_copy_sign(double magnitude, double x)
{
    return vp_as_double(vp_as_bits(magnitude) | (vp_as_bits(x) & 0x8000000000000000u));
}

/* 2^k for the integer k in the low bits of t = k + VP_ROUND, |k| < 1023 */
static inline double vp_power_of_two(double t)
{
    return vp_as_double((vp_as_bits(t) << 52) + 0x3FF0000000000000u);
}

/* e^x and e^x - 1, both to full relative accuracy; inf above 709.78, 0 and -1 far below. */
static inline void vp_exp_both(double x, double *exp, double *expm1)
{
    x = x < -746.0 ? -746.0 : x;
    x = x > 710.0 ? 710.0 : x;
    const double k = (x * 1.4426950408889634 + VP_ROUND) - VP_ROUND;
    const double r = (x - k * VP_LN2_HIGH) - k * VP_LN2_LOW;
    const double q = r + (r * r) * vp_polynomial(VP_EXPM1, 10, r);
    /* 2^k in two factors: it may be subnormal or overflow where e^x does not */
    const double half = k * 0.5 + VP_ROUND;
    const double first = vp_power_of_two(half);
    const double second = vp_power_of_two((k - (half - VP_ROUND)) + VP_ROUND);
    *exp = (1.0 + q) * first * second;
    const double scale = first * second;
    *expm1 = scale * q + (scale - 1.0);
}

static inline double vp_exp(double x)
{
    double exp, expm1;
    vp_exp_both(x, &exp, &expm1);
    return exp;
}

/* e^(x - rest) = scale (1 + t)/(1 - t) times what is returned, -746 <= x <= 0, |rest| < 1e-4.
 *
 * t = tanh(r/2) is a shorter polynomial than e^r, for those who divide anyway. A scale that would
 * be subnormal is made 2^100 times as large, and 2^-100 is returned: found from the sign of x + 600,
 * for of a comparison a compiler makes two ways, with a division in each. */
VP_INLINE double vp_exp_ratio(double x, double rest, double *scale, double *t)
{
    const double shifted = x * 1.4426950408889634 + VP_ROUND;
    const double k = shifted - VP_ROUND;
    const double r = ((x - k * VP_LN2_HIGH) - k * VP_LN2_LOW) - rest;
    const uint64_t lift = (0 - (vp_as_bits(x + 600.0) >> 63)) & (uint64_t)100 << 52;
    *t = r * vp_polynomial(VP_HALF_TANH, 6, r * r);
    *scale = vp_as_double((vp_as_bits(shifted) << 52) + (0x3FF0000000000000u + lift));
    return vp_as_double(0x3FF0000000000000u - lift);
}

/* 1/(1 + e), e/(1 + e) and (1 - e)/(1 + e) of e = e^-y, y >= 0, each to full relative accuracy */
VP_INLINE void vp_logistic(double y, double *near, double *far, double *difference)
{
    double scale, t; /* a scale that is lifted is nothing beside 1 */
    const double unit = vp_exp_ratio(y > 746.0 ? -746.0 : -y, 0.0, &scale, &t);
    const double above = scale + scale * t, below = 1.0 - t;
    const double inverse = 1.0 / (below + above);
    *far = above * inverse * unit;
    *near = 1.0 - *far; /* exactly 1 far out, as 1 - 2 far is: the inverse is rounded */
    const double close = ((1.0 - scale) - (t + scale * t)) * inverse;
    *difference = *far < 0.25 ? 1.0 - 2.0 * *far : close;
}

/* ln x for finite positive x that is not subnormal */
static inline double vp_log(double x)
{
    const uint64_t shift = 0x3FE6A09E667F3BCDu; /* bits of sqrt(1/2) */
    const uint64_t raised = vp_as_bits(x) + (0x4330000000000000u - shift);
    const double k = vp_as_double((raised >> 52) | 0x4330000000000000u) - (0x1p52 + (double)0x433);
    const double f = vp_as_double((raised & 0x000FFFFFFFFFFFFFu) + shift) - 1.0;
    const double s = f / (2.0 + f);
    const double z = s * s;
    const double half_square = 0.5 * f * f;
    const double tail = 2.0 * (z * vp_polynomial(VP_LOG, 6, z));
    return k * VP_LN2_HIGH - ((half_square - (s * (half_square + tail) + k * VP_LN2_LOW)) - f);
}

/* ln(1 + y) for 0 <= y <= 1 */
static inline double vp_log1p(double y)
{
    const double u = 1.0 + y;
    return vp_log(u) + (y - (u - 1.0)) * (1.0 / u); /* softplus divides by u, too */
}

#define VP_GAUSS_LIMIT 27.3 /* e^(-x^2) is 0 beyond */

/* The same of e^(-x^2), 0 <= x <= VP_GAUSS_LIMIT: the square is carried in two parts, for its
 * rounding error grows with it */
VP_INLINE double vp_gauss_ratio(double x, double *scale, double *t)
{
    const double high = vp_as_double(vp_as_bits(x) & 0xFFFFFFFFF8000000u);
    return vp_exp_ratio(-high * high, (x - high) * (x + high), scale, t);
}

VP_INLINE double vp_gauss(double x)
{
    double scale, t;
    const double a = vp_abs(x) > VP_GAUSS_LIMIT ? VP_GAUSS_LIMIT : vp_abs(x);
    const double unit = vp_gauss_ratio(a, &scale, &t);
    return (scale + scale * t) / (1.0 - t) * unit;
}

/* e^(-x^2) and erfc(x) for x >= 0: both rest on a ratio, and share a division */
VP_INLINE void vp_gauss_and_erfc(double x, double *gauss, double *erfc)
{
    double scale, t;
    const double a = x > VP_GAUSS_LIMIT ? VP_GAUSS_LIMIT : x; /* both are 0 there */
    const double unit = vp_gauss_ratio(a, &scale, &t);
    const double erfcx_below = vp_polynomial(VP_ERFCX_BELOW, 11, a);
    const double share = (scale + scale * t) / ((1.0 - t) * erfcx_below);
    *gauss = share * erfcx_below * unit;
    *erfc = share * vp_polynomial(VP_ERFCX_ABOVE, 10, a) * unit;
}

/* e^(x^2) erfc(x) for any x >= 0; the first terms of the series in 1/x^2 suffice beyond the limit. */
static double vp_erfcx_any(double x)
{
    if (x <= VP_ERFCX_LIMIT)
        return vp_polynomial(VP_ERFCX_ABOVE, 10, x) / vp_polynomial(VP_ERFCX_BELOW, 11, x);
    const double w = 0.5 / x / x;
    return 0.56418958354775629 / x * (1.0 - w * (1.0 - w * (3.0 - w * (15.0 - 105.0 * w))));
}

VP_INLINE void vp_erf_and_gauss(double x, double *erf, double *gauss)
{
    double erfc;
    const double a = vp_abs(x);
    const double inner = a > 1.0 ? 1.0 : a;
    const double small = inner * vp_polynomial(VP_ERF, 12, inner * inner);
    vp_gauss_and_erfc(a, gauss, &erfc);
    *erf = vp_copy_sign(a > 1.0 ? 1.0 - erfc : small, x);
}

/* The normal distribution function, and its density times sqrt(2 pi) */
VP_INLINE void vp_normal_cdf(double x, double *cdf, double *gauss)
{
    double erfc;
    vp_gauss_and_erfc(vp_abs(x) * 0.70710678118654752, gauss, &erfc);
    *cdf = x < 0.0 ? 0.5 * erfc : 1.0 - 0.5 * erfc;
}

static inline double vp_atan(double x)
{
    const double a = vp_abs(x);
    const double t = (a > 1.0 ? 1.0 : a) / (a > 1.0 ? a : 1.0);
    const double z = t * t;
    const double p = t + t * (z * vp_polynomial(VP_ATAN, 19, z));
    const double flipped = 1.5707963267948966 - (p - 6.123233995736766e-17);
    return vp_copy_sign(a > 1.0 ? flipped : p, x);
}

/* Sine and cosine of r + quadrant pi/2, |r| <= pi/4; the quadrant sits in the low bits. */
static inline void vp_sin_cos_reduced(double r, uint64_t quadrant, double *sine, double *cosine)
{
    const double z = r * r;
    const double s = r + r * (z * vp_polynomial(VP_SIN, 5, z));
    const double c = 1.0 - (0.5 * z - (z * z) * vp_polynomial(VP_COS, 5, z));
    const uint64_t odd = 0 - (quadrant & 1);
    const uint64_t swap = (vp_as_bits(s) ^ vp_as_bits(c)) & odd;
    *sine = vp_as_double(vp_as_bits(s) ^ swap ^ (quadrant & 2) << 62);
    *cosine = vp_as_double(vp_as_bits(c) ^ swap ^ ((quadrant + 1) & 2) << 62);
}

#define VP_SIN_LIMIT 1e6 /* beyond it k pi/2 is no longer exact in four parts */

/* |x| <= VP_SIN_LIMIT */
static inline void vp_sin_cos(double x, double *sine, double *cosine)
{
    const double t = x * 0.63661977236758134 + VP_ROUND;
    const double k = t - VP_ROUND;
    const double r = (((x - k * VP_HALF_PI_FIRST) - k * VP_HALF_PI_SECOND) - k * VP_HALF_PI_THIRD) -
                     k * VP_HALF_PI_FOURTH;
    vp_sin_cos_reduced(r, vp_as_bits(t), sine, cosine);
}

/* Any finite x: Payne and Hanek's reduction, multiplying by just the digits of 2/pi that matter. */
static void vp_sin_cos_huge(double x, double *sine, double *cosine)
{
    const uint64_t bits = vp_as_bits(x);
    const int exponent = (int)(bits >> 52 & 0x7FF) - 1075; /* |x| = mantissa 2^exponent */
    const uint64_t mantissa = (bits & 0x000FFFFFFFFFFFFFu) | 0x0010000000000000u;
    const int first = exponent < 34 ? 0 : (exponent - 2) / 32; /* words before it give multiples of 4 */
    uint32_t product[8] = {0};                                 /* lowest first */
    for (int part = 0; part < 2; part++) {
        uint64_t carry = 0;
        for (int word = 0; word < 6; word++) {
            const uint64_t digit = VP_TWO_OVER_PI[first + 5 - word];
            carry += digit * (uint32_t)(mantissa >> 32 * part) + product[word + part];
            product[word + part] = (uint32_t)carry;
            carry >>= 32;
        }
        product[6 + part] = (uint32_t)carry;
    }
    /* product 2^-point is |x| 2/pi modulo 4: two integer bits, then the fraction */
    const int point = 32 * (first + 6) - exponent;
    uint64_t window[3]; /* 64 bits each, the first starting with the two integer bits */
    for (int w = 0; w < 3; w++) {
        const int low = point + 2 - 64 * (w + 1);
        uint64_t value = 0;
        for (int bit = 63; bit >= 0; bit--) {
            const int place = low + bit;
            const uint32_t digit = place >= 0 && place < 256 ? product[place >> 5] >> (place & 31) & 1u : 0u;
            value = value << 1 | digit;
        }
        window[w] = value;
    }
    uint64_t quadrant = window[0] >> 62;
    uint64_t high = window[0] << 2 | window[1] >> 62;
    uint64_t low = window[1] << 2 | window[2] >> 62;
    const int up = (int)(high >> 63); /* fraction >= 1/2: count down from the next quadrant */
    if (up) {
        quadrant += 1;
        low = ~low + 1;
        high = ~high + (low == 0);
    }
    double fraction = (double)high * 0x1p-64 + (double)low * 0x1p-128;
    fraction = up ? -fraction : fraction;
    vp_sin_cos_reduced(fraction * 1.5707963267948966, quadrant, sine, cosine);
    *sine = (bits >> 63) ? -*sine : *sine;
}

#endif
