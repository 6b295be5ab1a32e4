/* Rows of drawn weights times many columns, and back: every sum in the order of one row, one column. */
#ifndef VP_DRAWN_H
#define VP_DRAWN_H
#include "tally.h"

/* Rows at a time, and units of them that stay in the first-level cache beside as many of some columns.
 * They change the speed, never the order of a sum. */
#define VP_ROWS 16
#define VP_SPAN 256

/* The n weights of a row from `start` on, a multiple of VP_SPAN, as doubles. A span of all rows lies
 * together: rows of one pitch would compete for the same cache sets. */
static inline void vp_place(const float *restrict w, int64_t start, int row, double *restrict rows,
                            int n)
{
    for (int i = 0; i < n; i += VP_SPAN) {
        double *restrict to = rows + (start + i) * VP_ROWS + row * VP_SPAN;
        for (int k = i; k < n && k < i + VP_SPAN; k++)
            to[k - i] = w[k];
    }
}

/* lanes of row r and column j += w_r x_j; n is a multiple of VP_SUM_LANES */
VP_TILE vp_products_tile(const double *restrict w, const int rows, const double *restrict x,
                         int64_t stride, const int columns, int n,
                         double (*restrict lanes)[4][VP_SUM_LANES])
{
    int step = VP_PARTS; /* lanes that are summed on one way through */
    while (step > 1 && step * rows * columns > VP_SUMS_AT_ONCE)
        step /= 2;
    for (int from = 0; from < VP_PARTS; from += step) {
        vp_doubles sum[4][4][VP_PARTS];
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int j = 0; j < columns; j++)
#pragma GCC unroll 8
                for (int part = 0; part < step; part++)
                    sum[r][j][part] = vp_load(lanes[r][j] + (from + part) * VP_PER_REGISTER);
        for (int i = from * VP_PER_REGISTER; i < n; i += VP_SUM_LANES) {
#pragma GCC unroll 8
            for (int part = 0; part < step; part++) {
                const int unit = i + part * VP_PER_REGISTER;
                vp_doubles value[4];
#pragma GCC unroll 4
                for (int j = 0; j < columns; j++)
                    value[j] = vp_load(x + j * stride + unit);
#pragma GCC unroll 4
                for (int r = 0; r < rows; r++) {
                    const vp_doubles weight = vp_load(w + r * VP_SPAN + unit);
#pragma GCC unroll 4
                    for (int j = 0; j < columns; j++)
                        sum[r][j][part] += weight * value[j];
                }
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int j = 0; j < columns; j++)
#pragma GCC unroll 8
                for (int part = 0; part < step; part++)
                    memcpy(lanes[r][j] + (from + part) * VP_PER_REGISTER, &sum[r][j][part],
                           sizeof(vp_doubles));
    }
}

/* out[r + j stride_out] = w_r . x_j for up to VP_ROWS rows; n is a multiple of VP_SUM_LANES */
static void vp_products(const double *restrict w, int rows, const double *restrict x,
                        int64_t stride, int columns, int64_t n, double *restrict out,
                        int64_t stride_out)
{
    double lanes[VP_ROWS][4][VP_SUM_LANES];
    for (int first = 0; first < columns; first += 4) {
        const int many = columns - first < 4 ? columns - first : 4;
        memset(lanes, 0, sizeof lanes);
        for (int64_t i = 0; i < n; i += VP_SPAN) {
            const int span = n - i < VP_SPAN ? (int)(n - i) : VP_SPAN;
            int r = 0;
#define VP_PRODUCTS(count, abreast)                                                                \
    for (; j + (abreast) <= many; j += (abreast))                                                  \
    vp_products_tile(w + i * VP_ROWS + r * VP_SPAN, count, x + (first + j) * stride + i, stride,   \
                     abreast, span, (double (*)[4][VP_SUM_LANES])lanes[r][j])
            for (; r + 4 <= rows; r += 4) {
                int j = 0;
                VP_PRODUCTS(4, VP_ABREAST);
                VP_PRODUCTS(4, 1);
            }
            for (; r < rows; r++) {
                int j = 0;
                VP_PRODUCTS(1, VP_ABREAST);
                VP_PRODUCTS(1, 1);
            }
        }
        for (int j = 0; j < many; j++)
            for (int r = 0; r < rows; r++)
                out[r + (first + j) * stride_out] = vp_fold(lanes[r][j]);
    }
}

/* u_j += sum over rows of d_rj w_r, one row after the other */
static void vp_add_rows(double *restrict u, int64_t stride, int columns, const double *restrict w,
                        int rows, const double *restrict d, int64_t stride_d, int64_t n)
{
    for (int64_t i = 0; i < n; i += VP_SPAN) {
        const int span = n - i < VP_SPAN ? (int)(n - i) : VP_SPAN;
        int j = 0;
#define VP_ADD_SPAN(count, abreast)                                                                \
    for (; r + (count) <= rows; r += (count))                                                      \
    vp_add_tile(u + j * stride + i, stride, abreast, w + i * VP_ROWS + r * VP_SPAN, VP_SPAN,       \
                count, d + r + j * stride_d, stride_d, span, 0)
        for (; j + 2 <= columns; j += 2) {
            int r = 0;
            VP_ADD_SPAN(4, 2);
            VP_ADD_SPAN(1, 2);
        }
        if (j < columns) {
            int r = 0;
            VP_ADD_SPAN(4, 1);
            VP_ADD_SPAN(1, 1);
        }
    }
}

#endif
