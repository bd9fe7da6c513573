"""Renderers: one module per format, plan in, artefacts out; they decide nothing."""
