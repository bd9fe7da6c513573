"""Builds and keeps what machines boot over the network: disk images, kernels, initramfs, squashfs."""
