"""The cluster spec: one frozen model per section of the YAML."""
