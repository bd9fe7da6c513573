"""Boots the nodes of a generated folder on this machine, for those who want to try before they touch hardware."""
