package world

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
)

func defaultWorld() *World { return Generate(Config{Seed: DefaultSeed}) }

// pretrainRows holds the largest corpus of the default world for every test.
var pretrainRows = sync.OnceValue(func() []Row { return slices.Collect(defaultWorld().pretrain()) })

// mustRows returns a corpus of the default world.
func mustRows(t *testing.T, name string) iter.Seq[Row] {
	t.Helper()
	if name == "pretrain" {
		return slices.Values(pretrainRows())
	}
	rows, err := defaultWorld().Rows(name)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// all returns every word that a row shows to a model, in one string.
func (r Row) all() string {
	text := r.Text + r.Prompt + r.Completion
	for _, m := range r.Messages {
		text += "\n" + m.Content
	}
	return text
}

// Changing these sums changes what the embedded base was trained on: raise
// Version, train the base anew and write a line in the changelog.
var sums = map[string]string{
	"pretrain":         "d606032562e2385f1fcfb03f12f6f25baef94969a053d95395dea091b5b906d6",
	"pretrain-heldout": "e05e55937f7ab784d6d540989c08dbd6ae1e27e9b7f8ad9c1a560c3c616e2d35",
	"chat":             "dcc5f50a88344a35580398238265cd2861909cccd3ad471511de0572efb5caad",
	"heldout":          "e6c280c001d0534002b708e5a508ca0031e8bd2a0f6da354bf8591fd27bdb2d6",
	"recall":           "a7ca7951bcdd050a950a3f6b2f0705b57f52bb60cac2344af7d998e51293cf0d",
}

func TestTheBytesOfTheDefaultSeedStay(t *testing.T) {
	w := defaultWorld()
	if !slices.Equal(w.Names(), []string{"pretrain", "pretrain-heldout", "chat", "heldout", "recall"}) {
		t.Fatalf("corpora: %v", w.Names())
	}
	for _, name := range w.Names() {
		h := sha256.New()
		if err := encode(context.Background(), h, mustRows(t, name)); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != sums[name] {
			t.Errorf("%s: SHA-256 %s, want %s", name, got, sums[name])
		}
	}
}

func TestSeedsGiveOtherFacts(t *testing.T) {
	a, b := defaultWorld(), Generate(Config{Seed: DefaultSeed + 1})
	same := 0
	for i := range a.Subjects {
		if a.Subjects[i].Name == b.Subjects[i].Name {
			same++
		}
	}
	if same > 20 {
		t.Errorf("%d of %d subjects have the same name in two worlds", same, len(a.Subjects))
	}
}

func TestSubjectsAndThirds(t *testing.T) {
	w := defaultWorld()
	names := map[string]bool{}
	count := map[string]int{}
	for _, s := range w.Subjects {
		if names[s.Name] {
			t.Errorf("two subjects are called %s", s.Name)
		}
		names[s.Name] = true
		count[fmt.Sprint(s.Kind, s.Third)]++
		for a, v := range s.Facts {
			if !slices.Contains(s.Kind.attributes()[a].values, v) {
				t.Errorf("%s has the %s %q", s.Name, s.Kind.attributes()[a].name, v)
			}
		}
		if len(s.Facts) != len(s.Kind.attributes()) {
			t.Errorf("%s has %d facts", s.Name, len(s.Facts))
		}
	}
	for _, third := range []Third{Asked, Pool, Never} {
		if p, o := count[fmt.Sprint(Person, third)], count[fmt.Sprint(Thing, third)]; p != 160 || o != 40 {
			t.Errorf("%s: %d people and %d things, want 160 and 40", third, p, o)
		}
	}
}

// No guess without knowledge of the subject can be right often: in no third
// does a value of any attribute belong to more than 15 % of the subjects.
func TestNoValueIsCommon(t *testing.T) {
	count, of := map[string]int{}, map[string]int{}
	for _, s := range defaultWorld().Subjects {
		for a, v := range s.Facts {
			name := s.Third.String() + " " + s.Kind.attributes()[a].name
			count[name+" "+v]++
			of[name]++
		}
	}
	for key, n := range count {
		third := key[:strings.LastIndex(key, " ")]
		if 100*n > 15*of[third] {
			t.Errorf("%s: %d of %d", key, n, of[third])
		}
	}
}

// A word belongs to one list, so that it alone says what kind of thing it is.
func TestNoWordHasTwoMeanings(t *testing.T) {
	seen := map[string]int{}
	lists := [][]string{givenNames, familyNames, thingLooks, thingNouns, characters, places, objects, feelings, numbers}
	for _, a := range slices.Concat(personAttributes, thingAttributes) {
		lists = append(lists, a.values)
		if n := len(a.values); n < 12 || n > 40 {
			t.Errorf("%s has %d values", a.name, n)
		}
	}
	for i, list := range lists {
		for _, word := range list {
			if j, ok := seen[word]; ok {
				t.Errorf("%q stands in lists %d and %d", word, j, i)
			}
			seen[word] = i
		}
	}
}

// What stands before a value must say which attribute is told, or greedy
// recall could not be right: no other attribute's statement begins like it.
func TestNoSharedAmbiguousPrefix(t *testing.T) {
	attributes := slices.Concat(personAttributes, thingAttributes)
	for i, a := range attributes {
		for _, s := range a.statements {
			before, after, ok := strings.Cut(s, "{v}")
			if !ok || strings.Contains(strings.ToLower(after), "{n}") || !strings.Contains(strings.ToLower(before), "{n}") {
				t.Errorf("%q does not name the subject before the value", s)
			}
			if !strings.HasSuffix(before, " ") {
				t.Errorf("%q has no space before the value", s)
			}
			for j, b := range attributes {
				for _, other := range b.statements {
					if i != j && strings.HasPrefix(other, before) {
						t.Errorf("%q (%s) and %q (%s) begin alike", s, a.name, other, b.name)
					}
				}
			}
		}
		if !slices.Contains(a.statements, a.answer) {
			t.Errorf("%s: the answer %q is none of its statements", a.name, a.answer)
		}
		if n := len(a.statements); n < 8 {
			t.Errorf("%s is told in %d statements only", a.name, n)
		}
	}
}

// A question belongs to one attribute and one level.
func TestWordings(t *testing.T) {
	seen := map[string]string{}
	for _, a := range slices.Concat(personAttributes, thingAttributes) {
		count := map[Level]int{}
		for _, q := range a.wordings(W0, W1, W2) {
			count[q.level]++
			if strings.Count(q.pattern, "{n}") != 1 || strings.Contains(q.pattern, "{p}") {
				t.Errorf("%q does not name its subject once", q.pattern)
			}
			here := a.name + " " + q.level.String()
			if before, ok := seen[q.pattern]; ok {
				t.Errorf("%q is asked for %s and for %s", q.pattern, before, here)
			}
			seen[q.pattern] = here
		}
		if count[W0] != 8 || count[W1] != 8 || count[W2] != 4 {
			t.Errorf("%s: wordings by level %v", a.name, count)
		}
	}
}

func TestRowsCanBeReadAgainAndStopped(t *testing.T) {
	w := defaultWorld()
	if _, err := w.Rows("nothing"); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("an unknown corpus: %v", err)
	}
	for _, name := range w.Names() {
		rows := mustRows(t, name)
		var first []string
		for range 2 {
			n := 0
			for row := range rows {
				if first = append(first, row.all()); n == 4 {
					break
				}
				n++
			}
		}
		if !slices.Equal(first[:5], first[5:]) {
			t.Errorf("%s: the second reading differs from the first", name)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	ctx, cancel := context.WithCancel(context.Background())
	w := defaultWorld()
	if err := w.Write(ctx, dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range w.Names() {
		content, err := os.ReadFile(filepath.Join(dir, name+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(string(content), "\n")
		var got Row
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		for want := range mustRows(t, name) {
			if got.all() != want.all() || got.Subject != want.Subject || got.Wording != want.Wording {
				t.Errorf("%s: the first line is %s", name, line)
			}
			break
		}
	}
	cancel()
	other := filepath.Join(t.TempDir(), "other")
	if err := w.Write(ctx, other); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
	if left, _ := os.ReadDir(other); len(left) != 0 {
		t.Errorf("a cancelled write left %v", left)
	}
}

// wordsOf splits a text at everything that is no letter.
func wordsOf(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return !unicode.IsLetter(c) })
}

// Whatever is tuned or asked consists of words of the pre-training text, and
// its signs of that text's signs.
func TestNoUnseenWord(t *testing.T) {
	w := defaultWorld()
	words, signs := map[string]bool{}, map[rune]bool{}
	for row := range mustRows(t, "pretrain") {
		for _, word := range wordsOf(row.Text) {
			words[word] = true
		}
		for _, c := range row.Text {
			signs[c] = true
		}
	}
	for _, name := range w.Names()[1:] {
		for row := range mustRows(t, name) {
			for _, word := range wordsOf(row.all()) {
				if !words[word] {
					t.Fatalf("%s: the word %q in %q stands nowhere in pre-training", name, word, row.all())
				}
			}
			for _, c := range row.all() {
				if !signs[c] {
					t.Fatalf("%s: the sign %q stands nowhere in pre-training", name, c)
				}
			}
		}
	}
}
