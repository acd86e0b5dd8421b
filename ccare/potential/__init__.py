"""Realised potential: how often a merchant's users come back and what they spend, per merchant, without Spark."""
