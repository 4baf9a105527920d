"""Benchmarks on real data; see README.rst beside this file."""
