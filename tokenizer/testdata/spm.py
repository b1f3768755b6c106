#!/usr/bin/env python3
"""Folders with a SentencePiece model and no tokenizer.json, and what transformers makes
of 20,000 texts with each.

Needs: transformers==5.24.0, tokenizers==0.23.3, sentencepiece==0.2.3, protobuf==7.36.2 (Python 3.11).
Run: python spm.py FOLDER [KIND NUMBER]
Writes spm/KIND/ with tokenizer.model and the files beside it, and spm/KIND.crc, hashes as
families.py has them. It also prints how many texts SentencePiece itself encodes
otherwise. With KIND and NUMBER it prints the answers to one text.
"""
import json, os, sys
import sentencepiece
from transformers import GemmaTokenizer, LlamaTokenizer
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from families import answers, hashes, swap, raw_text, train

IDENTITY = dict(model_type="bpe", normalization_rule_name="identity", byte_fallback=True, remove_extra_whitespaces=False, split_digits=True)


def token(text, **switches):
    return dict(content=text, lstrip=False, normalized=False, rstrip=False, single_word=False, special=True) | switches


def llama():
    model = train(**IDENTITY)
    n = len(model.pieces)
    config = dict(tokenizer_class="LlamaTokenizer", add_bos_token=True, add_eos_token=False, legacy=False, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
                  added_tokens_decoder={0: token("<unk>"), 1: token("<s>"), 2: token("</s>"), n: token("<|im_start|>"), n + 1: token("<|im_end|>", rstrip=True)})
    return model, {"tokenizer_config.json": config}, LlamaTokenizer, ["<s>", "<|im_start|>", "<|im_end|>"]


def legacy():
    model = train(**IDENTITY)
    n = len(model.pieces)
    return model, {"tokenizer_config.json": dict(tokenizer_class="LlamaTokenizer", legacy=True, add_eos_token=True),
                   "special_tokens_map.json": dict(bos_token="<s>", eos_token=dict(content="</s>", lstrip=False, normalized=True, rstrip=False, single_word=False), pad_token="[PAD]"),
                   "added_tokens.json": {"[PAD]": n, "rock'n'roll": n + 1}}, LlamaTokenizer, ["<s>", "[PAD]", "</s>"]


def gemma():
    model = train(**IDENTITY | dict(add_dummy_prefix=False, pad_id=0, eos_id=1, bos_id=2, unk_id=3, control_symbols=["<mask>", "<start_of_turn>"],
                                    user_defined_symbols=["\n\n", "▁▁", "▁▁▁", "<h1>"]))
    config = dict(tokenizer_class="GemmaTokenizer", add_bos_token=True, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", pad_token="<pad>")
    for p, name in zip(model.pieces, ["<pad>", "<eos>", "<bos>", "<unk>"]):
        p.piece = name
    return model, {"tokenizer_config.json": config}, GemmaTokenizer, ["<bos>", "<start_of_turn>", "<eos>"]


def bpe():
    return train(**IDENTITY | dict(remove_extra_whitespaces=True, user_defined_symbols=["<h1>", "##s", "a.b"])), {}, TokenizersBackend, ["<s>", "<h1>", "</s>"]


def unigram():
    return train(model_type="unigram", vocab_size=500, normalization_rule_name="identity"), {}, TokenizersBackend, ["<s>", "<unk>", "</s>"]


def unigrambytes():
    return (train(model_type="unigram", vocab_size=600, normalization_rule_name="identity", byte_fallback=True, remove_extra_whitespaces=False, add_dummy_prefix=False), {},
            TokenizersBackend, ["<s>", "<unk>", "</s>"])


KINDS = {"llama": llama, "legacy": legacy, "gemma": gemma, "bpe": bpe, "unigram": unigram, "unigrambytes": unigrambytes}


def main():
    folder = sys.argv[1] + "/spm"
    kinds = {}
    for kind in KINDS:
        if sys.argv[2:] and kind != sys.argv[2]:
            continue
        model, files, cls, tokens = KINDS[kind]()
        kinds[kind] = tokens
        os.makedirs(f"{folder}/{kind}", exist_ok=True)
        if not sys.argv[2:]:
            with open(f"{folder}/{kind}/tokenizer.model", "wb") as f:
                f.write(model.SerializeToString())
            for name, content in files.items():
                with open(f"{folder}/{kind}/{name}", "w") as f:
                    json.dump(content, f, indent=1)
        t = cls.from_pretrained(f"{folder}/{kind}").backend_tokenizer
        if sys.argv[3:]:
            s = swap(raw_text(int(sys.argv[3])), tokens)
            print(ascii(s), *map(ascii, answers(t, s)), sep="\n")
            continue
        with open(f"{folder}/{kind}.crc", "wb") as f:
            f.write(hashes(t, tokens))
        own = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/{kind}/tokenizer.model")
        texts = [s for s in (swap(raw_text(n), ["", "", ""]) for n in range(2000)) if "\0" not in s]
        print(kind, len(model.pieces), sum(own.encode(s) != t.encode(s, add_special_tokens=False).ids for s in texts), "of", len(texts), flush=True)
    if not sys.argv[2:]:
        with open(f"{folder}/kinds.json", "w") as f:
            json.dump(kinds, f, ensure_ascii=False, indent=1)


if __name__ == "__main__":
    main()
