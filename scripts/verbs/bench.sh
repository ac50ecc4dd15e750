# measure: requests at the edge of sleep, wake latency, throughput against peers
#
# Usage: ./dev bench [NAME] [--short] [ARGUMENTS]
#
# NAME is a file of bench/ that says what it measures (./dev bench NAME --help): edge, wake, doze, throughput, asgi. Without one all
# run, one after the other. --short is the form that CI runs: the same claims, fewer rounds. A benchmark installs the servers
# that it compares with into .cache/peers, never beside the project.
benches=(edge wake doze throughput asgi)
case ${1:-} in
    '' | -*) ;;
    *)
        [[ -f bench/$1.py ]] || die "no benchmark \"$1\"; there is: ${benches[*]}"
        benches=("$1")
        shift
        ;;
esac
set_up wrk:wrk gcc:gcc
for name in "${benches[@]}"; do
    printf '\n== %s\n' "$name"
    .venv/bin/python "bench/$name.py" "$@"
done
