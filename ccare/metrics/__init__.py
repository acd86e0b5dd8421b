"""Metrics of merchants: definitions without an engine, and the Spark expressions that compute them."""
