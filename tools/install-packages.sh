#!/usr/bin/env bash
# Install the Debian packages that tests and pictures need, where they are missing. The workflow itself needs none.
#
# usage: tools/install-packages.sh [slurm] [browser] [dag]     (the first two, when none is named)
#
# Without root or a password-free sudo nothing is installed: the tests that need a missing program are skipped and say
# so. With CI=true that is an error, because there nobody would see that they were skipped.
set -euo pipefail
PATH=$PATH:/usr/sbin

missing=()
need() { # package, its program or a file of it, what for
  if command -v "$2" >/dev/null || [ -f "$2" ]; then return; fi
  printf 'missing package %-15s %s\n' "$1" "$3"
  missing+=("$1")
}
[ $# -gt 0 ] || set -- slurm browser
for group in "$@"; do
  case $group in
    slurm)
      need slurm-wlm slurmctld "the tests of profiles/slurm bring up a real Slurm"
      need munge munged "Slurm's daemons authenticate one another with it"
      ;;
    browser)
      need chromium chromium "the tests of the report open it in a browser"
      need chromium-driver chromedriver "Selenium drives that browser through it"
      need fonts-noto-core /usr/share/fonts/truetype/noto/NotoSans-Regular.ttf "the report in Latin, Cyrillic and Arabic"
      need fonts-noto-cjk /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc "the report in Chinese and Japanese"
      ;;
    dag) need graphviz dot "make pictures draws with it" ;;
    *) echo "unknown group '$group': slurm, browser or dag" >&2; exit 2 ;;
  esac
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

give_up() {
  printf 'not installed: %s (%s). The tests that need them are skipped.\n' "${missing[*]}" "$1" >&2
  if [ "${CI:-}" = true ]; then exit 1; else exit 0; fi
}
command -v apt-get >/dev/null || give_up "no apt-get here: install them with this system's own package manager"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || give_up "not root, and sudo asks for a password: apt-get install ${missing[*]}"
  as_root=(sudo -n)
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
echo "installing ${missing[*]} with apt-get"
apt() { "${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=120 "$@"; } # somebody else may be installing
if ! { apt update && apt install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -n 15 "$log" >&2
  give_up "apt-get failed; its last lines are above"
fi
rm -f "$log"
