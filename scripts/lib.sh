# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the scripts share: where the tree is, how it is built, and Debian packages on demand.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '== %s\n' "$*"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "needs root or sudo for: $*" >&2
    return 1
  fi
}

# missing_packages NAME...: those of scripts/packages/NAME.txt that are not installed.
missing_packages() {
  local wanted
  wanted=$(for list in "$@"; do sed 's/#.*//' "$root/scripts/packages/$list.txt"; done | sort -u)
  # shellcheck disable=SC2086 # one word per package
  dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
    sed -n 's/^installed //p' | sort -u | comm -13 - <(tr -s ' \n' '\n' <<<"$wanted" | sed '/^$/d')
}

# need_packages NAME...: installs what is missing of the lists, and says so. Asks apt nothing when
# nothing is missing, and updates its lists only when they do not know a package or are too old
# to fetch it.
need_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing with apt: ${missing[*]}"
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300
    -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}")
  if apt-cache show "${missing[@]}" >/dev/null 2>&1 && as_root "${install[@]}" </dev/null; then
    return 0
  fi
  as_root apt-get -q -o DPkg::Lock::Timeout=300 update
  as_root "${install[@]}" </dev/null
}

# configure PRESET: idempotent; uses ccache where there is one.
configure() {
  local launcher=()
  if command -v ccache >/dev/null; then
    # Paths relative to the tree, so that another checkout of it finds what this one compiled.
    export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  (cd "$root" && cmake --preset "$1" "${launcher[@]}" >"build/.configure.$1.log" 2>&1) || {
    cat "$root/build/.configure.$1.log" >&2
    return 1
  }
}

# build PRESET [TARGET...]: quiet unless something is wrong or takes its time.
build() {
  local preset=$1
  shift
  mkdir -p "$root/build"
  say "building ($preset)"
  configure "$preset"
  cmake --build "$root/build/$preset" ${1:+--target "$@"} -- -k 0
}
