"""Make the miniature's data files and tiny checkpoints under resources/demo, or evaluate them.

    python workflow/scripts/make_tiny_models.py             data, decoder family, judge and nllb (about 15 minutes)
    python workflow/scripts/make_tiny_models.py data        only the parts that are named
    python workflow/scripts/make_tiny_models.py --evaluate  a table of what the shipped checkpoints can do

Seeded: the data files come out byte for byte, the checkpoints as near as the machine's arithmetic allows (the
family's members are taken where the training run first reaches an accuracy, not after a number of steps).
"""

import argparse
import random
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from polypref.tiny import judge, models, nllb, tokenizer
from polypref.tiny.data import held_out_lines, write_data
from polypref.tiny.evaluate import evaluate

ROOT = Path(__file__).parents[2]
PARTS = ("data", "family", "judge", "nllb")
SEED = 7
STEPS = {"family": 1200, "judge": 1500, "nllb": 1200}
# Share of the assistant's tokens that is right where a member of the family is taken; `strong` is the end of the run.
SNAPSHOTS = {"weak": 0.55, "base": 0.65, "mid": 0.80}
NLLB_STOP = 0.8


def make_family(folder: Path, snapshots: dict[str, float] = SNAPSHOTS) -> None:
    """Train once; save the run's state where it first reaches each accuracy, and at its end as `strong`."""
    shared, held_out = tokenizer.build_tokenizer(), held_out_lines()
    model, waiting, start = models.build_model(shared, SEED), dict(snapshots), time.time()

    def snapshot(step: int, accuracy: float) -> None:
        for name in [name for name, wanted in waiting.items() if accuracy >= wanted]:
            del waiting[name]
            models.save(model, shared, folder / name)
            print(f"{name}: step {step}, {accuracy:.3f} of tokens right", flush=True)
        if step % 100 == 0:
            print(f"family step {step}: {accuracy:.3f} of tokens right, {time.time() - start:.0f} s", flush=True)

    def draw(rng: random.Random) -> models.Example:
        return models.make_example(rng, held_out)

    models.train(model, shared, draw, STEPS["family"], SEED, snapshot=snapshot)
    if waiting:
        raise RuntimeError(f"the run never reached {waiting}: lower SNAPSHOTS or raise STEPS in {__file__}")
    models.save(model, shared, folder / "strong")


def make_judge(folder: Path, prompt: Path) -> None:
    """Train the judge from the strong checkpoint and the demo's judge prompt."""
    strong, shared = models.load(folder / "strong")
    model, start = judge.grow(strong, shared, SEED), time.time()
    examples = judge.Examples(shared, prompt.read_text("utf-8").rstrip("\n"), held_out_lines())

    def report(step: int, right: float, flags: float) -> None:
        took = time.time() - start
        print(f"judge step {step}: {right:.3f} of verdicts, {flags:.3f} of words right, {took:.0f} s", flush=True)

    judge.train(model, examples, STEPS["judge"], SEED, report=report)
    models.save(model, shared, folder / "judge")


def make_nllb(folder: Path) -> None:
    """Train the encoder-decoder until it is good enough to be useful and no better."""
    words = nllb.build_tokenizer()
    model = nllb.build_model(words, SEED)
    step, accuracy = nllb.train(model, words, held_out_lines(), STEPS["nllb"], SEED, NLLB_STOP)
    print(f"nllb: step {step}, {accuracy:.3f} of tokens right", flush=True)
    nllb.save(model, words, folder / "nllb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"any of {', '.join(PARTS)}; default all")
    parser.add_argument("--folder", type=Path, default=ROOT / "resources" / "demo")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--evaluate", action="store_true", help="print the table and make nothing")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    torch.set_num_threads(args.threads)
    prompt = ROOT / "resources" / "prompts" / "judge-demo.txt"
    if args.evaluate:
        evaluate(args.folder, prompt)
        return
    parts = args.parts or PARTS
    if "data" in parts:
        write_data(args.folder)
    if "family" in parts:
        make_family(args.folder / "models")
    if "judge" in parts:
        make_judge(args.folder / "models", prompt)
    if "nllb" in parts:
        make_nllb(args.folder / "models")


if __name__ == "__main__":
    main()
