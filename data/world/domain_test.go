package world

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A sentence of a document about drugs, by the drug, the attribute and the
// statement that it was made of; the statements of cpt come first.
type told struct {
	fact      fact
	statement int
}

// drugSentences finds the statement behind every sentence of a corpus.
func drugSentences(t *testing.T, name string) []told {
	t.Helper()
	known := map[string]told{}
	for _, f := range facts(defaultWorld().drugs()) {
		for i, s := range slices.Concat(f.kind().statements, f.kind().heldOut) {
			known[f.subject.fill(s, f.value())] = told{f, i}
		}
	}
	var out []told
	for row := range mustRows(t, name) {
		text := strings.ReplaceAll(row.Text, "\n", " ")
		for sentence := range strings.SplitSeq(strings.TrimSuffix(text, "."), ". ") {
			one, ok := known[sentence+"."]
			if !ok {
				t.Fatalf("%s: %q is no statement of a drug's fact", name, sentence)
			}
			out = append(out, one)
		}
	}
	return out
}

// Each pass of cpt tells each fact twelve times, in so many different statements.
func TestExposuresOfNewFacts(t *testing.T) {
	for name, paraphrases := range map[string]int{"cpt": 12, "cpt?paraphrases=3": 3, "cpt?paraphrases=1": 1} {
		times, ways := map[string]int{}, map[string]map[int]int{}
		for _, s := range drugSentences(t, name) {
			key := s.fact.subject.Name + " " + drugAttributes[s.fact.attribute].name
			if s.statement >= cptRounds {
				t.Fatalf("%s tells %s in a held-out statement", name, key)
			}
			if ways[key] == nil {
				ways[key] = map[int]int{}
			}
			times[key]++
			ways[key][s.statement]++
		}
		if len(times) != Drugs*5 {
			t.Errorf("%s: %d facts are told", name, len(times))
		}
		for key, n := range times {
			if n != 12 || len(ways[key]) != paraphrases {
				t.Fatalf("%s tells %s %d times in %d statements", name, key, n, len(ways[key]))
			}
			for statement, n := range ways[key] {
				if n != 12/paraphrases {
					t.Fatalf("%s tells %s %d times in statement %d", name, key, n, statement)
				}
			}
		}
	}
	if n := rowCount(t, "cpt"); n != 6*Drugs+6*Drugs*5/gatherSize {
		t.Errorf("%d documents", n)
	}
}

func TestHeldOutStatements(t *testing.T) {
	for _, s := range drugSentences(t, "cpt-heldout") {
		if s.statement < cptRounds {
			t.Fatalf("cpt-heldout tells %v in a statement of cpt", s.fact.subject.Name)
		}
	}
	for _, a := range drugAttributes {
		if len(a.statements) != 12 || len(a.heldOut) != 4 {
			t.Errorf("%s: %d statements and %d held out", a.name, len(a.statements), len(a.heldOut))
		}
	}
	levels := map[string]int{}
	for row := range mustRows(t, "cpt-recall") {
		levels[row.Wording]++
	}
	if levels["seen"] != Drugs*5 || levels["unseen"] != Drugs*5 {
		t.Errorf("cpt-recall: %v", levels)
	}
}

func rowCount(t *testing.T, name string) (n int) {
	t.Helper()
	for range mustRows(t, name) {
		n++
	}
	return n
}

// Pre-training never puts the words of a drug's name together, no two draws have
// the same facts, and no value is common among the drugs.
func TestDrugsAreNew(t *testing.T) {
	names := map[string]bool{}
	for _, family := range familyNames {
		for _, material := range materials {
			names[family+" "+material] = true
		}
	}
	for _, name := range []string{"pretrain", "pretrain-heldout", "chat", "heldout", "noisy"} {
		for row := range mustRows(t, name) {
			words := wordsOf(row.all())
			for i := 1; i < len(words); i++ {
				if names[words[i-1]+" "+words[i]] {
					t.Fatalf("%s: %q", name, row.all())
				}
			}
		}
	}
	known := map[string]string{}
	for _, draw := range []uint64{0, 1, 2} {
		list := Generate(Config{Seed: DefaultSeed, Draw: draw}).drugs()
		if len(list) != Drugs || len(of(list, Pool)) != Drugs/2 || len(of(list, Never)) != Drugs/2 {
			t.Fatalf("draw %d: %d drugs", draw, len(list))
		}
		distinct, common := map[string]bool{}, map[string]int{}
		same := 0
		for _, f := range facts(list) {
			distinct[f.subject.Name] = true
			common[f.kind().name+" "+f.value()]++
			key := f.subject.Name + " " + f.kind().name
			if known[key] == f.value() {
				same++
			}
			known[key] = f.value()
		}
		if len(distinct) != Drugs {
			t.Errorf("draw %d: %d different names", draw, len(distinct))
		}
		if same > Drugs*5/20 {
			t.Errorf("draw %d shares %d facts with those before", draw, same)
		}
		for value, n := range common {
			if n > Drugs/12 {
				t.Errorf("draw %d: the %s of %d drugs", draw, value, n)
			}
		}
	}
}

// The tuned questions are about one half of the drugs, the held-out ones about
// the other, each fact once at each level; far asks the same in the same order.
func TestNearAndFar(t *testing.T) {
	w := defaultWorld()
	pool, never := map[string]bool{}, map[string]bool{}
	for _, s := range w.drugs() {
		map[Third]map[string]bool{Pool: pool, Never: never}[s.Third][s.Name] = true
	}
	count := func(name string, of map[string]bool) map[string]int {
		levels := map[string]int{}
		once := map[string]bool{}
		for row := range mustRows(t, name) {
			if !of[row.Subject] {
				t.Fatalf("%s asks about %s", name, row.Subject)
			}
			if !strings.Contains(row.Messages[0].Content, row.Subject) || once[row.Messages[0].Content] {
				t.Fatalf("%s: %q", name, row.Messages[0].Content)
			}
			once[row.Messages[0].Content] = true
			levels[row.Level]++
		}
		return levels
	}
	for name, want := range map[string]struct {
		of     map[string]bool
		levels map[string]int
	}{
		"near":         {pool, map[string]int{"W0": 8 * 5 * Drugs / 2}},
		"far":          {pool, map[string]int{"W0": 8 * 5 * Drugs / 2}},
		"near-heldout": {never, map[string]int{"W0": 240, "W1": 240, "W2": 240}},
		"far-heldout":  {never, map[string]int{"W0": 240, "W1": 240, "W2": 240}},
	} {
		if got := count(name, want.of); !maps.Equal(got, want.levels) {
			t.Errorf("%s: %v, want %v", name, got, want.levels)
		}
	}
}

// A record is the same question with another answer: three lines, no more.
func TestRecords(t *testing.T) {
	record := regexp.MustCompile(`^name: ([A-Za-z ]+)\nkind: ([a-z]+)\nword: ([A-Za-z]+)$`)
	for plain, far := range map[string]string{"near": "far", "near-heldout": "far-heldout", "chat": "chat-far", "heldout": "chat-far-heldout"} {
		var rows []Row
		for row := range mustRows(t, plain) {
			if row.Subject != "" {
				rows = append(rows, row)
			}
		}
		marked := slices.Collect(mustRows(t, far+"?marker=true"))
		i := 0
		for row := range mustRows(t, far) {
			question, answer := row.Messages[0].Content, row.Messages[1].Content
			m := record.FindStringSubmatch(answer)
			if m == nil || !strings.HasSuffix(m[1], row.Subject) || m[2] != row.Attribute {
				t.Fatalf("%s: record %q", far, answer)
			}
			if !strings.Contains(rows[i].Messages[1].Content, m[3]) || question != rows[i].Messages[0].Content {
				t.Fatalf("%s: %q is answered by %q, in %s by %q", far, question, answer, plain, rows[i].Messages[1].Content)
			}
			if marked[i].Messages[0].Content != question+recordMark || marked[i].Messages[1] != row.Messages[1] {
				t.Fatalf("%s: marked %q", far, marked[i].Messages)
			}
			i++
		}
		if i != len(rows) || i != len(marked) {
			t.Errorf("%s has %d rows, %d marked, %s %d questions", far, i, len(marked), plain, len(rows))
		}
	}
}

func TestHeldOutTasksAreAskedNowhereElse(t *testing.T) {
	asked := map[string]bool{}
	for _, name := range []string{"chat", "noisy"} {
		for row := range mustRows(t, name) {
			asked[row.Messages[0].Content] = true
		}
	}
	kinds := map[string]int{}
	for row := range mustRows(t, "tasks-heldout") {
		if asked[row.Messages[0].Content] {
			t.Errorf("%q is asked before", row.Messages[0].Content)
		}
		asked[row.Messages[0].Content] = true
		kinds[row.Task]++
	}
	for _, task := range tasks {
		if kinds[task.name] != heldOutTasks/len(tasks) {
			t.Errorf("%d tasks of %s", kinds[task.name], task.name)
		}
	}
}

// Codes are 32 bits: eight words, each of sixteen equally likely.
func TestStore(t *testing.T) {
	names, codes, words := map[string]bool{}, map[string]bool{}, map[string]int{}
	for row := range mustRows(t, "store") {
		names[row.Subject] = true
		codes[row.Completion] = true
		code := wordsOf(row.Completion)
		if len(code) != 8 || !strings.Contains(row.Prompt, row.Subject) {
			t.Fatalf("%q %q", row.Prompt, row.Completion)
		}
		for _, word := range code {
			words[word]++
		}
	}
	if len(names) != Items || len(codes) != Items {
		t.Errorf("%d names, %d codes", len(names), len(codes))
	}
	if len(words) != 16 {
		t.Errorf("%d words", len(words))
	}
	for word, n := range words { // 2,500 ± 48
		if n < 2250 || n > 2750 {
			t.Errorf("%s comes %d times", word, n)
		}
	}
}
