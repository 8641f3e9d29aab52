# SPDX-License-Identifier: Apache-2.0
"""Optical flow, rigid fits, stabilisation: pure geometry."""
