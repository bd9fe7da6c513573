"""The coordinator, asked over real sockets."""
