/* Every kernel of the engines on buffers of exactly the size that it may touch, for memcheck.py.
 *
 * Prints a sum of all results, which no reading beyond a buffer may have entered.
 */
#include "drawn.h"
#include "backward.h"
#include "transcript.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double seen = 0.0;
static int64_t calls = 0;

static void *room(size_t bytes)
{
    void *made = malloc(bytes ? bytes : 1);
    if (!made)
        abort();
    return made;
}

static double *numbers(int n, int hostile)
{
    static const double odd[] = {0.0, -0.0, 5e-324, -1e-310, 1e307, -1e307, 1e6, -1e7, 1.0, -3.0};
    double *made = room(n * sizeof(double));
    for (int i = 0; i < n; i++)
        made[i] = hostile ? odd[i % 10] : 0.7 * ((i * 37) % 19 - 9) / 9.0;
    return made;
}

static void look(const double *x, int n)
{
    for (int i = 0; i < n; i++)
        if (x[i] == x[i] && vp_abs(x[i]) < 1e300)
            seen += x[i];
    calls++;
}

static void streams(void)
{
    vp_stream stream;
    for (int n = 0; n <= 96; n += 16) {
        uint64_t *words = room(n * 8);
        double *out = room(n * sizeof(double));
        vp_stream_start(&stream, ~0ull, (1ull << 48) - 1, ~0u, VP_MASK, ~0u);
        vp_fill_normal(&stream, words, out, n);
        look(out, n);
        vp_fill_uniform(&stream, words, out, n);
        look(out, n);
        vp_mask(words, 1ull << 63, 2.0, out, n);
        look(out, n);
        free(words);
        free(out);
    }
    for (int law = VP_LAW_NORMAL; law < VP_LAW_ORTHOGONAL; law++) {
        for (int n = 32; n <= 2048; n *= 2) {
            uint64_t *words = room(3 * n / 2 * 8);
            float *out = room(n * sizeof(float));
            double *wide = room(n * sizeof(double)), *sums = numbers(VP_SUM_LANES, 0);
            vp_stream_start(&stream, 1, 2, 3, VP_WEIGHTS, 4);
            vp_fill_law(law, law == VP_LAW_SPARSE ? 0.1 : 5.0, &stream, words, out, n);
            for (int i = 0; i < n; i++)
                wide[i] = out[i];
            look(wide, n);
            vp_add_products(sums, out, wide, n);
            look(sums, VP_SUM_LANES);
            vp_add_scaled(wide, out, 0.5, n);
            look(wide, n);
            free(words), free(out), free(wide), free(sums);
        }
    }
}

static void activations(void)
{
    for (int code = 0; code < VP_CODES; code++) {
        for (int hostile = 0; hostile < 2; hostile++) {
            for (int n = 1; n <= 70; n++) {
                double *z = numbers(n, hostile), *h = room(n * 8), *d = room(n * 8);
                vp_sums sums;
                memset(&sums, 0, sizeof sums);
                vp_activate(code, z, h, d, n, 1.5, 0.5);
                vp_add(&sums, z, h, d, n, 0.05);
                look(h, n), look(d, n);
                look(sums.sum[VP_SUM_H], VP_SUM_LANES);
                seen += (double)sums.count[0] + (double)sums.count[1];
                free(z), free(h), free(d);
            }
        }
        for (double log = -800.0; log < 800.0; log += 13.7) {
            double sign, of[2];
            for (int side = -1; side <= 1; side += 2) {
                of[0] = vp_log_tail(code, 1.5, side, log);
                of[1] = vp_log_slope_tail(code, 1.5, side, log, &sign);
                look(of, 2);
            }
        }
    }
}

static void columns(void)
{
    for (int n = 16; n <= 64; n += 16) {
        for (int many = 1; many <= 6; many++) {
            for (int count = 1; count <= 9; count++) {
                double *x = numbers(n * count, 0), *y = numbers(n * many, 0);
                double *out = room(many * count * 8);
                vp_dots(x, n, count, y, n, many, n, out);
                look(out, many * count);
                if (many <= 4 && many <= count)
                    vp_own_dots(x, n, count, many, n, out);
                vp_add_columns_to(y, n, many, x, n, count, out, n);
                look(y, n * many);
                double square = vp_add_and_square(y, x, n, count, out, n);
                look(&square, 1);
                double *w = calloc(VP_ROWS * VP_SPAN, 8), *up = room(many * count * 8);
                float *row = room(n * sizeof(float));
                for (int r = 0; r < many; r++) {
                    for (int i = 0; i < n; i++)
                        row[i] = (float)((r * n + i) % 7) - 3.0f;
                    vp_place(row, 0, r, w, n);
                }
                vp_products(w, many, x, n, count, n, up, many);
                look(up, many * count);
                vp_add_rows(x, n, count, w, many, up, many, n);
                look(x, n * count);
                free(row);
                free(x), free(y), free(out), free(w), free(up);
            }
        }
        double *a = numbers(n, 0), *b = numbers(n, 1), *c = numbers(n, 0), *d = numbers(n, 0);
        vp_back_sums sums;
        memset(&sums, 0, sizeof sums);
        vp_add_back(&sums, a, c, 0.5, d, c, n);
        look(sums.sum[0], VP_SUM_LANES);
        double dot = vp_dot(a, c, n), sum = vp_sum(a, n);
        look(&dot, 1), look(&sum, 1);
        vp_add_row(a, c, 0.5, n);
        look(a, n);
        for (int odd = 0; odd <= n; odd++) {
            double *p = numbers(odd, 0), *q = numbers(odd, 0), *out = room(odd * 8);
            double short_dot = vp_short_dot(p, q, odd);
            look(&short_dot, 1);
            for (int small = 0; small < 2; small++) {
                vp_difference(p, q, p, p, q, small ? 0.0 : 1.0, small, out, odd);
                look(out, odd);
            }
            free(p), free(q), free(out);
        }
        free(a), free(b), free(c), free(d);
    }
}

static void histograms(void)
{
    const double beyond[] = {__builtin_inf(), -__builtin_inf(), __builtin_nan(""), 1.0};
    const double edges[] = {-1e300, -1.0, 0.0, 1e-320, 1.0, 1e300};
    for (int hostile = 0; hostile < 2; hostile++) {
        for (int bins = 2; bins <= 64; bins += 2) {
            int64_t none[64] = {0}, untouched = VP_NO_SCALE;
            vp_count_automatic(none, bins, &untouched, beyond, 0.0, 4);
            for (int i = 0; i < bins; i++)
                if (none[i])
                    exit(3);
            for (int step = -10; step <= 10; step++) {
                const double log = step < -8 || step > 8 ? step * (VP_COUNTABLE / 10) : 250.0 * step;
                for (int n = 0; n < 30; n += 7) {
                    double *v = numbers(n, hostile);
                    int64_t *counts = calloc(bins, 8), exponent = VP_NO_SCALE;
                    int64_t *fixed = calloc(5, 8), outside[2] = {0, 0};
                    vp_count_automatic(counts, bins, &exponent, v, log, n);
                    vp_count_automatic(counts, bins, &exponent, v, -log, n);
                    vp_count_fixed(fixed, 5, edges, outside, v, log, n);
                    int64_t total = 0, other = outside[0] + outside[1];
                    for (int i = 0; i < bins; i++)
                        total += counts[i];
                    for (int i = 0; i < 5; i++)
                        other += fixed[i];
                    if (total != 2 * n || other != n) {
                        fprintf(stderr, "%d values: counted %ld and %ld\n", n, (long)total, (long)other);
                        exit(2);
                    }
                    calls += 3;
                    free(v), free(counts), free(fixed);
                }
            }
        }
    }
}

int main(void)
{
    streams();
    activations();
    columns();
    histograms();
    printf("%lld kernel calls, sum %.17g\n", (long long)calls, seen);
    return 0;
}
