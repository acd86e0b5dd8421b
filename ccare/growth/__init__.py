"""What people ask of published tables: snapshots, the catalogue, named queries."""
