// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of int16 lanes for the polar list decoder, and how lanes change places.
//
// A lane is one path of one block: a group of G neighbouring lanes (a power of two, at most 32) is the list of a
// block, and a row holds one or more whole groups. Everything but a change of places is lane by lane. Masks are 0 or
// -1 in each lane. GCC's and Clang's vector types keep this free of intrinsics but for one shuffle a target.
//
// Each source file that includes this names its target first: the code lies in a namespace of that name, so that no
// function compiled for one processor can stand in for that of another.
#pragma once

#ifndef SEMCOM_TARGET
#error "define SEMCOM_TARGET, a namespace, before including this"
#endif

#include <cstdint>
#include <cstring>
#include <utility>

#define SEMCOM_INLINE inline __attribute__((always_inline))

namespace semcom {
namespace SEMCOM_TARGET {

template <int Width>
struct Lanes16 {
    typedef int16_t type __attribute__((vector_size(Width * 2)));
    typedef int16_t memory __attribute__((vector_size(Width * 2), aligned(2), may_alias));  // at any address
};

// `Lanes` lanes in vectors of `Width`.
template <int Width, int Lanes>
struct Row {
    typedef typename Lanes16<Width>::type V;
    static constexpr int kWidth = Width, kLanes = Lanes, kParts = Lanes / Width;
    V part[kParts];
};

#define SEMCOM_ROW template <int W, int L> SEMCOM_INLINE Row<W, L>
#define SEMCOM_EACH_PART for (int p = 0; p < L / W; ++p)

SEMCOM_ROW load_row(const int16_t *from) {
    Row<W, L> x;
    SEMCOM_EACH_PART x.part[p] = *reinterpret_cast<const typename Lanes16<W>::memory *>(from + p * W);
    return x;
}

template <int W, int L>
SEMCOM_INLINE void store_row(int16_t *to, const Row<W, L> &x) {
    SEMCOM_EACH_PART *reinterpret_cast<typename Lanes16<W>::memory *>(to + p * W) = x.part[p];
}

SEMCOM_ROW all_lanes(int value) {
    Row<W, L> x;
    SEMCOM_EACH_PART x.part[p] = (typename Row<W, L>::V){} + static_cast<int16_t>(value);
    return x;
}

SEMCOM_ROW operator+(Row<W, L> a, const Row<W, L> &b) {
    SEMCOM_EACH_PART a.part[p] += b.part[p];
    return a;
}
SEMCOM_ROW operator-(Row<W, L> a, const Row<W, L> &b) {
    SEMCOM_EACH_PART a.part[p] -= b.part[p];
    return a;
}
SEMCOM_ROW operator^(Row<W, L> a, const Row<W, L> &b) {
    SEMCOM_EACH_PART a.part[p] ^= b.part[p];
    return a;
}
SEMCOM_ROW operator&(Row<W, L> a, const Row<W, L> &b) {
    SEMCOM_EACH_PART a.part[p] &= b.part[p];
    return a;
}
SEMCOM_ROW operator|(Row<W, L> a, const Row<W, L> &b) {
    SEMCOM_EACH_PART a.part[p] |= b.part[p];
    return a;
}
SEMCOM_ROW operator&(Row<W, L> a, int b) {
    SEMCOM_EACH_PART a.part[p] &= static_cast<int16_t>(b);
    return a;
}
SEMCOM_ROW operator|(Row<W, L> a, int b) {
    SEMCOM_EACH_PART a.part[p] |= static_cast<int16_t>(b);
    return a;
}
SEMCOM_ROW operator*(Row<W, L> a, int b) {
    SEMCOM_EACH_PART a.part[p] *= static_cast<int16_t>(b);
    return a;
}
SEMCOM_ROW operator*(Row<W, L> a, const Row<W, L> &b) {
    SEMCOM_EACH_PART a.part[p] *= b.part[p];
    return a;
}
SEMCOM_ROW operator<<(Row<W, L> a, int count) {
    SEMCOM_EACH_PART a.part[p] <<= count;
    return a;
}
SEMCOM_ROW operator>>(Row<W, L> a, int count) {
    SEMCOM_EACH_PART a.part[p] >>= count;
    return a;
}
SEMCOM_ROW operator-(const Row<W, L> &a) {
    Row<W, L> r;
    SEMCOM_EACH_PART r.part[p] = -a.part[p];
    return r;
}

// Where a < b the lane of x, else that of y.
SEMCOM_ROW if_less(const Row<W, L> &a, const Row<W, L> &b, Row<W, L> x, const Row<W, L> &y) {
    SEMCOM_EACH_PART x.part[p] = a.part[p] < b.part[p] ? x.part[p] : y.part[p];
    return x;
}
SEMCOM_ROW least(const Row<W, L> &a, const Row<W, L> &b) { return if_less(a, b, a, b); }
SEMCOM_ROW most(const Row<W, L> &a, const Row<W, L> &b) { return if_less(a, b, b, a); }
SEMCOM_ROW size_of(const Row<W, L> &a) { return most(a, -a); }
SEMCOM_ROW negate_if(const Row<W, L> &mask, const Row<W, L> &a) { return (a ^ mask) - mask; }

// The lane numbers themselves, made by the compiler.
template <int W, int First, int... I>
SEMCOM_INLINE typename Lanes16<W>::type numbers(std::integer_sequence<int, I...>) {
    return (typename Lanes16<W>::type){static_cast<int16_t>(First + I)...};
}
template <int W, int L, int... P>
SEMCOM_INLINE Row<W, L> numbered(std::integer_sequence<int, P...>) {
    return {{numbers<W, P * W>(std::make_integer_sequence<int, W>())...}};
}
SEMCOM_ROW lane_numbers() { return numbered<W, L>(std::make_integer_sequence<int, L / W>()); }

// -1 where bit `Bit` of the lane's number is set.
template <int Bit, int W, int L>
SEMCOM_INLINE Row<W, L> lanes_with() {
    const Row<W, L> bit = lane_numbers<W, L>() & Bit;
    return if_less(all_lanes<W, L>(0), bit, all_lanes<W, L>(-1), all_lanes<W, L>(0));
}

template <int J, int... I, class V>
SEMCOM_INLINE V swapped(V v, std::integer_sequence<int, I...>) {
#if defined(__clang__)
    return __builtin_shufflevector(v, v, (I ^ J)...);
#else
    return __builtin_shuffle(v, (V){(I ^ J)...});
#endif
}

// Each lane's partner, the one whose number differs in bit J.
template <int J, int W, int L>
SEMCOM_INLINE Row<W, L> partner(const Row<W, L> &a) {
    Row<W, L> r;
    SEMCOM_EACH_PART {
        if constexpr (J < W) r.part[p] = swapped<J>(a.part[p], std::make_integer_sequence<int, W>());
        else r.part[p] = a.part[p ^ (J / W)];
    }
    return r;
}

#undef SEMCOM_EACH_PART
#undef SEMCOM_ROW

// Fetches lanes by number, each from its own run of Reach lanes: on any processor, one at a time from memory.
template <int W, int Reach>
struct PlainFetch {
    static constexpr int kWidth = W, kLanes = Reach > W ? Reach : W;
    typedef Row<kWidth, kLanes> R;
    int16_t from[kLanes];

    explicit PlainFetch(const R &numbers) { store_row(from, numbers); }
    SEMCOM_INLINE R operator()(const int16_t *lanes) const {
        int16_t found[kLanes];
        for (int i = 0; i < kLanes; ++i) found[i] = lanes[from[i]];
        return load_row<kWidth, kLanes>(found);
    }
    SEMCOM_INLINE R operator()(const R &lanes) const {
        int16_t held[kLanes];
        store_row(held, lanes);
        return (*this)(held);
    }
};

}  // namespace SEMCOM_TARGET
}  // namespace semcom
