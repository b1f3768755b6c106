package tokenizer

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

func loaded(t testing.TB, file string) *Tokenizer {
	t.Helper()
	tok, err := LoadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// The library's long way gives the same with every family.
func TestLibraryOfFamilies(t *testing.T) {
	kinds := families(t, "families")
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		tok := loaded(t, "families/"+kind+".json")
		lib := tok.Library()
		for number := range 150 {
			text := strings.ToValidUTF8(familyText(number, kinds[kind]), "\uFFFD")
			want := tok.EncodeSpecial(text)
			e, err := lib.EncodeSingle(text, true)
			if err != nil {
				t.Fatalf("%s: %q: %v", kind, text, err)
			}
			if got := ints(e.Ids); !slices.Equal(got, want) {
				t.Fatalf("%s: %+q: got %v, want %v", kind, text, got, want)
			}
			plain := tok.Encode(text)
			e, err = lib.EncodeSingle(text, false)
			if err != nil {
				t.Fatalf("%s: %q: %v", kind, text, err)
			}
			if got := lib.Decode(e.Ids, false); got != tok.Decode(plain, false) && len(tok.added.written) == 0 {
				t.Fatalf("%s: decoded %+q, want %+q", kind, got, tok.Decode(plain, false))
			}
		}
	}
}

// What a stream returns is valid and, put together, what Decode returns: spaces at the
// start are left out, and bytes that form no character yet are held back.
func TestStreamsOfFamilies(t *testing.T) {
	for _, folder := range []string{"families", "spm"} {
		kinds := families(t, folder)
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			file := folder + "/" + kind
			if folder == "families" {
				file += ".json"
			}
			tok := loaded(t, file)
			s := tok.Stream()
			for number := range 300 {
				ids := tok.Encode(familyText(number, kinds[kind]))
				got := ""
				for _, id := range ids {
					part := s.Next(id)
					if !utf8.ValidString(part) {
						t.Fatalf("%s: text %d came in the piece %q", file, number, part)
					}
					got += part
				}
				if got += s.Flush(); got != tok.Decode(ids, true) {
					t.Fatalf("%s: text %d: got %+q, want %+q", file, number, got, tok.Decode(ids, true))
				}
			}
		}
	}
}

// A character of four tokens comes with its last byte; the space before a text does
// not come at all, one inside does.
func TestStreamOfBytes(t *testing.T) {
	tok := loaded(t, "families/llama2.json")
	var ids []int32
	for _, token := range []string{"▁", "a", "<0xF0>", "<0x9F>", "<0xA6>", "<0x99>", "▁", "<0xE2>", "b"} {
		id, ok := tok.ID(token)
		if !ok {
			t.Fatalf("no %s", token)
		}
		ids = append(ids, id)
	}
	s, got := tok.Stream(), []string{}
	for _, id := range ids {
		got = append(got, s.Next(id))
	}
	if want := []string{"", "a", "", "", "", "🦙", " ", "", "\uFFFDb"}; !slices.Equal(got, want) || s.Flush() != "" {
		t.Errorf("%q, want %q", got, want)
	}
}

// Parts of one text that are tokenised apart are written as the whole: no space comes
// before a part, but behind an added token as everywhere.
func TestEncodeAfter(t *testing.T) {
	tokens := func(tok *Tokenizer, ids []int32) (all []string) {
		for _, id := range ids {
			token, _ := tok.Token(id)
			all = append(all, token)
		}
		return all
	}
	for file, c := range map[string]struct{ before, text, first string }{
		"families/llama2.json":  {"the", "the", "the"},
		"families/llama2.json ": {"the", " the", "▁the"},
		"families/phi3.json":    {"<|user|>", "the", "▁the"},
		"families/mistral.json": {"the [INST]", "the", "the"},
		"families/roberta.json": {"the", "the", "the"},
		"families/gemma.json":   {"the", " the", "▁the"},
		"spm/llama":             {"a", "the", "the"},
	} {
		tok := loaded(t, strings.TrimSpace(file))
		ids, spans := tok.EncodeAfter(tok.Encode(c.before), c.text, nil)
		got := tokens(tok, ids)
		if !strings.HasPrefix(c.first, got[0]) || strings.Join(got, "") != c.first {
			t.Errorf("%s: %q after %q: %q, want %q", file, c.text, c.before, got, c.first)
		}
		if last := spans[len(spans)-1].End; last != len(c.text) {
			t.Errorf("%s: spans end at %d", file, last)
		}
		alone, _ := tok.EncodeAfter(nil, c.text, nil)
		if !slices.Equal(alone, tok.Encode(c.text)) {
			t.Errorf("%s: after nothing: %q", file, tokens(tok, alone))
		}
	}
}

// Spans follow each other and hold the bytes of a text in order.
func TestSpansOfFamilies(t *testing.T) {
	kinds := families(t, "families")
	for kind, control := range kinds {
		tok := loaded(t, "families/"+kind+".json")
		for number := range 300 {
			text := familyText(number, control)
			ids, spans := tok.EncodeSpans(text, nil)
			if !slices.Equal(ids, tok.Encode(text)) || len(spans) != len(ids) {
				t.Fatalf("%s: text %d: %v and %v", kind, number, ids, tok.Encode(text))
			}
			at := 0
			for _, s := range spans {
				if s.Start < at && s.End != s.Start || s.End < s.Start || s.End > len(text) {
					t.Fatalf("%s: text %d: %+q: spans %v", kind, number, text, spans)
				}
				at = max(at, s.End)
			}
		}
	}
	tok := loaded(t, "families/llama2.json")
	text := "the 🦙 the"
	var got []string
	ids, spans := tok.EncodeSpans(text, nil)
	for i, s := range spans {
		token, _ := tok.Token(ids[i])
		got = append(got, token+"="+text[s.Start:s.End])
	}
	if want := []string{"▁the=the", "▁= ", "<0xF0>=\xf0", "<0x9F>=\x9f", "<0xA6>=\xa6", "<0x99>=\x99", "▁the= the"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What a decoder does at the end of tokens, where the reference implementation stops
// the program on short ones.
func TestStripAtTheEnd(t *testing.T) {
	tok, err := Load(fstest.MapFS{"tokenizer.json": {Data: []byte(`{"model":{"type":"WordLevel","unk_token":"a","vocab":{"a":0,"xax":1,"xx":2,"axx":3}},
		"decoder":{"type":"Sequence","decoders":[{"type":"Strip","content":"x","start":1,"stop":1},{"type":"Fuse"},{"type":"Strip","content":"a","start":0,"stop":1}]}}`)}}, "here")
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Decode([]int32{1, 2, 3, 0}, false); got != "aax" {
		t.Errorf("%q", got)
	}
}

// Long texts of every model take time in proportion to their length; a quadratic way
// would take minutes here.
func TestLongTextsOfFamilies(t *testing.T) {
	for _, file := range []string{"families/llama2.json", "families/gemma.json", "families/xlmr.json", "families/albert.json", "families/bert.json", "spm/bpe", "spm/unigrambytes"} {
		tok := loaded(t, file)
		for _, unit := range []string{"a", " ", "▁", "the ", "\u0301", "<", "\xff", "日", "<0x41>"} {
			text := strings.Repeat(unit, 1<<16/len(unit))
			ids := tok.Encode(text)
			s, n := tok.Stream(), 0
			for _, id := range ids {
				n += len(s.Next(id))
			}
			if n += len(s.Flush()); n != len(tok.Decode(ids, true)) {
				t.Errorf("%s: %q: %d bytes", file, unit, n)
			}
		}
	}
}

// Roles come from the files as transformers takes them: of older folders from
// special_tokens_map.json and added_tokens.json, of a lone model from itself.
func TestRolesOfSentencePiece(t *testing.T) {
	type roles struct{ bos, eos, pad string }
	for kind, want := range map[string]roles{
		"llama": {"<s>", "</s>", ""}, "legacy": {"<s>", "</s>", "[PAD]"}, "gemma": {"<bos>", "<eos>", "<pad>"}, "unigram": {"<s>", "</s>", ""},
	} {
		tok := loaded(t, "spm/"+kind)
		var got roles
		for _, r := range []struct {
			get  func() (int32, bool)
			into *string
		}{{tok.BOS, &got.bos}, {tok.EOS, &got.eos}, {tok.Pad, &got.pad}} {
			if id, ok := r.get(); ok {
				*r.into, _ = tok.Token(id)
				if !tok.IsSpecial(id) {
					t.Errorf("%s: %s is not special", kind, *r.into)
				}
			}
		}
		if got != want || tok.AddsBOS() != (kind == "llama" || kind == "gemma") {
			t.Errorf("%s: %v, want %v; adds BOS: %t", kind, got, want, tok.AddsBOS())
		}
		dir := t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		again, err := LoadFile(dir)
		if err != nil || again.SHA256() != tok.SHA256() {
			t.Errorf("%s: saved and loaded: %v", kind, err)
		}
		model, err := LoadFile(filepath.Join(dir, "tokenizer.model"))
		if err != nil || model.SHA256() != tok.SHA256() {
			t.Errorf("%s: the model of what was saved: %v", kind, err)
		}
	}
}

func TestBadSentencePieceModels(t *testing.T) {
	piece := func(text string, kind uint64) []byte {
		b := protowire.AppendTag(nil, 1, protowire.BytesType)
		b = protowire.AppendString(b, text)
		b = protowire.AppendTag(b, 3, protowire.VarintType)
		b = protowire.AppendVarint(b, kind)
		return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
	}
	trainer := func(number protowire.Number, value uint64) []byte {
		b := protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), value)
		return protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), b)
	}
	unk := piece("<unk>", 2)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":    {nil, "it has no pieces"},
		"json":     {[]byte(`{"model":{}}`), "no SentencePiece model"},
		"cut":      {unk[:5], "no SentencePiece model: field 1: unexpected EOF"},
		"no text":  {piece("", 1), "piece 0: it has no text"},
		"type":     {piece("a", 9), `"a" is of the unknown type 9`},
		"model":    {slices.Concat(unk, trainer(3, 4)), "trainer_spec.model_type 4 is not supported"},
		"suffix":   {slices.Concat(unk, trainer(24, 1)), "treat_whitespace_as_suffix is not supported"},
		"unk_id":   {slices.Concat(unk, trainer(40, 1)), "unk_id 1 is none of the 1 pieces"},
		"the same": {slices.Concat(unk, piece("a", 1), piece("a", 1), trainer(3, 2)), `pieces 1 and 2 are both "a"`},
	} {
		_, err := Load(fstest.MapFS{"tokenizer.model": {Data: c.file}}, "here")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "tokenizer here: tokenizer.model") {
			t.Errorf("%s: got %v, want …%s…", name, err, c.want)
		}
	}
	if _, err := Load(fstest.MapFS{}, "here"); err == nil || !strings.Contains(err.Error(), "neither tokenizer.json nor tokenizer.model") {
		t.Error(err)
	}
}

func FuzzSentencePiece(f *testing.F) {
	for _, kind := range []string{"llama", "bpe", "unigram", "unigrambytes"} {
		raw, err := os.ReadFile("testdata/spm/" + kind + "/tokenizer.model")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, kind == "llama")
	}
	f.Fuzz(func(t *testing.T, raw []byte, llama bool) {
		files := fstest.MapFS{"tokenizer.model": {Data: raw}}
		if llama {
			files["tokenizer_config.json"] = &fstest.MapFile{Data: []byte(`{"tokenizer_class":"LlamaTokenizer","add_bos_token":true,"added_tokens_decoder":{"3":{"content":"<x>"}}}`)}
		}
		tok, err := Load(files, "fuzz")
		if err == nil {
			tok.Decode(tok.EncodeSpecial(" ab  é'll <x>12\xff"), true)
			tok.EncodeSpans(" ab  é'll <x>12\xff", nil)
		}
	})
}

// Whatever a file says, it is refused or works.
func FuzzFamilies(f *testing.F) {
	for kind := range families(f, "families") {
		raw, err := os.ReadFile("testdata/families/" + kind + ".json")
		if err != nil {
			f.Fatal(err)
		}
		var j map[string]any
		if err := json.Unmarshal(raw, &j); err != nil {
			f.Fatal(err)
		}
		m := j["model"].(map[string]any) // a small model, so that parts are what is changed
		switch vocab := m["vocab"].(type) {
		case map[string]any:
			maps.DeleteFunc(vocab, func(token string, id any) bool { return id.(float64) > 12 })
			delete(m, "merges")
		case []any:
			m["vocab"] = vocab[:12]
		}
		delete(j, "added_tokens")
		if raw, err = json.Marshal(j); err != nil {
			f.Fatal(err)
		}
		f.Add(raw, "the <s> 12\xff é\u0301 \t日 ##s")
	}
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		tok, err := Load(fstest.MapFS{"tokenizer.json": {Data: raw}}, "fuzz")
		if err == nil {
			ids, _ := tok.EncodeSpans(text, nil)
			if !slices.Equal(ids, tok.Encode(text)) {
				t.Fatalf("%v and %v", ids, tok.Encode(text))
			}
			tok.Decode(tok.EncodeSpecial(text), true)
		}
	})
}

// A hostile table of rewritings may point anywhere.
func FuzzCharsmap(f *testing.F) {
	raw, err := os.ReadFile("testdata/families/t5.json")
	if err != nil {
		f.Fatal(err)
	}
	var j struct {
		Normalizer struct {
			Charsmap string `json:"precompiled_charsmap"`
		} `json:"normalizer"`
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		f.Fatal(err)
	}
	table, err := base64.StdEncoding.DecodeString(j.Normalizer.Charsmap)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(table, "ﬁ e\u0301 \r\n x")
	f.Add(binary.LittleEndian.AppendUint32(nil, 4), "a")
	f.Fuzz(func(t *testing.T, table []byte, text string) {
		m, err := newCharsmap(table)
		if err != nil || !utf8.ValidString(text) {
			return
		}
		out, _ := m.rewrite(text, pass{track: true})
		if !utf8.ValidString(out) {
			t.Fatalf("%q becomes %q", text, out)
		}
	})
}
