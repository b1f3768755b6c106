package inspect_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/data"
	"gotune/data/inspect"
	"gotune/model/base"
	"gotune/tokenizer"
)

// tok is the tokenizer of the embedded base.
var tok = func() *tokenizer.Tokenizer {
	src, err := base.FS()
	if err != nil {
		panic(err)
	}
	t, err := tokenizer.Load(src, "base")
	if err != nil {
		panic(err)
	}
	return t
}()

func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func encoder(t testing.TB) data.EncoderConfig {
	t.Helper()
	template, err := data.OpenTemplate("", tok)
	if err != nil {
		t.Fatal(err)
	}
	return data.EncoderConfig{Tokenizer: tok, Template: template, MaxLength: 64}
}

func open(t testing.TB, content string) *data.Dataset {
	t.Helper()
	d, err := data.Open(t.Context(), data.Config{
		Corpora: data.Files(write(t, "a.jsonl", content)), Allow: data.FindingNames(), EncoderConfig: encoder(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func page(t testing.TB, content string, packing bool) *inspect.Page {
	t.Helper()
	p, err := inspect.New(open(t, content), tok, encoder(t).Template, packing, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain text, ä 漢 👩\u200d👧":   "plain text, ä 漢 👩\u200d👧",
		"a\nb\tc\r\x00":              "a␊b␉c␍␀",
		"\x1b[31mred\x7f":            "␛[31mred␡",
		"\u009b2J":                   "⟨U+009B⟩2J",
		"\u202eabc\u2066":            "⟨U+202E⟩abc⟨U+2066⟩",
		"\u2028\ufeff\u00a0\u200d":   "⟨U+2028⟩⟨U+FEFF⟩⟨U+00A0⟩⟨U+200D⟩",
		"\xff\xc3":                   "⟨xFF⟩⟨xC3⟩",
		"a replacement \ufffd of it": "a replacement \ufffd of it",
	} {
		if got := inspect.Visible(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Whatever a text holds, nothing of it can steer a terminal, and what is visible
// stays as it is.
func FuzzVisible(f *testing.F) {
	f.Add("a\x1b]0;title\x07\u009b\u202e\xff\u200d")
	f.Fuzz(func(t *testing.T, text string) {
		got := inspect.Visible(text)
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("%q: %q has %U", text, got, r)
			}
		}
		if again := inspect.Visible(got); again != got && !strings.Contains(text, "\u200d") {
			t.Fatalf("%q: %q, then %q", text, got, again)
		}
	})
}

// Roles, positions, weights and padding are those of the batch.
func TestRows(t *testing.T) {
	p := page(t, `{"prompt":"a","completion":"b"}`+"\n"+`{"prompt":"c","completion":"d 漢"}`, true)
	if len(p.Rows) != 1 || p.All != 1 {
		t.Fatalf("%d rows of %d", len(p.Rows), p.All)
	}
	r := p.Rows[0]
	var got []string
	for _, s := range r.Segments {
		for _, token := range s.Tokens {
			got = append(got, fmt.Sprintf("%d.%d %s %v", s.Number, token.Position, token.Text, token.Target))
		}
	}
	want := []string{
		"0.0 a false", "0.1 b true", "0.2 <|endoftext|> true",
		"1.0 c false", "1.1 d true", "1.2   true", "1.3 漢 true", "1.4 ⋯ true", "1.5 ⋯ true", "1.6 <|endoftext|> true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if pad, _ := tok.Pad(); r.Length != 32 || r.Pad != 22 || r.PadID != pad || r.Targets != 8 {
		t.Errorf("%+v", r)
	}
}

// Without colour targets stand in brackets; with it the escape sequences are ours
// alone.
func TestTerminal(t *testing.T) {
	p := page(t, `{"prompt":"a b","completion":"\u001b[2Jc\nd"}`, false)
	var out bytes.Buffer
	if err := (inspect.Terminal{}).Rows(&out, p); err != nil {
		t.Fatal(err)
	}
	if want := "    a| b[␛][[][2][J][c][␊]\n    [d][<|endoftext|>]\n"; !strings.Contains(out.String(), want) || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q, want %q in it", out.String(), want)
	}
	out.Reset()
	if err := (inspect.Terminal{Color: true}).Rows(&out, p); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\x1b[38;5;16;48;5;"); n != p.Rows[0].Targets || strings.Contains(out.String(), "\x1b[2J") {
		t.Errorf("%d coloured targets of %d: %q", n, p.Rows[0].Targets, out.String())
	}
}

// A page of HTML is well-formed, has no script and takes nothing from elsewhere,
// whatever the data holds.
func TestHTML(t *testing.T) {
	p := page(t, `{"prompt":"<script>alert(1)</script>","completion":"\"><img src=x onerror=alert(1)> & \u001b[2J\u0000"}`, true)
	p.Report.Files[0].Path = `<b onload="x">.jsonl`
	p.Findings = append(p.Findings, data.Finding{Name: "no-eos", Text: "<i>", Stops: true})
	var out bytes.Buffer
	if err := p.HTML(&out); err != nil {
		t.Fatal(err)
	}
	for _, evil := range []string{"<script", "<img", "<b ", "<i>", "\x1b", "\x00", "http:", "https:", "url("} {
		if strings.Contains(out.String(), evil) {
			t.Errorf("the page holds %q", evil)
		}
	}
	for _, good := range []string{`<span class="t" title="id `, `, position 0, segment 0, prompt">&lt;</span>`, "no-eos, stops training: &lt;i&gt;"} {
		if !strings.Contains(out.String(), good) {
			t.Errorf("the page lacks %q", good)
		}
	}
	d := xml.NewDecoder(&out)
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Lines of JSON hold what data.Open makes of the rows, in their order, and errors
// in their place.
func TestJSON(t *testing.T) {
	content := strings.Join([]string{
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","weight":0.5}]}`,
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":""}]}`,
		`{"messages":[{"role":"human","content":"q"}]}`,
		`{`,
		`{"messages":[{"role":"user","content":"` + strings.Repeat("long ", 60) + `"},{"role":"assistant","content":"a"}]}`,
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}`,
	}, "\n")
	text := write(t, "b.txt", strings.Repeat("one two three ", 40))
	path := write(t, "a.jsonl", content)
	var out bytes.Buffer
	all, wrong, err := inspect.JSON(t.Context(), &out, data.Files(path, text), encoder(t))
	if err != nil || all != 7 || wrong != 4 {
		t.Fatalf("%d of %d rows are wrong, %v", wrong, all, err)
	}
	var got []string
	for l := range strings.Lines(out.String()) {
		var line struct {
			Row     int
			Piece   *int
			IDs     []int32
			Targets []int
			Weights []float32
			Error   string
		}
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			t.Fatal(err)
		}
		switch {
		case line.Error != "":
			line.Error = line.Error[strings.LastIndex(line.Error, "/")+1:]
			got = append(got, fmt.Sprint(line.Row, " ", line.Error))
		case len(line.IDs) != len(line.Targets) || line.Weights != nil && len(line.Weights) != len(line.IDs):
			t.Errorf("%s", l)
		default:
			learned := ""
			for i, target := range line.Targets {
				if target == 1 && line.Weights != nil {
					learned += fmt.Sprintf("%g·", line.Weights[i])
				}
				if target == 1 && line.Piece == nil {
					learned += tok.Decode(line.IDs[i:i+1], false)
				}
			}
			if line.Piece != nil {
				learned = fmt.Sprintf("piece %d", *line.Piece)
			}
			got = append(got, fmt.Sprint(line.Row, " ", learned))
		}
	}
	want := []string{
		"0 0.5·a0.5·<|im_end|>",
		"1 " + data.ErrNothingToLearn.Error(),
		`2 a.jsonl:3: column "messages", message 1: unknown role "human"`,
		"3 a.jsonl:4: invalid JSON",
		"4 too long",
		"5 b<|im_end|>",
		"6 piece 0", "6 piece 1", "6 piece 2",
	}
	if !slices.EqualFunc(want, got, func(w, g string) bool { return strings.HasPrefix(g, w) }) {
		t.Errorf("%s", cmp.Diff(want, got))
	}
}

func TestHistogram(t *testing.T) {
	tests := []struct {
		lengths []int
		bins    int
		want    []inspect.Bin
	}{
		{nil, 3, nil},
		{[]int{7, 7}, 3, []inspect.Bin{{7, 7, 2}}},
		{[]int{1, 2, 3, 4, 9}, 3, []inspect.Bin{{1, 3, 3}, {4, 6, 1}, {7, 9, 1}}},
		{[]int{5, 1}, 9, []inspect.Bin{{1, 1, 1}, {2, 2, 0}, {3, 3, 0}, {4, 4, 0}, {5, 5, 1}}},
	}
	for _, tt := range tests {
		got := inspect.Histogram(tt.lengths, tt.bins)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v: -want +got:\n%s", tt.lengths, diff)
		}
	}
}
