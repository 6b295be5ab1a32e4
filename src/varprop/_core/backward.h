/* The way back through one layer: sums over its units, from which everything else follows.
 *
 * A gradient arrives at unit i as alpha r_i + beta h_i, r fresh normals, h the activations that the
 * forward pass sent up: both coefficients are known only once the layer has been summed, so what is
 * summed are the parts of the quadratic forms.
 */
#ifndef VP_BACKWARD_H
#define VP_BACKWARD_H
#include "laws.h"

enum {
    VP_BACK_HH,   /* h h, h r, r r: what is revealed of the weights above */
    VP_BACK_HR,
    VP_BACK_RR,
    VP_BACK_DRR,  /* the same under phi'^2: the gradient's square */
    VP_BACK_DRH,
    VP_BACK_DHH,
    VP_BACK_GR,   /* g phi' r, g phi' h: the gradient along this layer's own forward pass */
    VP_BACK_GH,
    VP_BACK_SUMS
};

typedef struct {
    double sum[VP_BACK_SUMS][VP_SUM_LANES];
} vp_back_sums;

/* Unit i goes to lane i mod VP_SUM_LANES; n is a multiple of VP_SUM_LANES, padded with zeros. h is
 * multiplied by `shrink`. */
static void vp_add_back(vp_back_sums *sums, const double *restrict g, const double *restrict h,
                        double shrink, const double *restrict d, const double *restrict r, int n)
{
    for (int part = 0; part < VP_PARTS; part++) {
        vp_doubles sum[VP_BACK_SUMS];
        for (int k = 0; k < VP_BACK_SUMS; k++)
            sum[k] = vp_load(sums->sum[k] + part * VP_PER_REGISTER);
        for (int at = part * VP_PER_REGISTER; at < n; at += VP_SUM_LANES) {
            const vp_doubles a = shrink * vp_load(h + at), b = vp_load(r + at);
            const vp_doubles slope = vp_load(d + at);
            const vp_doubles u = slope * b, v = slope * a, along = vp_load(g + at);
            sum[VP_BACK_HH] += a * a;
            sum[VP_BACK_HR] += a * b;
            sum[VP_BACK_RR] += b * b;
            sum[VP_BACK_DRR] += u * u;
            sum[VP_BACK_DRH] += u * v;
            sum[VP_BACK_DHH] += v * v;
            sum[VP_BACK_GR] += along * u;
            sum[VP_BACK_GH] += along * v;
        }
        for (int k = 0; k < VP_BACK_SUMS; k++)
            memcpy(sums->sum[k] + part * VP_PER_REGISTER, &sum[k], sizeof sum[k]);
    }
}

/* The same for ReLU, whose h and phi' follow from z: phi' h = h, so two sums are two others. */
static void vp_add_back_relu(vp_back_sums *sums, const double *restrict g, const double *restrict z,
                             double shrink, const double *restrict r, int n)
{
    const vp_doubles none = {0};
    for (int part = 0; part < VP_PARTS; part++) {
        vp_doubles sum[VP_BACK_SUMS];
        for (int k = 0; k < VP_BACK_SUMS; k++)
            sum[k] = vp_load(sums->sum[k] + part * VP_PER_REGISTER);
        for (int at = part * VP_PER_REGISTER; at < n; at += VP_SUM_LANES) {
            const vp_doubles raw = vp_load(z + at), b = vp_load(r + at), along = vp_load(g + at);
            const vp_words up = (vp_words)(raw > none);
            const vp_doubles a = shrink * (vp_doubles)((vp_words)raw & up);
            const vp_doubles u = (vp_doubles)((vp_words)b & up);
            sum[VP_BACK_HH] += a * a;
            sum[VP_BACK_HR] += a * b;
            sum[VP_BACK_RR] += b * b;
            sum[VP_BACK_DRR] += u * u;
            sum[VP_BACK_GR] += along * u;
            sum[VP_BACK_GH] += along * a;
        }
        sum[VP_BACK_DHH] = sum[VP_BACK_HH];
        sum[VP_BACK_DRH] = sum[VP_BACK_HR];
        for (int k = 0; k < VP_BACK_SUMS; k++)
            memcpy(sums->sum[k] + part * VP_PER_REGISTER, &sum[k], sizeof sum[k]);
    }
}

/* u += delta w; n is a multiple of VP_SUM_LANES */
static inline void vp_add_scaled(double *restrict u, const float *restrict w, double delta, int n)
{
    for (int i = 0; i < n; i += VP_PER_REGISTER) {
        const vp_doubles sum = vp_load(u + i) + delta * vp_widened(w + i);
        memcpy(u + i, &sum, sizeof sum);
    }
}

/* ln |phi'(z)| and its sign where phi' itself underflows; z = side e^log_z. */
static double vp_log_slope_tail(int code, double p0, double side, double log_z, double *sign)
{
    const double y = log_z > 709.0 ? 1e308 : vp_exp(log_z);
    *sign = 1.0;
    if (y > 1e153 && (code == VP_CODE_erf || code == VP_CODE_probit || code == VP_CODE_gaussian ||
                      code == VP_CODE_gelu || code == VP_CODE_gelu_tanh))
        return VP_NEVER; /* y y overflows: the logarithm itself is out of range */
    switch (code) {
    case VP_CODE_tanh:
        return 1.3862943611198906 - 2.0 * (y + vp_log1p(vp_exp(-2.0 * y)));
    case VP_CODE_sigmoid:
        return -y - 2.0 * vp_log1p(vp_exp(-y));
    case VP_CODE_erf:
        return 0.12078223763524522 - y * y;
    case VP_CODE_probit:
        return -0.91893853320467274 - 0.5 * y * y;
    case VP_CODE_gaussian:
        *sign = -side;
        return 0.69314718055994531 + log_z - y * y;
    default:
        break;
    }
    if (side > 0.0)
        return VP_NEVER; /* what remains to the right is a slope that float64 holds */
    switch (code) {
    case VP_CODE_softplus:
        return -y - vp_log1p(vp_exp(-y));
    case VP_CODE_elu:
        return vp_log(p0) - y;
    case VP_CODE_selu:
        return 0.5642333055432538 - y;
    case VP_CODE_celu:
        return -y / p0;
    case VP_CODE_silu:
    case VP_CODE_mish:
        *sign = -1.0;
        return vp_log_or_never(y - 1.0) - y;
    case VP_CODE_gelu:
        *sign = -1.0;
        return vp_log_or_never(0.3989422804014327 * y - 0.5 * vp_erfcx_any(y * 0.70710678118654752)) -
               0.5 * y * y;
    case VP_CODE_gelu_tanh:
        *sign = -1.0;
        if (y > 1e102)
            return VP_NEVER;
        return vp_log_or_never(1.5957691216057308 * y * (1.0 + 0.134145 * (y * y)) - 1.0) -
               1.5957691216057308 * (y + 0.044715 * (y * y * y));
    default:
        return VP_NEVER; /* exactly zero on this side */
    }
}

#endif
