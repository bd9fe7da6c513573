"""The whole road on real machines: two nodes boot their seeds, enrol and run every stage but Kubernetes' own."""
