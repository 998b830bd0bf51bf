# Read by the launchers beside it: finds a Node.js that is new enough, and becomes it. The launcher has set `bin`, the
# directory it really lies in, and brings `fail`.

NODE_NEEDED='Node.js 22.13 or newer'

# $1: an executable. True when it is a Node.js new enough; sets `found`, `major` and `minor`.
is_node() {
  [ -f "$1" ] && [ -x "$1" ] || return 1
  found=$("$1" --version </dev/null 2>/dev/null 3<&-) || return 1
  major=${found#v}
  minor=${major#*.}
  major=${major%%.*}
  minor=${minor%%.*}
  case $major in '' | *[!0-9]*) return 1 ;; esac
  case $minor in '' | *[!0-9]*) return 1 ;; esac
  if [ "$major" -gt 22 ] || { [ "$major" -eq 22 ] && [ "$minor" -ge 13 ]; }; then return 0; fi
  too_old="$too_old $1 ($found)"
  return 1
}

# Sets `node`; false when there is none.
find_node() {
  if [ -n "${COUNTERSIGN_NODE-}" ]; then
    is_node "$COUNTERSIGN_NODE" || fail "COUNTERSIGN_NODE is not $NODE_NEEDED: $COUNTERSIGN_NODE"
    node=$COUNTERSIGN_NODE
    return 0
  fi
  for node in "$bin"/../../../node_modules/node-linux-*/bin/node; do
    is_node "$node" && return 0
  done
  node=$(command -v node 2>/dev/null) && is_node "$node" && return 0
  find_installed_node
}

# Where version managers and packages put it: the newest of all.
find_installed_node() {
  node=
  home=${HOME-}
  best_major=0
  best_minor=0
  for candidate in \
    /usr/local/bin/node /usr/bin/node /opt/homebrew/bin/node \
    "${NVM_DIR:-$home/.nvm}"/versions/node/*/bin/node \
    "${VOLTA_HOME:-$home/.volta}"/tools/image/node/*/bin/node \
    "${FNM_DIR:-$home/.local/share/fnm}"/node-versions/*/installation/bin/node; do
    is_node "$candidate" || continue
    if [ "$major" -gt "$best_major" ] || { [ "$major" -eq "$best_major" ] && [ "$minor" -gt "$best_minor" ]; }; then
      node=$candidate
      best_major=$major
      best_minor=$minor
    fi
  done
  [ -n "$node" ]
}

# For what lightningd starts, in its own directory. Compiled code is executed when read back, so it is kept only where nobody
# else writes: beside the signer's state.
keep_compiled() {
  if [ -z "${NODE_COMPILE_CACHE-}" ] && [ -d countersign ]; then
    NODE_COMPILE_CACHE=countersign/compile-cache
    export NODE_COMPILE_CACHE
  fi
}

# $1: the file to run, from `bin`; the others its arguments. Does not return.
become_node() {
  need_main "$1"
  shift
  exec "$node" --disable-warning=ExperimentalWarning "$main" "$@"
}

# $1: the file to run, from `bin`; $2 and $3 what it is asked for; the others its arguments. It says itself what it may touch,
# then runs under Node.js's permission model with exactly that. No core dumps, no files for others. Does not return.
become_confined_node() {
  # The permission model goes by real paths.
  bin=$(CDPATH='' cd -P -- "$bin" && pwd) || fail "cannot find the directory of $0"
  need_main "$1"
  [ "$2 $3" = 'signer run' ] || fail "only 'signer run' is confined"
  shift 3
  allowed=$("$node" --disable-warning=ExperimentalWarning "$main" signer permissions "$@") || exit $?
  ulimit -c 0
  umask 077
  lines='
'
  set -f
  old_ifs=$IFS
  IFS=$lines
  # One argument a line: paths may have spaces. Word splitting is what does it.
  # shellcheck disable=SC2086
  set -- $allowed --disable-warning=ExperimentalWarning --disable-warning=SecurityWarning "$main" signer run "$@"
  IFS=$old_ifs
  set +f
  exec "$node" "$@"
}

# $1: a file, from `bin`. Sets `main` and `node`, or ends.
need_main() {
  main=$bin/$1
  too_old=
  if ! find_node; then
    fail "needs $NODE_NEEDED${too_old:+; too old:$too_old}. Run \"npm ci\" in Countersign's directory, which brings one, or install Node.js 24 (https://nodejs.org), or set COUNTERSIGN_NODE to its path in lightningd's environment"
  fi
  [ -f "$main" ] || fail "not built: $main is missing. Run \"npm ci && npm run build\" in Countersign's directory"
}
