"""Diffusion: schedules, the noising process and samplers. Closed."""
