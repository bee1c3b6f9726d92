// SPDX-License-Identifier: GPL-3.0-or-later
// The polar list decoder for any processor, in vectors of 8 lanes.
#define SEMCOM_TARGET plain
#include "polar_list.h"

namespace semcom {

void polar_run_plain_8(const Tree &tree) { plain::ListDecoder<plain::PlainFetch<8, 8>>(tree).run(); }
void polar_run_plain_32(const Tree &tree) { plain::ListDecoder<plain::PlainFetch<8, 32>>(tree).run(); }

}  // namespace semcom
