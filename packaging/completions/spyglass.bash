# Written by scripts/completions.py from spyglass_systemd/cli/verbs.py: change it there.

_spyglass_sites() {
    local path
    for path in /etc/spyglass/*.toml "${XDG_CONFIG_HOME:-$HOME/.config}"/spyglass/*.toml; do
        [[ ! -e $path ]] || basename "$path" .toml
    done
}

_spyglass() {
    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]} flags="" at
    # To bash the = of --flag=value is a word of its own.
    if [[ $cur == = ]]; then
        cur=""
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((at = 2; at < COMP_CWORD; at++)); do
        [[ ${COMP_WORDS[at]} == -- ]] || continue
        ! declare -F _command_offset >/dev/null || _command_offset "$((at + 1))"
        return
    done
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "new edit enable disable remove render start stop restart check run wake reload snippet status logs lookout serve version help" -- "$cur"))
        return
    fi
    case $verb in
        help) COMPREPLY=($(compgen -W "new edit enable disable remove render start stop restart check run wake reload snippet status logs lookout serve version help" -- "$cur")) ;;
        new) flags="--user --kind --chdir --pythonpath --environment --preload --no-preload --reload --no-reload --idle --doze --watch --min-awake --ignore-subprocesses --no-ignore-subprocesses --pressure --no-pressure --patience --workers --threads --max-requests --max-connections --keepalive --header-timeout --write-timeout --request-timeout --max-stream-idle --import-timeout --drain --root-path --body-limit --message-limit --spool --min-rate --max-pipelined --line-limit --header-limit --header-count --trusted-proxies --trusted-fields --proxy-protocol --no-proxy-protocol --access-log --no-access-log --log-level --listen --user-name --python --socket-group --credentials --environment-file --nginx --help" ;;
        edit) flags="--user --help" ;;
        enable) flags="--user --dry-run --install --find-links --help" ;;
        disable) flags="--user --help" ;;
        remove) flags="--user --purge --yes --help" ;;
        render) flags="--user --to --help" ;;
        start) flags="--user --help" ;;
        stop) flags="--user --help" ;;
        restart) flags="--user --help" ;;
        check) flags="--config --chdir --user --help" ;;
        run) flags="--user --help" ;;
        wake) flags="--user --help" ;;
        reload) flags="--user --help" ;;
        snippet) flags="--user --nginx --caddy --help" ;;
        status) flags="--user --json --help" ;;
        logs) flags="--user --follow --events --app --since --lines --help" ;;
        lookout) flags="--config --name --kind --chdir --pythonpath --environment --preload --no-preload --reload --no-reload --listen --idle --doze --watch --min-awake --ignore-subprocesses --no-ignore-subprocesses --pressure --no-pressure --patience --workers --threads --max-requests --max-connections --keepalive --header-timeout --write-timeout --request-timeout --max-stream-idle --import-timeout --drain --root-path --body-limit --message-limit --spool --min-rate --max-pipelined --line-limit --header-limit --header-count --trusted-proxies --trusted-fields --proxy-protocol --no-proxy-protocol --access-log --no-access-log --log-level --help" ;;
        serve) flags="--config --name --kind --chdir --pythonpath --environment --preload --no-preload --reload --no-reload --idle --doze --watch --min-awake --ignore-subprocesses --no-ignore-subprocesses --pressure --no-pressure --patience --workers --threads --max-requests --max-connections --keepalive --header-timeout --write-timeout --request-timeout --max-stream-idle --import-timeout --drain --root-path --body-limit --message-limit --spool --min-rate --max-pipelined --line-limit --header-limit --header-count --trusted-proxies --trusted-fields --proxy-protocol --no-proxy-protocol --access-log --no-access-log --log-level --help" ;;
    esac
    [[ $flags ]] || return
    case $previous in
        --kind) COMPREPLY=($(compgen -W "auto wsgi asgi raw" -- "$cur")) ;;
        --chdir) compopt -o filenames && COMPREPLY=($(compgen -d -- "$cur")) ;;
        --pythonpath) compopt -o filenames && COMPREPLY=($(compgen -d -- "$cur")) ;;
        --log-level) COMPREPLY=($(compgen -W "debug info warning error" -- "$cur")) ;;
        --python) compopt -o filenames && COMPREPLY=($(compgen -f -- "$cur")) ;;
        --environment-file) compopt -o filenames && COMPREPLY=($(compgen -f -- "$cur")) ;;
        --find-links) compopt -o filenames && COMPREPLY=($(compgen -d -- "$cur")) ;;
        --to) compopt -o filenames && COMPREPLY=($(compgen -d -- "$cur")) ;;
        --config) compopt -o filenames && COMPREPLY=($(compgen -f -- "$cur")) ;;
        --environment | --idle | --doze | --watch | --min-awake | --patience | --workers | --threads | --max-requests | --max-connections | --keepalive | --header-timeout | --write-timeout | --request-timeout | --max-stream-idle | --import-timeout | --drain | --root-path | --body-limit | --message-limit | --spool | --min-rate | --max-pipelined | --line-limit | --header-limit | --header-count | --trusted-proxies | --trusted-fields | --listen | --user-name | --socket-group | --credentials | --nginx | --since | --lines | --name) ;;
        *)
            if [[ $cur == -* ]]; then
                COMPREPLY=($(compgen -W "$flags" -- "$cur"))
            elif [[ " edit enable disable remove render start stop restart check run wake reload snippet status logs " == *" $verb "* ]]; then
                COMPREPLY=($(compgen -W "$(_spyglass_sites)" -- "$cur"))
            fi
            ;;
    esac
}
complete -F _spyglass spyglass
