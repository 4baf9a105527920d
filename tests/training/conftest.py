"""Tests of training."""

collect_ignore = ["two_ranks.py"]  # run in processes of its own
