# SPDX-License-Identifier: Apache-2.0
"""The student's architecture in torch; nothing else in vfss but vfss.student.torch_runtime imports torch."""
