"""The page of `benchmarks.desa`."""
