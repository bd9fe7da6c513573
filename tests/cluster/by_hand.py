"""Knows how a person makes one master in the lab's image without us: the yardstick for the time that we take."""

import json

from tests.cluster.spec import address
from tests.lab.kubernetes.compile import VERSION
from tests.lab.kubernetes.image import PAUSE, REGISTRY

# What the manuals of kubeadm and containerd say, and `kubeadm init` at the end; nothing of kubeseed.
_SCRIPT = f"""#!/bin/sh
set -eux
containerd config default |
  sed -e 's/SystemdCgroup = false/SystemdCgroup = true/' \\
    -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' \\
    -e 's|sandbox_image = .*|sandbox_image = "{REGISTRY}/{PAUSE}"|' >/etc/containerd/config.toml
echo 1 >/proc/sys/net/ipv4/ip_forward
modprobe -a br_netfilter overlay || :
swapoff -a || :
systemctl daemon-reload
systemctl enable --now containerd
systemctl enable kubelet
kubeadm init --config /root/kubeadm.yaml
"""
_KUBEADM = """apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: {address}}}
nodeRegistration: {{criSocket: unix:///run/containerd/containerd.sock}}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v{version}
imageRepository: {registry}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
# Of a container's node the disk is the host's, and no image is to be had again.
imageGCHighThresholdPercent: 100
evictionHard: {{memory.available: 100Mi}}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
# Of a container's node the limit is the host's.
conntrack: {{maxPerCore: 0}}
"""
_KUBELET = """[Unit]
Description=kubelet
After=network-online.target
[Service]
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=/usr/bin/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \\
  --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS
Restart=always
RestartSec=10
[Install]
WantedBy=multi-user.target
"""


def user_data(name: str) -> str:
    """The cloud-init file of a master that a person makes; JSON is YAML."""
    kubeadm = _KUBEADM.format(address=address(name), version=VERSION, registry=REGISTRY)
    files = {
        "/root/kubeadm.yaml": (kubeadm, "0600"),
        "/root/by-hand": (_SCRIPT, "0700"),
        "/etc/systemd/system/kubelet.service": (_KUBELET, "0644"),
    }
    document = {
        "hostname": name,
        "manage_etc_hosts": True,
        "write_files": [{"path": path, "content": text, "permissions": mode} for path, (text, mode) in files.items()],
        "runcmd": [["sh", "-c", "/root/by-hand >/root/by-hand.log 2>&1"]],
    }
    return f"#cloud-config\n{json.dumps(document, indent=1)}\n"
