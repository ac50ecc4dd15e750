# formatting, lint, types, layers, generated files, the project's own rules
#
# Usage: ./dev check [--fix]
#
# ruff format and ruff check, mypy --strict, import-linter (who may import whom), the generated references against the
# table they come from, and tests/test_project.py (docstrings, sizes, the wake path's imports, links, versions).
# --fix first lets ruff format and mend what it can.
set_up
if [[ ${1:-} == --fix ]]; then
    .venv/bin/ruff format .
    .venv/bin/ruff check --fix-only .
elif (($#)); then
    die "check takes --fix or nothing"
fi

failed=()
step() {
    local name=$1 output
    shift
    printf '%-14s' "$name"
    if output=$("$@" 2>&1); then
        printf 'ok\n'
    else
        printf 'FAILED\n%s\n\n' "$output"
        failed+=("$name")
    fi
}

step format .venv/bin/ruff format --check .
step lint .venv/bin/ruff check .
step types .venv/bin/mypy
step layers .venv/bin/lint-imports
for script in scripts/reference.py scripts/diagram.py scripts/manual.py scripts/completions.py; do
    step "${script##*/}" .venv/bin/python "$script" --check
done
step rules .venv/bin/python -m pytest -q tests/test_project.py
((!${#failed[@]})) || die "failed: ${failed[*]}"
