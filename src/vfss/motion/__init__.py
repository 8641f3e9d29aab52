# SPDX-License-Identifier: Apache-2.0
"""Optical flow, rigid fits and stabilisation: pure geometry."""
