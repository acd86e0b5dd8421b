"""Commands of the ccare program, one module a subject: each registers its own on the app."""
