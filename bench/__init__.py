"""Benchmarks, one command: python -m bench."""
