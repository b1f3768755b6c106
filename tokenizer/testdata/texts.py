#!/usr/bin/env python3
"""Hashes the ids and decoded texts of 20,000 texts a kind, by Hugging Face's tokenizers.

Needs: tokenizers==0.23.3 (Python 3.11). Run: python texts.py FOLDER [KIND NUMBER]
Reads KIND.json, writes added.json (qwen2 with added tokens of every switch) and
KIND.crc: for each text 4 bytes, the little-endian CRC-32 of its ids (4 bytes each,
little-endian) and of the decoded text behind them. With KIND and NUMBER it prints
that text, its ids and the decoded text instead. texts_test.go makes the same texts.
"""
import json, struct, sys, zlib
from tokenizers import AddedToken, Tokenizer

SEED, COUNT = 20261124, 20000
MASK = (1 << 64) - 1
WORDS = ("the of and to in is was it's we'll I'D they'VE rock'n'roll don't naïve café Straße def return self None true x+y==z 3.14 2024 1234567 "
         "日本語 テスト 中文字符。 русский العربية עברית हिन्दी ไทย 한국어 각 ﬁ ½ ² Ⅷ ٣ १२३ ſ 'ſ 'S 'Re _a a_ Å é").split(" ")
SPACES = ["", " ", " ", "  ", "\n", "\n\n", "\t", " \n ", "    ", "\r\n", "\r", "\v", "\f", "\u00a0", "\u1680", "\u2003", "\u2028", "\u3000", "\u200b", "\u0085",
          "\x1c", "\x00", "\x7f", "\ufeff", " \n\n  \n x", "\u200d"]
EMOJI = ["😀", "👩‍👩‍👧", "🇩🇪", "👍🏽", "❤️", "🏴‍☠️", "👨🏿‍💻", "1️⃣", "🧑‍🤝‍🧑"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end", "|>", "<|im_<|im_end|>", "<|im_end|><|im_end|>", "[L]", "[R]", "[W]", "[N\u00e9]", "[Ne\u0301]", "[B]", "[P]", "[PP]"]
CODE = ["func main() {\n\tfor i := 0; i < 10; i++ {\n\t\tprintln(i)\n\t}\n}\n", "def f(x):\n    return x**2  # square\n", "{\"a\": [1, 2, {\"b\": null}]}\n",
        "<div class=\"x\">&nbsp;</div>", "SELECT * FROM t WHERE a='b';", "a->b::c(d, e)[0] |= ~0xFF;\r\n", "https://example.org/a?b=c&d=%20#e", "$\\frac{1}{2}$"]
RUNS = ["a", " ", "\n", "7", "-", "é", "ab", "中", "\t", "\u0301", "e\u0301\u0323", "'", "\r\n", "😀", "\u0345\u0334"]
MARKS = [(0x300, 0x70), (0x483, 5), (0x591, 0x2d), (0x64b, 0x15), (0x7eb, 9), (0x898, 8), (0x93c, 1), (0x1ab0, 0x1f), (0x1dc0, 0x40), (0x20d0, 0x21), (0x302a, 6), (0x3099, 2), (0x11938, 1), (0x1e000, 7)]


class Random:
    """splitmix64"""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % n

    def of(self, things):
        return things[self.below(len(things))]


def point(c):
    return b"" if 0xD800 <= c < 0xE000 or c > 0x10FFFF else chr(c).encode()


def part(r, number):
    kind = r.below(12)
    if kind < 3:
        return (r.of(WORDS) + r.of(SPACES)).encode()
    if kind == 3:  # every block of 128 characters comes at least twice
        return b"".join(point(number % 8704 * 128 + r.below(128)) for _ in range(1 + r.below(12)))
    if kind == 4:
        return r.of(EMOJI).encode()
    if kind == 5:
        out = point(97 + r.below(26))
        for _ in range(1 + r.below(4)):
            first, n = r.of(MARKS)
            out += point(first + r.below(n))
        return out
    if kind == 6:
        return bytes(0x80 + r.below(0x80) for _ in range(1 + r.below(4)))  # mostly no UTF-8
    if kind == 7:
        return r.of(RUNS).encode() * (1 + r.below(80))
    if kind == 8:
        return r.of(CODE).encode()
    if kind == 9:
        return r.of(SPECIAL).encode() + r.of(SPACES).encode()
    if kind == 10:
        return bytes(r.below(128) for _ in range(1 + r.below(8)))
    return point(r.below(0x110000)) + r.of(SPACES).encode() + point(r.below(0x3000))


def text(number):
    r = Random(SEED + number * 1000003)
    return b"".join(part(r, number) for _ in range(1 + r.below(8))).decode("utf-8", "replace")


def main():
    folder = sys.argv[1]
    qwen = json.load(open(f"{folder}/qwen2.json"))
    added = Tokenizer.from_str(json.dumps(qwen))
    added.add_tokens([AddedToken("[L]", lstrip=True), AddedToken("[R]", rstrip=True, normalized=False), AddedToken("[W]", single_word=True, normalized=False),
                      AddedToken("[N\u00e9]", normalized=True), AddedToken("[PP]", normalized=False), AddedToken("[P]", normalized=True)])
    added.add_special_tokens([AddedToken("[B]", lstrip=True, rstrip=True, single_word=True, normalized=False)])
    added.save(f"{folder}/added.json", pretty=False)

    for kind in ["gpt2", "smollm2", "qwen2", "llama3", "added"]:
        t = Tokenizer.from_file(f"{folder}/{kind}.json")
        if len(sys.argv) > 2:
            if kind == sys.argv[2]:
                s = text(int(sys.argv[3]))
                ids = t.encode(s, add_special_tokens=False).ids
                print(ascii(s), ids, ascii(t.decode(ids, skip_special_tokens=False)), sep="\n")
            continue
        with open(f"{folder}/{kind}.crc", "wb") as f:
            for number in range(COUNT):
                ids = t.encode(text(number), add_special_tokens=False).ids
                raw = struct.pack(f"<{len(ids)}i", *ids) + t.decode(ids, skip_special_tokens=False).encode()
                f.write(struct.pack("<I", zlib.crc32(raw)))


if __name__ == "__main__":
    main()
