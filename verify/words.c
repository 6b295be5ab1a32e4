/* The words of a layout of streams, poured out or counted, for streams.py.
 *
 * words LAYOUT... pour          all of them to stdout, until nobody reads
 * words LAYOUT... START STOP    what the tests count in chunks START to STOP - 1, to stdout
 *
 * LAYOUT is the first stream's seed, trial, layer, purpose and block; then which of the five runs
 * on from stream to stream, in what steps, and at what number of steps it begins again with the
 * next trial; and how many words are taken of a stream. Counts are 64-bit, in the order of Counts.
 */
#include <stdio.h>
#include <stdlib.h>
#include "random.h"

enum { CHUNK = 1 << 16, ABREAST = 8 };
enum { SEED, TRIAL, LAYER, PURPOSE, BLOCK, FIELDS };

typedef struct {
    uint64_t first[FIELDS], field, step, modulus, length;
} Layout;

typedef struct {
    uint64_t bytes[8][256], ones[4][65], following[2][65536];
} Counts;

static void start(const Layout *layout, uint64_t number, vp_stream *stream)
{
    uint64_t at[FIELDS];
    memcpy(at, layout->first, sizeof at);
    at[layout->field] += layout->step * (layout->modulus ? number % layout->modulus : number);
    at[TRIAL] += layout->modulus ? number / layout->modulus : 0;
    vp_stream_start(stream, at[SEED], at[TRIAL], (uint32_t)at[LAYER], (uint32_t)at[PURPOSE],
                    (uint32_t)at[BLOCK]);
}

/* Word 0 of each stream, then word 1 of each, and so on; some streams at a time fill cache lines. */
static void make(const Layout *layout, uint64_t chunk, uint64_t *words)
{
    static uint64_t some[ABREAST][CHUNK];
    const uint64_t many = CHUNK / layout->length;
    const uint64_t abreast = many < ABREAST ? many : ABREAST;
    for (uint64_t from = 0; from < many; from += abreast) {
        for (uint64_t j = 0; j < abreast; j++) {
            vp_stream stream;
            start(layout, chunk * many + from + j, &stream);
            vp_stream_words(&stream, some[j], (int)layout->length);
        }
        for (uint64_t w = 0; w < layout->length; w++)
            for (uint64_t j = 0; j < abreast; j++)
                words[w * many + from + j] = some[j][w];
    }
}

static void count(const uint64_t *words, Counts *counts)
{
    static const int lags[4] = {0, 1, 8, 64};
    for (int i = 0; i < CHUNK; i++) {
        for (int place = 0; place < 8; place++)
            counts->bytes[place][words[i] >> 8 * place & 255]++;
        counts->ones[0][__builtin_popcountll(words[i])]++;
        for (int row = 1; row < 4; row++)
            if (i >= lags[row])
                counts->ones[row][__builtin_popcountll(words[i] ^ words[i - lags[row]])]++;
        if (i > 0) {
            counts->following[0][words[i] >> 56 << 8 | words[i - 1] >> 56]++;
            counts->following[1][(words[i] & 255) << 8 | (words[i - 1] & 255)]++;
        }
    }
}

int main(int argc, char **argv)
{
    static uint64_t words[CHUNK];
    static Counts counts;
    uint64_t given[FIELDS + 4];
    Layout layout;
    const int pours = argc == FIELDS + 6 && strcmp(argv[argc - 1], "pour") == 0;
    if (!pours && argc != FIELDS + 7)
        return 2;
    for (int i = 0; i < FIELDS + 4; i++)
        given[i] = strtoull(argv[i + 1], NULL, 10);
    memcpy(&layout, given, sizeof given);
    if (layout.field >= FIELDS || layout.length % VP_LANES || layout.length == 0 ||
        layout.length > CHUNK || CHUNK % layout.length)
        return 2;
    if (pours) {
        for (uint64_t chunk = 0;; chunk++) {
            make(&layout, chunk, words);
            if (fwrite(words, sizeof words, 1, stdout) != 1)
                return 0;
        }
    }
    const uint64_t stop = strtoull(argv[FIELDS + 6], NULL, 10);
    for (uint64_t chunk = strtoull(argv[FIELDS + 5], NULL, 10); chunk < stop; chunk++) {
        make(&layout, chunk, words);
        count(words, &counts);
    }
    return fwrite(&counts, sizeof counts, 1, stdout) != 1;
}
