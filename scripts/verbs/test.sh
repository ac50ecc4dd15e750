# the tests in random order, then the coverage gate
#
# Usage: ./dev test [PYTEST ARGUMENTS]
#
# Without arguments: tests/unit, tests/conformance, tests/fuzz, tests/process and tests/test_project.py; words, sd, protocols
# and policy must be covered to the last branch; and as root the short ones of tests/system (see ./dev system). With
# arguments: pytest with these, no gate, e.g.
#   ./dev test tests/unit/test_reports.py -k text
#   ./dev test -p no:randomly          in file order
# The seed of a random order is printed in the first lines; --randomly-seed=N repeats it.
/usr/bin/python3 -c 'import httptools' 2>/dev/null || packages+=(python3-httptools) # the older parser: tables run with both
[[ -e /usr/share/bash-completion/bash_completion ]] || packages+=(bash-completion)
set_up nginx:nginx-light zsh:zsh fish:fish
if (($#)); then
    exec .venv/bin/python -m pytest "$@"
fi
.venv/bin/python -m coverage erase
run_tests .venv/bin/python -m coverage run -m pytest -m "not long" tests/unit tests/conformance tests/fuzz tests/process \
    tests/test_project.py
.venv/bin/python -m coverage combine --quiet
.venv/bin/python -m coverage report
if [[ $(id -u) == 0 ]]; then
    ./dev system -m "not long"
else
    printf 'Not root: tests/system is left out.\n'
fi
