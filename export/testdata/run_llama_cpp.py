"""Runs GGUF files by llama.cpp and prints, as JSON, of each file the SHA-256, the ids of each
prompt, every 16th logit after it and the greedy tokens that follow:
python run_llama_cpp.py FOLDER > llama_cpp.json

FOLDER holds what TestLlamaCppAgrees writes with -written FOLDER. Run with llama-cpp-python
0.3.36, built from source for this CPU. Keys and values are kept in float32.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
from llama_cpp import GGML_TYPE_F32, Llama

# The last has more than 64 tokens of the small tokenizers, twice the windows.
prompts = ["Once upon a time", "The dog went to", "2 + 2 =", "There was a small house by the river, and in it lived a woman who knew all the birds by their names. Each morning she"]


def greedy(model, ids, count):
    """The logits after the prompt and the most likely tokens, one after the other, whether they end a text or not."""
    model.reset()
    out = []
    model.eval(ids)
    first = model.scores[model.n_tokens - 1].copy()
    for _ in range(count):
        out.append(int(np.argmax(model.scores[model.n_tokens - 1])))
        model.eval(out[-1:])
    return first, out


def main():
    lines = []
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.gguf")):
        model = Llama(str(path), n_ctx=256, n_threads=1, logits_all=True, verbose=False, type_k=GGML_TYPE_F32, type_v=GGML_TYPE_F32)
        runs = []
        for text in prompts:
            ids = model.tokenize(text.encode(), add_bos=True, special=True)
            logits, tokens = greedy(model, ids, 24)
            runs.append(dict(prompt=text, ids=ids, logits=[float(f"{v:.7g}") for v in logits[::16]], greedy=tokens))
        found = dict(sha256=hashlib.sha256(path.read_bytes()).hexdigest(), runs=runs)
        lines.append(json.dumps(path.stem) + ":" + json.dumps(found, ensure_ascii=False, separators=(",", ":")))
    print("{\n" + ",\n".join(lines) + "\n}")


main()
