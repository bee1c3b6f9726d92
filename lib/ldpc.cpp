// SPDX-License-Identifier: GPL-3.0-or-later
// The LDPC code of 5G NR (3GPP TS 38.212, 5.3.2 and 5.4.2.1): encoder and layered normalised min-sum decoder.
//
// Plain arrays in and out, thread-safe, no state. A code is described by its lifted graph (rows in use, the
// column and shift of each edge) and by `runs`, pairs (first position, length) that say which positions of the
// whole codeword are sent, in order: puncturing, fillers, redundancy versions and repetition are all runs.
#include "ldpc_layers.h"
#include "quantise.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

namespace {

using semcom::Graph;
using semcom::kClip;
using semcom::kMargin;
using semcom::State;

typedef int (*Decoder)(const Graph &, const State &, int, int);

int decode_plain(const Graph &graph, const State &state, int alpha, int limit) {
    return semcom::decode_layers<8>(graph, state, alpha, limit);
}

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define SEMCOM_X86 1
__attribute__((target("avx2"))) int decode_avx2(const Graph &graph, const State &state, int alpha, int limit) {
    return semcom::decode_layers<16>(graph, state, alpha, limit);
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")))
int decode_avx512(const Graph &graph, const State &state, int alpha, int limit) {
    return semcom::decode_layers<32>(graph, state, alpha, limit);
}
#endif

// SEMCOM_KERNEL=plain or avx2 holds the choice down; all choices give the same bits.
Decoder choose_decoder() {
#ifdef SEMCOM_X86
    const char *wish = std::getenv("SEMCOM_KERNEL");
    const bool plain = wish && std::strcmp(wish, "plain") == 0;
    const bool narrow = wish && std::strcmp(wish, "avx2") == 0;
    __builtin_cpu_init();
    if (!plain && !narrow && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return decode_avx512;
    if (!plain && __builtin_cpu_supports("avx2")) return decode_avx2;
#endif
    return decode_plain;
}

constexpr float kMean = 64.0f;  // steps of the mean magnitude: leaves room for the tails of fading channels

// Adds `count` quantised values to `at`: repeated bits add up.
void add_quantised(int16_t *at, const float *in, int32_t count, float scale) {
    const auto add = [](int16_t had, int32_t more) {
        return static_cast<int16_t>(std::max(-kClip, std::min(kClip, had + more)));
    };
    int32_t i = 0;
    for (; i + 16 <= count; i += 16) {
        int32_t pieces[16];
        for (int j = 0; j < 16; j += 4) {
            const semcom::Ints x = semcom::quantise(semcom::load(in + i + j), scale, kClip);
            std::memcpy(pieces + j, &x, sizeof x);
        }
        for (int j = 0; j < 16; ++j) at[i + j] = add(at[i + j], pieces[j]);
    }
    for (; i < count; ++i) at[i] = add(at[i], semcom::quantise(semcom::Floats{in[i], 0.0f, 0.0f, 0.0f}, scale, kClip)[0]);
}

}  // namespace

extern "C" {

// Name of the decoder that this processor gets: "avx512", "avx2" or "plain".
const char *semcom_ldpc_kernel() {
    const Decoder decoder = choose_decoder();
#ifdef SEMCOM_X86
    if (decoder == decode_avx512) return "avx512";
    if (decoder == decode_avx2) return "avx2";
#endif
    (void)decoder;
    return "plain";
}

// bits[blocks][k] of 0 and 1 to coded[blocks][n]. `systematic` is the number of information columns (22 or 10); rows
// 0..3 are the core parity, row r >= 4 ends with the edge of its own parity column. Returns 0, -1 without memory.
int32_t semcom_ldpc_encode(const uint8_t *bits, int64_t blocks, int32_t k, int32_t systematic, int32_t z,
                           int32_t columns, int32_t rows, const int32_t *row_start, const int32_t *column,
                           const int32_t *shift, const int32_t *runs, int32_t run_count, int32_t n, uint8_t *coded) {
    const int64_t stride = 2 * static_cast<int64_t>(z);
    std::unique_ptr<uint8_t[]> memory(new (std::nothrow) uint8_t[static_cast<size_t>(columns * stride + z * 6)]());
    if (!memory) return -1;
    uint8_t *word = memory.get();                 // every column twice, so that a rotated column is one run
    uint8_t *core = word + columns * stride;      // sums of the four core rows over what is known
    uint8_t *sum = core + 4 * z;
    const auto add = [z](uint8_t *__restrict to, const uint8_t *__restrict from) {
        for (int32_t i = 0; i < z; ++i) to[i] ^= from[i];
    };
    const auto place = [z, word, stride](int32_t col, const uint8_t *values) {
        std::memcpy(word + col * stride, values, static_cast<size_t>(z));
        std::memcpy(word + col * stride + z, values, static_cast<size_t>(z));
    };
    for (int64_t block = 0; block < blocks; ++block) {
        const uint8_t *in = bits + block * k;
        for (int32_t c = 0; c < systematic; ++c) {
            const int32_t have = std::max(0, std::min(z, k - c * z));
            uint8_t *at = word + c * stride;
            std::memset(at, 0, static_cast<size_t>(stride));
            for (int32_t i = 0; i < have; ++i) at[i] = in[c * z + i] & 1;
            std::memcpy(at + z, at, static_cast<size_t>(have));
        }
        // Core: in the sum of the four rows every parity column but the first cancels, and of its three shifts two.
        std::memset(core, 0, static_cast<size_t>(4 * z));
        int32_t odd_shift = 0;
        for (int32_t r = 0; r < 4; ++r)
            for (int32_t e = row_start[r]; e < row_start[r + 1]; ++e) {
                if (column[e] < systematic) add(core + r * z, word + column[e] * stride + shift[e]);
                if (column[e] == systematic) odd_shift ^= shift[e];
            }
        std::memset(sum, 0, static_cast<size_t>(z));
        for (int32_t r = 0; r < 4; ++r) add(sum, core + r * z);
        uint8_t *first = sum + z;
        for (int32_t i = 0; i < z; ++i) first[(i + odd_shift) % z] = sum[i];
        place(systematic, first);
        for (int32_t r = 0; r < 3; ++r) {  // row r then gives parity column r + 1
            for (int32_t e = row_start[r]; e < row_start[r + 1]; ++e)
                if (column[e] >= systematic && column[e] <= systematic + r)
                    add(core + r * z, word + column[e] * stride + shift[e]);
            place(systematic + r + 1, core + r * z);
        }
        for (int32_t r = 4; r < rows; ++r) {
            std::memset(sum, 0, static_cast<size_t>(z));
            for (int32_t e = row_start[r]; e + 1 < row_start[r + 1]; ++e)
                add(sum, word + column[e] * stride + shift[e]);
            place(column[row_start[r + 1] - 1], sum);
        }
        uint8_t *out = coded + block * n;
        for (int32_t run = 0; run < run_count; ++run) {
            int32_t position = runs[2 * run];
            int32_t left = runs[2 * run + 1];
            while (left > 0) {
                const int32_t lane = position % z;
                const int32_t take = std::min(left, z - lane);
                std::memcpy(out, word + (position / z) * stride + lane, static_cast<size_t>(take));
                out += take;
                position += take;
                left -= take;
            }
        }
    }
    return 0;
}

// llr[blocks][n], log P(0)/P(1), to bits[blocks][k]; ok[blocks] is 1 where every check holds, iterations[blocks] the
// number done. NaN counts as no knowledge, infinities saturate. alpha is in 32nds. Returns 0, -1 without memory,
// -2 for a row degree that neither base graph has.
int32_t semcom_ldpc_decode(const float *llr, int64_t blocks, int32_t k, int32_t systematic, int32_t z, int32_t columns,
                           int32_t rows, const int32_t *row_start, const int32_t *column, const int32_t *shift,
                           const int32_t *runs, int32_t run_count, int32_t n, int32_t alpha, int32_t limit,
                           uint8_t *bits, uint8_t *ok, int32_t *iterations) {
    for (int32_t r = 0; r < rows; ++r)
        if (!semcom::degree_is_known(row_start[r + 1] - row_start[r])) return -2;
    const Graph graph{z, (z + kMargin - 1) / kMargin * kMargin, rows, row_start, column, shift};
    State state{};
    // Two periods, a margin in front, and room for a window at 2z - 1 rounded up behind.
    state.stride = 2 * graph.lanes + 3 * kMargin;
    const size_t posterior = static_cast<size_t>(columns) * static_cast<size_t>(state.stride);
    const size_t messages = static_cast<size_t>(row_start[rows]) * static_cast<size_t>(graph.lanes);
    std::unique_ptr<int16_t[]> memory(new (std::nothrow) int16_t[posterior + messages]());
    std::unique_ptr<int32_t[]> window(new (std::nothrow) int32_t[static_cast<size_t>(columns)]);
    if (!memory || !window) return -1;
    state.posterior = memory.get();
    state.messages = memory.get() + posterior;
    state.window = window.get();
    const Decoder decoder = choose_decoder();
    for (int64_t block = 0; block < blocks; ++block) {
        std::memset(state.posterior, 0, posterior * sizeof(int16_t));
        std::memset(state.window, 0, static_cast<size_t>(columns) * sizeof(int32_t));
        const float *in = llr + block * n;
        const float scale = semcom::quantisation_scale(in, n, kMean);
        for (int32_t run = 0; run < run_count; ++run) {
            int32_t position = runs[2 * run];
            int32_t left = runs[2 * run + 1];
            while (left > 0) {
                const int32_t lane = position % z;
                const int32_t take = std::min(left, z - lane);
                int16_t *at = state.posterior + static_cast<int64_t>(position / z) * state.stride + kMargin + lane;
                add_quantised(at, in, take, scale);
                in += take;
                position += take;
                left -= take;
            }
        }
        for (int32_t i = k; i < systematic * z; ++i)  // fillers are known zeros
            state.posterior[static_cast<int64_t>(i / z) * state.stride + kMargin + i % z] = kClip;
        const int done = decoder(graph, state, alpha, limit);
        ok[block] = done > 0;
        iterations[block] = done > 0 ? done : -done;
        uint8_t *out = bits + block * k;
        for (int32_t c = 0; c * z < k; ++c) {
            semcom::move_window(graph, state, c, 0);
            const int16_t *values = state.posterior + static_cast<int64_t>(c) * state.stride + kMargin;
            const int32_t have = std::min(z, k - c * z);
            for (int32_t i = 0; i < have; ++i) out[c * z + i] = values[i] < 0;
        }
    }
    return 0;
}

}  // extern "C"
