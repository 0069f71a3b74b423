#!/usr/bin/env bash
# Install missing Debian packages for the tests and `make pictures`. The workflow itself needs none of them.
#
# usage: tools/install-packages.sh [slurm] [browser] [dag]     (default: slurm browser)
#
# Without root or a password-free sudo, nothing is installed, and the tests that need a missing program are skipped with a
# message. With CI=true, this is an error instead, because skipped tests would not be noticed there.
set -euo pipefail
PATH=$PATH:/usr/sbin

missing=()
need() { # package, a program or file that it contains, purpose
  if command -v "$2" >/dev/null || [ -f "$2" ]; then return; fi
  printf 'missing package %-15s %s\n' "$1" "$3"
  missing+=("$1")
}
[ $# -gt 0 ] || set -- slurm browser
for group in "$@"; do
  case $group in
    slurm)
      need slurm-wlm slurmctld "the tests of profiles/slurm start a real Slurm"
      need munge munged "Slurm's daemons use it for authentication"
      ;;
    browser)
      need chromium chromium "the tests of the report open it in a browser"
      need chromium-driver chromedriver "Selenium controls the browser with it"
      need fonts-noto-core /usr/share/fonts/truetype/noto/NotoSans-Regular.ttf "the report in Latin, Cyrillic and Arabic"
      need fonts-noto-cjk /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc "the report in Chinese and Japanese"
      ;;
    dag) need graphviz dot "make pictures uses it to draw graphs" ;;
    *) echo "unknown group '$group': slurm, browser or dag" >&2; exit 2 ;;
  esac
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

give_up() {
  printf 'not installed: %s (%s). The tests that need them are skipped.\n' "${missing[*]}" "$1" >&2
  if [ "${CI:-}" = true ]; then exit 1; else exit 0; fi
}
command -v apt-get >/dev/null || give_up "apt-get was not found; install them with the package manager of this system"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || give_up "not root, and sudo asks for a password: apt-get install ${missing[*]}"
  as_root=(sudo -n)
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
echo "installing ${missing[*]} with apt-get"
apt() { "${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=120 "$@"; } # another process may be installing packages
if ! { apt update && apt install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -n 15 "$log" >&2
  give_up "apt-get failed; its last lines are above"
fi
rm -f "$log"
