# SPDX-License-Identifier: Apache-2.0
"""Background jobs in threads and processes. They have QtCore signals and touch no widgets."""
