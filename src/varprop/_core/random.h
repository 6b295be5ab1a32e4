/* Random streams: Philox4x32-10 says where a stream starts, xoshiro256++ in 8 lanes runs it.
 *
 * A stream belongs to (seed, trial, layer, purpose, block). Philox is keyed by the seed and counts
 * (block, layer, trial, purpose, call); its 16 calls fill the 8 x 256 bits of generator state, so
 * a stream costs about as much to start as some forty numbers cost to draw, and any stream can be
 * drawn again without the ones before it.
 *
 * Sources: Salmon, Moraes, Dror and Shaw, SC'11 (Philox); Blackman and Vigna, ACM TOMS 47(4), 2021
 * (xoshiro256++).
 */
#ifndef VP_RANDOM_H
#define VP_RANDOM_H
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

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

/* a ^ b ^ c in one instruction where there is one; equal pairs (a, b) are shared where there is none */
static inline vp_words vp_xor(vp_words a, vp_words b, vp_words c)
{
#if defined(__AVX512F__)
    return (vp_words)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
#else
    return a ^ b ^ c;
#endif
}

/* a times b of the low 32 bits of each number: one instruction, which compilers do not find */
static inline vp_words vp_low_products(vp_words a, vp_words b)
{
#if defined(__AVX512F__)
    return (vp_words)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (vp_words)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (vp_words)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

/* trial < 2^48, layer and block < 2^32, purpose < 2^8.
 * Of Philox's calls 0 to 15, calls i and i + 8 give the four words of lane i. A number of Philox is the
 * low half of one of 64 bits, whose upper half is anything until the end. */
static inline void vp_stream_start(vp_stream *stream, uint64_t seed, uint64_t trial, uint32_t layer,
                                   uint32_t purpose, uint32_t block)
{
    const vp_words zero = {0}, low = zero + 0xFFFFFFFFu;
    for (int part = 0; part < VP_LANES / VP_PER_REGISTER; part++) {
        vp_words counter[2][4], key0 = zero + (uint32_t)seed, key1 = zero + (seed >> 32);
        for (int half = 0; half < 2; half++) {
            counter[half][0] = zero + block;
            counter[half][1] = zero + layer;
            counter[half][2] = zero + trial;
            for (int lane = 0; lane < VP_PER_REGISTER; lane++) {
                const uint32_t call = VP_LANES * half + VP_PER_REGISTER * part + lane;
                counter[half][3][lane] = (uint32_t)(trial >> 32) | purpose << 16 | call << 24;
            }
        }
        for (int round = 0; round < 10; round++) {
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                vp_words *const c = counter[half];
                const vp_words left = vp_low_products(c[0], zero + 0xD2511F53u);
                const vp_words right = vp_low_products(c[2], zero + 0xCD9E8D57u);
                c[0] = right >> 32 ^ c[1] ^ key0;
                c[1] = right;
                c[2] = left >> 32 ^ c[3] ^ key1;
                c[3] = left;
            }
            key0 += 0x9E3779B9u;
            key1 += 0xBB67AE85u;
        }
        for (int half = 0; half < 2; half++) {
            stream->state[2 * half][part] = counter[half][1] << 32 | (counter[half][0] & low);
            stream->state[2 * half + 1][part] = counter[half][3] << 32 | (counter[half][2] & low);
        }
    }
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
                const vp_words crossed = d[k] ^ b[k], next = vp_xor(c[k], a[k], b[k]);
                c[k] = vp_xor(c[k], a[k], shifted);
                a[k] = vp_xor(d[k], b[k], a[k]);
                b[k] = next;
                d[k] = crossed << 45 | crossed >> 19;
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
