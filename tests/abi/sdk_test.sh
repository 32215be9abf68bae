#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs the SDK elsewhere and builds the examples against it as an author would, who has nothing
# else of this project: with a compiler and pkg-config, and with CMake. Keeps the commands of
# docs/plugin-guide.md true.
set -eu
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --component sdk --prefix "$work/sdk" >/dev/null
cp -r "$source/examples" "$work/examples"

export PKG_CONFIG_PATH="$work/sdk/share/pkgconfig"
sdk="pkg-config --define-variable=prefix=$work/sdk"
case $($sdk --variable=plugindir fieldpost) in
  "$work"/sdk/lib/fieldpost/plugins-[0-9]*) ;;
  *) echo "plugindir is $($sdk --variable=plugindir fieldpost)"; exit 1 ;;
esac
cd "$work/examples/thermal"
# The line of the guide, with the SDK's prefix said in addition.
# shellcheck disable=SC2046 # several flags are meant
g++ -std=c++20 -O2 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Wpedantic -Werror \
  $($sdk --cflags fieldpost) -o thermal.so thermal.cpp
nm -D --defined-only thermal.so | grep -q ' T fp_plugin_get$'
# shellcheck disable=SC2046
cc -std=gnu99 -O2 -fPIC -shared -fvisibility=hidden -Wall -Wextra -Werror \
  $($sdk --cflags fieldpost) -o ../uptime/uptime.so ../uptime/uptime.c

for example in thermal uptime; do
  cmake -S "$work/examples/$example" -B "$work/$example" -DCMAKE_PREFIX_PATH="$work/sdk" \
    -DCMAKE_BUILD_TYPE=Release >/dev/null
  cmake --build "$work/$example" >/dev/null
  exported=$(nm -D --defined-only "$work/$example/$example.so" | sed 's/.* //')
  [ "$exported" = fp_plugin_get ] || { echo "$example exports: $exported"; exit 1; }
done
echo "the SDK is enough"
