// SPDX-License-Identifier: GPL-3.0-or-later
// From log-likelihood ratios in float to the decoders' int16.
//
// The mean magnitude of a block becomes a given number of steps, few enough for the tails of fading channels.
// Magnitudes beyond kCertain do not raise the mean further (an infinite LLR is one certain bit, not a scale), and a
// mean below kFaint is not blown up (rounding errors of an erased block are no message). Four-lane vectors, the same
// on every target: floating point must not differ between machines.
#pragma once

#include <cstdint>
#include <cstring>

namespace semcom {

constexpr float kCertain = 32.0f;
constexpr float kFaint = 1e-3f;

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));

inline Floats load(const float *from) {
    Floats x;
    std::memcpy(&x, from, sizeof x);
    return x;
}

inline Floats magnitude_for_scale(Floats x) {
    const Floats size = (Floats)((Ints)x & 0x7fffffff);
    const Floats limit = (Floats){} + kCertain;
    const Floats capped = size < limit ? size : limit;
    return (Floats)((Ints)(x == x) & (Ints)capped);  // NaN counts 0
}

// Steps for each unit of LLR, so that the mean magnitude of this block becomes `steps`.
inline float quantisation_scale(const float *llr, int32_t n, float steps) {
    Floats sums[4] = {};
    int32_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 4; ++j) sums[j] += magnitude_for_scale(load(llr + i + 4 * j));
    for (; i < n; ++i) sums[0] += magnitude_for_scale(Floats{llr[i], 0.0f, 0.0f, 0.0f});
    const Floats sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    const float mean = ((sum[0] + sum[1]) + (sum[2] + sum[3])) / static_cast<float>(n);
    return steps / (mean > kFaint ? mean : kFaint);
}

// Rounded to the nearest step, at most `clip` in magnitude; NaN, and infinity times zero, say nothing.
inline Ints quantise(Floats x, float scale, int clip) {
    const Floats limit = (Floats){} + static_cast<float>(clip);
    Floats scaled = x * scale;
    scaled = (Floats)((Ints)(scaled == scaled) & (Ints)scaled);
    scaled = scaled < limit ? scaled : limit;
    scaled = scaled > -limit ? scaled : -limit;
    const Ints sign = (Ints)scaled & INT32_MIN;
    scaled += (Floats)(sign | (Ints)((Floats){} + 0.5f));
    return __builtin_convertvector(scaled, Ints);
}

}  // namespace semcom
