"""The machines of `kubeseed vm`, as far as that goes without starting one."""
