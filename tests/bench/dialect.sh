#!/usr/bin/env bash
# What the SQL dialect costs. The promise: registering it adds at most 3 ms to a start, and rewriting at most 5 % to
# planning. PROFILE=dev measures a build without optimization.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo run --quiet --locked --profile "${PROFILE:-release}" --features yardstick --example dialect_cost
