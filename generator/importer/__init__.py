"""A kubeadm-ha inventory and its variables as a cluster spec."""

from generator.importer.draft import Imported
from generator.importer.page import page
from generator.importer.read import import_spec
from generator.importer.write import Frame

__all__ = ["Frame", "Imported", "import_spec", "page"]
