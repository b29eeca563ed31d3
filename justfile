# Recipes for developers: https://just.systems. All of them use the environment in .venv, see CONTRIBUTING.md.

_default:
    @just --list

# Lints, formatting, types, and who may import whom.
check:
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/pyright --pythonpath .venv/bin/python
    .venv/bin/lint-imports

# Lints that can correct, and formatting.
fix:
    .venv/bin/ruff check --fix .
    .venv/bin/ruff format .

# The whole suite; what needs a service that is not installed is skipped.
test *arguments:
    .venv/bin/pytest -q -n 3 --dist loadfile {{arguments}}

# What runs everywhere in minutes.
test-fast *arguments:
    .venv/bin/pytest -q -n 2 --dist loadfile -m 'not service and not browser and not gpu and not slow' {{arguments}}
