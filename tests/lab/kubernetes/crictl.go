// A stand-in for crictl, which Debian does not package: just what kubeadm 1.20 asks of it, over Kubernetes' own client.
// cmd/kubeadm/app/util/runtime/runtime.go: info; pods -q; stopp ID; rmp ID; inspecti IMAGE; pull IMAGE.
package main

import (
	"fmt"
	"os"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1alpha2"
	"k8s.io/kubernetes/pkg/kubelet/cri/remote"
)

const usage = "usage: crictl [-r|--runtime-endpoint SOCKET] info|pods -q|stopp ID|rmp ID|inspecti IMAGE|pull IMAGE"

func main() {
	endpoint, words := "unix:///run/containerd/containerd.sock", os.Args[1:]
	if len(words) > 1 && (words[0] == "-r" || words[0] == "--runtime-endpoint") {
		endpoint, words = words[1], words[2:]
	}
	if len(words) == 0 {
		fail(fmt.Errorf(usage))
	}
	fail(answer(endpoint, words[0], append(words[1:], "")[0]))
}

func answer(endpoint, verb, subject string) error {
	if len(endpoint) > 0 && endpoint[0] == '/' {
		endpoint = "unix://" + endpoint
	}
	runtime, err := remote.NewRemoteRuntimeService(endpoint, 2*time.Minute)
	if err != nil {
		return err
	}
	images, err := remote.NewRemoteImageService(endpoint, 2*time.Minute)
	if err != nil {
		return err
	}
	switch verb {
	case "info":
		status, err := runtime.Status()
		if err == nil {
			fmt.Println(status)
		}
		return err
	case "pods":
		pods, err := runtime.ListPodSandbox(nil)
		for _, pod := range pods {
			fmt.Println(pod.Id)
		}
		return err
	case "stopp":
		return runtime.StopPodSandbox(subject)
	case "rmp":
		return runtime.RemovePodSandbox(subject)
	case "inspecti":
		image, err := images.ImageStatus(&cri.ImageSpec{Image: subject})
		if err == nil && image == nil {
			err = fmt.Errorf("no such image: %s", subject)
		}
		return err
	case "pull":
		_, err := images.PullImage(&cri.ImageSpec{Image: subject}, nil, nil)
		return err
	}
	return fmt.Errorf("%s: %s", usage, verb)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
