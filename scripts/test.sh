#!/usr/bin/env bash
# Set up .venv with all that the tests need, then check style, types, imports, and run all tests.
# What stands behind the name goes to pytest: bash scripts/test.sh tests/cli -k pipes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/venv.sh

pip install --quiet -e '.[dev]'
ruff check .
ruff format --check .
mypy --strict src
lint-imports
python -m pytest "$@"
