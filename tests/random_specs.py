"""Random specs that are valid: of any size, system, network, disk, engine and way to the API servers."""

from typing import Any

from hypothesis import strategies as st

from tests.installing import HASH, PROFILES

Tree = dict[str, Any]
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\.example\.org)?", fullmatch=True)
PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), max_size=12)
LABELS = st.dictionaries(
    st.sampled_from(["zone", "example.org/rack", "disk-type"]),
    st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[a-z])?", fullmatch=True),
)
TAINTS = st.lists(st.sampled_from(["dedicated=db:NoSchedule", "gpu:NoExecute", "old=:PreferNoSchedule"]), unique=True)
USERS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.from_regex(r"[a-z_][a-z0-9_-]{0,8}", fullmatch=True).filter(lambda name: name != "root"),
            "sshKeys": st.lists(PRINTABLE.map(lambda words: f"ssh-ed25519 AAAA {words}"), min_size=1, max_size=2),
        },
        optional={
            "passwordHash": st.just(HASH),
            "sudo": st.booleans(),
        },
    ),
    max_size=3,
    unique_by=lambda user: user["name"],
)  # fmt: skip
DISKS = st.sampled_from([
    {}, {"device": "/dev/sda"}, {"layout": "lvm"}, {"device": "/dev/vda", "layout": "lvm", "etcd": "/dev/vdb"},
    {"layout": "raid1", "device": "/dev/sda", "mirror": "/dev/sdb", "containers": "/dev/sdc"},
])  # fmt: skip
BONDS = st.sampled_from([{}, {"mode": "802.3ad", "hashPolicy": "layer3+4"}, {"monitorMilliseconds": 250}])
ENGINES = st.sampled_from([
    {},
    {"registries": {"docker.io": ["https://mirror.example.org"], "r.example.org:5000": ["http://r.example.org:5000"]}},
    {"insecureRegistries": ["r.example.org:5000"], "containerd": {"oomScore": 5, "snapshotter": "native"}},
    {"name": "docker", "logMaxSize": "20m", "docker": {"bip": "172.30.0.1/16"}},
])  # fmt: skip
PACKAGES = st.sampled_from([
    {}, {"preset": "china"}, {"proxy": {"http": "http://proxy.example.org:3128", "noProxy": [".example.org"]}},
    {"base": {"apt": "http://apt.example.org/mirror", "yum": "http://yum.example.org/$releasever/$basearch/os"}},
])  # fmt: skip
VERSIONS = ("1.24.17", "1.28.9", "1.30.5", "1.31.1")


@st.composite
def networks(draw: st.DrawFn) -> Tree:
    """A node's own network, but for its cards."""
    if draw(st.booleans()):
        return {"dhcp": True}
    return draw(
        st.fixed_dictionaries(
            {"gateway": st.just("192.168.77.1"), "nameservers": st.just(["192.168.77.1", "fd00:77::1"])},
            optional={
                "searchDomains": st.just(["example.org", "lab.example.org"]),
                "addresses": st.sampled_from([["fd00:77::99/64"], ["10.1.2.3/16"]]),
                "routes": st.just([{"to": "10.0.0.0/8", "via": "192.168.77.254"}]),
                "mtu": st.sampled_from([1500, 9000]),
                "vlan": st.integers(1, 4094),
            },
        )
    )  # fmt: skip


@st.composite
def nodes(draw: st.DrawFn, number: int, name: str, roles: list[str]) -> Tree:
    """One machine; its number makes its address and MAC addresses its own."""
    profile = PROFILES[draw(st.sampled_from(sorted(PROFILES)))]
    mac, second, third = (f"52:54:00:00:{card:02x}:{number:02x}" for card in range(3))
    network = draw(networks())
    node: Tree = {
        "name": name, "roles": roles, "address": f"192.168.77.{number}", "os": profile.id, "mac": mac,
        "arch": draw(st.sampled_from(sorted(profile.arches))), "users": draw(USERS), "labels": draw(LABELS),
        "taints": draw(TAINTS), "disk": draw(DISKS), "timezone": draw(st.sampled_from(["Etc/UTC", "Asia/Shanghai"])),
        "ntp": draw(st.lists(st.sampled_from(["ntp.example.org", "192.168.77.1", "fd00::7"]), unique=True)),
        "upgradeKernel": draw(st.booleans()), "serial": draw(st.sampled_from(["", "SN '1'"])) + f"#{number}",
        "firewall": draw(st.sampled_from([None, "managed"])),
        "hosts": draw(st.sampled_from([{}, {"10.0.0.9": ["x", "y"]}])),
    }  # fmt: skip
    shape = draw(st.sampled_from(["card", "bond", "cards"]))
    if shape == "bond":
        node |= {"macs": [mac, second]}
        network = {**network, "bond": draw(BONDS)}
    elif shape == "cards":
        network = {**network, "cards": [{"mac": third, "addresses": [f"10.20.0.{number}/24"], "vlan": 20}]}
    return {**node, "network": network}


@st.composite
def specs(draw: st.DrawFn) -> Tree:
    """A whole spec. Rules that no strategy knows may still refuse it."""
    masters = draw(st.sampled_from([1, 3]))
    count = masters + draw(st.integers(0, 3))
    names = draw(st.lists(NAMES, min_size=count, max_size=count, unique=True))
    mode = draw(st.sampled_from(["local", "external", *(["vip"] if masters > 1 else [])]))
    first = ["master", "etcd", *(["lb"] if mode == "vip" else []), *draw(st.sampled_from([[], ["worker"]]))]
    balancer: Tree = {"mode": mode, "engine": draw(st.sampled_from(["nginx", "haproxy", "envoy"]))}
    balancer |= {"vip": {"vip": "192.168.77.10"}, "external": {"address": "api.example.org"}}.get(mode, {})
    return {
        "metadata": {"name": draw(st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True))},
        "coordinator": {"url": "https://192.168.77.2:8443", "bootUrl": "http://192.168.77.2:8080"},
        "kubernetes": {"version": draw(st.sampled_from(VERSIONS)), "apiServer": {"extraArgs": draw(st.dictionaries(
            st.from_regex(r"[a-z][a-z-]{0,8}[a-z]", fullmatch=True), PRINTABLE, max_size=2))}},
        "loadBalancer": balancer,
        "engine": draw(ENGINES),
        "packages": draw(PACKAGES),
        "pxe": draw(st.sampled_from([None, {"interface": "eno1"}, {"interface": "eno1", "mode": "dhcp"}])),
        "nodes": [
            draw(nodes(11 + number, name, first if number < masters else ["worker"]))
            for number, name in enumerate(names)
        ],
    }  # fmt: skip
