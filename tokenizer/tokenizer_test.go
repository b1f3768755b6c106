package tokenizer

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"
)

// small returns a tokenizer trained on a few words.
func small(t testing.TB) *Tokenizer {
	t.Helper()
	text := strings.Repeat("the cat sat on the mat, and the rat sat on the cat. It's 1234 o'clock!\n", 3)
	tok, err := Train(context.Background(), slices.Values([]string{text, "ünïcode ünïcode 日本語 日本"}), TrainConfig{
		VocabSize: 310, SpecialTokens: []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"}, EOS: "<|endoftext|>", Pad: "<|pad|>",
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// The words are worked out by hand from the pattern.
func TestSplitGPT2(t *testing.T) {
	for text, want := range map[string][]string{
		"Hello world":      {"Hello", " world"},
		"it's we'll I'D":   {"it", "'s", " we", "'ll", " I", "'", "D"},
		"a  b":             {"a", " ", " b"},
		"a   \n b":         {"a", "   \n", " b"},
		"a\n\nb":           {"a", "\n", "\n", "b"},
		"x  ":              {"x", "  "},
		"v1.25, (ok)":      {"v", "1", ".", "25", ",", " (", "ok", ")"},
		" '":               {" '"},
		"日本 42½":           {"日本", " 42½"},
		"\u00a0x \u2003 y": {"\u00a0", "x", " \u2003", " y"},
		" 's":              {" '", "s"},
	} {
		var got []string
		splitGPT2(text, func(w string) { got = append(got, w) })
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSpecialTokensInsideText(t *testing.T) {
	tok := small(t)
	text := "the<|im_end|>cat"
	end, _ := tok.ID("<|im_end|>")
	if ids := tok.Encode(text); !slices.Contains(ids, end) {
		t.Errorf("Encode(%q) = %v has no %d", text, ids, end)
	}
	ids := tok.EncodeText(text)
	if slices.Contains(ids, end) {
		t.Errorf("EncodeText(%q) = %v has %d", text, ids, end)
	}
	if got := tok.Decode(ids, true); got != text {
		t.Errorf("decoded %q", got)
	}
	if got := tok.Decode(tok.Encode(text), true); got != "thecat" {
		t.Errorf("decoded without special tokens: %q", got)
	}
	if id, ok := tok.EOS(); !ok || id != 0 {
		t.Errorf("EOS = %d, %t", id, ok)
	}
	if _, ok := tok.BOS(); ok || tok.AddsBOS() {
		t.Error("there is a BOS")
	}
}

// Both ways of merging a word are one function: the short loop and the queue.
func TestLongWordsMergeAlike(t *testing.T) {
	m := small(t).bpe
	for _, word := range []string{strings.Repeat("the", 20), strings.Repeat("t", 50), strings.Repeat("catsat", 9) + "on"} {
		var symbols []int32
		for i := range len(word) {
			symbols = append(symbols, m.bytes[word[i]])
		}
		long := m.mergeLong(slices.Clone(symbols))
		for {
			best, at := merge{rank: -1}, 0
			for i := 0; i+1 < len(symbols); i++ {
				if c, ok := m.merges[pair{symbols[i], symbols[i+1]}]; ok && (best.rank < 0 || c.rank < best.rank) {
					best, at = c, i
				}
			}
			if best.rank < 0 {
				break
			}
			symbols[at] = best.id
			symbols = slices.Delete(symbols, at+1, at+2)
		}
		if !slices.Equal(long, symbols) {
			t.Errorf("%q: %v and %v", word, long, symbols)
		}
	}
}

func TestStreamNeverSplitsACharacter(t *testing.T) {
	tok := small(t)
	for _, text := range []string{"日本語 and ünïcode 👩‍👩‍👧", "plain"} {
		s, got := tok.Stream(), ""
		for _, id := range tok.Encode(text) {
			part := s.Next(id)
			if !utf8.ValidString(part) {
				t.Errorf("%q came in the piece %q", text, part)
			}
			got += part
		}
		if got += s.Flush(); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

// One U+FFFD for each maximal beginning of a character; the table is that of the
// Unicode standard, section 3.9, table 3-8.
func TestInvalidBytes(t *testing.T) {
	for in, want := range map[string]string{
		"a\xf1\x80\x80\xe1\x80\xc2b\x80c\x80\xbfd": "a\ufffd\ufffd\ufffdb\ufffdc\ufffd\ufffdd",
		"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82A":        strings.Repeat("\ufffd", 8) + "A",
		"\xed\xa0\x80\xf4\x91\x92\x93":             strings.Repeat("\ufffd", 7),
		"ok\xe6\x97":                               "ok\ufffd",
	} {
		if got, _ := lossy(nil, []byte(in), true); string(got) != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestSaveThenLoad(t *testing.T) {
	tok, dir := small(t), t.TempDir()
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := LoadFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	if tok.SHA256() != again.SHA256() || tok.SHA256() != small(t).SHA256() {
		t.Error("hashes differ")
	}
	if text := "the mat<|pad|> 12"; !slices.Equal(tok.Encode(text), again.Encode(text)) {
		t.Error("ids differ")
	}
}

func TestUnknownPartsAreRefusedByName(t *testing.T) {
	const bytes = `"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"}`
	const model = `"model":{"type":"BPE","vocab":{"a":0},"merges":[]}`
	for name, c := range map[string]struct{ file, want string }{
		"broken":       {`{`, "tokenizer.json: unexpected end"},
		"model":        {`{` + bytes + `,"model":{"type":"Unigram"}}`, `model "Unigram" is not supported`},
		"normalizer":   {`{` + bytes + `,` + model + `,"normalizer":{"type":"Lowercase"}}`, `normalizer "Lowercase" is not supported`},
		"split":        {`{"pre_tokenizer":{"type":"Metaspace"},` + model + `}`, "must end in ByteLevel"},
		"decoder":      {`{"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"Fuse"},` + model + `}`, `decoder "Fuse" is not supported`},
		"fallback":     {`{` + bytes + `,"model":{"type":"BPE","byte_fallback":true,"vocab":{}}}`, "byte_fallback is not supported"},
		"merge":        {`{` + bytes + `,"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`, `merge 0: "a" and "b"`},
		"huge id":      {`{` + bytes + `,"model":{"type":"BPE","vocab":{"a":2000000000},"merges":[]}}`, "outside 0"},
		"shared id":    {`{` + bytes + `,"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}}`, "share the id 0"},
		"strip":        {`{` + bytes + `,` + model + `,"added_tokens":[{"id":1,"content":"<m>","lstrip":true}]}`, `added token "<m>"`},
		"processor":    {`{` + bytes + `,` + model + `,"post_processor":{"type":"BertProcessing"}}`, `post_processor "BertProcessing"`},
		"bad lookback": {`{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","behavior":"Isolated","pattern":{"Regex":"("}},{"type":"ByteLevel"}]},` + model + `}`, `pattern "("`},
	} {
		_, err := Load(fstest.MapFS{"tokenizer.json": {Data: []byte(c.file)}}, "here")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "tokenizer here") {
			t.Errorf("%s: got %v, want …%s…", name, err, c.want)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	tok := small(f)
	f.Add("the cat's 12 <|im_end|> 日本  \n x")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		if got := tok.Decode(tok.Encode(text), false); got != text {
			t.Fatalf("got %q, want %q", got, text)
		}
		if got := tok.Decode(tok.EncodeText(text), true); got != text {
			t.Fatalf("as text: got %q, want %q", got, text)
		}
	})
}

func FuzzLoad(f *testing.F) {
	raw := small(f).files[tokenizerFile]
	f.Add(raw[:400])
	f.Add([]byte(`{"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tok, err := Load(fstest.MapFS{"tokenizer.json": {Data: raw}}, "fuzz")
		if err == nil {
			tok.Decode(tok.EncodeSpecial("ab 'll 12"), true)
		}
	})
}
