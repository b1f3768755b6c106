package tokenizer

import (
	"context"
	"os"
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
		if got := cuts(eachWord(wordGPT2), text); !slices.Equal(got, want) {
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
	m := small(t).model.(*bpe)
	for _, word := range []string{strings.Repeat("the", 20), strings.Repeat("t", 50), strings.Repeat("catsat", 9) + "on"} {
		symbols := m.ofBytes.symbols(word)
		long := m.mergeLong(slices.Clone(symbols))
		symbols = m.mergeShort(symbols)
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
	split := func(pattern string) string {
		return `{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","behavior":"Isolated","pattern":{"Regex":"` + pattern +
			`"}},{"type":"ByteLevel","use_regex":false}]},` + model + `}`
	}
	for name, c := range map[string]struct{ file, want string }{
		"broken":       {`{`, "tokenizer.json: unexpected end"},
		"model":        {`{` + bytes + `,"model":{"type":"Bigram"}}`, `model: type "Bigram" is not supported (supported: BPE, Unigram, WordLevel, WordPiece`},
		"normalizer":   {`{` + bytes + `,` + model + `,"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Uppercase"}]}}`, `normalizer.normalizers[1]: type "Uppercase" is not supported (supported: BertNormalizer, `},
		"split":        {`{"pre_tokenizer":{"type":"UnicodeScripts"},` + model + `}`, `pre_tokenizer: type "UnicodeScripts" is not supported`},
		"behavior":     {`{"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Kept"},` + model + `}`, `behavior "Kept" is not supported`},
		"pattern":      {`{"pre_tokenizer":{"type":"Split","pattern":{"Glob":"a"},"behavior":"Removed"},` + model + `}`, `neither "String" nor "Regex"`},
		"metaspace":    {`{"pre_tokenizer":{"type":"Metaspace","replacement":"__"},` + model + `}`, `replacement "__" is not one character`},
		"scheme":       {`{"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"last"},` + model + `}`, `prepend_scheme "last" is not supported`},
		"no list":      {`{"pre_tokenizer":{"type":"Sequence"},` + model + `}`, `pre_tokenizer: a Sequence without a list "pretokenizers"`},
		"decoder":      {`{` + model + `,"decoder":{"type":"Sequence","decoders":[{"type":"CTC"}]}}`, `decoder.decoders[0]: type "CTC" is not supported`},
		"charsmap":     {`{` + model + `,"normalizer":{"type":"Precompiled","precompiled_charsmap":"AAAAEAAA"}}`, `precompiled_charsmap: the length of its trie does not fit`},
		"unknown":      {`{"model":{"type":"BPE","unk_token":"<unk>","vocab":{"a":0},"merges":[]}}`, `model: BPE: unk_token "<unk>" is not in vocab`},
		"unigram":      {`{"model":{"type":"Unigram","unk_id":3,"vocab":[["a",0]]}}`, `model: Unigram: unk_id 3 is not in vocab`},
		"word piece":   {`{"model":{"type":"WordPiece","vocab":{"a":0}}}`, `model: WordPiece: unk_token "[UNK]" is not in vocab`},
		"dropout":      {`{"model":{"type":"BPE","dropout":0.1,"vocab":{"a":0}}}`, `model: BPE: dropout 0.1 is not supported`},
		"merge":        {`{` + bytes + `,"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`, `merge 0: "a" and "b"`},
		"huge id":      {`{` + bytes + `,"model":{"type":"BPE","vocab":{"a":2000000000},"merges":[]}}`, "outside 0"},
		"shared id":    {`{` + bytes + `,"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}}`, "share the id 0"},
		"added":        {`{` + bytes + `,` + model + `,"added_tokens":[{"id":1,"content":""}]}`, "added token 1 has no content"},
		"added twice":  {`{` + bytes + `,` + model + `,"added_tokens":[{"id":1,"content":"a"}]}`, `added token "a" has id 1 but vocab has it as 0`},
		"look-behind":  {split(`(?<=a)b`), "cannot be matched in linear time"},
		"look-ahead":   {split(`a(?!b)`), "cannot be matched in linear time"},
		"possessive":   {split(`a++`), "cannot be matched in linear time"},
		"repetitions":  {split(`a{,2}`), `write {0,n}`},
		"intersection": {split(`[a-z&&b]+`), `(&&) are not supported`},
		"pair":         {`{` + bytes + `,` + model + `,"post_processor":{"type":"BertProcessing","sep":["a"],"cls":["a",0]}}`, `["a"] is no pair`},
		"null":         {`{"model":{"type":"Unigram","unk_id":0,"vocab":[["a",null]]}}`, `["a",null] is no pair`},
		"no cls":       {`{` + bytes + `,` + model + `,"post_processor":{"type":"RobertaProcessing","sep":["a",0]}}`, `sep and cls are needed`},
		"no score":     {`{"model":{"type":"Unigram","unk_id":0,"vocab":[["a"]]}}`, `["a"] is no pair`},
		"reference":    {split(`(a)\\1`), `the escape "\\1" is not supported`},
		"class":        {split(`\\p{Han}+`), `is not supported`},
		"anchor":       {split(`^a`), `'^' at 0 is not supported`},
		"processor":    {`{` + bytes + `,` + model + `,"post_processor":{"type":"PairProcessing"}}`, `post_processor: type "PairProcessing" is not supported`},
		"template":     {`{` + bytes + `,` + model + `,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]}}`, `the token "<s>" is not among special_tokens`},
		"two texts":    {`{` + bytes + `,` + model + `,"post_processor":{"type":"TemplateProcessing","single":[]}}`, `the text A stands in it 0 times`},
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

// The patterns done by hand cut as the patterns themselves, which another matcher
// reads.
func TestPatterns(t *testing.T) {
	for pattern, next := range patterns {
		compiled, err := compilePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for number := range 3000 {
			text := strings.ToValidUTF8(goldenText(number), "?")
			if got, want := cuts(eachWord(next), text), cuts(compiled, text); !slices.Equal(got, want) {
				t.Fatalf("%s\n%+q: %+q, want %+q", pattern, text, got, want)
			}
		}
	}
}

func cuts(find pattern, text string) []string {
	var all []string
	parts(text, find, func(start, end int, _ bool) { all = append(all, text[start:end]) })
	return all
}

func FuzzPatterns(f *testing.F) {
	f.Add("it'S 1234\r\n\n x?!\n a\u00a0b 'ſ")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		for pattern, next := range patterns {
			compiled, err := compilePattern(pattern)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := cuts(eachWord(next), text), cuts(compiled, text); !slices.Equal(got, want) {
				t.Fatalf("%s\n%+q: %+q, want %+q", pattern, text, got, want)
			}
		}
	})
}

// Each switch of an added token, worked out by hand; TestTwentyThousandTexts holds
// them all against Hugging Face's tokenizers.
func TestAddedTokens(t *testing.T) {
	file := func(switches string) string {
		return `{"pre_tokenizer":{"type":"ByteLevel","use_regex":false},"decoder":{"type":"ByteLevel"},"normalizer":{"type":"NFC"},
			"model":{"type":"BPE","vocab":{"a":0,"Ġ":1,"Ã":2,"©":3},"merges":[]},"added_tokens":[{"id":9,"content":"<m>"` + switches + `}]}`
	}
	const a, gap, m = 0, 1, 9
	for _, c := range []struct {
		switches, text string
		want           []int32
	}{
		{``, "a <m> a", []int32{a, gap, m, gap, a}},
		{`,"lstrip":true`, "a  <m> a", []int32{a, m, gap, a}},
		{`,"rstrip":true`, "a <m>  a", []int32{a, gap, m, a}},
		{`,"lstrip":true,"rstrip":true`, "a <m> <m> a", []int32{a, m, m, a}},
		{`,"single_word":true`, "a<m> <m>a <m>", []int32{a, gap, a, gap, m}},
		{`,"content":"é","normalized":true`, "ae\u0301", []int32{a, m}},
		{`,"content":"é","normalized":false`, "ae\u0301a\u00e9", []int32{a, 2, 3, a, m}},
		{`,"content":"e\u0301","normalized":true`, "a\u00e9", []int32{a, m}},
	} {
		tok, err := Load(fstest.MapFS{"tokenizer.json": {Data: []byte(file(c.switches))}}, "here")
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Encode(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+q: %v, want %v", c.switches, c.text, got, c.want)
		}
	}
}

// tokenizer_config.json may name added tokens that tokenizer.json lacks.
func TestAddedTokensOfTheConfig(t *testing.T) {
	files := fstest.MapFS{
		"tokenizer.json": {Data: []byte(`{"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"Ġ":1},"merges":[]}}`)},
		"tokenizer_config.json": {Data: []byte(`{"added_tokens_decoder":{"5":{"content":"<m>","special":true,"lstrip":true}},"eos_token":"<m>",
			"chat_template":[{"name":"tool_use","template":"T"},{"name":"default","template":"D"}]}`)},
	}
	tok, err := Load(files, "here")
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode("a <m>"); !slices.Equal(got, []int32{0, 5}) || !tok.IsSpecial(5) {
		t.Errorf("%v", got)
	}
	if id, ok := tok.EOS(); !ok || id != 5 || tok.ChatTemplate() != "D" {
		t.Errorf("EOS %d, %t, template %q", id, ok, tok.ChatTemplate())
	}
	files["tokenizer_config.json"] = &fstest.MapFile{Data: []byte(`{"added_tokens_decoder":{"x":{"content":"<m>"}}}`)}
	if _, err := Load(files, "here"); err == nil || !strings.Contains(err.Error(), `added_tokens_decoder: "x" is no id`) {
		t.Error(err)
	}
}

// Spans lie side by side and hold what their tokens say.
func TestSpans(t *testing.T) {
	for _, kind := range []string{"gpt2", "smollm2", "qwen2", "llama3", "added", "prefix"} {
		tok, err := LoadFile("testdata/" + kind + ".json")
		if err != nil {
			t.Fatal(err)
		}
		for number := range 2000 {
			text := goldenText(number)
			ids, spans := tok.EncodeSpans(text, nil)
			if !slices.Equal(ids, tok.Encode(text)) || len(spans) != len(ids) {
				t.Fatalf("%s: %+q: %v and %v", kind, text, ids, tok.Encode(text))
			}
			at := 0
			for i, s := range spans {
				if s.Start != at || s.End < s.Start || s.End > len(text) {
					t.Fatalf("%s: %+q: spans %v", kind, text, spans)
				}
				at = s.End
				if exact := text[s.Start:s.End]; kind == "gpt2" && utf8.ValidString(text) && exact != fromByteLevel(tok.tokens[ids[i]]) {
					t.Fatalf("%+q: token %d is %+q and its span %+q", text, i, fromByteLevel(tok.tokens[ids[i]]), exact)
				}
			}
			if at != len(text) {
				t.Fatalf("%s: %+q: spans end at %d", kind, text, at)
			}
		}
	}
}

func TestPlainSpans(t *testing.T) {
	tok := small(t)
	end, _ := tok.ID("<|im_end|>")
	text := "<|im_end|>the<|im_end|>"
	for _, c := range []struct {
		plain []Span
		want  int
	}{{nil, 2}, {[]Span{{0, 1}}, 1}, {[]Span{{9, 10}}, 1}, {[]Span{{10, 13}}, 2}, {[]Span{{5, 20}}, 0}} {
		ids, spans := tok.EncodeSpans(text, c.plain)
		n := 0
		for i, id := range ids {
			if id == end {
				n++
				if got := text[spans[i].Start:spans[i].End]; got != "<|im_end|>" {
					t.Errorf("%q", got)
				}
			}
		}
		if n != c.want {
			t.Errorf("plain %v: %d control tokens, want %d", c.plain, n, c.want)
		}
	}
}

// A text of one long word, of one character or of marks alone takes time in
// proportion to its length; a quadratic way would take minutes here.
func TestLongTexts(t *testing.T) {
	for _, kind := range []string{"gpt2", "qwen2", "llama3", "added"} {
		tok, err := LoadFile("testdata/" + kind + ".json")
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range []string{"a", " ", "\n", "1", "the ", "a\u0301", "\u0301", "<", "<|im_", "\xff", "-", "'"} {
			text := strings.Repeat(unit, 1<<18/len(unit))
			if n := len(tok.Encode(text)); n == 0 {
				t.Errorf("%s: %q: no token", kind, unit)
			}
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	raw, err := os.ReadFile("testdata/train.txt")
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat(string(raw), 20)
	for _, kind := range []string{"gpt2", "smollm2", "qwen2", "llama3"} {
		tok, err := LoadFile("testdata/" + kind + ".json")
		if err != nil {
			b.Fatal(err)
		}
		b.Run(kind, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tok.Encode(text)
			}
		})
	}
}

// A pattern that a backtracking matcher would be at for longer than the world
// lasts is matched all the same.
func TestPatternsDoNotBacktrack(t *testing.T) {
	next, err := compilePattern(`(a|aa)+b|(a*)*c|a`)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("a", 1000)
	if got := cuts(next, text); len(got) != len(text) {
		t.Errorf("%d words, want %d", len(got), len(text))
	}
}
