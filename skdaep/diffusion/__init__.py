"""Diffusion: schedules, the noising process and samplers.

Samplers are open: to add one, write its step function and an entry in `samplers.SAMPLERS` (doc/extend/sampler.rst). The
rest is closed.
"""
