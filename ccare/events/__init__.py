"""Landing lines to typed rows with a fate: accepted, duplicate or rejected with every reason."""
