# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The colours of real, fake and unsure, in pictures, figures and pages alike.

Readers with every kind of colour vision tell them apart. Blue is that of Okabe and Ito.
Orange is darker than theirs, so that white letters on it can be read: the contrast of
each is at least 4.5 to 1, as WCAG asks for.

References:
    M. Okabe and K. Ito, Color Universal Design, 2008.
    W3C, Web Content Accessibility Guidelines 2.2, 1.4.3.
"""

REAL = "#0072B2"
FAKE = "#B84A00"
UNSURE = "#6B6B6B"

# By decision.
DECISIONS = {"real": REAL, "fake": FAKE, "unsure": UNSURE}
