"""Diffusion: schedules, the noising process and samplers.

Samplers are open: a new one is the function of its step and its entry in `samplers.SAMPLERS` (doc/extend/sampler.rst).
The rest is closed.
"""
