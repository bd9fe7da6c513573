"""The coordinator: hands each node its join material over TLS pinned to its own root."""
