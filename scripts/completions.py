"""Write the completions for bash, zsh and fish in packaging/completions from the table of options; --check compares."""

from __future__ import annotations

import re
import sys

from generated import settle

from spyglass_systemd.cli.help import OVERVIEW, VERBS
from spyglass_systemd.words.table import OPTIONS, Option
from spyglass_systemd.words.values import switch

WRITTEN = "# Written by scripts/completions.py from spyglass_systemd/words/table.py: change it there."
EXPLAINED = dict(re.findall(r"^  (\w+) +(.+)$", OVERVIEW, re.MULTILINE))
BASH = """\
@WRITTEN@

_spyglass() {
    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} flags=""
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "@EXPLAINED@" -- "$cur"))
        return
    fi
    case ${COMP_WORDS[1]} in
        help) COMPREPLY=($(compgen -W "@VERBS@" -- "$cur")) ;;
@FLAGS@
    esac
    [[ $flags ]] || return
    case $previous in
@VALUES@
        *) [[ $cur != -* ]] || COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    esac
}
complete -F _spyglass spyglass
"""
ZSH = """\
#compdef spyglass
@WRITTEN@

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


def bash() -> str:
    """For bash-completion."""
    flags = [f'        {verb}) flags="{" ".join(_flags(verb))} --help" ;;' for verb in VERBS]
    values, others = [], []
    for option in OPTIONS.values():
        if not option.metavar or not any(option in _options(verb) for verb in VERBS):
            continue
        kind = _kind(option)
        if kind == "word":
            values.append(f'        {option.flag}) COMPREPLY=($(compgen -W "{" ".join(_words(option))}" -- "$cur")) ;;')
        elif kind:
            values.append(
                f'        {option.flag}) compopt -o filenames && COMPREPLY=($(compgen -{kind[0]} -- "$cur")) ;;'
            )
        else:
            others.append(option.flag)
    values.append(f"        {' | '.join(others)}) ;;")
    return _filled(BASH, EXPLAINED=" ".join(EXPLAINED), FLAGS="\n".join(flags), VALUES="\n".join(values))


def zsh() -> str:
    """For zsh's completion system."""
    verbs = [f"        {_quoted(f'{verb}:{_colons(what)}')}" for verb, what in EXPLAINED.items()]
    arguments = []
    for verb in VERBS:
        specs = [_quoted(spec) for option in _options(verb) for spec in _zsh_specs(option)]
        specs += ["'--help[Explain the options]'", "'1:APP: '"]
        arguments += [f"        {verb})", "            _arguments -S \\"]
        arguments += ["                " + " \\\n                ".join(specs), "            ;;"]
    return _filled(ZSH, EXPLAINED="\n".join(verbs), ARGUMENTS="\n".join(arguments))


def _zsh_specs(option: Option) -> list[str]:
    text = _colons(_summary(option)).replace("[", "\\[").replace("]", "\\]")
    if option.parse is switch:
        return [f"{flag}[{text}]" for flag in _forms(option)]
    actions = {"word": f"({' '.join(_words(option))})", "directory": "_files -/", "file": "_files", "": " "}
    many = "*" if isinstance(option.default, tuple | dict) else ""
    return [f"{many}{option.flag}=[{text}]:{option.metavar}:{actions[_kind(option)]}"]


def fish() -> str:
    """For fish."""
    always = "complete -c spyglass"
    lines = [WRITTEN, "", f"{always} -f"]
    for verb, what in EXPLAINED.items():
        lines.append(f"{always} -n __fish_use_subcommand -a {verb} -d {_quoted(what)}")
    lines.append(f'{always} -n "__fish_seen_subcommand_from help" -a "{" ".join(VERBS)}"')
    for verb in VERBS:
        for option in _options(verb):
            words = f'-x -a "{" ".join(_words(option))}"'
            directory = '-x -a "(__fish_complete_directories)"'
            value = {"word": words, "directory": directory, "file": "-r -F", "": "-x"}[_kind(option)]
            for flag in _forms(option):
                takes = "" if option.parse is switch else f" {value}"
                text = _quoted(_summary(option))
                lines.append(f'{always} -n "__fish_seen_subcommand_from {verb}" -l {flag[2:]}{takes} -d {text}')
    return "\n".join(lines) + "\n"


# ### What all three ask


def _options(verb: str) -> list[Option]:
    return [option for option in OPTIONS.values() if option.help and verb in option.places]


def _flags(verb: str) -> list[str]:
    return [flag for option in _options(verb) for flag in _forms(option)]


def _forms(option: Option) -> list[str]:
    return [option.flag, option.flag.replace("--", "--no-", 1)] if option.parse is switch else [option.flag]


def _kind(option: Option) -> str:
    """What a value is that a shell can complete: a word, a file or a directory; "" for anything else."""
    if _words(option):
        return "word"
    return {"DIR": "directory", "FILE": "file"}.get(option.metavar, "")


def _words(option: Option) -> tuple[str, ...]:
    return getattr(option.parse, "words", ())


def _summary(option: Option) -> str:
    return option.help.replace("`", "").removesuffix(".")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _colons(text: str) -> str:
    return text.replace(":", "\\:")


def _filled(template: str, **parts: str) -> str:
    for name, text in {"WRITTEN": WRITTEN, "VERBS": " ".join(VERBS), **parts}.items():
        template = template.replace(f"@{name}@", text)
    return template


if __name__ == "__main__":
    where = "packaging/completions"
    sys.exit(settle({f"{where}/spyglass.bash": bash(), f"{where}/_spyglass": zsh(), f"{where}/spyglass.fish": fish()}))
