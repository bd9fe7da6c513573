"""The conversations: one module each, a straight road from a call to an answer, decided in one store transaction."""
