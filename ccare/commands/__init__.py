"""Commands, one module each: ``register`` adds them to the app."""
