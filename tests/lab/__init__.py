"""The lab: images, networks and machines for the tests that boot real nodes."""
