// SPDX-License-Identifier: GPL-3.0-or-later
// The polar list decoder for x86 processors with AVX2, in vectors of 16 lanes.
#include "polar_plan.h"

#ifdef SEMCOM_POLAR_X86
#include <utility>
#pragma GCC target("avx2")
#define SEMCOM_TARGET avx2
#include "polar_list.h"

namespace semcom {
namespace avx2 {

// AVX2 shuffles bytes inside halves of 8 lanes: one shuffle within a half, else one for each half to fetch from.
template <int Reach>
struct Avx2Fetch {
    static constexpr int kWidth = 16, kLanes = Reach > 16 ? Reach : 16, kHalves = Reach / 8;
    typedef Row<kWidth, kLanes> R;
    typedef typename R::V V;
    typedef char Bytes __attribute__((vector_size(32)));
    typedef long long Halves __attribute__((vector_size(32)));
    V control[kHalves][R::kParts];

    SEMCOM_INLINE static V shuffle(V lanes, V control) {
        return (V)__builtin_ia32_pshufb256((Bytes)lanes, (Bytes)control);
    }
    SEMCOM_INLINE explicit Avx2Fetch(const R &numbers) {
        for (int p = 0; p < R::kParts; ++p) {
            const V bytes = (numbers.part[p] & 7) * 0x0202 + 0x0100;
            const V half = numbers.part[p] >> 3;
            for (int h = 0; h < kHalves; ++h) {  // a set top bit fetches zero
                const V here = half == static_cast<int16_t>(h) ? bytes : (V){} - 1;
                control[h][p] = kHalves == 1 ? bytes : here;
            }
        }
    }
    SEMCOM_INLINE R operator()(const R &lanes) const {
        R found;
        if constexpr (kHalves == 1) {
            found.part[0] = shuffle(lanes.part[0], control[0][0]);
        } else {
            for (int p = 0; p < R::kParts; ++p) found.part[p] = (V){};
#pragma GCC unroll 4
            for (int h = 0; h < kHalves; ++h) {
                const Halves part = (Halves)lanes.part[h / 2];
                const long long low = part[h % 2 * 2], high = part[h % 2 * 2 + 1];
                const V twice = (V)(Halves){low, high, low, high};
                for (int p = 0; p < R::kParts; ++p) found.part[p] |= shuffle(twice, control[h][p]);
            }
        }
        return found;
    }
    SEMCOM_INLINE R operator()(const int16_t *lanes) const { return (*this)(load_row<kWidth, kLanes>(lanes)); }
};

}  // namespace avx2

void polar_run_avx2_16(const Tree &tree) { avx2::ListDecoder<avx2::Avx2Fetch<8>>(tree).run(); }
void polar_run_avx2_32(const Tree &tree) { avx2::ListDecoder<avx2::Avx2Fetch<32>>(tree).run(); }

}  // namespace semcom
#endif
