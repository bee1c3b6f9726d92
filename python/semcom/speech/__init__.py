# SPDX-License-Identifier: GPL-3.0-or-later
"""What systems that send speech share: features, recognisers, synthesis at the receiver."""
