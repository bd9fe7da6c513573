# shellcheck shell=sh
# What the stages share that install and run software: package sources, packages, services. Sourced after lib.sh.

proxied() {
  if [ -n "$HTTP_PROXY$HTTPS_PROXY" ]; then
    http_proxy=$HTTP_PROXY https_proxy=$HTTPS_PROXY no_proxy=$NO_PROXY "$@"
  else
    "$@"
  fi
}

# fetch_key URL: a vendor's signing key, under the system's certificate authorities; the file goes to stdout.
fetch_key() { proxied curl -q -sSfL --proto =https --proto-redir =https --connect-timeout 10 --max-time 60 "$1"; }

# package_sources: the spec's package sources and their keys.
package_sources() {
  case $PACKAGE_MANAGER in
  apt) keys=/etc/apt/keyrings list=/etc/apt/sources.list.d/kubeseed.list sources=packages.apt ;;
  *) keys=/etc/pki/rpm-gpg list=/etc/yum.repos.d/kubeseed.repo sources=packages.rpm ;;
  esac
  for key in "$FILES"/keys/*; do
    keyring=$keys/kubeseed-$(basename "${key%.*}").asc
    case $key in
    *.asc) place 0644 "$keyring" <"$key" ;;
    *.url) [ -s "$keyring" ] || { fetch_key "$(cat "$key")" >"$RUN/key" && place 0644 "$keyring" <"$RUN/key"; } ;;
    esac
  done
  install_file "$sources" "$list"
  stand_aside
  [ -z "$CHANGED" ] || rm -f "$RUN/apt-updated"
  CHANGED=
}

# stand_aside: the system's own package sources, where the spec names others in their place; a mirror's site often reaches no other.
stand_aside() {
  [ -f "$FILES/packages.replace" ] || return 0
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources /etc/yum.repos.d/*.repo; do
    case $file in */kubeseed.*) continue ;; esac
    [ ! -f "$file" ] || { mv -f "$file" "$file.before-kubeseed" && CHANGED=1; }
  done
}

# packages_of GROUP: what the group's packages are called in this release.
packages_of() { { sed -n "s/^$1 //p" "$FILES/packages.names" 2>/dev/null || :; } | grep . || echo "${2:-$1}"; }

# pinned VERSION NAME... : the first package in that version, as the package manager wants it written.
pinned() {
  version=$1 name=$2
  shift 2
  case $version-$PACKAGE_MANAGER in -*) ;; *-apt) name=$name=$version ;; *) name=$name-$version ;; esac
  echo "$name" "$@"
}

# install_packages NAME... : an interrupted dpkg is finished first.
install_packages() {
  case $PACKAGE_MANAGER in
  apt)
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    dpkg --configure -a
    [ -f "$RUN/apt-updated" ] || { proxied apt-get -q -o DPkg::Lock::Timeout=600 update && : >"$RUN/apt-updated"; }
    proxied apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confold \
      --no-install-recommends --allow-change-held-packages install "$@"
    ;;
  *) proxied "$PACKAGE_MANAGER" -q -y install --disableexcludes=all "$@" ;;
  esac
}

# install_quietly SERVICE PACKAGE... : the packages, without their own service SERVICE ever starting.
install_quietly() {
  own=$1
  shift
  systemctl mask "$own"
  installed=
  ! install_packages "$@" || installed=1
  systemctl unmask "$own"
  systemctl disable "$own" || :
  [ -n "$installed" ]
}

# enable_unit UNIT: systemd reads all units anew only when it knows an older one: that takes long where little else does.
enable_unit() {
  systemctl -q is-enabled "$1" || systemctl --no-reload enable "$1"
  [ "$(systemctl show -p NeedDaemonReload "$1")" != NeedDaemonReload=yes ] || systemctl daemon-reload
}

# run_service UNIT [OPTION]: enabled and running; restarted when CHANGED says that its configuration is new.
run_service() {
  enable_unit "$1"
  # shellcheck disable=SC2086
  if [ -n "$CHANGED" ]; then systemctl ${2-} restart "$1"; else systemctl ${2-} start "$1"; fi
  CHANGED=
}

# install_comforts NAME... : one that is not to be had stops nobody; nothing is tried one by one without package lists.
install_comforts() {
  install_packages "$@" && return
  [ "$PACKAGE_MANAGER" != apt ] || [ -f "$RUN/apt-updated" ] || return 0
  for package in "$@"; do
    install_packages "$package" || log "no package $package to be had"
  done
}

running() { systemctl -q is-active "$1"; }
