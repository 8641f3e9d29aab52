# SPDX-License-Identifier: Apache-2.0
"""The student: the small network that proposes masks."""
