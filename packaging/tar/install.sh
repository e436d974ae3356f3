#!/bin/sh
# Installs culvert to where the Debian package would; asks nothing, starts nothing new.
#   install.sh               install, or bring up to date
#   install.sh --uninstall   take it away; identity and config stay
#   install.sh --purge       take it away with them
# DESTDIR=FOLDER puts the files there, and touches nothing else.
set -eu
umask 022
here=$(dirname "$(readlink -f "$0")")
cd "$here/root"

fail() { echo "install.sh: $*" >&2; exit 1; }

case "${1:-}" in
  '' | --uninstall | --purge) ;;
  *) fail "\"$1\" is not known; it is --uninstall, --purge, or nothing" ;;
esac
destination=${DESTDIR:-}
if [ -z "$destination" ]; then
  [ "$(id -u)" = 0 ] || fail "it takes root; run: sudo $0${1:+ $1}"
  [ "$(dpkg-query -W -f '${db:Status-Status}' culvert 2>/dev/null)" != installed ] || fail "culvert is installed as a Debian package; first run: apt-get remove culvert"
fi

if [ -n "${1:-}" ]; then
  [ -n "$destination" ] || "$here/scripts/prerm" remove
  find . -type f | while read -r file; do rm -f "$destination/$file"; done
  for folder in lib/culvert share/doc/culvert share/culvert; do
    rmdir "$destination/usr/$folder" 2>/dev/null || true
  done
  [ -n "$destination" ] || "$here/scripts/postrm" "$(echo "$1" | sed 's/--uninstall/remove/; s/--//')"
  exit 0
fi

usr/lib/culvert/culvert version >/dev/null 2>&1 ||
  fail "the program does not run here: it is for another kind of machine, or for glibc (this is $(uname -m))"
old=
[ ! -x "$destination/usr/lib/culvert/culvert" ] ||
  old=$("$destination/usr/lib/culvert/culvert" version 2>/dev/null | sed -n '1s/^culvert \([^ ]*\).*/\1/p') || true
find . -type f | while read -r file; do
  mkdir -p "$destination/$(dirname "$file")"
  # Put in place whole, so that the one that runs is not touched; and whoever unpacked it had an umask.
  if [ -x "$file" ]; then mode=755; else mode=644; fi
  install -m "$mode" "$file" "$destination/$file.new"
  mv "$destination/$file.new" "$destination/$file"
done
[ -n "$destination" ] || "$here/scripts/postinst" configure "$old"
