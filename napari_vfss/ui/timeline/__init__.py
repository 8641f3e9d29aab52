# SPDX-License-Identifier: Apache-2.0
"""The timeline: a dock under the picture that shows all structures on all frames."""
