"""Real kubeadm on real nodes: power on, and it is a highly available Kubernetes."""
