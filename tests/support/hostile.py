"""Hostile texts in every field of synthetic results that a model or a data set can control."""

from pathlib import Path

import pandas as pd
import synthetic

from polypref.files import schemas

RUN = "document.body.dataset.ran=1"
TEXTS = {
    "script": f"</script></td><script>{RUN}</script><script src=data:text/javascript,{RUN}></script>",
    "handler": f"<img src=x onerror={RUN}><svg onload={RUN}><body onload={RUN}><details open ontoggle={RUN}>",
    "link": f"[click](javascript:{RUN}) <a href=javascript:{RUN} autofocus onfocus={RUN}>x</a><meta http-equiv=refresh "
    f"content='0;url=javascript:{RUN}'><base href=//example.org><style>*{{display:none}}</style><iframe srcdoc='"
    f"<script>parent.{RUN}</script>'>",
    "template": "{{ 7*7 }} ${7*7} <!--<script> ]]> \u2028 \u2029 \\u003c/script\\u003e \"');alert(1)//",
    "bidi": "\u202egnp.exe\u202c \u2066\u2067 \u200b\u0007\x1b[31m\ufeff\U000e0041 end",
    "long": "W" * 1_000_000,
}
"""Hostile texts by their method; a browser must display them and execute nothing."""
ITEM = "chatbot_arena-001"
PROMPT = 3


def _put(path: Path, schema, rows: tuple[str, str], values: dict[str, str]) -> None:
    """Write values into some columns of all rows of a file in which a column has a certain value."""
    frame = pd.read_parquet(path)
    for column, value in values.items():
        frame.loc[frame[rows[0]].eq(rows[1]), column] = value
    synthetic.write(frame, path, schema)


def write_hostile(folder: Path) -> None:
    """Write the results of a whole run with hostile texts in `ITEM` and in the evaluation prompt `PROMPT`."""
    synthetic.write_results(folder)
    pair, long, bidi = ("item_id", ITEM), TEXTS["long"], TEXTS["bidi"]
    everywhere = " ".join(TEXTS[name] for name in ("script", "handler", "link", "template", "bidi"))
    _put(folder / "pairs.parquet", schemas.PAIRS, pair, {"prompt": everywhere, "chosen": long, "task": everywhere})
    for name, texts in {
        "A": {"prompt": everywhere, "chosen": long, "rejected": bidi},
        "B": {"prompt": TEXTS["script"], "chosen": TEXTS["handler"], "rejected": TEXTS["link"]},
        "C": {"prompt": TEXTS["template"], "chosen": long, "rejected": bidi},
    }.items():
        _put(folder / f"datasets/{name}.parquet", schemas.DATASET, pair, texts)
    left = ("item_id", "chatbot_arena-000")
    _put(folder / "datasets/B.dropped.parquet", schemas.DROPPED, left, {"reason": bidi + everywhere})
    kept, left = synthetic.source("native", 4)
    synthetic.write(kept, folder / "native/own/is.parquet", schemas.PAIRS)
    left["reason"] = everywhere
    synthetic.write(left, folder / "native/own/is.dropped.parquet", schemas.DROPPED)
    for code in synthetic.LANGUAGES:
        prompt = ("item_id", f"{code}-{PROMPT:04d}")
        _put(folder / f"prompts/{code}.parquet", schemas.PROMPTS, prompt, {"prompt": everywhere, "reference": long})
        for model, text in {"B": everywhere, "llama-3-8b": long, "gemma-1.1-7b": ""}.items():
            _put(folder / f"answers/{model}/{code}.parquet", schemas.TEXTS, prompt, {"text": text})
        reply = {"reply": everywhere, "verdict": "", "status": "unparsed"}
        _put(folder / f"verdicts/B/{code}.parquet", schemas.VERDICTS, prompt, reply)
