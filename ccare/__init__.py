"""C-CARE merchant analytics: deliveries in, merchant scores and an exact point ledger out."""

__version__ = "0.1.0"
