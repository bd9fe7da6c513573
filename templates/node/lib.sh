# shellcheck shell=sh
# What the runner and the stages share: words for people, facts, files, requests. Sourced, never run.
# Lines whose first character is # are comments everywhere in this folder, here-documents included: the seed carries none of them.

# shellcheck disable=SC2034 # used by those who source this

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
export PATH HOME LC_ALL
umask 077
KUBESEED=/usr/local/lib/kubeseed ETC=/etc/kubeseed VAR=/var/lib/kubeseed RUN=/run/kubeseed
FILES=$ETC/files BODY=$RUN/body.$$ HEADERS=$RUN/headers.$$ AUTH=$ETC/node.curl
STATUS=000 CHANGED=
# Where every start of a program is felt (a slow machine, an emulated one) the shell does itself what it can.
if [ ! -d "$RUN/no-authority" ] || [ ! -d "$VAR" ]; then mkdir -p "$RUN/no-authority" "$VAR"; fi
trap '[ ! -e "$BODY" ] || rm -f "$BODY" "$HEADERS" "$BODY".*' EXIT
# Words for people go to descriptor 3: the runner's output, where a stage's own goes to its log.
{ true >&3; } 2>/dev/null || exec 3>&1
# shellcheck source=/dev/null
. "$ETC/node.conf"
ANSWERING=${COORDINATORS%% *}

# --- words and exits (docs/node.md: 0 done, 10 skipped, 20 stop, anything else is tried again)

log() { printf '%s\n' "$*"; }
fail() { log "$*"; exit 1; }
skip() { log "$*"; exit 10; }

# stop LINE... : no retry can mend this; the lines say what was found, the last one what to do.
stop() {
  printf '%s\n' "$@" | sed 's/^/! /'
  exit 20
}

# redact: stdin to stdout as plain text, without keys, tokens, credentials and password hashes.
redact() {
  tr -cd '\11\12\40-\176' | sed -e '/BEGIN [A-Z ]*PRIVATE KEY/,/END [A-Z ]*PRIVATE KEY/s/.*/***/' \
    -e 's/\(uthorization: *[A-Za-z]*\).*/\1 ***/' -e 's/[0-9A-Fa-f]\{64,\}/***/g' \
    -e 's/\<[a-z0-9]\{6\}\.[a-z0-9]\{16\}\>/***/g' -e 's/\$[0-9a-z]\{1,8\}\$[./0-9A-Za-z$=,]\{8,\}/***/g' \
    -e 's/\([Kk]ey-data\|[Tt]oken\|[Pp]assword\|[Ss]ecret\)\(["'\'']*[:=] *\)[^ ,}]*/\1\2***/g'
}

# box: stdin in a frame, announced.
box() {
  line=+----------------------------------------------------------------------------+
  { printf '\n%s\n' "$line"; fold -s -w 74 | while IFS= read -r text; do printf '| %-74s |\n' "$text"; done; printf '%s\n' "$line"; } |
    announce
}

# consoles: all that people may look at, the screen as well as a serial line; /dev/console is only one of them.
consoles() {
  names='' seen=''
  read -r names 2>/dev/null </sys/class/tty/console/active || :
  for name in $names; do
    [ ! -c "/dev/$name" ] || seen="$seen /dev/$name"
  done
  [ -n "$seen" ] || [ ! -c /dev/console ] || seen=/dev/console
  echo "$seen"
}

# announce: stdin to the consoles and to the journal.
announce() {
  # shellcheck disable=SC2046 # one word for each console
  tee $(consoles) 2>/dev/null >&3 || :
}

# say LINE: the same for one line.
say() {
  log "$1" >&3 || :
  for console in $(consoles); do
    { log "$1" >"$console"; } 2>/dev/null || :
  done
}

# --- facts

has() { command -v "$1" >/dev/null 2>&1; }
listed() { case " $2 " in *" $1 "*) ;; *) return 1 ;; esac; }
is() { listed "$1" "$ROLES"; }
in_cluster() { is master || is worker; }
first_master() { [ "$NODE" = "$FIRST_MASTER" ]; }
os_release() { sed -n "s/^$1=//p" /etc/os-release | tr -d "\"'"; }
# line_of FILE: its first line; false when there is none.
line_of() { line='' && { read -r line <"$1" || [ -n "$line" ]; } 2>/dev/null && log "$line"; }
epoch() { line_of "$VAR/epoch" || echo 0; }
uptime_seconds() { read -r up _ </proc/uptime && echo "${up%%.*}"; }
sha256() { sha256sum "$1" | cut -c1-64; }

# within SECONDS COMMAND...: waits until the command succeeds; most of what has just been started needs a moment only.
within() {
  left=$1 naps=0
  shift
  until "$@"; do
    naps=$((naps + 1))
    if [ "$naps" -le 5 ]; then
      sleep 0.2
    else
      left=$((left - 1))
      [ "$left" -gt 0 ] || return 1
      sleep 1
    fi
  done
}

# --- files

# durable [-f] PATH...: on the disk, not in a cache; a `sync` that cannot be told what to write writes everything. With LATER set
# somebody waits for the disk once instead, after many files.
durable() { [ -n "${LATER-}" ] || sync "$@" 2>/dev/null || sync; }

# at_once COMMAND...: places files of which the next run makes good what a power cut loses; the disk is waited for once.
at_once() {
  LATER=1
  "$@"
  LATER=
  durable
}

# write MODE PATH: stdin into a new file, which is never more open than it should be.
write() {
  case $1 in
  0600) cat >"$2" ;;
  0644) (umask 022 && cat >"$2") ;;
  *) cat >"$2" && chmod "$1" "$2" ;;
  esac
}

# place MODE PATH: stdin becomes the file PATH, whole or not at all; CHANGED is set when it was another one. What a power cut
# leaves beside it is overwritten the next time.
place() {
  new=$2.kubeseed-new
  [ -d "${2%/*}" ] || (umask 022 && mkdir -p "${2%/*}")
  [ ! -e "$new" ] || rm -f "$new"
  if write "$1" "$new"; then
    if [ -e "$2" ] && cmp -s "$new" "$2"; then
      chmod "$1" "$2"
      rm -f "$new"
    else
      durable "$new"
      mv -f "$new" "$2"
      durable "${2%/*}"
      CHANGED=1
    fi
  else
    rm -f "$new"
    fail "cannot write $2: is the disk full?"
  fi
}

# install_file NAME PATH [MODE]: the node's file NAME at PATH; a file the node was not given is left out.
install_file() {
  [ ! -f "$FILES/$1" ] || place "${3:-0644}" "$2" <"$FILES/$1"
}

# installed NAME PATH: says whether install_file has nothing to do.
installed() { [ ! -f "$FILES/$1" ] || cmp -s "$FILES/$1" "$2"; }

# unpack ALLOWED FOLDER: the tar in $BODY below the new folder FOLDER; members are regular files whose whole name matches ALLOWED (BRE).
unpack() {
  { tar -tf "$BODY" >"$BODY.names" && tar -tvf "$BODY" >"$BODY.kinds"; } || fail "the answer is not a tar archive"
  names=$(grep -vx "$1" "$BODY.names" || :)$(grep -E '(^|/)\.\.?(/|$)|^/|//' "$BODY.names" || :)$(grep -v '^-' "$BODY.kinds" || :)
  [ -z "$names" ] || stop "The coordinator sent an archive with members that have no place here: $(echo "$names" | redact | head -n 3)" \
    "Find out who answers as coordinator before anything else: kubeseed events OUT"
  [ ! -e "$2" ] || rm -rf "$2"
  mkdir -p "$2"
  tar -xof "$BODY" -C "$2"
  [ -z "$(find "$2" ! -type f ! -type d -o -type f -links +1)" ] || fail "the archive made something that is no plain file"
}

# --- requests

# header NAME: the last answer's header NAME (lower case).
header() { tr 'A-Z\r' 'a-z\n' <"$HEADERS" | sed -n "s/^$1: *//p" | tail -n 1; }

# coordinator_options: those of every request, as curl reads them of a file. Only the cluster's root counts (an empty capath keeps the
# system's certificates out); no proxy, no redirect; -q in front keeps .curlrc out.
coordinator_options() {
  printf '%s = "%s"\n' config "$AUTH" cacert "$ETC/ca.crt" capath "$RUN/no-authority" noproxy '*' proto =https \
    connect-timeout 10 max-time 60
}

# request ROUTE [CURL-OPTION...]: asks the coordinators in turn; leaves STATUS (000: nobody answered), $BODY, $HEADERS and, in
# ANSWERING, the coordinator that was asked last. What the options of the command line say again counts more.
request() {
  route=$1
  shift
  for ANSWERING in $COORDINATORS; do
    : >"$BODY"
    : >"$HEADERS"
    STATUS=$(coordinator_options | curl -q -sS -K - -o "$BODY" -D "$HEADERS" -w '%{http_code}' "$@" "$ANSWERING$route") || STATUS=000
    case $STATUS in 000 | 429 | 5??) ;; *) return 0 ;; esac
  done
}

# told: the answer's Retry-After in seconds, 1 to 300, else 5.
told() {
  seconds=$(header retry-after)
  case $seconds in '' | *[!0-9]* | ????*) seconds=5 ;; esac
  [ "$seconds" -ge 1 ] || seconds=1
  [ "$seconds" -le 300 ] || seconds=300
  echo "$seconds"
}

# await ROUTE [CURL-OPTION...]: request until it is answered for good: 200 and 304 return, 202 asks again after a word by
# `waiting`, the rest ends the attempt.
await() {
  while :; do
    request "$@"
    case $STATUS in
    200 | 304) return 0 ;;
    202)
      waiting
      sleep "$(told)"
      ;;
    *) refused ;;
    esac
  done
}

# waiting: what the coordinator waits for, once.
waiting() {
  [ "${awaited-}" != "$route" ] || return 0
  awaited=$route
  say "       waiting: $(message)"
}

# message: the sentence in the answer.
message() { sed -n 's/.*"message": *"\([^"]*\)".*/\1/p' "$BODY" | redact | cut -c1-300; }

refused() {
  says="$STATUS $(message)"
  case $STATUS in
  401) stop "The coordinator does not accept this node at $route: $says" \
    "The seed or the credential is unknown, expired, revoked or wrong." \
    "On the coordinator: kubeseed status OUT, then kubeseed node rearm OUT $NODE. Then restart this machine." ;;
  409) stop "Conflict at $route: $says" \
    "Another machine has this node's name, or init belongs to another epoch." \
    "On the coordinator: kubeseed events OUT. Re-arm the node only when you know which machine is the right one." ;;
  400 | 403 | 413 | 415 | 422) stop "The coordinator refuses $route: $says" \
    "Seed and coordinator disagree about this node: run kubeseed generate and give it its new seed." ;;
  429 | 503) told >"$RUN/retry-after" ;;
  esac
  fail "no good answer at $route from $COORDINATORS: $says; the clock here says $(date -u '+%F %T') UTC"
}

# --- a stage: the file that sources this defines what it needs of these and ends with "$1"

check() { return 1; }
apply() { :; }
verify() { check; }
