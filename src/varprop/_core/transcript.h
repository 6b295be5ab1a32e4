/* Products of one vector with the rows that a transcript keeps.
 *
 * Rows are padded with zeros to a multiple of VP_SUM_LANES. Number i goes to lane i mod
 * VP_SUM_LANES, and rows are added one after the other: the same bits in every instruction set.
 */
#ifndef VP_TRANSCRIPT_H
#define VP_TRANSCRIPT_H
#include "layer.h"

/* x . y */
static double vp_dot(const double *restrict x, const double *restrict y, int n)
{
    double lanes[VP_SUM_LANES];
    vp_doubles sum[VP_PARTS] = {{0}};
    for (int i = 0; i < n; i += VP_SUM_LANES)
        for (int part = 0; part < VP_PARTS; part++) {
            const int at = i + part * VP_PER_REGISTER;
            sum[part] += vp_load(x + at) * vp_load(y + at);
        }
    memcpy(lanes, sum, sizeof lanes);
    return vp_fold(lanes);
}

/* out += factor * row */
static void vp_add_row(double *restrict out, const double *restrict row, double factor, int n)
{
    for (int i = 0; i < n; i += VP_PER_REGISTER) {
        const vp_doubles sum = vp_load(out + i) + factor * vp_load(row + i);
        memcpy(out + i, &sum, sizeof sum);
    }
}

#endif
