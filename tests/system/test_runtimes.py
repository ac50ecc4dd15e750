"""The two sides: units and tools of the host, and the runtime of an app, in Debian's Python or in an environment."""

from __future__ import annotations

import json

import pytest
from sites import NEVER, QUICK, VENV

pytestmark = pytest.mark.long

ASGI = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi"})
"""
WSGI = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'wsgi']\n"


# ### Debian's Python packages


@pytest.fixture
def runtime_alone(boot, suite, packages):
    """A machine with the runtime's package and without the host's."""
    machine = boot(suite, name="runtime")
    (package,) = [package for package in packages if package.name.startswith("python3-")]
    machine.install(package)
    return machine


@pytest.mark.parametrize(("source", "answer"), [(WSGI, "wsgi"), (ASGI, "asgi")])
def test_an_app_on_debians_packages_needs_the_runtimes_package_alone(runtime_alone, source, answer):
    machine = runtime_alone
    machine.put(f"/srv/{answer}/blog.py", source)
    socket = f"/run/{answer}.sock"
    program = ("/usr/bin/python3", "-P", "-m", "spyglass_systemd", "serve", "--idle=1h", f"--chdir=/srv/{answer}")
    options = ("--quiet", f"--unit={answer}", "--service-type=notify", f"--socket-property=ListenStream={socket}")
    machine.run("systemd-run", *options, *program, "blog:app")
    assert machine.run("curl", "--silent", "--show-error", "--unix-socket", socket, "http://localhost/").out == answer
    pid = machine.show(f"{answer}.service", "MainPID")
    libraries = {line.split()[-1] for line in machine.run("cat", f"/proc/{pid}/maps").out.splitlines() if ".so" in line}
    assert any("/dist-packages/systemd/" in path for path in libraries)
    assert not any("site-packages" in path for path in libraries)
    machine.run("systemctl", "stop", f"{answer}.socket", f"{answer}.service")


@pytest.mark.parametrize("python", ["/usr/bin/python3", "/opt/venv/bin/python"])
def test_what_is_installed_is_read_off_the_files(site, python):
    """Nothing is run for it, and pip says the same."""
    machine = site(**QUICK).machine
    code = f"from spyglass_systemd.tools.interpreter import look; print(*sorted(look({python!r}).packages.items()))"
    seen = machine.run("python3", "-c", code).out
    code = "import importlib.metadata as m; print(*sorted({(d.metadata['Name'].lower().replace('-', '_'), d.version)"
    asked = machine.run(python, "-c", code + " for d in m.distributions()}))").out
    assert seen == asked


# ### Versions


def test_a_runtime_of_another_version_than_its_units_says_so_in_status_and_journal(site):
    app = site(python=VENV, service="[Service]\nEnvironment=SPYGLASS_UNITS=99\n", **NEVER)
    assert app.curl().out.endswith("200")
    app.until_status("(units of spyglass-systemd 99, and the app's Python has")
    (event,) = [event for event in app.events() if event["SPYGLASS_EVENT"] == "MISMATCHED"]
    assert (event["SPYGLASS_UNITS"], event["PRIORITY"]) == ("99", "4")
    explained = app.machine.journal("--catalog", "--unit", app.service, f"MESSAGE_ID={event['MESSAGE_ID']}")
    assert f"spyglass enable {app.name} --install" in explained


def test_both_sides_of_one_package_have_nothing_to_say_about_versions(site, python):
    app = site(python=python, **NEVER)
    app.request()
    app.until_status("awake, 2 workers")
    assert "units of" not in app.show("StatusText")


# ### enable --install


PTH = "import os; open('{0}/ran', 'a').write(f'{{os.getuid()}} ')\n"  # a line of Python that each start of it runs


@pytest.fixture
def environment(site):
    """A site whose environment, of this owner, has nothing in it yet but pip and somebody's line of Python."""

    def environment(owner):
        app = site(source=WSGI, **QUICK)
        machine, home = app.machine, f"/srv/{app.name}"
        machine.run("useradd", "--system", "ada", check=False)
        machine.run("python3", "-m", "venv", f"{home}/venv")
        packages = machine.run("sh", "-c", f"echo {home}/venv/lib/python3.*/site-packages").out
        machine.put(f"{packages}/x.pth", PTH.format(f"{home}/venv"))
        machine.run("chown", "-R", owner, home)
        app.configure(app=f"{app.name}:app", chdir=home, python=f"{home}/venv/bin/python", **QUICK)
        return app

    return environment


@pytest.mark.long
@pytest.mark.parametrize("owner", ["ada", "root"])
def test_the_runtime_is_installed_without_a_network_by_the_owner_of_the_environment(environment, owner):
    app = environment(owner)
    machine, venv = app.machine, f"/srv/{app.name}/venv"
    machine.run("cp", "-r", "/opt/wheels", "/tmp/some wheels")
    said = machine.run("spyglass", "enable", app.name, "--install", "--find-links", "/tmp/some wheels").out
    machine.run("rm", "-r", "/tmp/some wheels")
    assert f"{venv} has spyglass-systemd " in said
    assert app.curl().out == "wsgi\n200"
    others = machine.run("find", venv, "!", "-user", owner).out
    assert others == ""
    ran = machine.run("cat", f"{venv}/ran").out.split()
    uid = machine.run("id", "-u", owner).out
    assert uid in ran  # pip
    assert owner == "root" or "0" not in ran


@pytest.mark.long
def test_a_hostile_environment_of_root_harms_nothing_outside_of_it(environment):
    app = environment("root")
    machine, venv = app.machine, f"/srv/{app.name}/venv"
    packages = machine.run("sh", "-c", f"echo {venv}/lib/python3.*/site-packages").out
    tries = "os.system('touch /etc/hurt ~root/hurt /srv/hurt; grep CapEff /proc/self/status >> {0}/caps')"
    machine.put(f"{packages}/x.pth", f"import os; {tries.format(venv)}\n")
    machine.run("spyglass", "enable", app.name, "--install", "--find-links", "/opt/wheels")
    assert machine.run("sh", "-c", "ls /etc/hurt ~root/hurt /srv/hurt", check=False).out == ""
    assert set(machine.run("cat", f"{venv}/caps").out.splitlines()) == {"CapEff:\t0000000000000000"}


@pytest.mark.long
def test_an_interpreter_of_somebody_else_is_not_run_in_roots_name(environment):
    app = environment("root")
    machine, venv = app.machine, f"/srv/{app.name}/venv"
    machine.run("install", "-d", "-o", "ada", "/opt/of-ada")
    machine.run("cp", "/usr/bin/python3", "/opt/of-ada/python3")
    machine.run("ln", "-sf", "/opt/of-ada/python3", f"{venv}/bin/python")
    done = machine.run("spyglass", "enable", app.name, "--install", "--find-links", "/opt/wheels", check=False)
    assert (done.code, "can be changed by others" in done.err) == (78, True)
    assert not (machine.root / venv[1:] / "ran").exists()


@pytest.mark.long
def test_a_host_without_a_network_is_told_what_it_needs(environment):
    app = environment("ada")
    done = app.machine.run("spyglass", "enable", app.name, "--install", check=False)
    assert (done.code, "--find-links DIR" in done.err) == (78, True)
    assert not app.machine.run("ls", f"/etc/systemd/system/spyglass@{app.name}.service.d", check=False).out


# ### What enabling asks and does


@pytest.mark.long
def test_a_site_whose_app_does_not_load_is_not_enabled_and_nothing_is_left(site):
    app = site(source="import nothing_like_it\n")
    app.machine.run("systemctl", "stop", app.socket, app.service)
    app.machine.run("rm", "-rf", *(f"/var/{where}/private/spyglass/{app.name}" for where in ("lib", "cache", "log")))
    app.machine.run("rm", "-rf", *(f"/var/{where}/spyglass/{app.name}" for where in ("lib", "cache", "log")))
    done = app.machine.run("spyglass", "enable", app.name, check=False)
    assert (done.code, "No module named 'nothing_like_it'" in done.err) == (69, True)
    assert not app.listens
    left = app.machine.run(
        "find", "/etc/systemd", "/run/systemd", "/run/spyglass", "/var", "-name", f"*{app.name}*"
    ).out
    assert left == ""


@pytest.mark.long
def test_enabling_makes_byte_code_as_the_owner_of_the_code(site):
    app = site(source=WSGI, **QUICK)
    machine, home = app.machine, f"/srv/{app.name}"
    machine.put(f"{home}/views/index.py", "A = 1\n")
    machine.run("useradd", "--system", "ada", check=False)
    machine.run("chown", "-R", "ada:", home)
    machine.run("spyglass", "enable", app.name)
    cached = machine.run("find", home, "-name", "*.pyc", "-printf", "%u %P\n").out.splitlines()
    assert {line.split(".cpython")[0] for line in cached} == {
        f"ada __pycache__/{app.name}",
        "ada views/__pycache__/index",
    }


@pytest.mark.long
def test_byte_code_of_code_that_nobody_can_write_is_kept_in_the_cache(site):
    app = site(source=WSGI, **QUICK)
    machine, home = app.machine, f"/srv/{app.name}"
    machine.run("mount", "--bind", home, home)
    try:
        machine.run("mount", "-o", "remount,ro,bind", home)
        machine.run("spyglass", "enable", app.name)
        assert "-X pycache_prefix=" in app.command
        cache = f"/var/cache/private/spyglass/{app.name}/bytecode"
        filled = machine.run("find", cache, "-name", f"{app.name}.*.pyc").out
        assert filled.startswith(f"{cache}{home}/")
        assert app.curl().out == "wsgi\n200"
    finally:
        app.until("inactive")
        machine.run("umount", home)


# ### Secrets


SECRETS = """
import json, os
SEEN = {
    "credential": open(os.environ["CREDENTIALS_DIRECTORY"] + "/key").read(),
    "variables": [os.environ.get(name) for name in ("FROM_FILE", "OF_NO_FILE")],
}
try:
    SEEN["file"] = open("/etc/spyglass/SITE.key").read()
except PermissionError:
    SEEN["file"] = None
def app(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps(SEEN).encode()]
"""


@pytest.mark.long
def test_secrets_are_roots_files_and_the_app_has_them(site):
    app = site(source="def app(environ, start_response): pass\n", **QUICK)
    machine, key, env = app.machine, f"/etc/spyglass/{app.name}.key", f"/etc/spyglass/{app.name}.env"
    app.write(SECRETS.replace("SITE", app.name))
    machine.put(key, "secret", 0o600)
    machine.put(env, "FROM_FILE='a b'\n", 0o600)
    files = f'environment_file = ["{env}", "-/etc/spyglass/none.env"]\n'
    text = f'app = "{app.name}:app"\nchdir = "/srv/{app.name}"\n{files}[credentials]\nkey = "{key}"\n'
    machine.put(f"/etc/spyglass/{app.name}.toml", text)
    machine.run("spyglass", "check", app.name)
    assert "chmod" not in machine.run("spyglass", "enable", app.name).err
    seen = {"credential": "secret", "variables": ["a b", None], "file": None}
    assert json.loads(app.request().body) == seen
    code = f"import json; from importlib import import_module as i; print(json.dumps(i('{app.name}').SEEN))"
    assert json.loads(machine.run("spyglass", "run", app.name, "--", "python3", "-c", code).out) == seen
    (machine.root / key[1:]).chmod(0o644)
    assert f"everybody on this machine may read {key}" in machine.run("spyglass", "check", app.name).out
    machine.run("rm", key)
    done = machine.run("spyglass", "enable", app.name, check=False)
    assert (done.code, f"{key}: No such file" in done.err) == (78, True)
