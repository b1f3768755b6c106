package tokenizer

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// The texts and hashes are those of testdata/texts.py.
const (
	textSeed  = 20261124
	textCount = 20000
)

var (
	textWords = strings.Split("the of and to in is was it's we'll I'D they'VE rock'n'roll don't naïve café Straße def return self None true x+y==z 3.14 2024 1234567 "+
		"日本語 テスト 中文字符。 русский العربية עברית हिन्दी ไทย 한국어 각 ﬁ ½ ² Ⅷ ٣ १२३ ſ 'ſ 'S 'Re _a a_ Å é", " ")
	textSpaces = []string{"", " ", " ", "  ", "\n", "\n\n", "\t", " \n ", "    ", "\r\n", "\r", "\v", "\f", "\u00a0", "\u1680", "\u2003", "\u2028", "\u3000", "\u200b", "\u0085",
		"\x1c", "\x00", "\x7f", "\ufeff", " \n\n  \n x", "\u200d"}
	textEmoji   = []string{"😀", "👩‍👩‍👧", "🇩🇪", "👍🏽", "❤️", "🏴‍☠️", "👨🏿‍💻", "1️⃣", "🧑‍🤝‍🧑"}
	textSpecial = []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end", "|>", "<|im_<|im_end|>", "<|im_end|><|im_end|>", "[L]", "[R]", "[W]", "[N\u00e9]", "[Ne\u0301]", "[B]", "[P]", "[PP]"}
	textCode    = []string{"func main() {\n\tfor i := 0; i < 10; i++ {\n\t\tprintln(i)\n\t}\n}\n", "def f(x):\n    return x**2  # square\n", "{\"a\": [1, 2, {\"b\": null}]}\n",
		"<div class=\"x\">&nbsp;</div>", "SELECT * FROM t WHERE a='b';", "a->b::c(d, e)[0] |= ~0xFF;\r\n", "https://example.org/a?b=c&d=%20#e", "$\\frac{1}{2}$"}
	textRuns  = []string{"a", " ", "\n", "7", "-", "é", "ab", "中", "\t", "\u0301", "e\u0301\u0323", "'", "\r\n", "😀", "\u0345\u0334"}
	textMarks = [][2]int{{0x300, 0x70}, {0x483, 5}, {0x591, 0x2d}, {0x64b, 0x15}, {0x7eb, 9}, {0x898, 8}, {0x93c, 1}, {0x1ab0, 0x1f}, {0x1dc0, 0x40}, {0x20d0, 0x21}, {0x302a, 6}, {0x3099, 2}, {0x11938, 1}, {0x1e000, 7}}
)

// A splitmix is the random numbers of the texts (splitmix64).
type splitmix uint64

func (r *splitmix) below(n int) int {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return int((z ^ z>>31) % uint64(n))
}

func (r *splitmix) of(things []string) string { return things[r.below(len(things))] }

func point(c int) string {
	if c >= 0xd800 && c < 0xe000 || c > 0x10ffff {
		return ""
	}
	return string(rune(c))
}

func (r *splitmix) part(number int) string {
	switch kind := r.below(12); kind {
	case 0, 1, 2:
		word := r.of(textWords)
		return word + r.of(textSpaces)
	case 3: // every block of 128 characters comes at least twice
		var b strings.Builder
		for range 1 + r.below(12) {
			b.WriteString(point(number%8704*128 + r.below(128)))
		}
		return b.String()
	case 4:
		return r.of(textEmoji)
	case 5:
		out := point(97 + r.below(26))
		for range 1 + r.below(4) {
			m := textMarks[r.below(len(textMarks))]
			out += point(m[0] + r.below(m[1]))
		}
		return out
	case 6: // mostly no UTF-8
		b := make([]byte, 1+r.below(4))
		for i := range b {
			b[i] = byte(0x80 + r.below(0x80))
		}
		return string(b)
	case 7:
		s := r.of(textRuns)
		return strings.Repeat(s, 1+r.below(80))
	case 8:
		return r.of(textCode)
	case 9:
		s := r.of(textSpecial)
		return s + r.of(textSpaces)
	case 10:
		b := make([]byte, 1+r.below(8))
		for i := range b {
			b[i] = byte(r.below(128))
		}
		return string(b)
	}
	s := point(r.below(0x110000))
	s += r.of(textSpaces)
	return s + point(r.below(0x3000))
}

func goldenText(number int) string {
	r := splitmix(textSeed + number*1000003)
	var b strings.Builder
	for range 1 + r.below(8) {
		b.WriteString(r.part(number))
	}
	return b.String()
}

// Ids and decoded texts of 20,000 texts a kind are those of Hugging Face's
// tokenizers: all blocks of Unicode, joined emoji, combining marks, scripts of both
// directions, control bytes, invalid UTF-8, long runs, code, white space, and added
// tokens inside text. Also where many goroutines ask one tokenizer.
func TestTwentyThousandTexts(t *testing.T) {
	for _, kind := range []string{"gpt2", "smollm2", "qwen2", "llama3", "added"} {
		t.Run(kind, func(t *testing.T) {
			tok, err := LoadFile(filepath.Join("testdata", kind+".json"))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join("testdata", kind+".crc"))
			if err != nil || len(want) != 4*textCount {
				t.Fatalf("%d bytes of hashes, %v", len(want), err)
			}
			var wg sync.WaitGroup
			wrong := make(chan string, textCount)
			workers := max(4, runtime.GOMAXPROCS(0))
			for w := range workers {
				wg.Go(func() {
					for number := w; number < textCount; number += workers {
						text := goldenText(number)
						ids := tok.Encode(text)
						var raw []byte
						for _, id := range ids {
							raw = binary.LittleEndian.AppendUint32(raw, uint32(id))
						}
						raw = append(raw, tok.Decode(ids, false)...)
						if crc32.ChecksumIEEE(raw) != binary.LittleEndian.Uint32(want[4*number:]) {
							wrong <- fmt.Sprintf("text %d: %+q: %v, decoded %+q", number, text, ids, tok.Decode(ids, false))
						}
					}
				})
			}
			wg.Wait()
			close(wrong)
			n := 0
			for w := range wrong {
				if n++; n <= 3 {
					t.Error(w)
				}
			}
			if n > 3 {
				t.Errorf("%d texts differ; testdata/texts.py %s NUMBER shows what they should be", n, kind)
			}
		})
	}
}
