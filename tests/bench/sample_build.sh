#!/usr/bin/env bash
# How long a build of the sample project takes, into a new warehouse and into one that is there. The promise: at most 3 s.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
build
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
cp -r "$root"/{project.yml,models,snapshots,macros,seeds,data} "$scratch"
mkdir "$scratch/tests" && cp -r "$root"/tests/generic "$root"/tests/*.sql "$scratch/tests"
cd "$scratch"
figure="$(measure 1 "$bin" build)"
echo "build, new warehouse:  $figure"
figure="$(measure 5 "$bin" build)"
echo "build, five times on:  $figure"
