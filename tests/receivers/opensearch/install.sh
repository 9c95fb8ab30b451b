#!/usr/bin/env bash
# Fetches OpenSearch by Maven and compiles Node.java, into a directory outside the checkout. Does nothing where it is there already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
to=${SHIPPER_CI_CACHE:-$HOME/.cache/shipper-ci}/opensearch-2.19.6
[ -f "$to/ready" ] && exit 0
for needed in java javac mvn; do
  command -v "$needed" >/dev/null || { echo "opensearch: there is no $needed here" >&2; exit 1; }
done
mkdir -p "$to"
mvn --batch-mode --quiet --file "$here/pom.xml" -Dto="$to" package
cat >"$to/log4j2.properties" <<'END'
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c{1.} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
END
touch "$to/ready"
