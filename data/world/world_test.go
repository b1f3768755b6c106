package world

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
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
var pretrainRows = sync.OnceValue(func() []Row { return slices.Collect(defaultWorld().pretrain(options{questions: asTheBase})) })

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
	for _, m := range slices.Concat(r.Messages, r.Chosen, r.Rejected) {
		text += "\n" + m.Content
	}
	return text
}

// A corpus whose sum changes is another corpus: raise Version and write a line in
// the changelog. With pretrain changes what the embedded base was trained on:
// train it anew.
var sums = map[string]string{
	"pretrain":           "d606032562e2385f1fcfb03f12f6f25baef94969a053d95395dea091b5b906d6",
	"pretrain-heldout":   "e05e55937f7ab784d6d540989c08dbd6ae1e27e9b7f8ad9c1a560c3c616e2d35",
	"chat":               "dcc5f50a88344a35580398238265cd2861909cccd3ad471511de0572efb5caad",
	"heldout":            "e6c280c001d0534002b708e5a508ca0031e8bd2a0f6da354bf8591fd27bdb2d6",
	"recall":             "a7ca7951bcdd050a950a3f6b2f0705b57f52bb60cac2344af7d998e51293cf0d",
	"cpt":                "a3577e63afd72fecceb92c976e0de06d9561f8f4e10698727aa1272e5cb49886",
	"cpt-heldout":        "a60225d7b3c274c913dfba561742b1a13edc96abf19f72031f727615f4d37fd3",
	"cpt-recall":         "3da19f118a190f1352ec7aaa9f057a2add7d877cef9a1463f66631acc6a3de7a",
	"near":               "cc5bb6de0a2208c85b2fd270313c112b064f253172454994c85143c2f4df66b3",
	"near-heldout":       "e977887665e2884412b7c31342faf8bd65e242af619540182b2d071249cd26c4",
	"far":                "831172a936a1c907ab71ac1a4fe72410812f299f972ed375c5e6f1acc0e7ebb9",
	"far-heldout":        "a7a64894fc15ca57253d90c47cd5226b44d7aac1635c46c5727268c7afe357fe",
	"chat-far":           "5d2fb02d31d3967466c4e4ec5f4b84cd0ac92b971f402863acdc5e402cda5ae5",
	"chat-far-heldout":   "0d1378cecce18bc7d4daac19b1351db14927c24401909091913b62eb8cd61f09",
	"tasks-heldout":      "24dfc6570a68699dd45b42d45078fc07c8510168d861437702910521862b41b5",
	"noisy":              "e6884adba5c252e6db52befdcb268dee357bb9e47f082b5b8e0a35f4b6647175",
	"preference":         "1af5c289221bf4dcb0f21841d779d41270fc1f17e329e7e80587420ea9c2a236",
	"preference-heldout": "b065cae1fbdcc859c35007637236a36aaa2d6aa1c0cf5b50638e3b537a190e0d",
	"store":              "3e4f5017d612efd19cba863f933870b2bff94c9d6279d41d69c90da3c842592c",

	"cpt-questions":         "3837e80ef10e11f6654c771ec330276d0dc826e19e4a60cb37663e1a6e1881a9",
	"reversed":              "732a6528e6060e3d78289aa129e5e86a6014ac85451d333da1db7113232cf866",
	"reversed-heldout":      "e4c7c6264d8067423bd0e33043b68cf5919b31f57b6da16a3fde7e95e3fecaa9",
	"near-reversed":         "ab5d9e8cc9644d510bd67a58ea90ffc3b181acb59568ddd7f56196ff259dcd0b",
	"near-reversed-heldout": "2f3a9b053a1554becc55003174e31d1d69b86dc49cf6edd7b1e9ee19fea1ceb8",
	"edit":                  "7650caf551d4c2692fc544988aa72a7f17a30a20ab9653bfaa75dbd1b7b2f0e4",
	"edit-paraphrase":       "2862042a8f48359c5ff8848a913674c50abcf9902bf040cc73581595c459d491",
	"edit-neighbours":       "87b566c03ff90e885bbc2ca46a1e20d87fea78ca41526a845dbfe322ec4e69cd",
	"edit-locality":         "ffabae42d99db0c97018ef9af9aa1a3068e89d5b26067ddfbe0fe78fb86da5b5",
	"forms":                 "51c3774091a74a6088b94c3c60816ffdd439c6a09231009a47d72da048e5bb32",
	"forms-heldout":         "4cfbe86c35429fc53f2bfe6dc3570079d95e480107d646c1377b5430492e328a",
	"skill":                 "bdd0a2610e18b0f9ba1950b2087e5622868b7b964186ede1f366ab6cf04efda2",
	"skill-heldout":         "735ceed6af21797d478e3ed73af61f278c0bd47a0c83cf7331f1ca8ed95cfe4f",
}

// optionSums are those of corpora with options.
var optionSums = map[string]string{
	"pretrain?questions=0.05&rows=3000": "d9efe9dfb0a4f3a9c0c185c98e3d388b9c1c3c4e2fe6f6aeb5239daf0907cd24",
	"pretrain?questions=0&rows=3000":    "785061a99a40367ef4f33d439b91832c1dea1836990aead4d624a7c693a25948",
	"cpt?drugs=24":                      "e92b8c0b70a1f964555d84ffd6562a4ba5ed068a0c191d2aeb03c2ee211999e2",
	"edit?insert=true&draw=2":           "ae6d53f6157ce2a6fe6fd17a5850a8ca50d35edbd00aaae4db8a34f77809eb45",
	"near-heldout?drugs=200&level=W2":   "5bb5673942ba3f41bb0ab0892c9a8b89f8082c3e2bc5782691e1d7117d791298",
}

func TestTheBytesOfTheDefaultSeedStay(t *testing.T) {
	w := defaultWorld()
	if len(sums) != len(w.Names()) {
		t.Errorf("%d sums of %d corpora", len(sums), len(w.Names()))
	}
	for _, name := range append(w.Names(), slices.Sorted(maps.Keys(optionSums))...) {
		h := sha256.New()
		if err := encode(context.Background(), h, mustRows(t, name)); err != nil {
			t.Fatal(err)
		}
		want := sums[name] + optionSums[name]
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s: SHA-256 %s, want %s", name, got, want)
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
	for _, kind := range []Kind{Person, Thing, Drug} {
		checkPrefixes(t, kind.attributes())
	}
	checkPrefixes(t, slices.Concat(personAttributes, thingAttributes)) // as their facts stand side by side
}

func checkPrefixes(t *testing.T, attributes []attribute) {
	t.Helper()
	for i, a := range attributes {
		for _, s := range slices.Concat(a.statements, a.heldOut) {
			before, after, ok := strings.Cut(s, "{v}")
			if !ok || strings.Contains(strings.ToLower(after), "{n}") || !strings.Contains(strings.ToLower(before), "{n}") {
				t.Errorf("%q does not name the subject before the value", s)
			}
			if !strings.HasSuffix(before, " ") {
				t.Errorf("%q has no space before the value", s)
			}
			for j, b := range attributes {
				for _, other := range slices.Concat(b.statements, b.heldOut) {
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

// A question belongs to one attribute and one level; of two kinds of subject it
// has the same level.
func TestWordings(t *testing.T) {
	levels := map[string]Level{}
	for _, kind := range []Kind{Person, Thing, Drug} {
		attributes := map[string]string{}
		for _, a := range kind.attributes() {
			count := map[Level]int{}
			for _, q := range a.wordings(W0, W1, W2) {
				count[q.level]++
				if strings.Count(q.pattern, "{n}") != 1 || strings.Contains(q.pattern, "{p}") {
					t.Errorf("%q does not name its subject once", q.pattern)
				}
				if before, ok := attributes[q.pattern]; ok {
					t.Errorf("%q is asked for %s and for %s", q.pattern, before, a.name)
				}
				attributes[q.pattern] = a.name
				if before, ok := levels[q.pattern]; ok && before != q.level {
					t.Errorf("%q is of level %s and of level %s", q.pattern, before, q.level)
				}
				levels[q.pattern] = q.level
			}
			w1 := 8
			if kind == Drug {
				w1 = 6 // frames alone, for no question on a drug is in pre-training
			}
			if count[W0] != 8 || count[W1] != w1 || count[W2] != 4 {
				t.Errorf("%s: wordings by level %v", a.name, count)
			}
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
	for _, name := range append(w.Names()[1:], "far?marker=true", "cpt?draw=9", "store?draw=9", "edit?draw=9", "edit-paraphrase?insert=true", "near-reversed-heldout?drugs=480") {
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
