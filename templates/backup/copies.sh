# shellcheck shell=sh
# What backup and restore share: the client of this node's etcd, and how a copy is read and judged. Sourced after kubernetes.sh.
# shellcheck disable=SC2015,SC2034,SC2154 # A && B || C: C may follow both; others set and use the rest
# A copy is a folder ID/ with manifest.json and the files that it lists; it counts only under its final name.

unset ETCDCTL_API ETCDCTL_ENDPOINTS ETCDCTL_CACERT ETCDCTL_CERT ETCDCTL_KEY
PATH=$KUBESEED/bin:$PATH

digest() { sum=$(sha256sum) && log "${sum%% *}"; }
is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

# etcd ARGUMENT... : etcdctl, at this node's member or at $ENDPOINTS.
etcd() {
  etcdctl --endpoints "${ENDPOINTS:-$(url "$ADDRESS" 2379)}" --cacert "$PKI/etcd/ca.crt" \
    --cert "$PKI/etcd/healthcheck-client.crt" --key "$PKI/etcd/healthcheck-client.key" "$@"
}

# fit_tools: etcdctl, and etcdutl where etcd has it, of etcd's own version. A node whose etcd runs in a pod has none: they are
# copied out of the running container through /proc, whatever engine runs it, and stay for the day when none runs.
fit_tools() {
  has etcdctl && [ "$(tool_version)" = "${1:-$(tool_version)}" ] && return
  for pid in $(pidof etcd); do
    ! take_tools "/proc/$pid/root" || return 0
  done
  has etcdctl || { stacked && tools_of_image; }
}

# take_tools ROOT: from where etcd's images have them.
take_tools() {
  for image in "$1/usr/local/bin" "$1/usr/bin"; do
    [ -f "$image/etcdctl" ] && [ ! -L "$image/etcdctl" ] || continue
    rm -f "$KUBESEED/bin/etcdutl"
    for tool in etcdctl etcdutl; do
      [ ! -f "$image/$tool" ] || place 0755 "$KUBESEED/bin/$tool" <"$image/$tool"
    done
    etcdctl version >/dev/null && return
  done
  return 1
}

# tools_of_image: on a blank master nothing runs yet; they are in the image that kubeadm will start etcd from.
tools_of_image() {
  image=$(kubeadm config images list --config "$ETC/kubeadm/init.yaml" 2>/dev/null | grep /etcd:) || return
  open_image "$image" || { kubeadm config images pull --config "$ETC/kubeadm/init.yaml" && open_image "$image"; } || return
  taken=0
  take_tools "$RUN/image" || taken=1
  if [ "$ENGINE" = docker ]; then rm -rf "$RUN/image"; else ctr -n k8s.io images unmount --rm "$RUN/image" >/dev/null; fi
  return $taken
}

# open_image IMAGE: its files, or those that are wanted of it, below $RUN/image.
open_image() {
  mkdir -p "$RUN/image/usr/local/bin"
  [ "$ENGINE" = docker ] || { ctr -n k8s.io images mount "$1" "$RUN/image" >/dev/null && return || return; }
  container=$(docker create "$1" etcd) || return
  for tool in etcdctl etcdutl; do
    docker cp "$container:/usr/local/bin/$tool" "$RUN/image/usr/local/bin/$tool" || :
  done
  docker rm "$container" >/dev/null
}

# tool_version: major and minor of etcdctl.
tool_version() { etcdctl version 2>/dev/null | sed -n 's/^etcdctl version: \([0-9]*\.[0-9]*\).*/\1/p'; }

# etcd 3.4 has no etcdutl; 3.6 has these commands nowhere else.
snapshot() { if has etcdutl; then etcdutl snapshot "$@"; else etcdctl snapshot "$@"; fi; }

# Every cluster, and every epoch of one, has CAs of its own: they say which cluster a copy is of. As kubeadm pins a CA: by its key.
ca_digest() { openssl x509 -in "$PKI/etcd/ca.crt" -noout -pubkey | openssl pkey -pubin -outform DER | digest; }

# copies: the ids of the copies on this node, newest first: an id begins with its UTC time.
copies() {
  for copy in "$BACKUP_DIR"/[0-9]*T[0-9]*Z-*; do
    [ ! -d "$copy" ] || log "${copy##*/}"
  done | sort -r
}

# field COPY KEY: one value of its manifest.
field() {
  sed -n -e "s|^  \"$2\": \"\([]A-Za-z0-9 .:,=_/[-]*\)\",\{0,1\}\$|\1|p" -e "s|^  \"$2\": \([0-9]*\),\{0,1\}\$|\1|p" "$1/manifest.json"
}

# files COPY: a line "name bytes sha256" for each of its files.
files() {
  sed -n 's/^    {"name": "\([a-z.]*\)", "bytes": \([0-9]*\), "sha256": "\([0-9a-f]*\)"},\{0,1\}$/\1 \2 \3/p' "$1/manifest.json"
}

# whole COPY [snapshot]: are its files, or is its snapshot, as its manifest says? If not, a sentence says what is wrong.
whole() {
  id=${1##*/}
  [ -f "$1/manifest.json" ] || { log "$id has no manifest.json" && return 1; }
  [ "$(field "$1" format)" = 1 ] && [ "$(field "$1" id)" = "$id" ] ||
    { log "$id/manifest.json is damaged, or of another copy" && return 1; }
  files "$1" | {
    snapshots=0
    while read -r name bytes expected; do
      case ${2:-}-$name in snapshot-config.* | snapshot-key.* | snapshot-store.*) continue ;; esac
      [ -f "$1/$name" ] || { log "$id/$name is missing" && return 1; }
      found=$(($(wc -c <"$1/$name")))
      [ "$found" -eq "$bytes" ] || { log "$id/$name has $found bytes, its manifest says $bytes" && return 1; }
      [ "$(digest <"$1/$name")" = "$expected" ] || { log "$id/$name is damaged: its SHA-256 is not the one of its manifest" && return 1; }
      case $name in snapshot.db*) snapshots=$((snapshots + 1)) ;; esac
    done
    [ "$snapshots" -eq 1 ] || { log "$id/manifest.json lists no snapshot" && return 1; }
  }
}

# sound FILE: is it a snapshot of an etcd that holds something? Sets REVISION, TOTAL_KEY and HASH; WRONG says what is wrong.
# "snapshot status" looks at the structure only; the SHA-256 that etcd writes at the end covers every byte.
sound() {
  bytes=$(($(wc -c <"$1")))
  WRONG="the snapshot is empty: 0 bytes"
  [ "$bytes" -gt 0 ] || return
  WRONG="the snapshot is truncated: $bytes bytes and no hash at the end"
  [ $((bytes % 512)) -eq 32 ] || return
  WRONG="the snapshot is damaged: its bytes do not match the hash at its end"
  [ "$(head -c $((bytes - 32)) "$1" | digest)" = "$(tail -c 32 "$1" | od -An -v -tx1 | tr -d ' \n')" ] || return
  figures=$(snapshot status "$1" -w fields 2>&1) || { WRONG="the snapshot cannot be read: $(log "$figures" | tail -n 1)" && return 1; }
  REVISION=$(log "$figures" | sed -n 's/^"Revision" : //p')
  TOTAL_KEY=$(log "$figures" | sed -n 's/^"Keys" : //p')
  HASH=$(log "$figures" | sed -n 's/^"Hash" : //p')
  WRONG="etcd's tools speak of the snapshot in words that kubeseed does not know"
  is_number "$REVISION" && is_number "$TOTAL_KEY" && is_number "$HASH" || return
  WRONG="the snapshot holds no keys"
  [ "$REVISION" -gt 0 ] && [ "$TOTAL_KEY" -gt 0 ]
}
