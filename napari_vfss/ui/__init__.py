# SPDX-License-Identifier: Apache-2.0
"""QWidgets only; no logic; nothing imports it but commands, demo and app."""
