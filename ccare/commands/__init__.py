"""Commands that stand in modules of their own; each has register(app)."""
