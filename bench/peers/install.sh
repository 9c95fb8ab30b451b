#!/usr/bin/env bash
# Unpacks Debian's rsyslog and syslog-ng side by side into a directory of our own: the packages conflict when installed, and nothing here needs
# root. Usage: bench/peers/install.sh DIR. Says nothing and does nothing when they are there.
set -euo pipefail
dir=$1
[ -e "$dir/complete" ] && exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { echo "no apt-get here: the peers are skipped" >&2; exit 1; }
rm -rf "$dir"
mkdir -p "$dir/debs" "$dir/root"
cd "$dir/debs"
for package in rsyslog syslog-ng-core; do
  # what is missing on this machine to run the package, without installing it
  names=$(apt-get install --print-uris -qq --no-install-recommends -o APT::Sandbox::User=root -o Debug::NoLocking=1 "$package" |
    awk '{ sub(/_.*/, "", $2); print $2 }') || { echo "no package $package (apt-get update?)" >&2; exit 1; }
  # shellcheck disable=SC2086
  apt-get download -qq -o APT::Sandbox::User=root $names "$package"
done
for deb in *.deb; do dpkg-deb -x "$deb" "$dir/root"; done
rm -rf "$dir/debs"
touch "$dir/complete"
