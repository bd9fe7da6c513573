# shellcheck shell=sh
# What the Kubernetes stages share: certificates, kubeconfigs, questions to the API server and to etcd. Sourced after lib.sh.
# shellcheck disable=SC2034 # used by those who source this

K8S=/etc/kubernetes PKI=/etc/kubernetes/pki AUTHORITIES=$ETC/authorities

url() { case $1 in *:*) echo "https://[$1]:$2" ;; *) echo "https://$1:$2" ;; esac; }
kubectl_admin() { kubectl --kubeconfig "$K8S/admin.conf" --request-timeout=30s "$@"; }

# node_ready KUBECONFIG: True, False or Unknown, as the cluster says of this node.
node_ready() {
  kubectl --kubeconfig "$1" --request-timeout=15s get node "$NODE" \
    -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
}

# local_curl CA URL [CURL-OPTION...]: a question inside the cluster, under one of its CAs.
local_curl() {
  authority=$AUTHORITIES/$1 where=$2
  shift 2
  curl -q -sSf --cacert "$authority" --capath "$RUN/no-authority" --noproxy '*' --connect-timeout 5 --max-time 15 "$@" "$where"
}

# api_healthy URL: the API server there is healthy, and it is this cluster's.
api_healthy() { local_curl ca.crt "$1/healthz" -o /dev/null; }

# healthz URL: a program of this machine says that it is well; those of the control plane under a certificate of their own.
healthz() { curl -q -sfk --noproxy '*' --max-time 5 "$1/healthz" 2>/dev/null | grep -qx ok; }

# etcd_ask HOST ROUTE [JSON]: etcd's v3 API as JSON (its gRPC gateway).
etcd_ask() {
  client=$PKI/etcd/healthcheck-client
  local_curl etcd-ca.crt "$(url "$1" 2379)$2" --cert "$client.crt" --key "$client.key" -d "${3:-{\}}"
}

etcd_healthy() { etcd_ask "$ADDRESS" /v3/maintenance/status >/dev/null; }

# --- certificates (docs/node.md, Certificates)

# authorities: the CA certificates of the epoch; what was made under others is not counted as ours any more.
authorities() {
  await /v1/authorities
  header x-epoch | tr -cd 0-9 >"$RUN/epoch"
  unpack '\(ca\|front-proxy-ca\|etcd-ca\)\.crt' "$RUN/authorities"
  for file in "$RUN"/authorities/*; do
    place 0644 "$AUTHORITIES/${file##*/}" <"$file"
  done
  [ ! -s "$RUN/epoch" ] || place 0644 "$VAR/epoch" <"$RUN/epoch"
}

# locate KIND: the authority in CA, the place without suffix in PAIR.
locate() {
  CA=$AUTHORITIES/ca.crt
  case $1 in
  admin | controller-manager | scheduler) PAIR=$ETC/pki/$1 ;;
  kubelet-serving) PAIR=/var/lib/kubelet/pki/kubelet ;;
  kubelet-client) PAIR=$ETC/kubelet-client ;;
  front-proxy-client) CA=$AUTHORITIES/front-proxy-ca.crt PAIR=$PKI/$1 ;;
  etcd-*) CA=$AUTHORITIES/etcd-ca.crt PAIR=$PKI/etcd/${1#etcd-} ;;
  apiserver-etcd-client) CA=$AUTHORITIES/etcd-ca.crt PAIR=$PKI/$1 ;;
  *) PAIR=$PKI/$1 ;;
  esac
}

# fits CERTIFICATE: signed by $CA, good for a day at least, and for the key $PAIR.key. A slow machine feels every start of openssl.
fits() {
  [ -s "$1" ] && [ -s "$PAIR.key" ] || return 1
  case $(openssl verify -CAfile "$CA" "$1" 2>&1) in *': OK') ;; *) return 1 ;; esac
  public=$(openssl x509 -in "$1" -noout -pubkey -checkend 86400) || return 1
  case $public in "$(openssl pkey -in "$PAIR.key" -pubout)"*) ;; *) return 1 ;; esac
}

# have KIND: the certificate is there, and the kubeconfig that it belongs into.
have() {
  locate "$1"
  [ "$1" != kubelet-client ] || [ ! -e "$K8S/kubelet.conf" ] || return 0
  fits "$PAIR.crt" || return 1
  case $1 in admin | controller-manager | scheduler) kubeconfig "$1" | cmp -s - "$K8S/$1.conf" ;; esac
}

# obtain KIND...: all at once, because each key takes its time; when one fails, so does the stage. A key or a certificate that a power
# cut loses before the end is made again, because the other does not fit.
obtain() {
  exec 7>"$RUN/keys"
  flock 7
  LATER=1
  each prepare "$@"
  ask_at_once "$@"
  each obtain_one "$@"
  LATER=
  durable
}

# each FUNCTION KIND...
each() {
  asking='' outcome=0 function=$1
  shift
  for kind in "$@"; do
    "$function" "$kind" &
    asking="$asking $!"
  done
  for process in $asking; do
    code=0
    wait "$process" || code=$?
    [ "$code" = 0 ] || [ "$outcome" = 20 ] || outcome=$code
  done
  [ "$outcome" = 0 ] || exit "$outcome"
}

# bear_keys KIND...: those that are not there yet, ahead of their time.
bear_keys() {
  exec 7>"$RUN/keys"
  LATER=1
  ! flock -n 7 || each bear_key "$@"
}

bear_key() (
  locate "$1"
  [ -s "$PAIR.key" ] || write_request "$RUN/request.$1"
)

# prepare KIND: the key is born here and stays; the coordinator signs its public half and decides everything else. A request that was
# written with the key is not written again; were it of another key, its certificate would not fit, and be asked for anew.
prepare() (
  have "$1" || fits "$PAIR.crt" || { [ -s "$PAIR.key" ] && [ -s "$RUN/request.$1.pem" ]; } || write_request "$RUN/request.$1"
)

# ask_at_once KIND...: what was prepared, over one connection: a slow machine feels each of them. Nobody looks at how it ended, for what
# did not come is asked for alone; curl knows `next` from 7.36 on.
ask_at_once() {
  next=
  for kind in "$@"; do
    [ -s "$RUN/request.$kind.pem" ] || continue
    echo "$next"
    next=next
    coordinator_options
    printf '%s = "%s"\n' url "$ANSWERING/v1/certificates/$kind" header 'Content-Type: application/pkcs10' \
      data-binary "@$RUN/request.$kind.pem" output "$RUN/request.$kind.body"
  done >"$RUN/requests"
  [ -z "$next" ] || curl -q -sS -K "$RUN/requests" || :
}

obtain_one() (
  have "$1" && return
  fits "$PAIR.crt" || take "$1" || ask_for "$1"
  case $1 in admin | controller-manager | scheduler) kubeconfig "$1" | place 0600 "$K8S/$1.conf" ;; esac
)

# take KIND: the certificate $PAIR.crt that has come for the key $PAIR.key, looked at before it has that name.
take() {
  fits "$RUN/request.$1.body" || return
  place 0644 "$PAIR.crt" <"$RUN/request.$1.body"
  rm -f "$RUN/request.$1".*
}

ask_for() {
  REQUEST=$RUN/request.$1 BODY=$REQUEST.body HEADERS=$REQUEST.headers
  trap 'rm -f "$REQUEST".*' EXIT
  write_request "$REQUEST"
  await "/v1/certificates/$1" -H 'Content-Type: application/pkcs10' --data-binary "@$REQUEST.pem"
  take "$1" || fail "the coordinator's certificate $1 does not fit its authority or this node's key"
}

# write_request NAME: a signing request NAME.pem for $PAIR.key, which is born with the first one.
write_request() {
  printf '[req]\ndistinguished_name=dn\n[dn]\n' >"$1.conf"
  if [ -s "$PAIR.key" ] && make_request "$1" -key "$PAIR.key"; then return; fi
  make_request "$1" -newkey "$(kind_of_key "$1")" -nodes -keyout "$1.key"
  place 0600 "$PAIR.key" <"$1.key"
}

# kind_of_key NAME: P-256, which is made at once, where none but Kubernetes itself reads the key; elsewhere RSA of 2048 bits as kubeadm
# makes it, for not every curl of the matrix reads another (RFC 5480; the parameters name the curve prime256v1).
kind_of_key() {
  name=${PAIR##*/}
  case ${name%.next} in
  apiserver-*-client | front-proxy-client | controller-manager | scheduler)
    printf -- '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n' >"$1.curve"
    echo "ec:$1.curve"
    ;;
  *) echo rsa:2048 ;;
  esac
}

make_request() {
  name=$1
  shift
  openssl req -new -sha256 -config "$name.conf" -subj "/CN=$NODE" -out "$name.pem" "$@" 2>/dev/null
}

# kubeconfig KIND: as kubeadm names things, so that it keeps the file; JSON is YAML. Keys are arguments of the shell's own printf only.
kubeconfig() {
  user=system:kube-$1 server=$(url "$ADDRESS" 6443)
  [ "$1" != admin ] || user=kubernetes-admin server=https://$ENDPOINT
  printf '{"apiVersion":"v1","kind":"Config","current-context":"%s@kubernetes",' "$user"
  printf '"contexts":[{"name":"%s@kubernetes","context":{"cluster":"kubernetes","user":"%s"}}],' "$user" "$user"
  printf '"clusters":[{"name":"kubernetes","cluster":{"server":"%s","certificate-authority-data":"%s"}}],' "$server" "$(base64_of "$CA")"
  printf '"users":[{"name":"%s","user":{"client-certificate-data":"%s","client-key-data":"%s"}}]}\n' \
    "$user" "$(base64_of "$PAIR.crt")" "$(base64_of "$PAIR.key")"
}

base64_of() { base64 <"$1" | tr -d '\n'; }

# bring_back: on a blank disk of a cluster that is to be restored the data come before etcd's first start (docs/backup.md).
bring_back() {
  [ -z "${BACKUP_UPLOAD:-}" ] || [ -d "$ETCD_DATA_DIR/member" ] || "$KUBESEED/backup/restore" --armed --data-only
}

# --- kubeadm

stacked() { [ "$ETCD_TOPOLOGY" = stacked ]; }
leftovers() { [ -e "$K8S/kubelet.conf" ] || [ -e "$K8S/bootstrap-kubelet.conf" ] || [ -n "$(ls "$K8S/manifests" 2>/dev/null)" ]; }

# kubeadm_files: its configuration, and what that names.
kubeadm_files() {
  install_file "kubeadm-$1.yaml" "$ETC/kubeadm/$1.yaml" 0600
  install_file audit-policy.yaml "$K8S/audit-policy.yaml"
}

# patches: options of kubeadm. Until 1.21 its etcd asks for ephemeral storage, of which a kubelet that has just started often knows
# nothing: it refuses the pod, and there is no etcd until its next start (kubernetes/kubernetes#99305).
patches() {
  [ "$KUBEADM_API" = v1beta2 ] && is master && stacked || return 0
  place 0644 "$ETC/kubeadm/patches/etcd+strategic.json" <<JSON
{"spec": {"containers": [{"name": "etcd", "resources": {"requests": {"ephemeral-storage": null}}}]}}
JSON
  echo "--experimental-patches=$ETC/kubeadm/patches"
}

# kubelet_brings SECONDS COMMAND...: the kubelet runs, and its pods make the command succeed. A starved kubelet refuses a pod of its
# manifests at times, and looks at it again only when it starts.
kubelet_brings() {
  systemctl start kubelet
  within "$@" 2>/dev/null && return
  systemctl restart kubelet
  within "$@" 2>/dev/null
}

# reset: takes back what a broken init or join left. A master keeps its keys: kubeadm is shown an empty folder in their place.
reset() {
  set --
  ! is master || set -- --cert-dir "$RUN/no-authority"
  timeout 300 kubeadm reset -f --cri-socket "$CRI_SOCKET" "$@" || log "kubeadm reset has failed; going on"
  rm -rf "$K8S"/manifests/* "$K8S"/*kubelet.conf
  ! stacked || ! is master || rm -rf "${ETCD_DATA_DIR:?}/member"
  "$KUBESEED/stage/pki" apply
}
