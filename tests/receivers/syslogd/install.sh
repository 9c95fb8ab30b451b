#!/usr/bin/env bash
# Makes rsyslog and syslog-ng ready for the tests: those that the benchmark unpacks, and beside them rsyslog's TLS, outside the checkout.
# Does nothing where they are there already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=${SHIPPER_CI_CACHE:-$HOME/.cache/shipper-ci}/syslogd
[ -e "$to/complete" ] && exit 0
"$here/../../../bench/peers/install.sh" "${XDG_CACHE_HOME:-$HOME/.cache}/shipper/peers"
rm -rf "$to"
mkdir -p "$to/debs"
cd "$to/debs"
apt-get download -qq -o APT::Sandbox::User=root rsyslog-openssl || { echo "no package rsyslog-openssl (apt-get update?)" >&2; exit 1; }
for deb in *.deb; do dpkg-deb -x "$deb" "$to/root"; done
rm -rf "$to/debs"
touch "$to/complete"
