"""The generator: one cluster spec in, every artefact a machine needs to boot out."""
