#!/bin/sh
# Imports ROOT/root/archives/*.tar into the image store of ROOT's containerd. In a mount and process namespace of its own.
set -eu
root=$1
for folder in proc sys dev; do
  mount --rbind "/$folder" "$root/$folder"
done
mount -t tmpfs tmpfs "$root/run"
chroot "$root" containerd >"$root/root/containerd.log" 2>&1 &
engine=$!
tries=0
until chroot "$root" ctr version >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 60 ] || { cat "$root/root/containerd.log" && exit 1; }
  sleep 0.5
done
for archive in "$root"/root/archives/*.tar; do
  chroot "$root" ctr -n k8s.io images import "/root/archives/${archive##*/}"
done
kill "$engine"
wait "$engine" || :
rm -f "$root/root/containerd.log"
