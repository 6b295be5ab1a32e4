/* Many vectors at once: columns of one stride, units in 16 lanes that are folded in a fixed order. */
#ifndef VP_COLUMNS_H
#define VP_COLUMNS_H
#include "backward.h"

/* out[j] = x_j . y for `count` columns x; n is a multiple of VP_SUM_LANES */
static void vp_dots(const double *restrict x, int64_t stride, int count, const double *restrict y,
                    int n, double *restrict out)
{
    int j = 0;
    for (; j + 4 <= count; j += 4) {
        vp_doubles sum[4][VP_PARTS] = {{{0}}};
        const double *at = x + j * stride;
        for (int i = 0; i < n; i += VP_SUM_LANES) {
            for (int part = 0; part < VP_PARTS; part++) {
                const int unit = i + part * VP_PER_REGISTER;
                const vp_doubles b = vp_load(y + unit);
                for (int k = 0; k < 4; k++)
                    sum[k][part] += vp_load(at + k * stride + unit) * b;
            }
        }
        for (int k = 0; k < 4; k++)
            out[j + k] = vp_fold((const double *)sum[k]);
    }
    for (; j < count; j++) {
        vp_doubles sum[VP_PARTS] = {{0}};
        for (int i = 0; i < n; i += VP_SUM_LANES)
            for (int part = 0; part < VP_PARTS; part++) {
                const int unit = i + part * VP_PER_REGISTER;
                sum[part] += vp_load(x + j * stride + unit) * vp_load(y + unit);
            }
        out[j] = vp_fold((const double *)sum);
    }
}

/* y += sum of factor_j x_j, one column after the other */
static void vp_add_columns(double *restrict y, const double *restrict x, int64_t stride, int count,
                           const double *restrict factor, int n)
{
    int j = 0;
    for (; j + 4 <= count; j += 4) {
        const double *at = x + j * stride, *f = factor + j;
        for (int i = 0; i < n; i++)
            y[i] = (((y[i] + f[0] * at[i]) + f[1] * at[stride + i]) + f[2] * at[2 * stride + i]) +
                   f[3] * at[3 * stride + i];
    }
    for (; j < count; j++)
        for (int i = 0; i < n; i++)
            y[i] += factor[j] * x[j * stride + i];
}

static double vp_sum(const double *x, int n)
{
    vp_doubles sum[VP_PARTS] = {{0}};
    for (int i = 0; i < n; i += VP_SUM_LANES)
        for (int part = 0; part < VP_PARTS; part++)
            sum[part] += vp_load(x + i + part * VP_PER_REGISTER);
    return vp_fold((const double *)sum);
}

/* The difference of two activations over that of their pre-activations, e = z_c - z_p in units in
 * which it is of order 1. Far below rounding it is the mean slope times e, except over a kink or a
 * jump, which shows by the slopes' answer being wrong; `per_step` is 1 over the unit of e, or 0 where
 * no float64 lies between the two. */
static void vp_difference(const double *restrict e, const double *restrict hp,
                          const double *restrict dp, const double *restrict hc,
                          const double *restrict dc, double per_step, int small,
                          double *restrict out, int n)
{
    if (!small) {
        for (int i = 0; i < n; i++)
            out[i] = (hc[i] - hp[i]) * per_step;
        return;
    }
    for (int i = 0; i < n; i++) {
        const double direct = (hc[i] - hp[i]) * per_step;
        const double slope = 0.5 * (dp[i] + dc[i]) * e[i];
        const double noise = 1e-13 * (vp_abs(hc[i]) + vp_abs(hp[i])) * per_step;
        out[i] = per_step > 0.0 && vp_abs(direct - slope) > noise ? direct : slope;
    }
}

/* 1/keep for the units that dropout keeps, else 0; `below` is keep 2^64 */
static void vp_mask(const uint64_t *restrict words, uint64_t below, double kept,
                    double *restrict mask, int n)
{
    for (int i = 0; i < n; i++)
        mask[i] = words[i] <= below ? kept : 0.0;
}

#endif
