# SPDX-License-Identifier: Apache-2.0
"""What a key is, which one is bound, how it is shown; knows no action of ours."""
