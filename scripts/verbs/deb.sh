# build the Debian packages into dist/, and ask lintian about them
#
# Usage: ./dev deb [--if-changed]
#
# Builds a copy of the files that git does not ignore, with dpkg-buildpackage and Debian's own Python. Any tag of lintian is a
# failure. With --if-changed it does nothing where dist/ has packages of this very source.
needed=(
    dpkg-buildpackage:dpkg-dev cc:build-essential dh:debhelper dh_python3:dh-python dh_bash-completion:bash-completion
    lintian:lintian
)
set_up "${needed[@]}"
for package in pybuild-plugin-pyproject python3-all python3-setuptools; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || packages+=("$package")
done
install_packages

sources() {
    git -c safe.directory='*' ls-files -z --cached --others --exclude-standard -- \
        debian packaging spyglass_systemd units CHANGELOG.md LICENSE README.md pyproject.toml
}
mkdir -p dist .cache
exec {lock}>.cache/deb.lock
flock "$lock"
packed() { tar --create --null --files-from=- --ignore-failed-read "$@" 2>/dev/null; }
stamp=$(sources | packed --mtime=@0 --owner=0 --group=0 | sha256sum)
if [[ ${1:-} == --if-changed && -f dist/made-from && $(<dist/made-from) == "$stamp" ]]; then
    return 0
fi

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/source"
sources | packed | tar --extract --directory="$copy/source"
if ! (cd "$copy/source" && dpkg-buildpackage --no-sign --build=binary) >"$copy/log" 2>&1; then
    tail -n 50 "$copy/log" >&2
    die "the build failed"
fi
if tags=$(lintian -EvI --pedantic --allow-root --fail-on error,warning --quiet "$copy"/*.changes 2>&1) && [[ -z $tags ]]; then
    rm -f dist/*.deb dist/made-from
    cp "$copy"/*.deb dist/
    printf '%s\n' "$stamp" >dist/made-from
    printf 'dist/%s\n' $(cd dist && ls *.deb)
else
    die "lintian is not silent:" "$tags"
fi
exec {lock}>&-
