"""Runs the boot server beside the coordinator, and explains how far each machine came."""
