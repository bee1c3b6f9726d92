// SPDX-License-Identifier: GPL-3.0-or-later
// The inner loops of the LDPC decoder, written once for vectors of any width.
//
// A column of the base graph is Z posterior values. It lives in a buffer of two periods of which the window
// [at, at + Z) is valid, buffer index j holding lane j mod Z. A row that wants the column rotated by s moves the
// window to [s, s + Z), copying only what is missing: then every loop below is a straight run over Z lanes.
// Lanes past Z are computed and never read (the buffers have a margin), so there are no remainders.
//
// Overflow cannot happen: messages and channel values are at most kClip in magnitude, a column has at most
// 30 edges, and 31 * 1023 < 32768. So there is no saturating arithmetic and every target gives the same bits.
#pragma once

#include <cstdint>
#include <cstring>

#define SEMCOM_INLINE inline __attribute__((always_inline))  // so that each target compiles its own copy

namespace semcom {

constexpr int kClip = 1023;       // largest magnitude of a message or channel value; kClip * 32 fits in int16
constexpr int kAlphaShift = 5;    // alpha in steps of 1/32
constexpr int kMargin = 32;       // lanes before and behind each column's window, the widest vector used
constexpr int kMaxDegree = 19;    // edges of the heaviest row (base graph 1)

// What a decoder works on: sizes, edges by row, and its scratch memory.
struct Graph {
    int z;                      // lifting size
    int lanes;                  // z rounded up to kMargin
    int rows;                   // rows in use
    const int32_t *row_start;   // rows + 1 entries
    const int32_t *column;      // of each edge
    const int32_t *shift;       // of each edge, 0 .. z-1
};

struct State {
    int16_t *posterior;   // columns of `stride` values
    int16_t *messages;    // edges of `lanes` values
    int32_t *window;      // where each column's window begins
    int stride;
};

SEMCOM_INLINE void move_window(const Graph &graph, const State &state, int column, int to) {
    int16_t *base = state.posterior + static_cast<int64_t>(column) * state.stride + kMargin;
    int at = state.window[column];
    const int z = graph.z;
    int16_t piece[kMargin];
    // Pieces are rounded outwards: what they overwrite lies outside the new window.
    for (int i = at; i < to; i += kMargin) {
        std::memcpy(piece, base + i, sizeof piece);
        std::memcpy(base + i + z, piece, sizeof piece);
    }
    for (int i = at; i > to; i -= kMargin) {
        std::memcpy(piece, base + i - kMargin + z, sizeof piece);
        std::memcpy(base + i - kMargin, piece, sizeof piece);
    }
    state.window[column] = to;
}

template <int Lanes>
struct Vector {
    typedef int16_t type __attribute__((vector_size(Lanes * 2)));
};

// One row of the base graph with Degree edges.
template <int Lanes, bool First, int Degree>
SEMCOM_INLINE void update_row(const Graph &graph, const State &state, int row, int alpha) {
    typedef typename Vector<Lanes>::type V;
    const int begin = graph.row_start[row];
    int16_t *values[Degree];
    for (int e = 0; e < Degree; ++e) {
        const int column = graph.column[begin + e];
        move_window(graph, state, column, graph.shift[begin + e]);
        values[e] = state.posterior + static_cast<int64_t>(column) * state.stride + kMargin + graph.shift[begin + e];
    }
    int16_t *messages = state.messages + static_cast<int64_t>(begin) * graph.lanes;
    for (int lane = 0; lane < graph.z; lane += Lanes) {
        V extrinsic[Degree];
        V least = (V){} + static_cast<int16_t>(kClip), second = least, sign = (V){};
#pragma GCC unroll 19
        for (int e = 0; e < Degree; ++e) {
            V t;
            std::memcpy(&t, values[e] + lane, sizeof t);
            if (!First) {
                V old;
                std::memcpy(&old, messages + static_cast<int64_t>(e) * graph.lanes + lane, sizeof old);
                t -= old;
            }
            extrinsic[e] = t;
            sign ^= t;
            const V negative = -t;
            const V size = t > negative ? t : negative;
            const V larger = size > least ? size : least;
            second = second < larger ? second : larger;
            least = size < least ? size : least;
        }
        const int16_t half = 1 << (kAlphaShift - 1);
        const V for_others = (least * static_cast<int16_t>(alpha) + half) >> kAlphaShift;
        const V for_least = (second * static_cast<int16_t>(alpha) + half) >> kAlphaShift;
#pragma GCC unroll 19
        for (int e = 0; e < Degree; ++e) {
            const V t = extrinsic[e];
            const V negative = -t;
            const V size = t > negative ? t : negative;
            const V magnitude = size == least ? for_least : for_others;
            const V flip = (sign ^ t) >> 15;
            const V message = (magnitude ^ flip) - flip;
            std::memcpy(messages + static_cast<int64_t>(e) * graph.lanes + lane, &message, sizeof message);
            const V updated = t + message;
            std::memcpy(values[e] + lane, &updated, sizeof updated);
        }
    }
}

constexpr int kCoreRows = 4;

// The row degrees that the two base graphs have.
inline bool degree_is_known(int degree) { return (degree >= 3 && degree <= 10) || degree == kMaxDegree; }

template <int Lanes, bool First>
SEMCOM_INLINE void update_rows(const Graph &graph, const State &state, int alpha) {
    for (int row = 0; row < graph.rows; ++row) {
        switch (graph.row_start[row + 1] - graph.row_start[row]) {
            case 3: update_row<Lanes, First, 3>(graph, state, row, alpha); break;
            case 4: update_row<Lanes, First, 4>(graph, state, row, alpha); break;
            case 5: update_row<Lanes, First, 5>(graph, state, row, alpha); break;
            case 6: update_row<Lanes, First, 6>(graph, state, row, alpha); break;
            case 7: update_row<Lanes, First, 7>(graph, state, row, alpha); break;
            case 8: update_row<Lanes, First, 8>(graph, state, row, alpha); break;
            case 9: update_row<Lanes, First, 9>(graph, state, row, alpha); break;
            case 10: update_row<Lanes, First, 10>(graph, state, row, alpha); break;
            case 19: update_row<Lanes, First, 19>(graph, state, row, alpha); break;
        }
    }
}

// True when the word found satisfies every parity check. Each row from the fifth on defines one parity bit that stands
// in no other check; the word takes that bit from its row, so only the four core rows can fail. (To ask the
// posteriors of those bits too costs an iteration or two and calls blocks bad whose information is right.) A value
// of zero is no decision: its checks do not hold, so that an erased block is never taken for the all-zero word.
template <int Lanes>
SEMCOM_INLINE bool checks_hold(const Graph &graph, const State &state) {
    typedef typename Vector<Lanes>::type V;
    int16_t failed[kMargin];
    for (int row = 0; row < graph.rows && row < kCoreRows; ++row) {
        const int begin = graph.row_start[row];
        const int degree = graph.row_start[row + 1] - begin;
        const int16_t *values[kMaxDegree];
        for (int e = 0; e < degree; ++e) {
            const int column = graph.column[begin + e];
            move_window(graph, state, column, graph.shift[begin + e]);
            values[e] = state.posterior + static_cast<int64_t>(column) * state.stride + kMargin + graph.shift[begin + e];
        }
        for (int lane = 0; lane < graph.z; lane += Lanes) {
            V sign = (V){}, undecided = (V){};
            for (int e = 0; e < degree; ++e) {
                V t;
                std::memcpy(&t, values[e] + lane, sizeof t);
                sign ^= t;
                undecided |= (t == 0);
            }
            sign |= undecided;
            std::memcpy(failed, &sign, sizeof sign);
            const int used = graph.z - lane < Lanes ? graph.z - lane : Lanes;
            int16_t any = 0;
            for (int i = 0; i < used; ++i) any |= failed[i];
            if (any < 0) return false;
        }
    }
    return true;
}

// Decodes in place; returns the iterations done, negated if some check still fails after `limit`.
template <int Lanes>
SEMCOM_INLINE int decode_layers(const Graph &graph, const State &state, int alpha, int limit) {
    for (int iteration = 1;; ++iteration) {
        if (iteration == 1) update_rows<Lanes, true>(graph, state, alpha);
        else update_rows<Lanes, false>(graph, state, alpha);
        if (checks_hold<Lanes>(graph, state)) return iteration;
        if (iteration >= limit) return -iteration;
    }
}

}  // namespace semcom
