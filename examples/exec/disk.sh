#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints how full a file system is, once: mode = "poll". Its argument is the folder.
set -e
used=$(df --output=pcent "$1" | tail -n 1 | tr -dc 0-9)
writable=false
[ -n "$(findmnt -n -O rw -T "$1")" ] && writable=true
echo "{\"used\": $used, \"writable\": $writable}"
