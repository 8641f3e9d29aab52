# SPDX-License-Identifier: Apache-2.0
"""Controller of one viewer: ties session, layers, jobs and keys together. No widgets."""
