# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and writing what messages are made of."""
