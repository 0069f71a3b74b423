#!/usr/bin/env bash
# Create the pictures of the README and the docs in docs/pictures/: the graph of the rules, the three steps of a batch, two
# of the miniature's figures, and three pages of its report.
#
# usage: tools/pictures.sh        (after `make demo`)
set -euo pipefail
cd "$(dirname "$0")/.."
out=docs/pictures
mkdir -p "$out"

echo "drawing the graph of the rules"
.venv/bin/python -m snakemake --configfile config/demo.yaml --forceall --dag dot 2>/dev/null |
  .venv/bin/python tools/draw_dag.py | dot -Tsvg -o "$out/rulegraph.svg"

echo "drawing the three steps"
dot -Tsvg tools/concepts.dot -o "$out/concepts.svg"

page=results/report/index.html
[ -f "$page" ] || { echo "$page does not exist; run make demo first" >&2; exit 1; }
cp results/figures/{improvement,lengths}.png "$out/"
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
# usage: picture NAME PAGE[#FILTERS] HEIGHT; the time budget lets a page load its rows
picture() {
  echo "taking a picture of $2"
  chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$profile" --window-size="1100,$3" \
    --virtual-time-budget=10000 --screenshot="$PWD/$out/$1.png" "file://$PWD/results/report/$2" >/dev/null 2>&1
}
picture report index.html 1000
picture reader "reader.html#language=is" 760
picture verdicts "verdicts.html#language=all&outcome=changed" 860
echo "pictures are in $out"
