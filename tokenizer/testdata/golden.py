#!/usr/bin/env python3
"""Makes the golden files of package tokenizer with Hugging Face's tokenizers.

Needs: tokenizers==0.23.3 (Python 3.11). Run: python golden.py FOLDER
Writes for each kind KIND.json (a tokenizer.json) and KIND.golden.jsonl
(lines of text, ids, decoded), and train.json, a tokenizer that the trainer of
package tokenizer has to find too, from train.txt.
"""
import json, random, sys
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

out = sys.argv[1]
rng = random.Random(7)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
WORDS = ("the a an of to in and is was for on that with as by it its it's we'll they've I'd don't can't rock'n'roll return func def "
         "class import self None true false 0 1 2 12 2024 3.14 x+y==z a/b C:\\dir naïve café Straße ÄÖÜ 日本語 テスト 中文字符 русский "
         "العربية עברית हिन्दी ไทย 한국어 😀 👩‍👩‍👧 🇩🇪 é e\u0301 ﬁ ½ ² Ⅷ ٣ <|im_end|> <|im_start|>user <|endoftext|> <|im_end |>").split(" ")
SPACES = [" ", " ", " ", "  ", "\n", "\n\n", "\t", " \n ", "    ", "\r\n", "\u00a0", "\u2003", "\u3000", "\u200b", "\u0085", "\x1c", "\x00", "\x7f"]


def text():
    return "".join(rng.choice(WORDS) + rng.choice(SPACES) for _ in range(rng.randrange(1, 14)))


def noise():
    blocks = [(0, 0x80), (0x80, 0x250), (0x300, 0x600), (0x900, 0xD00), (0x2000, 0x2C00), (0x3000, 0x3200), (0xAC00, 0xAD00), (0x1F300, 0x1F700)]
    lo, hi = rng.choice(blocks)
    return "".join(chr(rng.randrange(lo, hi)) for _ in range(rng.randrange(1, 30)))


corpus = [text() for _ in range(400)]
texts = ["", " ", "a", "'s", " 's'", "\n", "x  ", "  x", "a" * 70, "ab" * 100, " " * 50, "<|im_end|>", "  <|im_end|>  x", "don't  stop\n\n\n now"]
texts += [text() for _ in range(140)] + [noise() for _ in range(140)]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False)
RAW = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def isolated(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), RAW])


KINDS = {
    "gpt2": (BYTES, None, processors.ByteLevel(trim_offsets=False)),
    "prefix": (pre_tokenizers.ByteLevel(add_prefix_space=True), None, None),
    "smollm2": (pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), BYTES]), None, None),
    "qwen2": (isolated(LLAMA3.replace("{1,3}", "")), normalizers.NFC(), processors.ByteLevel(trim_offsets=False)),
    "llama3": (isolated(LLAMA3), None, processors.Sequence([processors.ByteLevel(), processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])])),
}
for kind, (pre, norm, post) in KINDS.items():
    t = Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    t.pre_tokenizer, t.decoder = pre, decoders.ByteLevel()
    if norm:
        t.normalizer = norm
    if post:
        t.post_processor = post
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=700, special_tokens=SPECIAL, show_progress=False,
                                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.save(f"{out}/{kind}.json", pretty=False)
    with open(f"{out}/{kind}.golden.jsonl", "w") as f:
        for s in texts:
            ids = t.encode(s).ids
            f.write(json.dumps(dict(text=s, ids=ids, decoded=t.decode(ids, skip_special_tokens=False))) + "\n")

plain = [s.replace("<|", "<").replace("|>", ">") for s in corpus[:150]]
with open(f"{out}/train.txt", "w", newline="") as f:
    f.write("\x1f".join(plain))
t = Tokenizer(models.BPE())
t.pre_tokenizer, t.decoder = BYTES, decoders.ByteLevel()
t.train_from_iterator(plain, trainers.BpeTrainer(vocab_size=800, special_tokens=SPECIAL, show_progress=False,
                                                 initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
t.save(f"{out}/train.json", pretty=False)
