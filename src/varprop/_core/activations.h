/* The activations: phi and phi' of one number, and the loops over many.
 *
 * One inline function each; VP_ACTIVATIONS lists them in the order of the table in activation.py,
 * whose row number is the code. Parameters come as p0 and p1.
 */
#ifndef VP_ACTIVATIONS_H
#define VP_ACTIVATIONS_H
#include "elementary.h"

#define VP_DEFINE(name) \
    static inline void vp_phi_##name(double z, double p0, double p1, double *h, double *d)
#define VP_UNUSED (void)p0, (void)p1

static inline double vp_max(double a, double b) { return a > b ? a : b; }
static inline double vp_min(double a, double b) { return a < b ? a : b; }

VP_DEFINE(linear) { VP_UNUSED; *h = z; *d = 1.0; }
VP_DEFINE(relu) { VP_UNUSED; *h = z > 0.0 ? z : 0.0; *d = z > 0.0 ? 1.0 : 0.0; }
VP_DEFINE(leaky_relu) { VP_UNUSED; *d = z > 0.0 ? 1.0 : p0; *h = z * *d; }
VP_DEFINE(abs) { VP_UNUSED; *h = vp_abs(z); *d = z > 0.0 ? 1.0 : -1.0; }

VP_DEFINE(elu)
{
    double exp, expm1;
    VP_UNUSED;
    vp_exp_both(vp_min(z, 0.0), &exp, &expm1);
    *h = z > 0.0 ? z : p0 * expm1;
    *d = z > 0.0 ? 1.0 : p0 * exp;
}

VP_DEFINE(selu)
{
    double value, slope;
    VP_UNUSED;
    vp_phi_elu(z, 1.6732632423543772848, 0.0, &value, &slope);
    *h = 1.0507009873554804934 * value;
    *d = 1.0507009873554804934 * slope;
}

VP_DEFINE(celu)
{
    double exp, expm1;
    VP_UNUSED;
    vp_exp_both(vp_min(z, 0.0) / p0, &exp, &expm1);
    *h = z > 0.0 ? z : p0 * expm1;
    *d = z > 0.0 ? 1.0 : exp;
}

VP_DEFINE(relu6) { VP_UNUSED; *h = vp_min(vp_max(z, 0.0), 6.0); *d = z > 0.0 && z < 6.0 ? 1.0 : 0.0; }
VP_DEFINE(squared_relu) { VP_UNUSED; const double r = vp_max(z, 0.0); *h = r * r; *d = 2.0 * r; }
VP_DEFINE(hardtanh) { VP_UNUSED; *h = vp_min(vp_max(z, -1.0), 1.0); *d = vp_abs(z) < 1.0 ? 1.0 : 0.0; }

VP_DEFINE(hardsigmoid)
{
    VP_UNUSED;
    *h = vp_min(vp_max(z * (1.0 / 6.0) + 0.5, 0.0), 1.0);
    *d = vp_abs(z) < 3.0 ? 1.0 / 6.0 : 0.0;
}

VP_DEFINE(hardswish)
{
    VP_UNUSED;
    *h = z * vp_min(vp_max(z * (1.0 / 6.0) + 0.5, 0.0), 1.0);
    *d = z > 3.0 ? 1.0 : z < -3.0 ? 0.0 : z * (1.0 / 3.0) + 0.5;
}

VP_DEFINE(tanh)
{
    double near, far, difference;
    VP_UNUSED;
    vp_logistic(2.0 * vp_abs(z), &near, &far, &difference);
    *h = vp_copy_sign(difference, z);
    *d = 4.0 * near * far;
}

VP_DEFINE(sigmoid)
{
    double near, far, difference;
    VP_UNUSED;
    vp_logistic(vp_abs(z), &near, &far, &difference);
    *h = z < 0.0 ? far : near;
    *d = near * far;
}

VP_DEFINE(softplus)
{
    VP_UNUSED;
    const double e = vp_exp(-vp_abs(z));
    const double inverse = 1.0 / (1.0 + e);
    *h = vp_max(z, 0.0) + vp_log1p(e);
    *d = (z < 0.0 ? e : 1.0) * inverse;
}

VP_DEFINE(softsign)
{
    VP_UNUSED;
    const double inverse = 1.0 / (1.0 + vp_abs(z));
    *h = z * inverse;
    *d = inverse * inverse;
}

VP_DEFINE(arctan) { VP_UNUSED; *h = vp_atan(z); *d = 1.0 / (1.0 + z * z); }

VP_DEFINE(erf)
{
    VP_UNUSED;
    double gauss;
    vp_erf_and_gauss(z, h, &gauss);
    *d = 1.1283791670955126 * gauss;
}

VP_DEFINE(probit)
{
    VP_UNUSED;
    double gauss;
    vp_normal_cdf(z, h, &gauss);
    *d = 0.39894228040143268 * gauss;
}

VP_DEFINE(sin)
{
    double sine, cosine;
    VP_UNUSED;
    vp_sin_cos(z, &sine, &cosine);
    *h = sine;
    *d = cosine;
}

VP_DEFINE(cos)
{
    double sine, cosine;
    VP_UNUSED;
    vp_sin_cos(z, &sine, &cosine);
    *h = cosine;
    *d = -sine;
}

VP_DEFINE(gaussian) { VP_UNUSED; *h = vp_gauss(z); *d = -2.0 * z * *h; }
VP_DEFINE(sign) { VP_UNUSED; *h = z > 0.0 ? 1.0 : z < 0.0 ? -1.0 : 0.0; *d = 0.0; }
VP_DEFINE(heaviside) { VP_UNUSED; *h = z > 0.0 ? 1.0 : z < 0.0 ? 0.0 : 0.5; *d = 0.0; }

VP_DEFINE(gelu)
{
    VP_UNUSED;
    double cdf, gauss;
    vp_normal_cdf(z, &cdf, &gauss);
    *h = z * cdf;
    *d = cdf + 0.39894228040143268 * (z * gauss);
}

VP_DEFINE(gelu_tanh)
{
    double near, far, difference;
    VP_UNUSED;
    const double c = vp_min(vp_max(z, -50.0), 50.0); /* the cube must not overflow; e is 0 there */
    const double u = 1.5957691216057308 * (c + 0.044715 * (c * c * c));
    const double slope = 1.5957691216057308 * (1.0 + 0.134145 * (c * c));
    vp_logistic(vp_abs(u), &near, &far, &difference);
    const double gate = z < 0.0 ? far : near;
    *h = z * gate;
    *d = gate + c * slope * (near * far);
}

VP_DEFINE(silu)
{
    double near, far, difference;
    VP_UNUSED;
    vp_logistic(vp_abs(z), &near, &far, &difference);
    const double gate = z < 0.0 ? far : near;
    *h = z * gate;
    *d = gate + z * (near * far);
}

VP_DEFINE(mish)
{
    VP_UNUSED;
    /* tanh(ln(1 + e^z)) is a ratio of polynomials in t = e^-|z| */
    const double t = vp_exp(-vp_abs(z));
    const double over = z < 0.0 ? t * (t + 2.0) : 1.0 + 2.0 * t;
    const double gap = z < 0.0 ? 2.0 : 2.0 * (t * t);
    const double under = over + gap;
    const double inverse = 1.0 / under;
    const double gate = over * inverse;
    const double sigmoid = (z < 0.0 ? t : 1.0) / (1.0 + t);
    *h = z * gate;
    *d = gate + z * sigmoid * (gap * (over + under) * (inverse * inverse));
}

/* Not an activation: what any of them is far out or close to 0, p0 z on the left, p1 z on the right. */
VP_DEFINE(two_slope) { VP_UNUSED; *d = z > 0.0 ? p1 : p0; *h = z * *d; }

#define VP_ACTIVATIONS(X)                                                                          \
    X(linear) X(relu) X(leaky_relu) X(abs) X(elu) X(selu) X(celu) X(relu6) X(squared_relu)         \
    X(hardtanh) X(hardsigmoid) X(hardswish) X(tanh) X(sigmoid) X(softplus) X(softsign) X(arctan)   \
    X(erf) X(probit) X(sin) X(cos) X(gaussian) X(sign) X(heaviside) X(gelu) X(gelu_tanh) X(silu)   \
    X(mish) X(two_slope)

#define VP_CODE(name) VP_CODE_##name,
enum { VP_ACTIVATIONS(VP_CODE) VP_CODES };

typedef void (*vp_apply)(const double *restrict z, double *restrict h, double *restrict d, int n,
                         double p0, double p1);

#define VP_LOOP(name)                                                                              \
    static void vp_apply_##name(const double *restrict z, double *restrict h, double *restrict d,  \
                                int n, double p0, double p1)                                       \
    {                                                                                              \
        for (int i = 0; i < n; i++)                                                                \
            vp_phi_##name(z[i], p0, p1, h + i, d + i);                                                 \
    }
VP_ACTIVATIONS(VP_LOOP)

static int vp_any_beyond(const double *z, int n, double limit)
{
    uint64_t beyond = 0;
    for (int i = 0; i < n; i++)
        beyond |= vp_abs(z[i]) > limit ? 1u : 0u;
    return beyond != 0;
}

/* The few angles that the loops above cannot reduce */
static void vp_mend_huge_angles(int code, const double *z, double *h, double *d, int n)
{
    for (int i = 0; i < n; i++) {
        if (vp_abs(z[i]) > VP_SIN_LIMIT) {
            double sine, cosine;
            vp_sin_cos_huge(z[i], &sine, &cosine);
            h[i] = code == VP_CODE_cos ? cosine : sine;
            d[i] = code == VP_CODE_cos ? -sine : cosine;
        }
    }
}

/* h = phi(z) and d = phi'(z) for n numbers */
static void vp_activate(int code, const double *restrict z, double *restrict h, double *restrict d,
                        int n, double p0, double p1)
{
#define VP_ENTRY(name) vp_apply_##name,
    static const vp_apply table[] = {VP_ACTIVATIONS(VP_ENTRY)};
    table[code](z, h, d, n, p0, p1);
    if ((code == VP_CODE_sin || code == VP_CODE_cos) && vp_any_beyond(z, n, VP_SIN_LIMIT))
        vp_mend_huge_angles(code, z, h, d, n);
}

#endif
