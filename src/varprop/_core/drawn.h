/* Rows of drawn weights times many columns, and back: every sum in the order of one row, one column. */
#ifndef VP_DRAWN_H
#define VP_DRAWN_H
#include "tally.h"

#define VP_ROWS 16 /* at a time: it changes the speed, never the order of a sum */

/* The n weights of a row from `start` on, a multiple of VP_SPAN, as doubles. A span of all rows lies
 * together: rows of one pitch would compete for the same cache sets. */
static inline void vp_place(const float *restrict w, int64_t start, int row, double *restrict rows,
                            int n)
{
    for (int i = 0; i < n; i += VP_SPAN) {
        double *restrict to = rows + (start + i) * VP_ROWS + row * VP_SPAN;
        const int span = n - i < VP_SPAN ? n - i : VP_SPAN;
        for (int k = 0; k < span; k++)
            to[k] = w[i + k];
    }
}

/* out[r + k stride_out] = w_r . x_k for up to VP_ROWS rows; n is a multiple of VP_SUM_LANES */
static void vp_products(const double *restrict w, int rows, const double *restrict x,
                        int64_t stride, int columns, int64_t n, double *restrict out,
                        int64_t stride_out)
{
    double lanes[VP_ROWS / 4][4][4][VP_SUM_LANES];
    for (int first = 0; first < columns; first += 4) {
        const int many = columns - first < 4 ? columns - first : 4;
        for (int64_t i = 0; i < n; i += VP_SPAN) {
            const int span = n - i < VP_SPAN ? (int)(n - i) : VP_SPAN;
            for (int r = 0; r < rows; r += 4) { /* more rows than there are do no harm */
#define VP_PRODUCTS(abreast)                                                                       \
    vp_dots_tile(w + i * VP_ROWS + r * VP_SPAN, VP_SPAN, 4, x + (first + k) * stride + i, stride,  \
                 abreast, 0, span, i == 0, lanes[r / 4] + k)
                VP_ABREASTS(many, VP_PRODUCTS);
            }
        }
        for (int k = 0; k < many; k++)
            for (int r = 0; r < rows; r++)
                out[r + (first + k) * stride_out] = vp_fold(lanes[r / 4][k][r % 4]);
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
