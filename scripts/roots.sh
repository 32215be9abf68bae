# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # root is of scripts/lib.sh
#
# Throw-away Debian systems, for builds and tests that must not change this one. Needs root. What
# mmdebstrap made is kept as build/roots/*.tar; a system itself lives until the script ends.
# To be read after scripts/lib.sh.
roots=$root/build/roots
unpacked=()
trap 'rm -rf --one-file-system -- "${unpacked[@]}"' EXIT

become_root() { # the script's own arguments
  [ "$(id -u)" != 0 ] || return 0
  command -v sudo >/dev/null || { echo "needs root or sudo" >&2 && exit 77; }
  exec sudo -- "$0" "$@"
}

# Where this machine has Debian from.
debian_mirror() {
  # shellcheck disable=SC2016 # apt fills it in
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
    'Label: Debian' | head -n 1
}

# make_root NAME SUITE KEY MMDEBSTRAP-OPTION...: sets $tar to the tar of a system that these options
# make. KEY is what else is in it: another one is another system, and the old one is removed.
# Of one suite without -security: packages of two architectures must have the very same version,
# and the archives of security updates are not in step.
make_root() {
  local name=$1 suite=$2 key=$3
  shift 3
  tar=$roots/$name-$(sha256sum <<<"$suite $key $*" | cut -c1-12).tar
  [ ! -f "$tar" ] || return 0
  say "making a throw-away $suite (kept in build/roots for the next time)"
  mkdir -p "$roots"
  rm -f "$roots/$name"-*.tar
  cd "$root" || return # where files for it are found, whatever the checkout is called
  if ! nice mmdebstrap --quiet --format=tar --mode=root --aptopt='Acquire::Retries "5"' \
    --dpkgopt=force-unsafe-io "$@" "$suite" "$tar.new" "deb $(debian_mirror) $suite main" \
    >"$roots/$name.log" 2>&1 </dev/null; then
    tail -n 20 "$roots/$name.log" >&2
    return 1
  fi
  mv "$tar.new" "$tar"
}

# unpack_root TAR: sets R to a folder with that system, which is removed at the end.
unpack_root() {
  R=$(mktemp -d -p "$roots" root.XXXXXX)
  unpacked+=("$R")
  tar -C "$R" -xf "$1" --exclude='./dev/*'
  local node
  for node in null zero full random urandom tty; do cp -a "/dev/$node" "$R/dev/"; done
  mkdir -p "$R/dev/shm" "$R/dev/pts" "$R/ccache"
  chmod 1777 "$R/dev/shm"
}

# What a command inside sees, and which folder it has as /ccache, if any.
inside_env=(PATH=/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
  DEBIAN_FRONTEND=noninteractive)
inside_cache=

# inside COMMAND...: in $R, with mounts and processes of its own, so that nothing is left running or
# mounted, however this ends.
inside() {
  # shellcheck disable=SC2016 # for the shell in between
  unshare --mount --pid --fork --kill-child --mount-proc="$R/proc" sh -c '
    set -e
    [ -z "$2" ] || mount --bind "$2" "$1/ccache"
    root=$1
    shift 2
    exec chroot "$root" env -i "$@"' sh "$R" "$inside_cache" "${inside_env[@]}" "$@"
}

# with_emulator ARCH COMMAND...: a command of this machine in mounts and processes of its own, where
# programs of arm64 and armhf run too, and so do programs that they start: by qemu, which the kernel
# (6.7 or newer) is told of in a namespace of its own. Another ARCH runs as it is.
with_emulator() {
  local cpu=
  case $1 in arm64) cpu=aarch64 ;; armhf) cpu=arm ;; esac
  shift
  # shellcheck disable=SC2016 # for the shell in between
  unshare --user --map-root-user --mount --pid --fork --kill-child --mount-proc="$R/proc" sh -c '
    set -e
    if [ -n "$1" ]; then
      mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
      sed -n 1p "/usr/lib/binfmt.d/qemu-$1.conf" >/proc/sys/fs/binfmt_misc/register
    fi
    mount -t tmpfs tmpfs "$2/dev/shm"
    shift 2
    exec "$@"' sh "$cpu" "$R" "$@"
}

# emulated ARCH COMMAND...: as `inside`, where such programs run.
emulated() {
  local arch=$1
  shift
  with_emulator "$arch" chroot "$R" env -i "${inside_env[@]}" "$@"
}
