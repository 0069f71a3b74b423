"""Generate the miniature's data files and tiny checkpoints in resources/demo, or evaluate them.

    python workflow/scripts/make_tiny_models.py             data, decoder family, judge and nllb (about 15 minutes)
    python workflow/scripts/make_tiny_models.py data        only the named parts
    python workflow/scripts/make_tiny_models.py --evaluate  evaluate the shipped checkpoints

Everything is seeded. The data files are reproduced byte for byte, the checkpoints up to the rounding of the machine
(the members of the decoder family are saved when the training run first reaches a given accuracy, not after a fixed
number of steps).
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
# Token accuracy on assistant turns at which a member of the family is saved; `strong` is the end of the run.
SNAPSHOTS = {"weak": 0.55, "base": 0.65, "mid": 0.80}
NLLB_STOP = 0.8


def make_family(folder: Path, snapshots: dict[str, float] = SNAPSHOTS) -> None:
    """Train once; save a checkpoint when the run first reaches each accuracy, and `strong` at its end."""
    shared, held_out = tokenizer.build_tokenizer(), held_out_lines()
    model, waiting, start = models.build_model(shared, SEED), dict(snapshots), time.time()

    def snapshot(step: int, accuracy: float) -> None:
        for name in [name for name, wanted in waiting.items() if accuracy >= wanted]:
            del waiting[name]
            models.save(model, shared, folder / name)
            print(f"{name}: step {step}, token accuracy {accuracy:.3f}", flush=True)
        if step % 100 == 0:
            print(f"family step {step}: token accuracy {accuracy:.3f}, {time.time() - start:.0f} s", flush=True)

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
        print(f"judge step {step}: {right:.3f} of verdicts and {flags:.3f} of words correct, {took:.0f} s", flush=True)

    judge.train(model, examples, STEPS["judge"], SEED, report=report)
    models.save(model, shared, folder / "judge")


def make_nllb(folder: Path) -> None:
    """Train the encoder-decoder, and stop when it is useful but still worse than `strong`."""
    words = nllb.build_tokenizer()
    model = nllb.build_model(words, SEED)
    step, accuracy = nllb.train(model, words, held_out_lines(), STEPS["nllb"], SEED, NLLB_STOP)
    print(f"nllb: step {step}, token accuracy {accuracy:.3f}", flush=True)
    nllb.save(model, words, folder / "nllb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"any of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--folder", type=Path, default=ROOT / "resources" / "demo")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--evaluate", action="store_true", help="print the evaluation, and generate nothing")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
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
