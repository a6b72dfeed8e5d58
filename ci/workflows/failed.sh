#!/usr/bin/env bash
# Runs the capsules of failed runs again and writes their reports to failed/, a folder each. With the name of a file, a
# summary in Markdown is added to it. Never fails by itself: the run that left the capsules has failed already.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

# The first ones tell enough; a broken build may leave hundreds.
CAPSULES_MAX=10

shopt -s nullglob
capsules=(capsules/*.capsule.json)
for capsule in "${capsules[@]:0:CAPSULES_MAX}"; do
    name=$(basename "$capsule" .capsule.json)
    cargo sim replay "$capsule" --report "failed/$name" || true
    if [[ $# -ge 1 && -e failed/$name/summary.md ]]; then
        cat "failed/$name/summary.md" >>"$1"
    fi
done
echo "${#capsules[@]} capsules, reports of the first $CAPSULES_MAX in failed/"
