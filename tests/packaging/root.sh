# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# For the tests beside this file: the packages of dist/ that are for this machine, in the array
# `debs`, and throw-away Debians to try them in. Needs root (or sudo) and, the first time, the network.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
. "$root/scripts/roots.sh"
become_root "$@"

# long_only WHAT: ends the script, as skipped, unless `scripts/test --long` runs it.
long_only() {
  [ -z "${FIELDPOST_LONG:-}" ] || return 0
  echo "$1: only with --long"
  exit 77
}
fail() { echo "FAILED: $*" >&2 && exit 1; }
step() { printf -- '-- %s\n' "$*"; }

need_packages package
arch=$(dpkg --print-architecture)
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mark=~deb$(. /etc/os-release && echo "$VERSION_ID")
changes=$(echo "$root"/dist/fieldpost_*"${mark}_$arch".changes)
[ -f "$changes" ] || fail "no packages in dist/: run scripts/package"
mapfile -t debs < <(sed -n '/^Files:/,/^[A-Z]/s/^ .* \(.*[a-z0-9]_.*\.deb\)$/\1/p' "$changes" |
  grep -v -- -dbgsym_ | sed "s|^|$root/dist/|")
cache=$root/build/package-root
mkdir -p "$cache"

# names_of FILE...: their packages' names.
names_of() { for deb in "$@"; do dpkg-deb -f "$deb" Package; done; }

# fresh_root NAME [PACKAGE...]: $R, with all that the packages depend on, so that installing them
# needs no network, with these besides, and with the packages themselves in /srv.
fresh_root() {
  local name=$1 depends
  shift
  depends=$(for deb in "${debs[@]}"; do dpkg-deb -f "$deb" Depends; done | tr ',' '\n' |
    sed 's/|.*//; s/(.*//; s/ //g; /^$/d; /^fieldpost/d' | cat - <(printf '%s\n' "$@") |
    sed '/^$/d' | sort -u | paste -sd,)
  make_root "$name-$suite" "$suite" "" --variant=minbase --include="$depends"
  unpack_root "$tar"
  cp "${debs[@]}" "$R/srv/"
}
