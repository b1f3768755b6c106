package tokenizer

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// textBlock is how many texts one hash of testdata/families.py is of.
const textBlock = 10

// swaps are words of the texts that become what matters to these tokenizers.
var swaps = []string{"[L]", "▁", "[B]", "▁▁x", "[P]", "<0x41>", "[N\u00e9]", " ##s", "[Ne\u0301]", "[MASK]", "[R]", "don't", "[PP]", "``x''"}

// families are the kinds of a script with their control tokens, which stand in the
// texts in place of <|endoftext|>, <|im_start|> and <|im_end|>.
func families(t testing.TB, folder string) map[string][]string {
	raw, err := os.ReadFile("testdata/" + folder + "/kinds.json")
	if err != nil {
		t.Fatal(err)
	}
	var kinds map[string][]string
	if err := json.Unmarshal(raw, &kinds); err != nil {
		t.Fatal(err)
	}
	return kinds
}

func familyText(number int, control []string) string {
	text := goldenTexts()[number]
	for i, old := range []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"} {
		text = strings.ReplaceAll(text, old, control[i])
	}
	for i := 0; i < len(swaps); i += 2 {
		text = strings.ReplaceAll(text, swaps[i], swaps[i+1])
	}
	return text
}

func hashOf(crc uint32, tok *Tokenizer, text string) uint32 {
	plain := tok.Encode(text)
	whole := slices.Concat(tok.before, plain, tok.after) // as EncodeSpecial has it, see TestLibraryOfFamilies
	var raw []byte
	for _, id := range slices.Concat(plain, whole) {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(id))
	}
	raw = append(raw, tok.Decode(plain, false)...)
	raw = append(raw, tok.Decode(whole, true)...)
	return crc32.Update(crc, crc32.IEEETable, raw)
}

// Ids and decoded texts of 20,000 texts are those of Hugging Face's tokenizers, with
// files of the shapes that Llama 2, Mistral, Gemma, Phi-3, GPT-NeoX, RoBERTa, Falcon,
// CLIP, BERT, T5, XLM-R and ALBERT come with, and with components that none of them has.
func TestFamilies(t *testing.T) { twentyThousand(t, "families", ".json") }

// The same for folders without a tokenizer.json, against transformers.
func TestSentencePiece(t *testing.T) { twentyThousand(t, "spm", "") }

// goldenTexts are made once for all kinds.
var goldenTexts = sync.OnceValue(func() []string {
	texts := make([]string, textCount)
	for number := range texts {
		texts[number] = goldenText(number)
	}
	return texts
})

func twentyThousand(t *testing.T, folder, ending string) {
	kinds := families(t, folder)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			path := "testdata/" + folder + "/" + kind
			tok, err := LoadFile(path + ending)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(path + ".crc")
			if err != nil || len(want) != 4*textCount/textBlock {
				t.Fatalf("%d bytes of hashes, %v", len(want), err)
			}
			wrong := 0
			for block := range textCount / textBlock {
				crc := uint32(0)
				for i := range textBlock {
					crc = hashOf(crc, tok, familyText(block*textBlock+i, kinds[kind]))
				}
				if crc != binary.LittleEndian.Uint32(want[4*block:]) {
					if wrong++; wrong <= 3 {
						t.Errorf("one of texts %d to %d differs; testdata/%s.py testdata %s NUMBER shows what they should be",
							block*textBlock, (block+1)*textBlock-1, folder, kind)
					}
				}
			}
			if wrong > 0 {
				t.Errorf("%d of %d blocks differ", wrong, textCount/textBlock)
			}
		})
	}
}
