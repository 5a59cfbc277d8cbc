"""Benchmarks: `bin/bench NAME`."""
