#!/usr/bin/env bash
# Builds peers that are Go modules, outside the checkout, each in some minutes. Does nothing for those that are there already.
# Usage: bench/peers/build.sh [otelcol] [filebeat] [telegraf], or all.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${SHIPPER_CI_CACHE:-$HOME/.cache/shipper-ci}
command -v go >/dev/null || { echo "bench/peers/build.sh: there is no go here" >&2; exit 1; }
# The first proxy alone: where it fails the others only make the failure slower. Modules stay writable, so that the cache can be removed.
GOPROXY=$(go env GOPROXY | cut -d, -f1)
export GOPROXY GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-buildvcs=false -modcacherw -mod=readonly -trimpath"

# build PROGRAM FOLDER SOURCE PACKAGE [LDFLAGS]
build() {
  mkdir -p "$cache/$2"
  (cd "$3" && go build -tags "${tags:-}" -ldflags "-s -w ${5:-}" -o "$cache/$2/$1.new" "$4")
  mv "$cache/$2/$1.new" "$cache/$2/$1"
}

# module PROGRAM VERSION MODULE PACKAGE [LDFLAGS]: in a copy of the module's own folder, so that its own go.mod says what it is built from
module() {
  [ ! -x "$cache/$1-$2/$1" ] || return 0
  local copy source
  copy=$(mktemp -d)
  source=$(cd "$copy" && GOFLAGS=-modcacherw go mod download -json "$3@v$2" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  cp -r "$source/." "$copy"
  chmod -R u+w "$copy"
  build "$1" "$1-$2" "$copy" "$4" "${5:-}"
  rm -rf "$copy"
}

for name in "${@:-otelcol filebeat telegraf}"; do
  for program in $name; do
    case $program in
      otelcol) [ -x "$cache/otelcol-peer-0.160.0/otelcol" ] || build otelcol otelcol-peer-0.160.0 "$here/otelcol" . ;;
      filebeat) module filebeat 7.17.28 github.com/elastic/beats/v7 ./filebeat ;; # 8 and 9 have no version as a module
      telegraf)
        tags="custom,inputs.tail,inputs.syslog,outputs.file,parsers.grok,serializers.json" module telegraf 1.37.2 \
          github.com/influxdata/telegraf ./cmd/telegraf "-X github.com/influxdata/telegraf/internal.Version=1.37.2"
        ;;
      *) echo "bench/peers/build.sh: no $program" >&2; exit 2 ;;
    esac
  done
done
