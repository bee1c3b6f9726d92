// SPDX-License-Identifier: GPL-3.0-or-later
// The polar list decoder for x86 processors with AVX-512BW, in vectors of 32 lanes.
#include "polar_plan.h"

#ifdef SEMCOM_POLAR_X86
#include <utility>
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")
#define SEMCOM_TARGET avx512
#include "polar_list.h"

namespace semcom {
namespace avx512 {

// AVX-512 fetches any of 32 lanes at once.
struct Avx512Fetch {
    static constexpr int kWidth = 32, kLanes = 32;
    typedef Row<kWidth, kLanes> R;
    R from;

    SEMCOM_INLINE explicit Avx512Fetch(const R &numbers) : from(numbers) {}
    SEMCOM_INLINE R operator()(const R &lanes) const {
        typedef short Shorts __attribute__((vector_size(64)));
        return {{(R::V)__builtin_ia32_permvarhi512_mask((Shorts)lanes.part[0], (Shorts)from.part[0], (Shorts){}, -1)}};
    }
    SEMCOM_INLINE R operator()(const int16_t *lanes) const { return (*this)(load_row<kWidth, kLanes>(lanes)); }
};

}  // namespace avx512

void polar_run_avx512_32(const Tree &tree) { avx512::ListDecoder<avx512::Avx512Fetch>(tree).run(); }

}  // namespace semcom
#endif
