"""Draw the graph of jobs with one node per rule, and one per task for the rule `complete`.

It converts the output of ``snakemake --dag dot`` on stdin: ``... | python tools/draw_dag.py | dot -Tsvg``.
Snakemake's own ``--rulegraph`` has one node for ``complete``, which runs at four places of the experiment, so that its
graph has cycles.
"""

import re
import sys

STAGES = {
    "#4477aa": ("normalise_source", "normalise_wmt", "normalise_prompts", "sample_pairs", "identify_checkpoint"),
    "#228833": ("ask_translations", "collect_translations", "ask_responses", "collect_responses"),
    "#aa3377": ("build_dataset", "write_card", "train_policy"),
    "#997700": ("ask_answers", "collect_answers", "ask_verdicts", "ask_sanity", "collect_verdicts"),
}
ENGINES = ("complete", "train_policy")
COLOURS = {rule: colour for colour, rules in STAGES.items() for rule in rules}


def collapse(dot: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Return nodes and edges by rule, without the edges that other paths imply."""
    names = {}
    for number, label in re.findall(r'(\d+)\[label = "([^"]*)"', dot):
        rule, *wildcards = label.split("\\n")
        task = next((text.removeprefix("task: ") for text in wildcards if text.startswith("task: ")), "")
        names[number] = f"{rule} {task}".strip()
    edges = {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", dot)}
    return set(names.values()), {edge for edge in edges if not _implied(edge, edges)}


def _implied(edge: tuple[str, str], edges: set[tuple[str, str]]) -> bool:
    """Return whether the end of an edge can be reached from its start by other edges."""
    start, end = edge
    todo, seen = [b for a, b in edges if a == start and b != end], set()
    while todo:
        node = todo.pop()
        if node == end:
            return True
        if node not in seen:
            seen.add(node)
            todo += [b for a, b in edges if a == node]
    return False


def draw(nodes: set[str], edges: set[tuple[str, str]]) -> str:
    """Return the graph in the DOT language, in which rules that load a model are filled."""
    lines = [
        "digraph rules {",
        '  graph [bgcolor="white", ranksep=0.35, nodesep=0.25, margin=0.1];',
        '  node [shape=box, style="rounded", fontname="Helvetica,Arial,sans-serif", fontsize=11, penwidth=1.6,'
        ' margin="0.22,0.08"];  // other fonts are wider',
        '  edge [color="#999999", arrowsize=0.6];',
    ]
    for node in sorted(nodes - {"all"}):
        rule = node.split()[0]
        fill = ', style="rounded,filled", fillcolor="#ffe9b3"' if rule in ENGINES else ""
        label = node.replace("complete ", "complete\\n")
        lines.append(f'  "{node}" [label="{label}", color="{COLOURS.get(rule, "#666666")}"{fill}];')
    lines += [f'  "{a}" -> "{b}";' for a, b in sorted(edges) if b != "all"]
    return "\n".join([*lines, "}"])


if __name__ == "__main__":
    print(draw(*collapse(sys.stdin.read())))
