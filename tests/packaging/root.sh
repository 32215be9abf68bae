# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A throw-away Debian in $R with the packages of dist/ in its /tmp, for the tests beside this file.
# Needs root (or sudo) and, the first time, the network; the base system is kept as
# build/package-root/*.tar.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "needs root or sudo" && exit 77; }
  exec sudo -- "$0" "$@"
fi
need_packages package
deb=$(echo "$root"/dist/fieldpost_*_"$(dpkg --print-architecture)".deb)
dev=$(echo "$root"/dist/libfieldpost-dev_*_all.deb)
if ! [ -f "$deb" ] || ! [ -f "$dev" ]; then
  echo "no packages in dist/: run scripts/package"
  exit 1
fi

cache=$root/build/package-root
mkdir -p "$cache"
R=$(mktemp -d -p "$cache" root.XXXXXX)
trap 'rm -rf --one-file-system "$R"' EXIT
# Of its own mounts and processes, so that nothing is left running or mounted, however this ends.
inside() { unshare --mount --pid --fork --kill-child --mount-proc="$R/proc" chroot "$R" \
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
fail() { echo "FAILED: $*" >&2 && exit 1; }
step() { printf -- '-- %s\n' "$*"; }

# Everything the packages depend on is in the base system, so that installing needs no network.
depends=$(for package in "$deb" "$dev"; do
  dpkg-deb -f "$package" Depends
done | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g; /^$/d; /^fieldpost$/d' | sort -u | paste -sd,)
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
base=$cache/$suite-$(sha256sum <<<"$depends" | cut -c1-12).tar
if [ ! -f "$base" ]; then
  step "making a base system (kept for the next time)"
  rm -f "$cache"/*.tar
  # shellcheck disable=SC2016 # apt fills these in
  sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' | sort -u)
  mmdebstrap --quiet --format=tar --mode=root --variant=minbase --aptopt='Acquire::Retries "5"' \
    --include="$depends" "$suite" "$base.new" - <<<"$sources"
  mv "$base.new" "$base"
fi
tar -C "$R" -xf "$base" --exclude='./dev/*'
for node in null zero full random urandom tty; do cp -a "/dev/$node" "$R/dev/"; done
cp "$deb" "$dev" "$R/tmp/"
