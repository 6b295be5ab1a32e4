/* Many vectors at once: columns of one stride, units in 16 lanes that are folded in a fixed order. */
#ifndef VP_COLUMNS_H
#define VP_COLUMNS_H
#include "backward.h"

/* Tiles of up to 4 columns of x by as many of y: what is loaded once serves all of them. How many is
 * a constant to the compiler; it changes the speed, never the order of a sum. */
#define VP_TILE static inline __attribute__((always_inline)) void
#if defined(__AVX512F__)
#define VP_ABREAST 4 /* columns of y; 16 registers hold the sums of a tile */
#define VP_SUMS_AT_ONCE 16
#else
#define VP_ABREAST 2
#define VP_SUMS_AT_ONCE 8
#endif

/* x's columns by fours, and what is left: TILE is a call that knows their number */
#define VP_BY_FOURS(count, TILE)                                                                   \
    do {                                                                                           \
        int j = 0;                                                                                 \
        for (; j + 4 <= (count); j += 4)                                                           \
            TILE(4);                                                                               \
        switch ((count)-j) {                                                                       \
        case 3:                                                                                    \
            TILE(3);                                                                               \
            break;                                                                                 \
        case 2:                                                                                    \
            TILE(2);                                                                               \
            break;                                                                                 \
        case 1:                                                                                    \
            TILE(1);                                                                               \
        }                                                                                          \
    } while (0)

/* y's columns likewise; ROWS knows their number */
#define VP_ABREASTS(many, ROWS)                                                                    \
    do {                                                                                           \
        int k = 0;                                                                                 \
        for (; k + VP_ABREAST <= (many); k += VP_ABREAST)                                          \
            ROWS(VP_ABREAST);                                                                      \
        for (; k + 2 <= (many); k += 2)                                                            \
            ROWS(2);                                                                               \
        if (k < (many))                                                                            \
            ROWS(1);                                                                               \
    } while (0)

/* Units of some columns that stay in the first-level cache */
#define VP_SPAN 256

/* lanes of x_j . y_k, in lanes[k][j], += those of n more units, a multiple of VP_SUM_LANES, or, where
 * the sums `begin`, = them. Where x and y are the `same` columns, of the two equal products only that
 * with j <= k. */
VP_TILE vp_dots_tile(const double *x, int64_t stride, const int count, const double *y,
                     int64_t y_stride, const int many, const int same, int n,
                     int begin, double (*restrict lanes)[4][VP_SUM_LANES])
{
    int step = VP_PARTS; /* lanes that are summed on one way through the columns */
    while (step > 1 && step * count * many > VP_SUMS_AT_ONCE)
        step /= 2;
    for (int from = 0; from < VP_PARTS; from += step) {
        vp_doubles sum[4][4][VP_PARTS];
#pragma GCC unroll 4
        for (int k = 0; k < many; k++)
#pragma GCC unroll 4
            for (int j = 0; j < count; j++)
#pragma GCC unroll 8
                for (int part = 0; part < step; part++)
                    sum[k][j][part] =
                        begin ? (vp_doubles){0}
                              : vp_load(lanes[k][j] + (from + part) * VP_PER_REGISTER);
        for (int i = from * VP_PER_REGISTER; i < n; i += VP_SUM_LANES) {
#pragma GCC unroll 8
            for (int part = 0; part < step; part++) {
                const int unit = i + part * VP_PER_REGISTER;
                vp_doubles a[4];
#pragma GCC unroll 4
                for (int j = 0; j < count; j++)
                    a[j] = vp_load(x + j * stride + unit);
#pragma GCC unroll 4
                for (int k = 0; k < many; k++) {
                    const vp_doubles b = same ? a[k] : vp_load(y + k * y_stride + unit);
#pragma GCC unroll 4
                    for (int j = 0; j < (same ? k + 1 : count); j++)
                        sum[k][j][part] += a[j] * b;
                }
            }
        }
#pragma GCC unroll 4
        for (int k = 0; k < many; k++)
#pragma GCC unroll 4
            for (int j = 0; j < count; j++)
#pragma GCC unroll 8
                for (int part = 0; part < step; part++)
                    memcpy(lanes[k][j] + (from + part) * VP_PER_REGISTER, &sum[k][j][part],
                           sizeof(vp_doubles));
    }
}

VP_TILE vp_dots_of(const double *x, int64_t stride, int count, const double *y, int64_t y_stride,
                   int many, const int lower, int n, double *restrict out)
{
    double lanes[4][4][VP_SUM_LANES];
    for (int first = 0; first < many; first += 4) {
        const int rows_left = many - first < 4 ? many - first : 4;
        for (int left = 0; left < count; left += 4) {
            const int width = count - left < 4 ? count - left : 4;
            for (int i = 0; i < n; i += VP_SPAN) {
                const int span = n - i < VP_SPAN ? n - i : VP_SPAN;
#define VP_DOTS_TILE(columns, same)                                                                \
    vp_dots_tile(x + (left + j) * stride + i, stride, columns,                                     \
                 y + (first + k) * y_stride + i, y_stride, rows, same, span, i == 0, lanes + k)
#define VP_DOTS(columns)                                                                           \
    do {                                                                                           \
        if (lower && k == 0 && left == count - many)                                               \
            VP_DOTS_TILE(columns, 1);                                                              \
        else                                                                                       \
            VP_DOTS_TILE(columns, 0);                                                              \
    } while (0)
#define VP_DOTS_ROWS(number)                                                                       \
    do {                                                                                           \
        enum { rows = number };                                                                    \
        VP_BY_FOURS(width, VP_DOTS);                                                               \
    } while (0)
                VP_ABREASTS(rows_left, VP_DOTS_ROWS);
            }
            for (int k = 0; k < rows_left; k++)
                for (int j = 0; j < width; j++)
                    out[(first + k) * count + left + j] = vp_fold(lanes[k][j]);
        }
    }
}

/* out[k * count + j] = x_j . y_k; n is a multiple of VP_SUM_LANES */
static void vp_dots(const double *x, int64_t stride, int count, const double *y, int64_t y_stride,
                    int many, int n, double *restrict out)
{
    vp_dots_of(x, stride, count, y, y_stride, many, 0, n, out);
}

/* The same of x's columns with the last `many` of them, up to 4, each only with those up to itself:
 * the other numbers in `out` are of no use. */
static void vp_own_dots(const double *x, int64_t stride, int count, int many, int n,
                        double *restrict out)
{
    vp_dots_of(x, stride, count, x + (count - many) * stride, stride, many, 1, n, out);
}

VP_TILE vp_add_tile(double *restrict y, int64_t y_stride, const int many,
                    const double *restrict x, int64_t stride, const int count,
                    const double *restrict factor, int64_t pitch, int n, double *square)
{
    vp_doubles sum[VP_PARTS] = {{0}};
    double f[4][4];
    int i = 0;
    for (int k = 0; k < many; k++)
        for (int j = 0; j < count; j++)
            f[k][j] = factor[k * pitch + j];
    for (; i + VP_SUM_LANES <= n; i += VP_SUM_LANES) {
#pragma GCC unroll 8
        for (int part = 0; part < VP_PARTS; part++) {
            const int unit = i + part * VP_PER_REGISTER;
            vp_doubles to[4];
#pragma GCC unroll 4
            for (int k = 0; k < many; k++)
                to[k] = vp_load(y + k * y_stride + unit);
#pragma GCC unroll 4
            for (int j = 0; j < count; j++) {
                const vp_doubles a = vp_load(x + j * stride + unit);
#pragma GCC unroll 4
                for (int k = 0; k < many; k++)
                    to[k] += f[k][j] * a;
            }
#pragma GCC unroll 4
            for (int k = 0; k < many; k++)
                memcpy(y + k * y_stride + unit, &to[k], sizeof to[k]);
            if (square)
                sum[part] += to[0] * to[0];
        }
    }
    for (; i < n; i++)
        for (int k = 0; k < many; k++)
            for (int j = 0; j < count; j++)
                y[k * y_stride + i] += f[k][j] * x[j * stride + i];
    if (square)
        *square = vp_fold((const double *)sum);
}

/* y_k += sum over j of factor[k * count + j] x_j, one column after the other */
static void vp_add_columns_to(double *restrict y, int64_t y_stride, int many,
                              const double *restrict x, int64_t stride, int count,
                              const double *restrict factor, int n)
{
#define VP_ADD(columns)                                                                            \
    vp_add_tile(y + k * y_stride, y_stride, rows, x + j * stride, stride, columns,                 \
                factor + k * count + j, count, n, 0)
#define VP_ADD_ROWS(number)                                                                        \
    do {                                                                                           \
        enum { rows = number };                                                                    \
        VP_BY_FOURS(count, VP_ADD);                                                                \
    } while (0)
    VP_ABREASTS(many, VP_ADD_ROWS);
}

VP_TILE vp_mix_tile(double *z, const double *a, double own, const double *x, int64_t stride,
                    const int count, const double *factor, int n)
{
    double f[4];
    for (int j = 0; j < count; j++)
        f[j] = factor[j];
    for (int i = 0; i < n; i += VP_PER_REGISTER) {
        vp_doubles sum = own * vp_load(a + i);
#pragma GCC unroll 4
        for (int j = 0; j < count; j++)
            sum += f[j] * vp_load(x + j * stride + i);
        memcpy(z + i, &sum, sizeof sum);
    }
}

/* z = own a + sum over j of factor[j] x_j, one column after the other; z may be a itself, and n is a
 * multiple of VP_SUM_LANES */
static void vp_mix(double *z, const double *a, double own, const double *x, int64_t stride,
                   int count, const double *factor, int n)
{
    switch (count) {
    case 0:
        vp_mix_tile(z, a, own, x, stride, 0, factor, n);
        break;
    case 1:
        vp_mix_tile(z, a, own, x, stride, 1, factor, n);
        break;
    case 2:
        vp_mix_tile(z, a, own, x, stride, 2, factor, n);
        break;
    case 3:
        vp_mix_tile(z, a, own, x, stride, 3, factor, n);
        break;
    default:
        vp_mix_tile(z, a, own, x, stride, 4, factor, n);
        vp_add_columns_to(z, 0, 1, x + 4 * stride, stride, count - 4, factor + 4, n);
    }
}

/* One y, and returns y . y; n is a multiple of VP_SUM_LANES and count at least 1 */
static double vp_add_and_square(double *restrict y, const double *restrict x, int64_t stride,
                                int count, const double *restrict factor, int n)
{
    double square;
#define VP_ADD_SQUARE(columns)                                                                     \
    vp_add_tile(y, 0, 1, x + j * stride, stride, columns, factor + j, 0, n, &square)
    VP_BY_FOURS(count, VP_ADD_SQUARE);
    return square;
}

/* u_i <- u_i by_i for any n, and returns u . u */
static double vp_multiply_and_square(double *restrict u, const double *restrict by, int n)
{
    double lanes[VP_SUM_LANES];
    vp_doubles sum[VP_PARTS] = {{0}};
    int i = 0;
    for (; i + VP_SUM_LANES <= n; i += VP_SUM_LANES)
        for (int part = 0; part < VP_PARTS; part++) {
            const int unit = i + part * VP_PER_REGISTER;
            const vp_doubles product = vp_load(u + unit) * vp_load(by + unit);
            memcpy(u + unit, &product, sizeof product);
            sum[part] += product * product;
        }
    memcpy(lanes, sum, sizeof lanes);
    for (int lane = 0; i < n; i++, lane++) {
        u[i] *= by[i];
        lanes[lane] += u[i] * u[i];
    }
    return vp_fold(lanes);
}

/* x . y for any n, lane i mod VP_SUM_LANES as above */
static double vp_short_dot(const double *restrict x, const double *restrict y, int n)
{
    if (n <= 4) { /* as it folds, without the zeros */
        double few[4] = {0};
        for (int i = 0; i < n; i++)
            few[i] += x[i] * y[i];
        return (few[0] + few[2]) + (few[1] + few[3]);
    }
    double lanes[VP_SUM_LANES] = {0};
    int i = 0;
    for (; i + VP_SUM_LANES <= n; i += VP_SUM_LANES)
        for (int lane = 0; lane < VP_SUM_LANES; lane++)
            lanes[lane] += x[i + lane] * y[i + lane];
    for (int lane = 0; i < n; i++, lane++)
        lanes[lane] += x[i] * y[i];
    return vp_fold(lanes);
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
