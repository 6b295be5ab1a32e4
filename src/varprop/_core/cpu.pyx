"""Which instruction sets this processor and its operating system have."""

cdef extern from *:
    """
    #if defined(__x86_64__)
    static int vp_level(void)
    {
        __builtin_cpu_init();
        if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
              __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma")))
            return 1;
        if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl")))
            return 3;
        return 4;
    }
    #else
    static int vp_level(void) { return 1; }
    #endif
    """
    int vp_level() noexcept


def level():
    """1 for the baseline, 3 for x86-64-v3, 4 for x86-64-v4."""
    return vp_level()
