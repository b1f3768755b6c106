#!/usr/bin/env python3
"""Tokenizers of the shapes that families of models come with, and what Hugging Face's
tokenizers makes of 20,000 texts with each.

Needs: tokenizers==0.23.3, sentencepiece==0.2.3 (Python 3.11).
Run: python families.py FOLDER [KIND NUMBER | KIND...]
Writes families/KIND.json, a tokenizer.json with the components of the family's files and
a small vocabulary, and families/KIND.crc: for each BLOCK texts 4 bytes, the
little-endian CRC-32 of, text by text, its ids without and with the post-processor's
tokens (4 bytes each, little-endian), the decoded text of the former, and that of the
latter without special tokens; of the kinds that are named, or all. The texts are those of texts.py with some words put in
place of others, see swap. With KIND and NUMBER it prints all that for one text.
"""
import base64, io, json, os, random, struct, sys, tempfile, zlib
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from texts import COUNT, EMOJI, SPACES, WORDS, text as raw_text

BLOCK = 10
SWAPS = {"[L]": "▁", "[B]": "▁▁x", "[P]": "<0x41>", "[N\u00e9]": " ##s", "[Ne\u0301]": "[MASK]", "[R]": "don't", "[PP]": "``x''"}
rng = random.Random(11)


def swap(s, tokens):
    """The texts' control tokens become those of the kind."""
    for old, new in zip(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], tokens):
        s = s.replace(old, new)
    for old, new in SWAPS.items():
        s = s.replace(old, new)
    return s


def corpus():
    words = WORDS + EMOJI + ["tokenizer", "training", "trains", "The", "Hello,", "world!", "(ok)", "a.b", "isn't", "naïvely", "1999", "e\u0301cole", "ﬁn"]
    return ["".join(rng.choice(words) + rng.choice([" "] * 9 + SPACES[:8]) for _ in range(rng.randrange(1, 14))) for _ in range(600)]


CORPUS = corpus()
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def charsmap():
    """A small table of rewritings, compiled by SentencePiece: some of NFKC, control characters, and longer texts."""
    import unicodedata
    rules = {}
    for c in [*range(0xA0, 0x180), *range(0x1E00, 0x1E20), *range(0x2460, 0x2470), *range(0xFB00, 0xFB07), *range(0xFF01, 0xFF5F), *range(0xFF66, 0xFF80), 0x3000, 0x2126, *range(0x2000, 0x200B)]:
        k = unicodedata.normalize("NFKC", chr(c))
        if k != chr(c):
            rules[chr(c)] = k
        d = unicodedata.normalize("NFD", chr(c))
        if d != chr(c) and unicodedata.normalize("NFKC", d) == k:
            rules[d] = k
    rules.update({chr(c): "" for c in [*range(1, 9), 0xB, *range(0xE, 0x20), 0x7F]})
    rules.update({c: " " for c in "\t\n\f\r\u200b\u200d\u2028\ufeff"})
    rules.update({"e\u0301\u0323": "é!", "---": "—", "...": "…"})
    with tempfile.TemporaryDirectory() as d:
        with open(f"{d}/rules.tsv", "w") as f:
            for source, target in ((a, b) for a, b in rules.items() if a != b):
                f.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
        model = train(normalization_rule_tsv=f"{d}/rules.tsv", model_type="unigram", vocab_size=500)
    return model.normalizer_spec.precompiled_charsmap


def train(**options):
    """A SentencePiece model of the corpus."""
    out = io.BytesIO()
    options = dict(vocab_size=700, character_coverage=0.98, hard_vocab_limit=False, num_threads=1, minloglevel=2) | options
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS), model_writer=out, **options)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(out.getvalue())
    return model


def special(*texts, **switches):
    return [AddedToken(t, special=True, normalized=False, **switches) for t in texts]


def fallback_bpe(first, control=(), size=800):
    """Vocabulary and merges of characters with the tokens of bytes, as in files made from SentencePiece."""
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=size, limit_alphabet=110, special_tokens=[*first, *BYTES, *control], show_progress=False))
    j = json.loads(t.to_str())["model"]
    return models.BPE(vocab=j["vocab"], merges=[tuple(m) for m in j["merges"]], unk_token="<unk>", fuse_unk=True, byte_fallback=True)


def byte_bpe(specials, pre, normalizer=None, size=600, **switches):
    t = Tokenizer(models.BPE(**switches))
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=size, special_tokens=specials, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def template(single, t):
    names = [n for n in single.replace("$A", "").split() if n]
    return processors.TemplateProcessing(single=single, pair=single + " $B", special_tokens=[(n, t.token_to_id(n)) for n in names])


def llama2():
    t = Tokenizer(fallback_bpe(["<unk>", "<s>", "</s>"]))
    t.add_special_tokens(special("<unk>", "<s>", "</s>"))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.post_processor = template("<s> $A", t)
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return t, ["<s>", "<unk>", "</s>"]


def mistral():
    control = ["[INST]", "[/INST]", "[TOOL_CALLS]"]
    t = Tokenizer(fallback_bpe(["<unk>", "<s>", "</s>", *control]))
    t.add_special_tokens(special("<unk>", "<s>", "</s>", *control))
    t.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=False)
    t.post_processor = template("<s> $A", t)
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return t, ["<s>", "[INST]", "[/INST]"]


def gemma():
    runs = ["\n" * n for n in range(1, 6)] + ["▁" * n for n in range(2, 7)]
    t = Tokenizer(fallback_bpe(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"], ["<start_of_turn>", "<end_of_turn>", *runs, "<h1>"]))
    t.add_special_tokens(special("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"))
    t.add_tokens([AddedToken(r, normalized=False) for r in [*runs, "<h1>"]])
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.post_processor = template("<bos> $A", t)
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return t, ["<bos>", "<start_of_turn>", "<end_of_turn>"]


def phi3():
    t = Tokenizer(fallback_bpe(["<unk>", "<s>", "</s>"]))
    t.add_special_tokens(special("<unk>", "<s>"))
    t.add_tokens([AddedToken("</s>", rstrip=True, normalized=False)])
    t.add_special_tokens(special("<|endoftext|>"))
    t.add_special_tokens(special("<|assistant|>", "<|end|>", "<|user|>", rstrip=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.post_processor = template("$A", t)
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return t, ["</s>", "<|user|>", "<|end|>"]


def neox():
    t = byte_bpe(["<|endoftext|>", "<|padding|>"], pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC())
    t.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    return t, ["<|endoftext|>", "<|padding|>", "<|endoftext|>"]


def roberta():
    t = byte_bpe(["<s>", "<pad>", "</s>", "<unk>"], pre_tokenizers.ByteLevel(add_prefix_space=True))
    t.add_special_tokens(special("<mask>", lstrip=True))
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=True)
    return t, ["<s>", "<mask>", "</s>"]


def falcon():
    t = byte_bpe([">>TITLE<<", "<|endoftext|>"], pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.Digits(False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")]))
    t.decoder = decoders.ByteLevel()
    return t, ["<|endoftext|>", ">>TITLE<<", "<|endoftext|>"]


def clip():
    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=900, special_tokens=["<|startoftext|>", "<|endoftext|>"], end_of_word_suffix="</w>",
                                                      show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.decoder = decoders.BPEDecoder("</w>")
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), trim_offsets=False, add_prefix_space=False)
    return t, ["<|endoftext|>", "<|startoftext|>", "<|endoftext|>"]


def wordpiece(**switches):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=30))
    t.normalizer = normalizers.BertNormalizer(**switches)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=500, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    j = json.loads(t.to_str())["model"]
    t.model = models.WordPiece(vocab=j["vocab"], unk_token="[UNK]", max_input_chars_per_word=30)
    t.decoder = decoders.WordPiece("##", cleanup=True)
    return t


def bert():
    t = wordpiece(lowercase=True)
    t.post_processor = template("[CLS] $A [SEP]", t)
    return t, ["[SEP]", "[CLS]", "[MASK]"]


def bertcased():
    t = wordpiece(lowercase=False, strip_accents=None, handle_chinese_chars=True)
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    t.decoder = decoders.WordPiece("##", cleanup=False)
    return t, ["[SEP]", "[CLS]", "[MASK]"]


CHARSMAP = charsmap()


def unigram(first, unk, size=500, byte_fallback=False, **options):
    """A Unigram of SentencePiece's pieces behind some of the family's own."""
    model = train(model_type="unigram", vocab_size=size, byte_fallback=byte_fallback, **options)
    pieces = [(p, 0.0) for p in first] + [(p.piece, p.score) for p in model.pieces if p.type in (1, 6) and p.piece not in first]
    return Tokenizer(models.Unigram(pieces, unk, byte_fallback))


def t5():
    t = unigram(["<pad>", "</s>", "<unk>"], 2)
    t.add_special_tokens(special("<pad>", "</s>", "<unk>", *[f"<extra_id_{i}>" for i in range(5)]))
    t.normalizer = normalizers.Precompiled(CHARSMAP)
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.post_processor = template("$A </s>", t)
    t.decoder = decoders.Metaspace()
    j = json.loads(t.to_str())
    for m in [j["pre_tokenizer"]["pretokenizers"][1], j["decoder"]]:  # the older spelling
        del m["prepend_scheme"], m["split"]
        m.update(str_rep="▁", add_prefix_space=True)
    return Tokenizer.from_str(json.dumps(j)), ["</s>", "<extra_id_0>", "<extra_id_1>"], j


def xlmr():
    t = unigram(["<s>", "<pad>", "</s>", "<unk>"], 3)
    t.add_special_tokens(special("<s>", "<pad>", "</s>", "<unk>"))
    t.add_special_tokens(special("<mask>", lstrip=True))
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(CHARSMAP), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.post_processor = template("<s> $A </s>", t)
    t.decoder = decoders.Metaspace()
    return t, ["<s>", "<mask>", "</s>"]


def albert():
    t = unigram(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], 1, byte_fallback=True)
    t.add_special_tokens(special("<pad>", "<unk>", "[CLS]", "[SEP]"))
    t.add_special_tokens([AddedToken("[MASK]", lstrip=True, normalized=False, special=True)])
    t.normalizer = normalizers.Sequence([normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(),
                                         normalizers.Lowercase(), normalizers.Precompiled(CHARSMAP), normalizers.Strip(left=False, right=True)])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    t.post_processor = template("[CLS] $A [SEP]", t)
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    return t, ["[SEP]", "[CLS]", "[MASK]"]


def parts(normalizer, pre, decoder=None, level=False):
    """Components that none of the families has, before a model of words."""
    t = Tokenizer(models.WordLevel(unk_token="<unk>"))
    t.normalizer, t.pre_tokenizer = normalizer, pre
    t.train_from_iterator(CORPUS, trainers.WordLevelTrainer(vocab_size=500, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False))
    t.add_tokens([AddedToken("don't", normalized=True), AddedToken("<n>", normalized=True, single_word=True)])
    if decoder:
        t.decoder = decoder
    return t, ["<s>", "<n>", "</s>"]


KINDS = {
    "llama2": llama2, "mistral": mistral, "gemma": gemma, "phi3": phi3, "neox": neox, "roberta": roberta, "falcon": falcon, "clip": clip,
    "bert": bert, "bertcased": bertcased, "t5": t5, "xlmr": xlmr, "albert": albert,
    "parts1": lambda: parts(normalizers.Sequence([normalizers.NFKC(), normalizers.Nmt(), normalizers.Strip()]), pre_tokenizers.Whitespace()),
    "parts2": lambda: parts(normalizers.NFD(), pre_tokenizers.Sequence([
        pre_tokenizers.Split(" ", "merged_with_previous"), pre_tokenizers.Split(Regex("[aeiou]+"), "merged_with_next"), pre_tokenizers.Digits(False),
        pre_tokenizers.Punctuation("merged_with_next")]), decoders.Sequence([decoders.Replace(Regex("[st]+"), "-"), decoders.Strip("e", 1, 0)])),
    "parts3": lambda: parts(normalizers.Sequence([normalizers.Replace(Regex("(a|e)x?"), "<$1>"), normalizers.Prepend("-")]), pre_tokenizers.Sequence([
        pre_tokenizers.CharDelimiterSplit("-"), pre_tokenizers.Split(Regex(r"\s"), "merged_with_previous", invert=True), pre_tokenizers.Metaspace("_", "never"),
        pre_tokenizers.Punctuation("removed")]), decoders.Sequence([decoders.Metaspace("_", "never"), decoders.Fuse(), decoders.Strip("t", 2, 0)])),
    "parts4": lambda: parts(normalizers.Sequence([normalizers.StripAccents(), normalizers.ByteLevel()]), pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex("\u0120+"), "contiguous"), pre_tokenizers.Split("t", "isolated"), pre_tokenizers.Metaspace("_", "first", split=False)]), decoders.ByteLevel()),
}


def answers(t, s):
    plain, whole = t.encode(s, add_special_tokens=False).ids, t.encode(s).ids
    return plain, whole, t.decode(plain, skip_special_tokens=False), t.decode(whole, skip_special_tokens=True)


def hashes(t, tokens):
    out = b""
    for start in range(0, COUNT, BLOCK):
        crc = 0
        for number in range(start, start + BLOCK):
            plain, whole, one, two = answers(t, swap(raw_text(number), tokens))
            crc = zlib.crc32(struct.pack(f"<{len(plain) + len(whole)}i", *plain, *whole) + one.encode() + two.encode(), crc)
        out += struct.pack("<I", crc)
    return out


def main():
    folder = sys.argv[1] + "/families"
    if sys.argv[3:] and sys.argv[3].isdigit():
        t = Tokenizer.from_file(f"{folder}/{sys.argv[2]}.json")
        s = swap(raw_text(int(sys.argv[3])), json.load(open(f"{folder}/kinds.json"))[sys.argv[2]])
        print(ascii(s), *map(ascii, answers(t, s)), sep="\n")
        return
    os.makedirs(folder, exist_ok=True)
    kinds = {}
    only = sys.argv[2:] or KINDS
    for kind in KINDS:
        t, tokens, *other = KINDS[kind]()
        kinds[kind] = tokens
        if kind not in only:
            continue
        with open(f"{folder}/{kind}.json", "w") as f:
            json.dump(other[0] if other else json.loads(t.to_str()), f, ensure_ascii=False, separators=(",", ":"))
        with open(f"{folder}/{kind}.crc", "wb") as f:
            f.write(hashes(Tokenizer.from_file(f"{folder}/{kind}.json"), tokens))
        print(kind, t.get_vocab_size(), flush=True)
    with open(f"{folder}/kinds.json", "w") as f:
        json.dump(kinds, f, ensure_ascii=False, indent=1)


if __name__ == "__main__":
    main()
