# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and writing messages, and finding them in files and folders."""
