# What the engines use of the C headers.
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "drawn.h" nogil:
    enum:
        VP_GROUP
        VP_GROUP_SINGLE
        VP_INPUT
        VP_WEIGHTS
        VP_BIAS
        VP_COTANGENT
        VP_PROBE
        VP_MASK
        VP_SUM_LANES
        VP_SUM_ZZ
        VP_SUM_HH
        VP_SUM_H
        VP_COUNT_SATURATED
        VP_COUNT_ZERO
        VP_BACK_HH
        VP_BACK_HR
        VP_BACK_RR
        VP_BACK_DRR
        VP_BACK_DRH
        VP_BACK_DHH
        VP_BACK_GR
        VP_BACK_GH
        VP_BACK_SUMS
        VP_OK
        VP_RANGE
        VP_OVERFLOW
        VP_CALLBACK
        VP_CODES
        VP_CODE_relu
        VP_CODE_sigmoid
        VP_CODE_softplus
        VP_CODE_probit
        VP_CODE_gaussian
        VP_CODE_two_slope
        VP_LAW_NORMAL
        VP_LAW_UNIFORM
        VP_LAW_TRUNCATED_NORMAL
        VP_LAW_RADEMACHER
        VP_LAW_STUDENT_T
        VP_LAW_SPARSE
        VP_LAW_ORTHOGONAL

    const double VP_NEVER
    const double VP_LARGEST

    ctypedef struct vp_stream:
        pass

    void vp_stream_start(vp_stream*, uint64_t seed, uint64_t trial, uint32_t layer,
                         uint32_t purpose, uint32_t block) noexcept
    void vp_stream_words(vp_stream*, uint64_t* out, int n) noexcept
    void vp_fill_normal(vp_stream*, uint64_t* words, double* out, int n) noexcept
    void vp_fill_uniform(vp_stream*, uint64_t* words, double* out, int n) noexcept
    void vp_fill_law(int law, double shape, vp_stream*, uint64_t* words, float* out,
                     int n) noexcept
    void vp_add_products(double* lanes, const float* w, const double* h, int n) noexcept

    double vp_exp(double) noexcept
    double vp_log(double) noexcept
    double vp_abs(double) noexcept
    double vp_log_or_never(double) noexcept
    double vp_log_add(double, double) noexcept
    double vp_log_tail(int code, double p0, double side, double log_z) noexcept

    ctypedef struct vp_activation:
        int code
        int degree
        double p0
        double p1
        double at_zero
        double zero_slopes[2]
        double far_slopes[2]
        int has_far_slopes
        int far_zeros
        double threshold

    ctypedef struct vp_regime:
        int status
        int code
        double p0
        double p1
        double scale
        double log_unit
        double threshold

    vp_regime vp_choose_regime(const vp_activation*, double log_k) noexcept
    void vp_activate(int code, const double* z, double* h, double* d, int n,
                     double p0, double p1) noexcept

    ctypedef struct vp_sums:
        double sum[3][16]
        int64_t count[2]

    void vp_add(vp_sums*, const double* z, const double* h, const double* d, int n,
                double threshold) noexcept
    void vp_relu_and_add(vp_sums*, const double* z, double* h, double* d, int n,
                         double threshold) noexcept
    double vp_fold(const double*) noexcept

    ctypedef struct vp_back_sums:
        double sum[8][16]

    void vp_add_back(vp_back_sums*, const double* g, const double* h, double shrink,
                     const double* d, const double* r, int n) noexcept
    void vp_add_back_relu(vp_back_sums*, const double* g, const double* z, double shrink,
                          const double* r, int n) noexcept
    void vp_add_scaled(double* u, const float* w, double delta, int n) noexcept
    double vp_log_slope_tail(int code, double p0, double side, double log_z,
                             double* sign) noexcept

    void vp_dots(const double* x, int64_t stride, int count, const double* y, int64_t y_stride,
                 int many, int n, double* out) noexcept
    void vp_own_dots(const double* x, int64_t stride, int count, int many, int n,
                     double* out) noexcept
    void vp_add_columns_to(double* y, int64_t y_stride, int many, const double* x, int64_t stride,
                           int count, const double* factor, int n) noexcept
    double vp_add_and_square(double* y, const double* x, int64_t stride, int count,
                             const double* factor, int n) noexcept
    void vp_mix(double* z, const double* a, double own, const double* x, int64_t stride,
                int count, const double* factor, int n) noexcept
    double vp_multiply_and_square(double* u, const double* by, int n) noexcept
    double vp_sum(const double*, int n) noexcept
    double vp_short_dot(const double* x, const double* y, int n) noexcept
    void vp_difference(const double* e, const double* hp, const double* dp, const double* hc,
                       const double* dc, double per_step, int small, double* out, int n) noexcept
    void vp_mask(const uint64_t* words, uint64_t below, double kept, double* mask, int n) noexcept

    const double VP_COUNTABLE
    ctypedef struct vp_tally:
        int bins
        const double* edges
        int64_t* counts
        int64_t* exponents
        int64_t* outside

    void vp_count(const vp_tally*, int which, int64_t depth, int64_t layer, const double* v,
                  double log, int n) noexcept

    enum:
        VP_ROWS
        VP_SPAN

    void vp_place(const float* w, int64_t start, int row, double* rows, int n) noexcept
    void vp_products(const double* w, int rows, const double* x, int64_t stride, int columns,
                     int64_t n, double* out, int64_t stride_out) noexcept
    void vp_add_rows(double* u, int64_t stride, int columns, const double* w, int rows,
                     const double* d, int64_t stride_d, int64_t n) noexcept
