"""Real Kubernetes for the lab: built of Debian's source package, packed as images, put into a node image."""
