// SPDX-License-Identifier: GPL-3.0-or-later
// Range asymmetric numeral systems with static 16-bit tables: the entropy coder of NCSC (docs/ncsc.md).
//
// State 32 bits, renormalised by 16-bit words, little endian. Tables are cumulative frequencies that end
// at 65536, one row an index, `stride` entries a row. Nothing is allocated and nothing is read or written
// beyond the given lengths, whatever the stream holds.
#include <cstdint>

namespace {
constexpr uint32_t kLow = 1u << 16;
}

extern "C" {

// Encodes symbols[count] (0 .. size-1 of their table) into out; returns bytes written, -1 if out is too
// small, -2 if a symbol or an index is outside its table.
int64_t semcom_rans_encode(const uint16_t *symbols, const uint8_t *indices, int64_t count,
                           const uint32_t *cumulative, const uint16_t *sizes, int32_t tables,
                           int32_t stride, uint8_t *out, int64_t capacity) {
    uint32_t state = kLow;
    int64_t at = capacity;  // words are produced last first
    for (int64_t i = count - 1; i >= 0; --i) {
        const uint32_t table = indices[i];
        if (table >= static_cast<uint32_t>(tables) || symbols[i] >= sizes[table]) return -2;
        const uint32_t *row = cumulative + static_cast<int64_t>(table) * stride;
        const uint32_t start = row[symbols[i]];
        const uint32_t frequency = row[symbols[i] + 1] - start;
        if (frequency == 0) return -2;
        if ((static_cast<uint64_t>(state) >> 16) >= frequency) {
            if (at < 2) return -1;
            at -= 2;
            out[at] = static_cast<uint8_t>(state & 0xff);
            out[at + 1] = static_cast<uint8_t>((state >> 8) & 0xff);
            state >>= 16;
        }
        state = ((state / frequency) << 16) + (state % frequency) + start;
    }
    if (at < 4) return -1;
    at -= 4;
    for (int k = 0; k < 4; ++k) out[at + k] = static_cast<uint8_t>(state >> (8 * k));
    const int64_t length = capacity - at;
    for (int64_t i = 0; i < length; ++i) out[i] = out[at + i];
    return length;
}

// A decoder's position: state and next byte. Decoding may go on from where the last call ended, so that
// the tables of later symbols can depend on earlier ones.
struct Cursor {
    uint32_t state;
    int32_t started;
    int64_t at;
};

// Decodes count symbols; returns 0, or -1 where the stream ended too early, -2 on a bad index.
int32_t semcom_rans_decode(const uint8_t *data, int64_t length, Cursor *cursor, const uint8_t *indices,
                           int64_t count, const uint32_t *cumulative, const uint16_t *sizes, int32_t tables,
                           int32_t stride, uint16_t *symbols) {
    if (!cursor->started) {
        if (length < 4) return -1;
        cursor->state = data[0] | data[1] << 8 | data[2] << 16 | static_cast<uint32_t>(data[3]) << 24;
        cursor->at = 4;
        cursor->started = 1;
    }
    uint32_t state = cursor->state;
    int64_t at = cursor->at;
    for (int64_t i = 0; i < count; ++i) {
        const uint32_t table = indices[i];
        if (table >= static_cast<uint32_t>(tables)) return -2;
        const uint32_t *row = cumulative + static_cast<int64_t>(table) * stride;
        const uint32_t slot = state & 0xffff;
        int32_t low = 0, high = sizes[table];  // row[low] <= slot < row[high]
        while (high - low > 1) {
            const int32_t middle = (low + high) >> 1;
            if (row[middle] <= slot) low = middle; else high = middle;
        }
        state = (row[low + 1] - row[low]) * (state >> 16) + slot - row[low];
        if (state < kLow) {
            if (at + 2 > length) return -1;
            state = state << 16 | data[at] | static_cast<uint32_t>(data[at + 1]) << 8;
            at += 2;
        }
        symbols[i] = static_cast<uint16_t>(low);
    }
    cursor->state = state;
    cursor->at = at;
    return 0;
}

// True where the whole stream was used and the state is back at its start: a check that costs no bits.
int32_t semcom_rans_finished(const Cursor *cursor, int64_t length) {
    return cursor->started && cursor->at == length && cursor->state == kLow;
}
}
