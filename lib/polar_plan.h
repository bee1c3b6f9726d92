// SPDX-License-Identifier: GPL-3.0-or-later
// What a polar list decoder does for a code, step by step: the same for every path of every block.
//
// Some nodes are decided at once, with forks enough that the list is the same: S. A. Hashemi, C. Condo, W. J. Gross,
// "Fast and flexible successive-cancellation list decoders for polar codes", IEEE Trans. Signal Process. 65(21), 2017.
#pragma once

#include <cstdint>

namespace semcom {

constexpr int kLlrClip = 8191;   // of every LLR inside the tree; the channel's too
constexpr int kDead = 16383;     // metric of a path that is none, or is beyond hope
constexpr int kSmall = 16;       // largest node whose bits lie in one word of 16 positions
constexpr int kRankBits = 4;     // enough to number its positions
constexpr int kRankClip = (1 << (15 - kRankBits)) - 1;  // magnitudes above are equally certain where bits are ranked

enum class Step : uint8_t {
    kLeft,        // LLRs of the left child
    kRight,       // LLRs of the right child, the left one decided
    kRightOnly,   // the same where the left child is all frozen
    kJoin,        // code bits of both children
    kJoinRight,   // the same where the left child is all frozen
    kFrozen,      // a node of zeros
    kRepetition,  // all bits equal; a single information bit too
    kFree,        // nothing frozen
    kParity,      // an even number of ones
};

// One step of the decoder, the same for every path. The node has 2^level positions from `at` on.
struct Order {
    Step step;
    uint8_t level;
    bool left_moved;   // paths may have changed lanes in the left child (kRight, kJoin)
    bool right_moved;  // and in the right one (kJoin)
    bool sorted;       // the metrics are in order when the step begins
    bool forked;       // more than one path exists
    int32_t at;
};

// What a decoder works on. Memory in rows of the decoder's lanes.
struct Tree {
    const Order *orders;
    int order_count;
    int level;            // n = 2^level
    int group;            // lanes of a block's list, a power of two
    int list_size;        // paths kept, at most `group`
    int16_t *llr;         // 2n rows; the node of 2^s positions at work has rows 2^s and on; the root's are given
    int16_t *words;       // n/16 rows: code bits, 16 positions in a word, bit 0 first
    int16_t *metric;      // one row: ascending in each group at the end
};

// The decoders, for rows of as many lanes as the number says. A row holds at least one whole group.
void polar_run_plain_8(const Tree &tree);
void polar_run_plain_32(const Tree &tree);

#if defined(__GNUC__) && !defined(__clang__) && (defined(__x86_64__) || defined(__i386__))
#define SEMCOM_POLAR_X86 1  // Clang lacks the pragma that sets a file's target
void polar_run_avx2_16(const Tree &tree);  // groups of at most 8 lanes
void polar_run_avx2_32(const Tree &tree);
void polar_run_avx512_32(const Tree &tree);
#endif

}  // namespace semcom
