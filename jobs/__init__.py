"""One file per table: the only place that makes it."""
