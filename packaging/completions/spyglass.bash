# Written by scripts/completions.py from spyglass_systemd/words/table.py: change it there.

_spyglass() {
    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} flags=""
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "lookout serve version help" -- "$cur"))
        return
    fi
    case ${COMP_WORDS[1]} in
        help) COMPREPLY=($(compgen -W "lookout serve" -- "$cur")) ;;
        lookout) flags="--config --name --kind --chdir --pythonpath --environment --preload --no-preload --idle --doze --watch --min-awake --ignore-subprocesses --no-ignore-subprocesses --workers --threads --max-requests --max-connections --keepalive --header-timeout --write-timeout --request-timeout --max-stream-idle --import-timeout --drain --root-path --body-limit --spool --min-rate --max-pipelined --line-limit --header-limit --header-count --trusted-proxies --trusted-fields --proxy-protocol --no-proxy-protocol --access-log --no-access-log --log-level --listen --help" ;;
        serve) flags="--config --name --kind --chdir --pythonpath --environment --preload --no-preload --idle --doze --watch --min-awake --ignore-subprocesses --no-ignore-subprocesses --workers --threads --max-requests --max-connections --keepalive --header-timeout --write-timeout --request-timeout --max-stream-idle --import-timeout --drain --root-path --body-limit --spool --min-rate --max-pipelined --line-limit --header-limit --header-count --trusted-proxies --trusted-fields --proxy-protocol --no-proxy-protocol --access-log --no-access-log --log-level --help" ;;
    esac
    [[ $flags ]] || return
    case $previous in
        --config) compopt -o filenames && COMPREPLY=($(compgen -f -- "$cur")) ;;
        --kind) COMPREPLY=($(compgen -W "auto wsgi asgi raw" -- "$cur")) ;;
        --chdir) compopt -o filenames && COMPREPLY=($(compgen -d -- "$cur")) ;;
        --pythonpath) compopt -o filenames && COMPREPLY=($(compgen -d -- "$cur")) ;;
        --log-level) COMPREPLY=($(compgen -W "debug info warning error" -- "$cur")) ;;
        --name | --environment | --idle | --doze | --watch | --min-awake | --workers | --threads | --max-requests | --max-connections | --keepalive | --header-timeout | --write-timeout | --request-timeout | --max-stream-idle | --import-timeout | --drain | --root-path | --body-limit | --spool | --min-rate | --max-pipelined | --line-limit | --header-limit | --header-count | --trusted-proxies | --trusted-fields | --listen) ;;
        *) [[ $cur != -* ]] || COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    esac
}
complete -F _spyglass spyglass
