/* One layer's units: how phi acts at a given scale, and the sums that become its statistics.
 *
 * Pre-activations arrive as z / sqrt(K), of order 1, beside ln K; activations leave in units of
 * exp(log_unit / 2). So a layer at e^-2000 costs and means the same as one at 1.
 */
#ifndef VP_LAYER_H
#define VP_LAYER_H
#include "activations.h"

#define VP_SUM_LANES 16
#define VP_NEVER (-__builtin_inf()) /* ln 0 */
#define VP_LARGEST 1.7e308          /* a logarithm beyond it is an overflow */

/* ---- sums: VP_SUM_LANES partial sums each, folded in one fixed order ---- */

enum { VP_SUM_ZZ, VP_SUM_HH, VP_SUM_H, VP_SUMS };
enum { VP_COUNT_SATURATED, VP_COUNT_ZERO, VP_COUNTS };

typedef struct {
    double sum[VP_SUMS][VP_SUM_LANES];
    int64_t count[VP_COUNTS];
} vp_sums;

typedef double vp_doubles __attribute__((vector_size(VP_REGISTER)));
typedef int64_t vp_flags __attribute__((vector_size(VP_REGISTER)));
#define VP_PARTS (VP_SUM_LANES / VP_PER_REGISTER)

static inline vp_doubles vp_load(const double *p)
{
    vp_doubles v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* a where it is positive, else +0 */
static inline vp_doubles vp_positive(vp_doubles a)
{
#if defined(__AVX512F__)
    return _mm512_max_pd(a, (vp_doubles){0});
#elif defined(__AVX2__)
    return _mm256_max_pd(a, (vp_doubles){0});
#elif defined(__SSE2__)
    return _mm_max_pd(a, (vp_doubles){0});
#else
    return (vp_doubles)((vp_words)a & (vp_words)(a > 0.0));
#endif
}

/* How many of a register's numbers satisfy a <= b, or a == 0, added to the counter */
#if defined(__AVX512F__)
typedef int64_t vp_counter;
#define VP_COUNT_LE(counter, a, b) counter += __builtin_popcount(_mm512_cmp_pd_mask(a, b, _CMP_LE_OQ))
#define VP_COUNT_EQ(counter, a, b) counter += __builtin_popcount(_mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ))
#else
typedef vp_flags vp_counter;
#define VP_COUNT_LE(counter, a, b) counter -= (a) <= (b)
#define VP_COUNT_EQ(counter, a, b) counter -= (a) == (b)
#endif

static inline int64_t vp_counted(vp_counter counter)
{
#if defined(__AVX512F__)
    return counter;
#else
    int64_t count = 0;
    for (int lane = 0; lane < VP_PER_REGISTER; lane++)
        count += counter[lane];
    return count;
#endif
}

/* Unit i goes to lane i mod VP_SUM_LANES. */
static void vp_add(vp_sums *sums, const double *restrict z, const double *restrict h,
                   const double *restrict d, int n, double threshold)
{
    const vp_words magnitude = (vp_words){0} + 0x7FFFFFFFFFFFFFFFu;
    vp_doubles sum[VP_SUMS][VP_PARTS];
    const vp_doubles limit = (vp_doubles){0} + threshold, none = {0};
    vp_counter saturated = {0}, zero = {0};
    memcpy(sum, sums->sum, sizeof sum);
    int i = 0;
    for (; i + VP_SUM_LANES <= n; i += VP_SUM_LANES) {
        for (int part = 0; part < VP_PARTS; part++) {
            const int at = i + part * VP_PER_REGISTER;
            const vp_doubles a = vp_load(z + at), b = vp_load(h + at), c = vp_load(d + at);
            sum[VP_SUM_ZZ][part] += a * a;
            sum[VP_SUM_HH][part] += b * b;
            sum[VP_SUM_H][part] += b;
            VP_COUNT_LE(saturated, (vp_doubles)((vp_words)c & magnitude), limit);
            VP_COUNT_EQ(zero, b, none);
        }
    }
    memcpy(sums->sum, sum, sizeof sum);
    sums->count[VP_COUNT_SATURATED] += vp_counted(saturated);
    sums->count[VP_COUNT_ZERO] += vp_counted(zero);
    for (int lane = 0; i < n; i++, lane++) {
        sums->sum[VP_SUM_ZZ][lane] += z[i] * z[i];
        sums->sum[VP_SUM_HH][lane] += h[i] * h[i];
        sums->sum[VP_SUM_H][lane] += h[i];
        sums->count[VP_COUNT_SATURATED] += vp_abs(d[i]) <= threshold;
        sums->count[VP_COUNT_ZERO] += h[i] == 0.0;
    }
}

static inline __attribute__((always_inline)) void
vp_relu_groups(vp_sums *sums, const double *restrict z, double *restrict h, double *restrict d,
               int n, double threshold)
{
    vp_doubles sum[VP_SUMS][VP_PARTS];
    const vp_doubles none = {0}, one = none + 1.0;
    vp_counter zero = {0};
    memcpy(sum, sums->sum, sizeof sum);
    int i = 0;
    for (; i + VP_SUM_LANES <= n; i += VP_SUM_LANES) {
        for (int part = 0; part < VP_PARTS; part++) {
            const int at = i + part * VP_PER_REGISTER;
            const vp_doubles a = vp_load(z + at);
            const vp_doubles b = vp_positive(a);
            sum[VP_SUM_ZZ][part] += a * a;
            sum[VP_SUM_HH][part] += b * b;
            sum[VP_SUM_H][part] += b;
            VP_COUNT_LE(zero, a, none);
            if (h)
                memcpy(h + at, &b, sizeof b);
            if (d) {
                const vp_doubles c = (vp_doubles)((vp_words)one & (vp_words)(a > none));
                memcpy(d + at, &c, sizeof c);
            }
        }
    }
    memcpy(sums->sum, sum, sizeof sum);
    int64_t zeros = vp_counted(zero);
    for (int lane = 0; i < n; i++, lane++) {
        const double a = z[i], b = a > 0.0 ? a : 0.0;
        sums->sum[VP_SUM_ZZ][lane] += a * a;
        sums->sum[VP_SUM_HH][lane] += b * b;
        sums->sum[VP_SUM_H][lane] += b;
        zeros += a <= 0.0;
        if (h)
            h[i] = b;
        if (d)
            d[i] = a > 0.0 ? 1.0 : 0.0;
    }
    sums->count[VP_COUNT_ZERO] += zeros;
    sums->count[VP_COUNT_SATURATED] += threshold >= 1.0 ? n : zeros; /* threshold >= 0 */
}

/* What vp_activate and vp_add do for ReLU, in one pass: the commonest activation, and so cheap that
 * the ways through memory would show. h and d are left out where they are NULL. */
static void vp_relu_and_add(vp_sums *sums, const double *restrict z, double *restrict h,
                            double *restrict d, int n, double threshold)
{
    if (h && d)
        vp_relu_groups(sums, z, h, d, n, threshold);
    else if (h)
        vp_relu_groups(sums, z, h, NULL, n, threshold);
    else
        vp_relu_groups(sums, z, NULL, NULL, n, threshold);
}

static inline double vp_fold(const double *lanes)
{
    /* register by register: what is stored as halves of one and loaded whole has to wait */
    vp_doubles part[VP_PARTS];
    double folded[VP_PER_REGISTER];
#pragma GCC unroll 8
    for (int i = 0; i < VP_PARTS; i++)
        part[i] = vp_load(lanes + i * VP_PER_REGISTER);
#pragma GCC unroll 4
    for (int width = VP_PARTS / 2; width > 0; width /= 2)
#pragma GCC unroll 4
        for (int i = 0; i < width; i++)
            part[i] += part[i + width];
#pragma GCC unroll 8
    for (int lane = 0; lane < VP_PER_REGISTER; lane++)
        folded[lane] = part[0][lane];
#pragma GCC unroll 4
    for (int width = VP_PER_REGISTER / 2; width > 0; width /= 2)
#pragma GCC unroll 4
        for (int lane = 0; lane < width; lane++)
            folded[lane] += folded[lane + width];
    return folded[0];
}

/* ---- the scale at which phi acts ---- */

typedef struct {
    int code;              /* row of the table; -1 for a formula or a callable */
    int degree;            /* phi(t z) = t^degree phi(z), t > 0; -1 for none */
    double p0, p1;
    double at_zero;        /* phi(0) */
    double zero_slopes[2]; /* phi'(0-), phi'(0+) */
    double far_slopes[2];  /* lim phi(x)/x at -inf and +inf */
    int has_far_slopes;
    int far_zeros;         /* where a far slope is 0, is phi itself exactly 0? */
    double threshold;      /* saturated: |phi'| <= threshold */
} vp_activation;

enum { VP_OK = 0, VP_RANGE = 1, VP_OVERFLOW = 2, VP_CALLBACK = 3 };

typedef struct {
    int status;
    int code;        /* what to evaluate: the activation's own code, or two_slope */
    double p0, p1;
    double scale;    /* evaluate at scale * (z / sqrt(K)) */
    double log_unit; /* h^2 comes in units of e^log_unit */
    double threshold;
} vp_regime;

/* K from 10^-240 to 10^240 is evaluated as it stands: the squares of h stay within float64. Beyond,
 * phi acts by its slopes; its own scales of length and height are far from 10^120. */
#define VP_FAR 552.6
/* sqrt(K) as a float64: bounded activations, and those with phi(0) != 0, change no more beyond */
#define VP_LOWEST (-1300.0)
#define VP_HIGHEST 692.0

static vp_regime vp_choose_regime(const vp_activation *act, double log_k)
{
    vp_regime regime = {VP_OK, act->code, act->p0, act->p1, 1.0, 0.0, act->threshold};
    if (act->degree >= 0) {
        regime.log_unit = act->degree == 0 ? 0.0 : act->degree * log_k;
        return regime;
    }
    const double *slopes = NULL;
    if (log_k < -VP_FAR && act->at_zero == 0.0) {
        if (vp_abs(act->zero_slopes[0]) + vp_abs(act->zero_slopes[1]) <= 1e300)
            slopes = act->zero_slopes;
        else if (log_k < VP_LOWEST) /* a root's slope at 0 */
            regime.status = VP_RANGE;
    }
    if (log_k > VP_FAR) {
        if (!act->has_far_slopes)
            regime.status = VP_RANGE;
        else if (act->far_slopes[0] != 0.0 || act->far_slopes[1] != 0.0)
            slopes = act->far_slopes;
    }
    if (slopes) {
        if (slopes[0] == 0.0 && slopes[1] == 0.0)
            regime.status = VP_RANGE;
        regime.code = VP_CODE_two_slope;
        regime.p0 = slopes[0];
        regime.p1 = slopes[1];
        regime.log_unit = log_k;
    } else {
        if (log_k > VP_HIGHEST && act->code < 0)
            regime.status = VP_RANGE; /* it may grow like a root */
        regime.scale = vp_exp(0.5 * vp_min(vp_max(log_k, VP_LOWEST), VP_HIGHEST));
    }
    return regime;
}

/* ---- scalars in logarithms, where ln 0 is VP_NEVER ---- */

static double vp_log_or_never(double x)
{
    if (!(x <= 0x1.fffffffffffffp1023))
        return __builtin_inf(); /* inf or not a number: write_row calls it an overflow */
    return x > 0x1p-1022 ? vp_log(x) : x > 0.0 ? vp_log(x * 0x1p200) - 138.62943611198907 : VP_NEVER;
}

/* ln(e^a + e^b) */
static double vp_log_add(double a, double b)
{
    const double high = vp_max(a, b), low = vp_min(a, b);
    if (low == VP_NEVER)
        return high;
    return high + vp_log1p(vp_exp(low - high));
}

/* ln |phi(z)| where phi(z) itself would underflow or is lost beside a far slope; z = side e^log_z. */
static double vp_log_tail(int code, double p0, double side, double log_z)
{
    const double y = log_z > 709.0 ? 1e308 : vp_exp(log_z);
    double exp, expm1;
    switch (code) {
    case VP_CODE_gaussian:
        return y > 1e154 ? VP_NEVER : -y * y;
    case VP_CODE_elu:
    case VP_CODE_celu:
        if (side > 0.0)
            return log_z;
        vp_exp_both(code == VP_CODE_celu ? -y / p0 : -y, &exp, &expm1);
        return vp_log(p0) + vp_log_or_never(-expm1);
    case VP_CODE_selu:
        return side < 0.0 ? vp_log(1.7580993408473766) : log_z + vp_log(1.0507009873554805);
    default:
        break;
    }
    if (side > 0.0)
        return code == VP_CODE_sigmoid || code == VP_CODE_probit ? 0.0 : log_z;
    if (y >= 1e307)
        return VP_NEVER;
    switch (code) {
    case VP_CODE_sigmoid:
    case VP_CODE_softplus:
        return -y;
    case VP_CODE_silu:
    case VP_CODE_mish:
        return log_z - y;
    case VP_CODE_gelu_tanh:
        return y > 1e102 ? VP_NEVER : log_z - 1.5957691216057308 * (y + 0.044715 * (y * y * y));
    case VP_CODE_probit:
    case VP_CODE_gelu:
        if (y > 1e153)
            return VP_NEVER;
        return (code == VP_CODE_gelu ? log_z : 0.0) - 0.5 * y * y +
               vp_log(0.5 * vp_erfcx_any(y * 0.70710678118654752));
    default:
        return VP_NEVER; /* exactly zero on this side */
    }
}

#endif
