/* Histograms of a layer's values e^log v: bins of width 2^e around 0, widened as values ask for it,
 * or between given edges. A bin holds its left edge.
 */
#ifndef VP_TALLY_H
#define VP_TALLY_H
#include "columns.h"
#include <math.h>

#define VP_NO_SCALE (-((int64_t)1 << 62)) /* e of a layer whose values are all 0 so far */
#define VP_COUNTABLE 1e9 /* |log| up to which float64 knows what is left beside a power of two */

typedef struct {
    int bins;
    const double *edges; /* bins + 1; NULL: automatic bins */
    int64_t *counts;     /* (2, depth, bins): z, then h */
    int64_t *exponents;  /* (2, depth) */
    int64_t *outside;    /* (2, depth, 2) */
} vp_tally;

/* The same values in bins 2^doublings as wide: a bin's number, from 0, halves with a floor. */
static void vp_coarsen(int64_t *counts, int bins, int64_t doublings)
{
    const int half = bins / 2, shift = doublings > 31 ? 31 : (int)doublings;
    for (int i = half; i < bins; i++) {
        const int64_t count = counts[i];
        counts[i] = 0;
        counts[half + ((i - half) >> shift)] += count;
    }
    for (int i = half - 1; i >= 0; i--) {
        const int64_t count = counts[i];
        counts[i] = 0;
        counts[half - 1 - ((half - 1 - i) >> shift)] += count;
    }
}

static void vp_count_automatic(int64_t *counts, int bins, int64_t *exponent, const double *v,
                               double log, int n)
{
    const double ln2 = 0.69314718055994531;
    int64_t shift = 0;
    double factor = 1.0, most = 0.0;
    if (log != VP_NEVER) {
        shift = (int64_t)floor(log / ln2);
        factor = vp_exp(log - (double)shift * ln2);
    }
    for (int i = 0; i < n; i++) {
        const double size = vp_abs(v[i] * factor);
        if (!(size <= 0x1.fffffffffffffp1023))
            return; /* no number: the engine finds it in its sums, and the run ends there */
        most = vp_max(most, size);
    }
    if (most > 0.0) {
        int power, half_power;
        const double mantissa = frexp(most, &power), half = frexp(0.5 * bins, &half_power);
        const int64_t fits = shift + power - half_power + (mantissa >= half);
        if (fits > *exponent) {
            if (*exponent != VP_NO_SCALE || counts[bins / 2])
                vp_coarsen(counts, bins, *exponent == VP_NO_SCALE ? 31 : fits - *exponent);
            *exponent = fits;
        }
    }
    const int64_t up = *exponent == VP_NO_SCALE ? 0 : shift - *exponent;
    for (int i = 0; i < n; i++) {
        int place = (int)floor(ldexp(v[i] * factor, up < -(1 << 30) ? -(1 << 30) : (int)up));
        if (v[i] < 0.0 && place == 0)
            place = -1; /* too small for float64 in these units */
        counts[bins / 2 + place]++;
    }
}

static void vp_count_fixed(int64_t *counts, int bins, const double *edges, int64_t *outside,
                           const double *v, double log, int n)
{
    const double factor = vp_exp(vp_min(vp_max(log, -700.0), 700.0));
    for (int i = 0; i < n; i++) {
        double value = v[i] * factor;
        if (value == 0.0 && v[i] != 0.0)
            value = v[i] < 0.0 ? -4.9e-324 : 4.9e-324;
        int low = 0, high = bins + 1; /* how many edges are <= value */
        while (low < high) {
            const int middle = (low + high) / 2;
            if (edges[middle] <= value)
                low = middle + 1;
            else
                high = middle;
        }
        if (low == 0)
            outside[0]++;
        else if (low == bins + 1)
            outside[1]++;
        else
            counts[low - 1]++;
    }
}

static void vp_count(const vp_tally *tally, int which, int64_t depth, int64_t layer,
                     const double *v, double log, int n)
{
    const int64_t row = which * depth + layer;
    int64_t *counts = tally->counts + row * tally->bins;
    if (tally->edges)
        vp_count_fixed(counts, tally->bins, tally->edges, tally->outside + 2 * row, v, log, n);
    else
        vp_count_automatic(counts, tally->bins, tally->exponents + row, v, log, n);
}

#endif
