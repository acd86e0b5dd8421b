"""Folds from core rows to compact state. Every fold is commutative: order, split and repetition change nothing."""
