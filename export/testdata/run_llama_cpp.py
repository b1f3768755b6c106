"""Runs GGUF files by llama.cpp and prints, as JSON, the ids of each prompt and the greedy
tokens after them: python run_llama_cpp.py FILE.gguf...

Run with llama-cpp-python 0.3.36, built from source for this CPU.
"""

import json
import sys

import numpy as np
from llama_cpp import Llama

prompts = ["Once upon a time", "The dog went to", "2 + 2 ="]


def greedy(model, ids, count):
    """The most likely tokens, one after the other, whether they end a text or not."""
    model.reset()
    out = []
    model.eval(ids)
    for _ in range(count):
        out.append(int(np.argmax(model.scores[model.n_tokens - 1])))
        model.eval(out[-1:])
    return out


def main():
    for path in sys.argv[1:]:
        model = Llama(path, n_ctx=256, n_threads=1, logits_all=True, verbose=False)
        runs = []
        for text in prompts:
            ids = model.tokenize(text.encode(), add_bos=True, special=True)
            runs.append(dict(prompt=text, ids=ids, greedy=greedy(model, ids, 24)))
        print(json.dumps(dict(file=path.rsplit("/")[-1], runs=runs), ensure_ascii=False))


main()
