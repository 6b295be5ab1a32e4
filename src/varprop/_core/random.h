/* Random streams: Philox4x32-10 says where a stream starts, xoshiro256++ in 8 lanes runs it.
 *
 * A stream belongs to (seed, trial, layer, purpose, block). Philox is keyed by the seed and counts
 * (block, layer, trial, purpose, call); its 16 calls fill the 8 x 256 bits of generator state, so
 * a stream costs about as much to start as a hundred numbers cost to draw, and any stream can be
 * drawn again without the ones before it.
 *
 * Sources: Salmon, Moraes, Dror and Shaw, SC'11 (Philox); Blackman and Vigna, ACM TOMS 47(4), 2021
 * (xoshiro256++).
 */
#ifndef VP_RANDOM_H
#define VP_RANDOM_H
#include <stdint.h>
#include <string.h>

#define VP_LANES 8 /* part of the definition of a stream: never change it */

enum { VP_INPUT = 0, VP_WEIGHTS = 1, VP_BIAS = 2, VP_COTANGENT = 3, VP_PROBE = 4,
       VP_MATRIX = 5, VP_MASK = 6 };

/* One register of 64-bit integers. Its width changes the speed, never the numbers. */
#if defined(__AVX512F__)
#define VP_REGISTER 64
#elif defined(__AVX2__)
#define VP_REGISTER 32
#else
#define VP_REGISTER 16
#endif
typedef uint64_t vp_words __attribute__((vector_size(VP_REGISTER)));
#define VP_PER_REGISTER (VP_REGISTER / 8)

typedef struct {
    vp_words state[4][VP_LANES / VP_PER_REGISTER];
} vp_stream;

#define VP_PHILOX_CALLS (2 * VP_LANES)

static inline void vp_philox(uint32_t key0, uint32_t key1, uint32_t counter[4][VP_PHILOX_CALLS])
{
    for (int round = 0; round < 10; round++) {
#pragma GCC unroll 1 /* an early unrolled loop is not vectorised */
        for (int i = 0; i < VP_PHILOX_CALLS; i++) {
            const uint64_t left = (uint64_t)counter[0][i] * 0xD2511F53u;
            const uint64_t right = (uint64_t)counter[2][i] * 0xCD9E8D57u;
            const uint32_t one = counter[1][i], three = counter[3][i];
            counter[0][i] = (uint32_t)(right >> 32) ^ one ^ key0;
            counter[1][i] = (uint32_t)right;
            counter[2][i] = (uint32_t)(left >> 32) ^ three ^ key1;
            counter[3][i] = (uint32_t)left;
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

/* trial < 2^48, layer and block < 2^32, purpose < 2^8. */
static inline void vp_stream_start(vp_stream *stream, uint64_t seed, uint64_t trial, uint32_t layer,
                                   uint32_t purpose, uint32_t block)
{
    uint32_t counter[4][VP_PHILOX_CALLS];
    uint64_t words[4][VP_LANES];
    for (int i = 0; i < VP_PHILOX_CALLS; i++) {
        counter[0][i] = block;
        counter[1][i] = layer;
        counter[2][i] = (uint32_t)trial;
        counter[3][i] = (uint32_t)(trial >> 32) | purpose << 16 | (uint32_t)i << 24;
    }
    vp_philox((uint32_t)seed, (uint32_t)(seed >> 32), counter);
    /* Call i fills words 0, 1 (i < 8) or 2, 3 (i >= 8) of lane i mod 8. */
    for (int lane = 0; lane < VP_LANES; lane++) {
        words[0][lane] = (uint64_t)counter[1][lane] << 32 | counter[0][lane];
        words[1][lane] = (uint64_t)counter[3][lane] << 32 | counter[2][lane];
        words[2][lane] = (uint64_t)counter[1][lane + VP_LANES] << 32 | counter[0][lane + VP_LANES];
        words[3][lane] = (uint64_t)counter[3][lane + VP_LANES] << 32 | counter[2][lane + VP_LANES];
    }
    memcpy(stream->state, words, sizeof words);
}

/* The next n words; n is a multiple of VP_LANES. Two registers' chains of steps run side by side. */
static inline void vp_stream_words(vp_stream *stream, uint64_t *restrict out, int n)
{
    enum { PARTS = VP_LANES / VP_PER_REGISTER, ABREAST = PARTS > 1 ? 2 : 1 };
    for (int part = 0; part < PARTS; part += ABREAST) {
        vp_words a[ABREAST], b[ABREAST], c[ABREAST], d[ABREAST];
        for (int k = 0; k < ABREAST; k++) {
            a[k] = stream->state[0][part + k];
            b[k] = stream->state[1][part + k];
            c[k] = stream->state[2][part + k];
            d[k] = stream->state[3][part + k];
        }
        for (int i = VP_PER_REGISTER * part; i < n; i += VP_LANES) {
#pragma GCC unroll 2
            for (int k = 0; k < ABREAST; k++) {
                const vp_words sum = a[k] + d[k];
                const vp_words word = (sum << 23 | sum >> 41) + a[k];
                const vp_words shifted = b[k] << 17;
                c[k] ^= a[k];
                d[k] ^= b[k];
                b[k] ^= c[k];
                a[k] ^= d[k];
                c[k] ^= shifted;
                d[k] = d[k] << 45 | d[k] >> 19;
                memcpy(out + i + VP_PER_REGISTER * k, &word, sizeof word);
            }
        }
        for (int k = 0; k < ABREAST; k++) {
            stream->state[0][part + k] = a[k];
            stream->state[1][part + k] = b[k];
            stream->state[2][part + k] = c[k];
            stream->state[3][part + k] = d[k];
        }
    }
}

#endif
