"""Writes specs as large as one likes: three masters with etcd, the rest workers."""

from ipaddress import ip_address

HEAD = """\
apiVersion: kubeseed/v1
kind: Cluster
metadata: {name: big}
coordinator: {url: "https://10.0.0.2:8443"}
kubernetes: {maxPods: 50}
network: {podSubnet: 172.16.0.0/12, serviceSubnet: 192.168.0.0/18, nodePrefix: 26}
defaults:
  users:
  - name: ops
    sshKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILcIBlMQ2finiBh7x8m2S8lgEpDtpsYGUAtA8/YtjrIQ ops@example"]
  network: {gateway: 10.0.0.1, nameservers: [10.0.0.1], prefix: 16}
nodes:
"""


def big_spec(nodes: int) -> str:
    """A spec of that many nodes, as a person or a script would write it."""
    return HEAD + "".join(_node(number) for number in range(nodes))


def _node(number: int) -> str:
    roles = "[master, etcd]" if number < 3 else "[worker]"
    mac = f"52:54:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    address = ip_address("10.0.1.0") + number
    return (
        f'- {{name: n{number}, roles: {roles}, address: {address}, mac: "{mac}", labels: {{rack: r{number % 40}}}}}\n'
    )
