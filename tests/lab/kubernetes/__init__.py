"""Real Kubernetes for the lab: built from Debian's source package, packed as container images, put into a node image."""
