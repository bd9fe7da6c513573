#!/bin/sh
# Runs in the build chroot: Kubernetes VERSION of Debian's source package, a crictl of its own client, and pause.
set -eu
version=$1
cd /root
apt-get -q update
apt-get -q source kubernetes
cd kubernetes-1.20*/

# Debian's golang is younger than the vendored reflect2 can live with.
vendored=vendor/github.com/modern-go/reflect2
rm -f $vendored/*.go $vendored/*.s
cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.go /usr/share/gocode/src/github.com/modern-go/reflect2/*.s $vendored/
rm -f $vendored/*_test.go

mkdir -p cmd/crictl .go/src/k8s.io
cp ../crictl.go cmd/crictl/main.go
ln -sfn ../../.. .go/src/k8s.io/kubernetes
export GOPATH="$PWD/.go" CGO_ENABLED=0 GOFLAGS=-mod=vendor KUBE_GIT_VERSION="v$version"
make WHAT="cmd/kubeadm cmd/kubectl cmd/kubelet cmd/kube-apiserver cmd/kube-controller-manager cmd/kube-scheduler cmd/kube-proxy"
tree=$PWD
(cd .go/src/k8s.io/kubernetes && GOFLAGS='' GO111MODULE=off go build -o "$tree/_output/local/bin/linux/amd64/crictl" k8s.io/kubernetes/cmd/crictl)

mkdir -p ../programs
cp _output/local/bin/linux/amd64/* ../programs/
gcc -static -O2 -o ../programs/pause ../pause.c
