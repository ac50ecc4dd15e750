"""Write the completions for bash, zsh and fish in packaging/completions from the verbs; --check compares."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from generated import settle

from spyglass_systemd.cli.verbs import VERBS

if TYPE_CHECKING:
    from spyglass_systemd.cli.flags import Flag

WRITTEN = "# Written by scripts/completions.py from spyglass_systemd/cli/verbs.py: change it there."
FLAGS = {verb.name: verb.flags() for verb in VERBS.values() if verb.has_options}
OF_A_SITE = [verb.name for verb in VERBS.values() if verb.names_a_site]
BASH = """\
@WRITTEN@

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
        COMPREPLY=($(compgen -W "@VERBS@" -- "$cur"))
        return
    fi
    case $verb in
        help) COMPREPLY=($(compgen -W "@VERBS@" -- "$cur")) ;;
@FLAGS@
    esac
    [[ $flags ]] || return
    case $previous in
@VALUES@
        *)
            if [[ $cur == -* ]]; then
                COMPREPLY=($(compgen -W "$flags" -- "$cur"))
            elif [[ " @SITED@ " == *" $verb "* ]]; then
                COMPREPLY=($(compgen -W "$(_spyglass_sites)" -- "$cur"))
            fi
            ;;
    esac
}
complete -F _spyglass spyglass
"""
ZSH = """\
#compdef spyglass
@WRITTEN@

_spyglass_sites() {
    local -a sites=(/etc/spyglass/*.toml(N:t:r) ${XDG_CONFIG_HOME:-$HOME/.config}/spyglass/*.toml(N:t:r))
    compadd -a sites
}

_spyglass_command() {
    if [[ $words[1] == -- ]]; then
        shift words
        ((CURRENT--))
    fi
    if ((CURRENT == 1)); then
        _command_names -e
    else
        _normal
    fi
}

_spyglass() {
    local -a verbs=(
@EXPLAINED@
    )
    if ((CURRENT == 2)); then
        _describe verb verbs
        return
    fi
    local verb=$words[2]
    shift words
    ((CURRENT--))
    case $verb in
        help) _values verb @VERBS@ ;;
@ARGUMENTS@
    esac
}

_spyglass "$@"
"""
FISH_SITES = """\
function __spyglass_sites
    set -l config $XDG_CONFIG_HOME
    test -n "$config"; or set config ~/.config
    for path in /etc/spyglass/*.toml $config/spyglass/*.toml
        basename $path .toml
    end
end

function __spyglass_command
    set -l words (commandline -opc) (commandline -ct)
    __fish_complete_subcommand --commandline $words[(math 1 + (contains -i -- -- $words))..]
end
"""


def bash() -> str:
    """For bash-completion."""
    flags = [f'        {verb}) flags="{" ".join([*_forms(verb), "--help"])}" ;;' for verb in FLAGS]
    actions: dict[str, str] = {}
    for flag in _all_with_values():
        action = _bash_action(flag)
        if actions.setdefault(flag.forms[0], action) != action:
            raise ValueError(f"{flag.forms[0]} takes one thing here and another there, and bash could not know which")
    values = [f"        {form}) {action} ;;" for form, action in actions.items() if action]
    others = [form for form, action in actions.items() if not action]
    values += [f"        {' | '.join(others)}) ;;"] if others else []
    return _filled(BASH, FLAGS="\n".join(flags), VALUES="\n".join(values))


def _bash_action(flag: Flag) -> str:
    if flag.completes == "word":
        return f'COMPREPLY=($(compgen -W "{" ".join(flag.words)}" -- "$cur"))'
    return f'compopt -o filenames && COMPREPLY=($(compgen -{flag.completes[0]} -- "$cur"))' if flag.completes else ""


def zsh() -> str:
    """For zsh's completion system."""
    verbs = [f"        {_quoted(f'{verb.name}:{_colons(verb.summary)}')}" for verb in VERBS.values()]
    arguments = []
    for verb, flags in FLAGS.items():
        specs = [_quoted(spec) for flag in flags for spec in _zsh_specs(flag)] + ["'--help[Explain the options]'"]
        specs += [_quoted(spec) for spec in _zsh_arguments(verb)]
        arguments += [f"        {verb})", "            _arguments -S \\"]
        arguments += ["                " + " \\\n                ".join(specs), "            ;;"]
    return _filled(ZSH, EXPLAINED="\n".join(verbs), ARGUMENTS="\n".join(arguments))


def _zsh_arguments(verb: str) -> list[str]:
    before, command, _ = VERBS[verb].argument.partition(" [-- ")
    specs = []
    for at, word in enumerate(before.strip("[]").split(), 1):
        specs.append(f"{at}:{word}:{'_spyglass_sites' if verb in OF_A_SITE and at == 1 else ' '}")
    return [*specs, "*:::COMMAND:_spyglass_command"] if command else specs


def _zsh_specs(flag: Flag) -> list[str]:
    if not flag.metavar:
        return [f"{form}[{_zsh_text(flag, form)}]" for form in flag.forms]
    actions = {"word": f"({' '.join(flag.words)})", "directory": "_files -/", "file": "_files", "": " "}
    text = _zsh_text(flag, flag.forms[0])
    return [f"{'*' if flag.many else ''}{flag.forms[0]}=[{text}]:{flag.metavar}:{actions[flag.completes]}"]


def _zsh_text(flag: Flag, form: str) -> str:
    return _colons(_summary(flag, form)).replace("[", "\\[").replace("]", "\\]")


def fish() -> str:
    """For fish."""
    always = "complete -c spyglass"
    lines = [WRITTEN, "", FISH_SITES, f"{always} -f"]
    lines += [f"{always} -n __fish_use_subcommand -a {verb.name} -d {_quoted(verb.summary)}" for verb in VERBS.values()]
    lines.append(f'{always} -n "__fish_seen_subcommand_from help" -a "{" ".join(VERBS)}"')
    sited = f"__fish_seen_subcommand_from {' '.join(OF_A_SITE)}; and not contains -- -- (commandline -opc)"
    lines.append(f'{always} -n "{sited}" -a "(__spyglass_sites)"')
    lines.append(f'{always} -n "contains -- -- (commandline -opc)" -a "(__spyglass_command)"')
    for verb, flags in FLAGS.items():
        for flag in flags:
            words = f'-x -a "{" ".join(flag.words)}"'
            directory = '-x -a "(__fish_complete_directories)"'
            value = {"word": words, "directory": directory, "file": "-r -F", "": "-x"}[flag.completes]
            for form in flag.forms:
                takes = f" {value}" if flag.metavar else ""
                text = _quoted(_summary(flag, form))
                lines.append(f'{always} -n "__fish_seen_subcommand_from {verb}" -l {form[2:]}{takes} -d {text}')
    return "\n".join(lines) + "\n"


# ### What all three ask


def _forms(verb: str) -> list[str]:
    return [form for flag in FLAGS[verb] for form in flag.forms]


def _all_with_values() -> list[Flag]:
    return [flag for flags in FLAGS.values() for flag in flags if flag.metavar]


def _summary(flag: Flag, form: str) -> str:
    if form != flag.forms[0]:
        return f"The opposite of {flag.forms[0]}"
    return flag.help.replace("`", "").removesuffix(".")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _colons(text: str) -> str:
    return text.replace(":", "\\:")


def _filled(template: str, **parts: str) -> str:
    for name, text in {"WRITTEN": WRITTEN, "VERBS": " ".join(VERBS), "SITED": " ".join(OF_A_SITE), **parts}.items():
        template = template.replace(f"@{name}@", text)
    return template


if __name__ == "__main__":
    where = "packaging/completions"
    sys.exit(settle({f"{where}/spyglass.bash": bash(), f"{where}/_spyglass": zsh(), f"{where}/spyglass.fish": fish()}))
