package data_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/data"
)

// found opens rows with every finding allowed and returns what was found, stops
// marked by "!".
func found(t *testing.T, tok byteTokenizer, heldOut bool, content string) []string {
	t.Helper()
	c := data.Config{Corpora: data.Files(write(t, "a.jsonl", content)), HeldOut: heldOut, EncoderConfig: data.EncoderConfig{MaxLength: 64, Tokenizer: tok}}
	d, err := data.Open(t.Context(), c)
	c.Allow = data.FindingNames()
	if stopped := errors.Is(err, data.ErrFinding); err != nil {
		if !stopped {
			t.Fatal(err)
		}
		if d, err = data.Open(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, f := range d.Report().Findings {
		if f.Stops {
			f.Name += "!"
		}
		names = append(names, f.Name)
	}
	return names
}

// rowsOf makes n different rows.
func rowsOf(n int, row string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, row+"\n", i)
	}
	return b.String()
}

func TestFindings(t *testing.T) {
	good := rowsOf(10, `{"prompt":"p%d","completion":"c"}`)
	long := `{"prompt":"p","completion":"` + strings.Repeat("c", 64) + `"}` + "\n"
	padded := byteTokenizer{eos: "<|endoftext|>", pad: "<|pad|>"}
	tests := []struct {
		name      string
		tokenizer byteTokenizer
		rows      string
		want      []string
	}{
		{"nothing", base, good, nil},
		{"no EOS", byteTokenizer{}, good, []string{"no-eos!"}},
		{"conversations", base, rowsOf(3, `{"messages":[{"role":"user","content":"%d"},{"role":"assistant","content":"a"}]}`), nil},
		{"padding inside the text", padded, good + `{"prompt":"p","completion":"a<|pad|>"}`, []string{"pad-is-target"}},
		{"rows padded beforehand", padded, rowsOf(3, `{"prompt":"p%d","completion":"a<|pad|><|pad|><|pad|><|pad|>"}`), []string{"pad-is-target!"}},
		{"padding that is EOS", byteTokenizer{eos: "<|endoftext|>", pad: "<|endoftext|>"}, good, nil},
		{"few empty", base, good + `{"prompt":"p","completion":""}`, nil},
		{"many empty", base, good + strings.Repeat(`{"prompt":"p","completion":""}`+"\n", 2), []string{"empty!"}},
		{"few too long", base, rowsOf(40, `{"prompt":"p%d","completion":"c"}`) + strings.Repeat(long, 2), nil},
		{"some too long", base, rowsOf(100, `{"prompt":"p%d","completion":"ccccccccccccccccc"}`) + strings.Repeat(long, 12), []string{"dropped"}},
		{"most tokens too long", base, good + long + long, []string{"dropped!"}},
		{"one text cut of two", base, rowsOf(2, `{"text":"t%d"}`) + `{"text":"` + strings.Repeat("t", 99) + `"}`, nil},
		{"most texts cut", base, rowsOf(2, `{"text":"t%d`+strings.Repeat("t", 99)+`"}`) + `{"text":"t"}`, []string{"cut"}},
		{"duplicates", base, good + `{"prompt":"p1","completion":"c"}`, []string{"duplicates"}},
		{"a row in two hundred twice", base, rowsOf(200, `{"prompt":"p%d","completion":"c"}`) + `{"prompt":"p1","completion":"c"}`, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, found(t, tt.tokenizer, false, tt.rows)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

// What is evaluated alone needs no EOS, but what is empty is no question.
func TestFindingsInHeldOutData(t *testing.T) {
	for want, rows := range map[string]string{
		"no-eos":         `{"prompt":"p","completion":"c"}`,
		"no-eos, empty!": `{"prompt":"p","completion":"c"}` + "\n" + `{"prompt":"p","completion":""}`,
	} {
		if got := strings.Join(found(t, byteTokenizer{}, true, rows), ", "); got != want {
			t.Errorf("%s: found %s, want %s", rows, got, want)
		}
	}
}

// An error says everything that stops, and how to go on all the same.
func TestRefuse(t *testing.T) {
	findings := []data.Finding{{Name: "a", Text: "A is so", Stops: true}, {Name: "b", Text: "B is so"}, {Name: "c", Text: "C is so", Stops: true}}
	for want, allow := range map[string][]string{
		"A is so (to go on all the same: --allow a)\n  C is so (to go on all the same: --allow c)": nil,
		"C is so (to go on all the same: --allow c)":                                               {"a"},
		"": {"c", "a"},
	} {
		switch err := data.Refuse(findings, allow); {
		case want == "" && err == nil:
		case err == nil || err.Error() != want || !errors.Is(err, data.ErrFinding):
			t.Errorf("allowing %v: %v, want %q", allow, err, want)
		}
	}
	_, err := open(t, write(t, "a.jsonl", `{"text":"abc"}`), "no-eso")
	if err == nil || !strings.Contains(err.Error(), `there is no finding "no-eso"; the findings are no-eos, `) {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestOverlaps(t *testing.T) {
	open := func(content string) *data.Dataset {
		d, err := open(t, write(t, "a.jsonl", content))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	training := []*data.Dataset{
		open(rowsOf(9, `{"prompt":"p%d","completion":"c"}`)),
		open(`{"text":"` + strings.Repeat("long", 40) + `"}`),
	}
	tests := []struct{ rows, want string }{
		{`{"prompt":"q","completion":"c"}`, ""},
		{`{"prompt":"p1","completion":"c"}` + "\n" + `{"prompt":"q","completion":"c"}`, "overlap: 1 of 2 held-out rows (50.0 %)"},
		{`{"prompt":"p1","completion":"d"}` + "\n" + `{"prompt":"q","completion":"c"}`, "prompt-overlap: 1 of 2 held-out prompts (50.0 %)"},
		{`{"prompt":"p1","completion":"c"}` + "\n" + `{"prompt":"p2","completion":"d"}`, "overlap: 1 of 2 held-out rows (50.0 %), prompt-overlap: 2 of 2 held-out prompts (100.0 %)"},
		{`{"text":"` + strings.Repeat("long", 40) + `"}`, "overlap: 1 of 1 held-out rows (100.0 %)"},
		{`{"text":"long"}`, ""},
	}
	for _, tt := range tests {
		var got []string
		for _, f := range data.Overlaps(open(tt.rows), training...) {
			text, _, _ := strings.Cut(f.Text, " are ")
			got = append(got, f.Name+": "+text)
			if f.Stops {
				t.Errorf("%s: %s stops", tt.rows, f.Name)
			}
		}
		if got := strings.Join(got, ", "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.rows, got, tt.want)
		}
	}
}
