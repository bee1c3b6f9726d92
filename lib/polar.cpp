// SPDX-License-Identifier: GPL-3.0-or-later
// Polar codes as 5G NR uses them (3GPP TS 38.212, 5.3.1): encoder and successive cancellation list decoder.
//
// Plain arrays in and out, thread-safe, no state. A code is the rising list of its information positions. The
// codeword is x = u F^(x)log2(n), F = [1 0; 1 1], in natural order.
#include "polar_plan.h"
#include "quantise.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

namespace {

using semcom::kDead;
using semcom::kLlrClip;
using semcom::kSmall;
using semcom::Order;
using semcom::Step;
using semcom::Tree;

constexpr int kMaxWords = 16;   // of 64 positions: n up to 1024
constexpr float kMean = 64.0f;  // steps that the mean channel LLR becomes

// The list of steps for a frozen set. is_information has n entries.
class Plan {
public:
    Plan(const uint8_t *is_information, int n, bool list) : information_(is_information), list_(list) {
        int level = 0;
        while ((1 << level) < n) ++level;
        orders.reserve(static_cast<size_t>(n));
        node(level, 0);
    }
    std::vector<Order> orders;

private:
    int count(int level, int at) const {
        int ones = 0;
        for (int i = 0; i < 1 << level; ++i) ones += information_[at + i];
        return ones;
    }
    void add(Step step, int level, int at, bool left_moved = false, bool right_moved = false) {
        orders.push_back({step, static_cast<uint8_t>(level), left_moved, right_moved, sorted_, forked_, at});
    }
    bool fork(Step step, int level, int at) {
        add(step, level, at);
        sorted_ = true;
        return forked_ = list_;
    }
    // Returns whether paths may change lanes inside.
    bool node(int level, int at) {
        const int size = 1 << level, ones = count(level, at);
        const bool last = information_[at + size - 1];
        if (ones == 0) {
            add(Step::kFrozen, level, at);
            if (forked_) sorted_ = false;
            return false;
        }
        if (ones == 1 && last) return fork(Step::kRepetition, level, at);
        if (ones == size && size <= kSmall) return fork(Step::kFree, level, at);
        if (ones == size - 1 && !information_[at] && size <= kSmall) return fork(Step::kParity, level, at);
        const int half = size / 2;
        if (count(level - 1, at) == 0) {
            add(Step::kRightOnly, level, at);
            if (forked_) sorted_ = false;
            const bool moved = node(level - 1, at + half);
            add(Step::kJoinRight, level, at);
            return moved;
        }
        add(Step::kLeft, level, at);
        const bool left_moved = node(level - 1, at);
        add(Step::kRight, level, at, left_moved);
        const bool right_moved = node(level - 1, at + half);
        add(Step::kJoin, level, at, left_moved, right_moved);
        return left_moved || right_moved;
    }

    const uint8_t *information_;
    bool list_;
    bool sorted_ = true;
    bool forked_ = false;
};

// A decoder and the lanes in its rows.
struct Kernel {
    const char *name;
    int lanes;
    void (*run)(const Tree &);
};

// SEMCOM_KERNEL=plain or avx2 holds the choice down; all choices give the same bits.
Kernel choose_kernel(int group) {
#ifdef SEMCOM_POLAR_X86
    const char *wish = std::getenv("SEMCOM_KERNEL");
    const bool plain = wish && std::strcmp(wish, "plain") == 0;
    const bool narrow = wish && std::strcmp(wish, "avx2") == 0;
    __builtin_cpu_init();
    if (!plain && !narrow && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return {"avx512", 32, semcom::polar_run_avx512_32};
    if (!plain && __builtin_cpu_supports("avx2")) {
        if (group <= 8) return {"avx2", 16, semcom::polar_run_avx2_16};
        return {"avx2", 32, semcom::polar_run_avx2_32};
    }
#endif
    if (group <= 8) return {"plain", 8, semcom::polar_run_plain_8};
    return {"plain", 32, semcom::polar_run_plain_32};
}

// x = u F^(x)log2(n), in place; it is its own inverse. 64 positions in a word, bit 0 first.
void transform(uint64_t *words, int n) {
    static const uint64_t kLower[6] = {0x5555555555555555, 0x3333333333333333, 0x0f0f0f0f0f0f0f0f,
                                       0x00ff00ff00ff00ff, 0x0000ffff0000ffff, 0x00000000ffffffff};
    const int count = (n + 63) / 64;
    for (int level = 0; level < 6 && (1 << level) < n; ++level)
        for (int w = 0; w < count; ++w) words[w] ^= (words[w] >> (1 << level)) & kLower[level];
    for (int step = 1; step < count; step *= 2)
        for (int w = 0; w < count; w += 2 * step)
            for (int i = w; i < w + step; ++i) words[i] ^= words[i + step];
}

inline uint8_t bit(const uint64_t *words, int32_t position) {
    const uint32_t at = static_cast<uint32_t>(position);
    return (words[at / 64] >> (at % 64)) & 1;
}

// Each value to `Group` lanes of its row.
template <int Group>
void place(const int16_t *values, int n, int16_t *rows, int lanes) {
    for (int i = 0; i < n; ++i)
        for (int g = 0; g < Group; ++g) rows[static_cast<int64_t>(i) * lanes + g] = values[i];
}

// One block's LLRs, quantised, to its group of lanes in each row. Returns how many are not 0.
int place_llrs(const float *llr, int n, int16_t *rows, int lanes, int group) {
    const float scale = semcom::quantisation_scale(llr, n, kMean);
    int16_t values[64 * kMaxWords];
    semcom::Ints known = {};
    for (int i = 0; i < n; i += 4) {
        const semcom::Ints steps = semcom::quantise(semcom::load(llr + i), scale, kLlrClip);
        known -= steps != 0;
        for (int j = 0; j < 4; ++j) values[i + j] = static_cast<int16_t>(steps[j]);
    }
    switch (group) {
        case 1: place<1>(values, n, rows, lanes); break;
        case 2: place<2>(values, n, rows, lanes); break;
        case 4: place<4>(values, n, rows, lanes); break;
        case 8: place<8>(values, n, rows, lanes); break;
        case 16: place<16>(values, n, rows, lanes); break;
        default: place<32>(values, n, rows, lanes); break;
    }
    return known[0] + known[1] + known[2] + known[3];
}

// The CRC remainder of every lane's word, in rows `low` and `high` (bits 0 to 15 and 16 to 31).
void remainders(const int16_t *words, int n, int lanes, const uint32_t *syndrome, int16_t *low, int16_t *high) {
    std::memset(low, 0, sizeof(int16_t) * static_cast<size_t>(lanes));
    std::memset(high, 0, sizeof(int16_t) * static_cast<size_t>(lanes));
    for (int i = 0; i < n; ++i) {
        const int16_t *word = words + static_cast<int64_t>(i / kSmall) * lanes;
        const int16_t lower = static_cast<int16_t>(syndrome[i]), upper = static_cast<int16_t>(syndrome[i] >> 16);
        const int shift = i % kSmall;
        for (int l = 0; l < lanes; ++l) {
            const int16_t set = static_cast<int16_t>(-((word[l] >> shift) & 1));
            low[l] ^= set & lower;
            high[l] ^= set & upper;
        }
    }
}

// The code bits of one lane.
void take_word(const Tree &tree, int lanes, int lane, uint64_t *words) {
    std::memset(words, 0, sizeof(uint64_t) * kMaxWords);
    for (int i = 0; i < (1 << tree.level) / kSmall; ++i) {
        const uint64_t bits = static_cast<uint16_t>(tree.words[i * lanes + lane]);
        words[i / 4] |= bits << (16 * (i % 4));
    }
}

}  // namespace

extern "C" {

// Name of the decoder that this processor gets: "avx512", "avx2" or "plain".
const char *semcom_polar_kernel() { return choose_kernel(1).name; }

// bits[blocks][k] of 0 and 1 to coded[blocks][n]; positions[k] rise. n is a power of two from 32 to 1024.
void semcom_polar_encode(const uint8_t *bits, int64_t blocks, int32_t k, const int32_t *positions, int32_t n,
                         uint8_t *coded) {
    uint8_t spread[64 * kMaxWords] = {};
    uint64_t words[kMaxWords];
    for (int64_t block = 0; block < blocks; ++block) {
        const uint8_t *in = bits + block * k;
        uint8_t *out = coded + block * n;
        for (int32_t i = 0; i < k; ++i) spread[positions[i]] = in[i] & 1;
        for (int32_t w = 0; w < (n + 63) / 64; ++w) {
            words[w] = 0;
            for (int b = 0; b < 64; ++b) words[w] |= static_cast<uint64_t>(spread[64 * w + b]) << b;
        }
        transform(words, n);
        for (int32_t i = 0; i < n; ++i) out[i] = bit(words, i);
    }
}

// llr[blocks][n], log P(0)/P(1), to the first `wanted` of the `k` bits on positions[k]: bits[blocks][wanted]. NaN
// counts as no knowledge, infinities saturate. syndrome[n] holds what each code bit adds to the CRC remainder: of the
// paths with remainder 0 the best is taken, or the best of all where there is none; null without CRC. ok[blocks] is 1
// where at least k LLRs say something and the CRC, if there is one, holds. Returns 0, -1 without memory.
int32_t semcom_polar_decode(const float *llr, int64_t blocks, int32_t n, const int32_t *positions, int32_t k,
                            int32_t wanted, const uint32_t *syndrome, int32_t list_size, uint8_t *bits,
                            uint8_t *ok) try {
    Tree tree{};
    tree.list_size = list_size;
    tree.group = 1;
    while (tree.group < list_size) tree.group *= 2;
    while ((1 << tree.level) < n) ++tree.level;
    const Kernel kernel = choose_kernel(tree.group);
    const int lanes = kernel.lanes, frames = lanes / tree.group;

    uint8_t is_information[64 * kMaxWords] = {};
    for (int32_t i = 0; i < k; ++i) is_information[positions[i]] = 1;
    const Plan plan(is_information, n, list_size > 1);
    tree.orders = plan.orders.data();
    tree.order_count = static_cast<int>(plan.orders.size());

    const size_t row = static_cast<size_t>(lanes), count = static_cast<size_t>(n);
    std::vector<int16_t> memory(row * (2 * count + count / kSmall + 3));
    tree.llr = memory.data();
    tree.words = tree.llr + row * 2 * count;
    tree.metric = tree.words + row * (count / kSmall);
    int16_t *low = tree.metric + row, *high = low + row;
    int16_t *root = tree.llr + row * count;

    for (int64_t first = 0; first < blocks; first += frames) {
        const int here = static_cast<int>(std::min<int64_t>(frames, blocks - first));
        for (int f = 0; f < here; ++f)
            ok[first + f] = place_llrs(llr + (first + f) * n, n, root + f * tree.group, lanes, tree.group) >= k;
        kernel.run(tree);
        if (syndrome) remainders(tree.words, n, lanes, syndrome, low, high);
        for (int f = 0; f < here; ++f) {
            const int best = f * tree.group, end = best + list_size;
            int lane = best;
            if (syndrome) {
                while (lane < end && (low[lane] || high[lane] || tree.metric[lane] == kDead)) ++lane;
                if (lane == end) {
                    lane = best;
                    ok[first + f] = 0;
                }
            }
            uint64_t words[kMaxWords];
            take_word(tree, lanes, lane, words);
            transform(words, n);
            uint8_t *out = bits + (first + f) * wanted;
            for (int32_t i = 0; i < wanted; ++i) out[i] = bit(words, positions[i]);
        }
    }
    return 0;
} catch (const std::bad_alloc &) {
    return -1;
}

}  // extern "C"
