# SPDX-License-Identifier: Apache-2.0
"""Work in threads and processes; QtCore signals only, never a widget."""
