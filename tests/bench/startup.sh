#!/usr/bin/env bash
# How long `alluvium --version` takes. The promise: at most 15 ms.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
build
figure="$(measure 40 "$bin" --version)"
echo "alluvium --version: $figure"
