#!/bin/sh
# Gets the published list of ECS fields, for tests/profiles/test_ecs.py: {field: {type, array, allowed}} as JSON, in the cache directory.
# It comes with Elastic's package for npm, which carries the whole schema; it is not ours to commit. Needs npm, node and the network.
set -eu
version=9.4.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/shipper-ci
target=${ECS_FIELDS:-$cache/ecs-$version.json}
[ -s "$target" ] && { echo "$target is there"; exit 0; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "@elastic/ecs@$version" >/dev/null
tar -xzf ./*.tgz
mkdir -p "$(dirname "$target")"
node -e '
const { EcsFlat, EcsVersion } = require("./package/build/commonjs/index.js");
if (EcsVersion !== process.argv[1]) throw new Error(`the package has ECS ${EcsVersion}`);
const allowed = (values) => values && Object.fromEntries(values.map((value) => [value.name, value.expected_event_types || []]));
const list = Object.fromEntries(Object.entries(EcsFlat).map(([name, field]) => [name, {
  type: ["keyword", "wildcard", "text", "match_only_text", "constant_keyword"].includes(field.type) ? "keyword" : field.type,
  array: (field.normalize || []).includes("array"),
  allowed: allowed(field.allowed_values) || null,
}]));
console.log(JSON.stringify(list));
' "$version" >"$target.part"
mv "$target.part" "$target"
echo "wrote $target"
