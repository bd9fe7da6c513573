"""The plan: every decision for every node, made before anything is rendered."""
