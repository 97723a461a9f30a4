"""How good is a generator, and does it generalise? Pure functions of samples, with a perfect sampler's
scores.
"""
