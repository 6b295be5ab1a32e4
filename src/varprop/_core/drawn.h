/* Rows of drawn weights times many columns, and back: every sum in the order of one row, one column. */
#ifndef VP_DRAWN_H
#define VP_DRAWN_H
#include "tally.h"

/* out[r * stride_out + j] = w_r . x_j for ROWS rows and COLUMNS columns, 16 lanes each */
#define VP_DEFINE_PRODUCTS(name, ROWS, COLUMNS)                                                    \
    static void name(const float *restrict w, int64_t pitch, const double *restrict x,             \
                     int64_t stride, int64_t n, double *restrict out, int64_t stride_out)          \
    {                                                                                              \
        vp_doubles sum[ROWS][COLUMNS][VP_PARTS] = {{{{0}}}};                                       \
        for (int64_t i = 0; i < n; i += VP_SUM_LANES) {                                            \
            for (int part = 0; part < VP_PARTS; part++) {                                          \
                const int64_t at = i + part * VP_PER_REGISTER;                                     \
                vp_doubles row[ROWS];                                                              \
                for (int r = 0; r < ROWS; r++) {                                                   \
                    vp_floats narrow;                                                              \
                    memcpy(&narrow, w + r * pitch + at, sizeof narrow);                            \
                    row[r] = __builtin_convertvector(narrow, vp_doubles);                          \
                }                                                                                  \
                for (int j = 0; j < COLUMNS; j++) {                                                \
                    const vp_doubles value = vp_load(x + j * stride + at);                         \
                    for (int r = 0; r < ROWS; r++)                                                 \
                        sum[r][j][part] += row[r] * value;                                         \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        for (int r = 0; r < ROWS; r++)                                                             \
            for (int j = 0; j < COLUMNS; j++)                                                      \
                out[r + j * stride_out] = vp_fold((const double *)sum[r][j]);                      \
    }
VP_DEFINE_PRODUCTS(vp_products_2x4, 2, 4)
VP_DEFINE_PRODUCTS(vp_products_2x1, 2, 1)
VP_DEFINE_PRODUCTS(vp_products_1x4, 1, 4)
VP_DEFINE_PRODUCTS(vp_products_1x1, 1, 1)

/* out[r + j stride_out] = w_r . x_j; n is a multiple of VP_SUM_LANES */
static void vp_products(const float *w, int64_t pitch, int rows, const double *x, int64_t stride,
                        int columns, int64_t n, double *out, int64_t stride_out)
{
    for (int j = 0; j < columns;) {
        const int wide = columns - j >= 4;
        const double *at = x + j * stride;
        double *to = out + j * stride_out;
        int r = 0;
        for (; r + 2 <= rows; r += 2)
            (wide ? vp_products_2x4 : vp_products_2x1)(w + r * pitch, pitch, at, stride, n, to + r,
                                                       stride_out);
        if (r < rows)
            (wide ? vp_products_1x4 : vp_products_1x1)(w + r * pitch, pitch, at, stride, n, to + r,
                                                       stride_out);
        j += wide ? 4 : 1;
    }
}

/* u_j += sum over rows of d_rj w_r, one row after the other; n is a multiple of VP_SUM_LANES */
static void vp_add_rows(double *restrict u, int64_t stride, int columns, const float *restrict w,
                        int64_t pitch, int rows, const double *d, int64_t stride_d, int64_t n)
{
    for (int j = 0; j < columns; j++) {
        double *restrict to = u + j * stride;
        const double *of = d + j * stride_d;
        int r = 0;
        for (; r + 4 <= rows; r += 4) {
            const float *restrict at = w + r * pitch;
            for (int64_t i = 0; i < n; i++)
                to[i] = (((to[i] + of[r] * (double)at[i]) + of[r + 1] * (double)at[pitch + i]) +
                         of[r + 2] * (double)at[2 * pitch + i]) +
                        of[r + 3] * (double)at[3 * pitch + i];
        }
        for (; r < rows; r++)
            for (int64_t i = 0; i < n; i++)
                to[i] += of[r] * (double)w[r * pitch + i];
    }
}

#endif
