# SPDX-License-Identifier: GPL-3.0-or-later
"""GNU Radio blocks, one a file, each a thin wrapper of a stage, a reader or a writer.

Companion imports every block in its own process, so this package imports none of them by itself:
`from gnuradio.semcom.blocks.channel import channel`.
"""
