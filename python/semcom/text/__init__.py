# SPDX-License-Identifier: GPL-3.0-or-later
"""What systems that send text share: the alphabet, numbers as words, a Huffman code, vocabularies."""
