from __future__ import annotations

import pytest

from spyglass_systemd.words.errors import ConfigError, UsageError
from spyglass_systemd.words.nearest import nearest
from spyglass_systemd.words.options import Settings, parse_flags, scan, settle
from spyglass_systemd.words.table import ENABLE, FILE, GROUPS, LOOKOUT, OPTIONS, SERVE, Option
from spyglass_systemd.words.values import switch


def settled(*argv, command=SERVE, **file):
    return settle(parse_flags(list(argv), command)[0], file)


# The table


def test_every_option_is_a_setting_but_those_of_enable():
    assert set(Settings.__annotations__) == {key for key, option in OPTIONS.items() if ENABLE not in option.places}


def test_every_option_has_a_known_group_and_known_places():
    for option in OPTIONS.values():
        assert option.group in GROUPS
        assert set(option.places) <= {SERVE, LOOKOUT, FILE, ENABLE}
        assert bool(option.metavar) == (option.parse is not switch)


def test_every_default_is_what_its_own_parser_makes():
    for option in OPTIONS.values():
        if option.default not in {"", ()} if not isinstance(option.default, dict) else False:
            default = "off" if option.default is None else option.default
            assert option.parse(list(default) if isinstance(default, tuple) else default) == option.default


def test_defaults_are_those_of_the_design():
    settings = Settings(app="blog:app")
    assert (settings.workers, settings.threads, settings.max_requests) == (2, 1, 0)
    assert (settings.idle, settings.doze, settings.watch, settings.min_awake) == (300, None, 30, 3)
    assert (settings.keepalive, settings.header_timeout, settings.request_timeout) == (5, 10, 60)
    assert (settings.import_timeout, settings.drain) == (120, 25)
    assert (settings.body_limit, settings.spool) == (None, 1024 * 1024)
    assert (settings.line_limit, settings.header_limit, settings.header_count) == (8192, 65536, 100)
    assert (settings.preload, settings.kind, settings.chdir, settings.pythonpath) == (True, "auto", ".", ())
    assert (settings.access_log, settings.log_level, settings.ignore_subprocesses) == (False, "info", False)


def test_a_setting_that_is_none_of_ours_is_a_bug():
    with pytest.raises(TypeError, match="idel"):
        Settings(idel=5)


def test_two_settings_share_no_environment():
    Settings().environment["A"] = "1"
    assert Settings().environment == {}


def test_an_option_and_the_settings_say_what_they_are():
    assert repr(OPTIONS["idle"]) == "<Option idle=300.0>"
    assert OPTIONS["min_awake"].flag == "--min-awake"
    assert repr(Settings(app="a:b", idle=2.0)) == "<Settings app='a:b' idle=2.0>"


# Flags


def test_flags_come_with_an_equals_sign_or_without():
    assert parse_flags(["--idle", "5min", "--workers=3", "a:b", "--chdir", "-x"], SERVE) == (
        {"idle": 300.0, "workers": 3, "chdir": "-x", "app": "a:b"},
        ["a:b"],
    )


def test_a_value_may_be_empty_and_may_hold_equals_signs():
    flags, _ = parse_flags(["--chdir=", "--environment=A=B=C"], SERVE)
    assert flags == {"chdir": "", "environment": {"A": "B=C"}}


def test_switches_come_in_three_forms():
    assert parse_flags(["--preload"], SERVE)[0] == {"preload": True}
    assert parse_flags(["--no-preload"], SERVE)[0] == {"preload": False}
    assert parse_flags(["--preload=off"], SERVE)[0] == {"preload": False}
    assert parse_flags(["--no-ignore-subprocesses"], SERVE)[0] == {"ignore_subprocesses": False}


def test_what_may_be_repeated_adds_up_and_of_the_rest_the_last_counts():
    argv = [
        "--listen",
        "1",
        "--listen",
        "2",
        "--environment",
        "A=1",
        "--environment",
        "B=2",
        "--idle",
        "1",
        "--idle",
        "2",
    ]
    assert parse_flags(argv, LOOKOUT)[0] == {"listen": ("1", "2"), "environment": {"A": "1", "B": "2"}, "idle": 2.0}


def test_two_dashes_end_the_options():
    assert parse_flags(["--idle", "1", "--", "a:b"], SERVE) == ({"idle": 1.0, "app": "a:b"}, ["a:b"])
    with pytest.raises(UsageError, match="'--idle' is not an app"):
        parse_flags(["--", "--idle"], SERVE)


def test_scan_tells_which_words_an_option_is_made_of():
    found = [(option and option.key, words) for option, _, words in scan(["--idle", "1", "--no-preload", "a:b"], SERVE)]
    assert found == [("idle", ["--idle", "1"]), ("preload", ["--no-preload"]), (None, ["a:b"])]


@pytest.mark.parametrize(
    ("argv", "says", "hint"),
    [
        (["--idel", "5"], "no option --idel", "did you mean --idle?"),
        (["--min_awake", "5"], "no option --min_awake", "did you mean --min-awake?"),
        (["--qqq"], "no option --qqq", "see spyglass serve --help"),
        (["-5"], "no option -5", "see spyglass serve --help"),
        (["-"], "no option -", "see spyglass serve --help"),
        (["--no-idle"], "no option --no-idle", ""),
        (["--no-preload=yes"], "no option --no-preload", "did you mean --preload?"),
        (["--listen", "8000"], "--listen is not an option of spyglass serve", "an option of spyglass lookout"),
        (["--python", "x"], "--python is not an option of spyglass serve", "a key of the configuration file"),
        (["--idle"], "--idle needs a value", "--idle SPAN: Go to sleep"),
        (["--idle", "--preload"], "--idle needs a value", "--idle SPAN"),
        (["--idle=x"], "--idle: 'x' is not a span of time", "--idle SPAN"),
        (["--preload=x"], "--preload: 'x' is not true or false", "Import the app once"),
        (["a:b", "c:d"], "one APP is served, not 2: a:b c:d", ""),
        (["app.py"], "'app.py' is not an app", ""),
    ],
)
def test_a_bad_flag_says_what_is_wrong_and_what_to_do(argv, says, hint):
    with pytest.raises(UsageError) as caught:
        parse_flags(argv, SERVE)
    assert says in caught.value.message
    assert hint in caught.value.hint


def test_the_hidden_flag_is_for_serve_only_and_never_proposed():
    assert parse_flags(["--lookout-pid", "17"], SERVE)[0] == {"lookout_pid": 17}
    with pytest.raises(UsageError, match="no option --lookout-pid"):
        parse_flags(["--lookout-pid", "17"], LOOKOUT)
    with pytest.raises(UsageError) as caught:
        parse_flags(["--lookout-pidd", "17"], SERVE)
    assert "lookout-pid?" not in caught.value.hint


def test_nothing_is_nearest_to_a_word_like_no_other():
    assert nearest("workres", ["workers", "idle"]) == "workers"
    assert nearest("zzzz", ["workers", "idle"]) == ""


# Settings


def test_a_flag_counts_over_the_file_and_the_file_over_the_default():
    settings = settled("--idle", "60", "a:b", app="c:d", idle=90.0, workers=4)
    assert (settings.app, settings.idle, settings.workers, settings.threads) == ("a:b", 60.0, 4, 1)


def test_the_app_may_come_from_the_file():
    assert settled(app="c:d").app == "c:d"


def test_no_app_anywhere_is_a_mistake_of_the_command_line():
    with pytest.raises(UsageError, match="no app"):
        settled()


def test_variables_of_the_flags_join_those_of_the_file():
    settings = settled("--environment", "A=flag", "a:b", environment={"A": "file", "B": "file"})
    assert settings.environment == {"A": "flag", "B": "file"}


def test_a_list_of_the_flags_replaces_that_of_the_file():
    assert settled("--pythonpath", "x", "a:b", pythonpath=("y", "z")).pythonpath == ("x",)


def test_what_is_for_enable_is_ignored():
    assert not hasattr(settled("a:b", user="blog", python="/x", nginx=("x",)), "user")


def test_listeners_of_the_file_do_not_disturb_serve():
    assert settled("a:b", listen=("nonsense",)).app == "a:b"


def test_the_name_is_the_first_part_of_the_module():
    assert settled("blog.wsgi:application").name == "blog"
    assert settled("--name", "news", "blog.wsgi:application").name == "news"


@pytest.mark.parametrize(
    ("argv", "keepalive"),
    [
        ([], 5.0),
        (["--idle", "off"], 5.0),
        (["--idle", "4"], 2.0),
        (["--idle", "10"], 5.0),
        (["--doze", "1"], 0.5),
        (["--idle", "off", "--doze", "1"], 0.5),
        (["--idle", "4", "--keepalive", "3"], 3.0),
        (["--keepalive", "0"], 0.0),
    ],
)
def test_keepalive_is_half_of_idle_where_that_is_less(argv, keepalive):
    assert settled(*argv, "a:b").keepalive == keepalive


def test_idle_may_be_off_and_min_awake_may_be_nothing():
    settings = settled("--idle", "off", "--doze", "1h", "--min-awake", "0", "--keepalive", "1min", "a:b")
    assert (settings.idle, settings.doze, settings.min_awake, settings.keepalive) == (None, 3600.0, 0.0, 60.0)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"idle": "10", "doze": "10"}, "doze = 10s is not shorter than idle = 10s"),
        ({"doze": "5min"}, "doze = 5min is not shorter than idle = 5min"),
        ({"idle": "5", "keepalive": "5"}, "keepalive = 5s is not shorter than idle = 5s"),
        ({"idle": "off", "doze": "2", "keepalive": "3"}, "keepalive = 3s is not shorter than doze = 2s"),
    ],
)
def test_what_does_not_go_together_is_blamed_on_the_flags_or_on_the_file(values, says):
    flags = [f"--{key}={value}" for key, value in values.items()]
    with pytest.raises(UsageError, match=says):
        settled(*flags, "a:b")
    file = {key: OPTIONS[key].parse(value) for key, value in values.items()}
    with pytest.raises(ConfigError, match=f"^blog.toml: .*{says}"):
        settled("--config", "blog.toml", "a:b", **file)


def test_a_flag_that_clashes_with_the_file_is_the_one_to_blame():
    with pytest.raises(UsageError, match="keepalive"):
        settled("--idle", "2", "a:b", keepalive=4.0)


def test_an_option_can_be_made_without_places():
    option = Option("Log", "x", switch, False, "", "X.")
    assert option.places == (SERVE, LOOKOUT, FILE)


# Proxies


def test_nobody_is_trusted_unless_he_is_named():
    settings = Settings(app="blog:app")
    assert (settings.trusted_proxies, settings.proxy_protocol) == ((), False)
    assert settings.trusted_fields == ("x-forwarded-for", "x-forwarded-proto")


def test_proxies_add_up_on_the_command_line():
    assert settled("a:b", "--trusted-proxies=unix", "--trusted-proxies", "::1").trusted_proxies == ("unix", "::1")


def test_what_is_no_proxy_is_said_at_once():
    with pytest.raises(UsageError, match=r"--trusted-proxies: 'proxy\.example' is no IP address or network"):
        settled("a:b", "--trusted-proxies=proxy.example")


def test_both_families_of_fields_cannot_be_trusted_together():
    fields = ("--trusted-fields=forwarded", "--trusted-fields=x-forwarded-for")
    with pytest.raises(UsageError, match="trusted_fields has forwarded, and x-forwarded-for"):
        settled("a:b", *fields)
    with pytest.raises(ConfigError, match="trusted_fields"):
        settled("a:b", trusted_fields=("forwarded", "x-forwarded-proto"))
    assert settled("a:b", trusted_fields=("forwarded", "x-forwarded-prefix")).trusted_fields[0] == "forwarded"


# Screening


def test_whoever_screens_says_what_his_apps_speak():
    rules = OPTIONS["screen"].parse([{"path": "/healthz"}])
    assert settled("a:b", screen=rules, kind="wsgi").screen == rules
    for key, value in (("screen", rules), ("patience", 1.0)):
        with pytest.raises(ConfigError, match=f"{key} answers for HTTP, and kind does not say") as refused:
            settled("a:b", **{key: value})
        assert refused.value.hint.startswith('set kind = "wsgi" or "asgi"')
    with pytest.raises(UsageError, match="patience answers for HTTP"):
        settled("a:b", "--patience=1")


def test_a_listener_with_an_app_of_its_own_says_so_too():
    leads = {"echo": {"app": "a:echo"}, "web": {"app": "a:b", "kind": "asgi"}}
    with pytest.raises(ConfigError) as refused:
        settled(listeners=leads, patience=1.0)
    assert refused.value.hint.startswith("set [listeners.echo] kind = ")
    leads["echo"]["kind"] = "raw"
    assert settled(listeners=leads, patience=1.0).patience == 1.0
