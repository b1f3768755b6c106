package world

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The two values of a reversed question belong to the subject of the answer and to
// no other of its kind; the tuned ones are about the pool, the held-out ones about
// the last third.
func TestReversedQuestionsHaveOneAnswer(t *testing.T) {
	w := defaultWorld()
	byMention := map[string]*Subject{}
	for _, s := range slices.Concat(w.Subjects, w.drugs()) {
		byMention[s.mention()] = s
	}
	for name, want := range map[string]struct {
		third  Third
		kinds  []Kind
		levels []string
	}{
		"reversed":              {Pool, []Kind{Person, Thing}, []string{"W0"}},
		"reversed-heldout":      {Never, []Kind{Person, Thing}, []string{"W0", "W2"}},
		"near-reversed":         {Pool, []Kind{Drug}, []string{"W0"}},
		"near-reversed-heldout": {Never, []Kind{Drug}, []string{"W0", "W2"}},
	} {
		asked, levels := map[string]bool{}, map[string]bool{}
		for row := range mustRows(t, name) {
			question, answer := row.Messages[0].Content, row.Messages[1].Content
			s := byMention[strings.TrimSuffix(strings.TrimPrefix(answer, "It is "), ".")]
			if s == nil || s.Name != row.Subject || s.Third != want.third || !slices.Contains(want.kinds, s.Kind) {
				t.Fatalf("%s: %q answered by %q", name, question, answer)
			}
			fits := 0
			for _, other := range slices.Concat(w.Subjects, w.drugs()) {
				if other.Kind == s.Kind && toldOf(other, question) == 2 {
					fits++
				}
			}
			if toldOf(s, question) != 2 || fits != 1 {
				t.Fatalf("%s: %q fits %d subjects", name, question, fits)
			}
			asked[s.Name], levels[row.Level] = true, true
		}
		if got := slices.Sorted(maps.Keys(levels)); !slices.Equal(got, want.levels) {
			t.Errorf("%s: levels %v", name, got)
		}
		all := 0
		for _, s := range byMention {
			if s.Third == want.third && slices.Contains(want.kinds, s.Kind) {
				all++
			}
		}
		if 10*len(asked) < 9*all {
			t.Errorf("%s asks for %d of %d subjects", name, len(asked), all)
		}
	}
}

// toldOf returns how many of the subject's facts a reversed question names.
func toldOf(s *Subject, question string) (n int) {
	question = strings.TrimRight(question, ".?")
	for a, kind := range s.Kind.attributes() {
		if !strings.Contains(question, s.Facts[a]) {
			continue
		}
		for _, c := range kind.clauses() {
			clause := strings.Replace(c, "{v}", s.Facts[a], 1)
			if strings.Contains(question, " "+clause+" and ") || strings.HasSuffix(question, " and "+clause) {
				n++
			}
		}
	}
	return n
}

// A clause tells one attribute of one kind of subject, and each attribute has one.
func TestClauses(t *testing.T) {
	seen := map[string]string{}
	for _, kind := range []Kind{Person, Thing, Drug} {
		for _, a := range kind.attributes() {
			if len(a.clauses()) == 0 {
				t.Errorf("%v: %s has no clause", kind, a.name)
			}
			for _, c := range a.clauses() {
				is := fmt.Sprint(kind, a.name)
				if other, ok := seen[c]; ok && other != is {
					t.Errorf("%q tells %s and %s", c, other, is)
				}
				seen[c] = is
			}
		}
	}
}

// rowFact finds the fact that a cut statement is about, and the value it tells.
func rowFact(t *testing.T, subjects []*Subject, row Row) (f fact, value string) {
	t.Helper()
	for _, s := range subjects {
		if s.Name != row.Subject {
			continue
		}
		for a, kind := range s.Kind.attributes() {
			if kind.name == row.Attribute {
				return fact{s, a}, wordsOf(row.Completion)[0]
			}
		}
	}
	t.Fatalf("no fact for %+v", row)
	return fact{}, ""
}

// An edit tells a false value of thirty people's facts in eight statements, and
// asks for it in four others; what is asked beside it is true, of the same people
// and of others.
func TestEdits(t *testing.T) {
	w := defaultWorld()
	value, statements := map[string]string{}, map[string]map[string]bool{}
	for row := range mustRows(t, "edit") {
		f, v := rowFact(t, w.Subjects, row)
		key := row.Subject + " " + row.Attribute
		if v == f.value() || value[key] != "" && value[key] != v {
			t.Fatalf("%s is told to be %s and %s", key, v, value[key])
		}
		if statements[key] == nil {
			statements[key] = map[string]bool{}
		}
		value[key], statements[key][row.Prompt] = v, true
	}
	if len(value) != Edits {
		t.Errorf("%d facts are edited", len(value))
	}
	people, values := map[string]bool{}, map[string]bool{}
	for key, ways := range statements {
		if len(ways) != 8 {
			t.Errorf("%s is told in %d statements", key, len(ways))
		}
		words := strings.Fields(key)
		people[words[0]+" "+words[1]] = true
		values[value[key]] = true
	}
	asked := 0
	for row := range mustRows(t, "edit-paraphrase") {
		_, v := rowFact(t, w.Subjects, row)
		key := row.Subject + " " + row.Attribute
		if v != value[key] || statements[key][row.Prompt] {
			t.Fatalf("%+v", row)
		}
		asked++
	}
	for name, same := range map[string]bool{"edit-neighbours": true, "edit-locality": false} {
		for row := range mustRows(t, name) {
			f, v := rowFact(t, w.Subjects, row)
			if v != f.value() || people[row.Subject] != same || value[row.Subject+" "+row.Attribute] != "" {
				t.Fatalf("%s: %+v", name, row)
			}
			asked++
			if !same {
				delete(values, v)
			}
		}
	}
	if asked != 3*4*Edits || len(values) != 0 {
		t.Errorf("%d rows; nobody with the value %v", asked, values)
	}
	alone := map[string]bool{}
	for n := 1; n <= Edits; n++ {
		for _, name := range []string{"edit", "edit-paraphrase"} {
			for row := range mustRows(t, fmt.Sprintf("%s?fact=%d", name, n)) {
				if _, v := rowFact(t, w.Subjects, row); v != value[row.Subject+" "+row.Attribute] {
					t.Fatalf("edit %d alone: %+v", n, row)
				}
				alone[fmt.Sprint(n, row.Subject)] = true
			}
		}
	}
	if len(alone) != Edits {
		t.Errorf("%d edits one by one", len(alone))
	}
	one := rowCount(t, "edit?told=1")
	if one != Edits || rowCount(t, "edit?told=8") != 8*Edits {
		t.Errorf("%d rows of one statement", one)
	}
}

// Inserted facts are those that cpt of the same draw tells.
func TestInsertedFacts(t *testing.T) {
	w := Generate(Config{Seed: DefaultSeed, Draw: 3})
	subjects := map[string]bool{}
	for _, name := range []string{"edit", "edit-paraphrase"} {
		for row := range mustRows(t, name+"?insert=true&draw=3") {
			if f, v := rowFact(t, w.drugs(), row); f.value() != v {
				t.Fatalf("%s: %+v", name, row)
			}
			subjects[row.Subject] = true
		}
	}
	if len(subjects) != Edits {
		t.Errorf("%d drugs", len(subjects))
	}
	for row := range mustRows(t, "edit-locality?insert=true&draw=3") {
		if f, v := rowFact(t, w.Subjects, row); f.value() != v {
			t.Fatalf("%+v", row)
		}
	}
}

// An answer has the lines that the question asks for, and the forms of the two
// levels are apart.
func TestForms(t *testing.T) {
	subjects, seen := defaultWorld().byName(), map[string]string{}
	for name, third := range map[string]Third{"forms": Pool, "forms-heldout": Never} {
		for row := range mustRows(t, name) {
			if s := subjects[row.Subject]; s.Third != third {
				t.Fatalf("%s asks about %s", name, row.Subject)
			}
			wanted := row.Messages[0].Content[strings.LastIndex(row.Messages[0].Content, " Say ")+len(" Say "):]
			var keys []string
			for line := range strings.SplitSeq(row.Messages[1].Content, "\n") {
				key, _, _ := strings.Cut(line, ": ")
				keys = append(keys, key)
			}
			if got := wordsOf(strings.Replace(wanted, " and ", " ", 1)); !slices.Equal(got, keys) {
				t.Fatalf("%s: %q answered by %q", name, row.Messages[0].Content, row.Messages[1].Content)
			}
			if level, ok := seen[wanted]; ok && level != row.Level {
				t.Fatalf("%q is of level %s and %s", wanted, level, row.Level)
			}
			seen[wanted] = row.Level
		}
	}
	count := map[string]int{}
	for _, level := range seen {
		count[level]++
	}
	if count["W0"] != 12 || count["W2"] != 3 {
		t.Errorf("forms by level: %v", count)
	}
}

func TestSameForm(t *testing.T) {
	for _, c := range []struct {
		want, got string
		same      bool
	}{
		{"name: A\nword: b", "name: C\nword: d", true},
		{"name: A\nword: b", "word: b\nname: A", false},
		{"name: A\nword: b", "name: A", false},
		{"name: A", "name: ", false},
		{"name: A", "The name is A.", false},
		{"It is so.", "The town of A is B.", true},
		{"It is so.", "The town of", false},
		{"one, two", "three", true},
		{"one, two", "three.", false},
		{"one, two", "", false},
	} {
		if SameForm(c.want, c.got) != c.same {
			t.Errorf("%q and %q: not %t", c.want, c.got, c.same)
		}
	}
}

// The answers of the exercises are right, and no held-out exercise is trained.
func TestSkills(t *testing.T) {
	rank := map[string]int{}
	for i, word := range numbers {
		rank[word] = i + 1
	}
	content := func(row Row) []string {
		return slices.DeleteFunc(wordsOf(row.Messages[0].Content), func(word string) bool {
			return rank[word] == 0 && !slices.Contains(objects, word)
		})
	}
	trained := map[string]bool{}
	for _, name := range []string{"skill", "skill-heldout"} {
		count := map[string]int{}
		for row := range mustRows(t, name) {
			given, answer := content(row), strings.Split(row.Messages[1].Content, ", ")
			switch row.Task {
			case "reverse":
				slices.Reverse(answer)
			case "descend":
				given = slices.SortedFunc(slices.Values(given), func(a, b string) int { return rank[b] - rank[a] })
			case "add":
				given = []string{numbers[rank[given[0]]+rank[given[1]]-1]}
			}
			if !slices.Equal(given, answer) {
				t.Fatalf("%s: %q answered by %q", name, row.Messages[0].Content, row.Messages[1].Content)
			}
			x := content(row)
			if row.Task == "add" {
				slices.Sort(x) // a sum is one in either order
			}
			key := row.Task + " " + strings.Join(x, " ")
			if name == "skill" {
				trained[key] = true
			} else if trained[key] {
				t.Fatalf("%q is trained and held out", key)
			}
			count[row.Task]++
		}
		t.Log(name, count)
		if len(count) != 3 || min(count["reverse"], count["descend"]) < 100 || count["add"] < 30 {
			t.Errorf("%s: %v", name, count)
		}
	}
}

// Without its questions pretrain has the same texts in the same order; with a share
// of new ones it is as long, and they are about the first third in tuned or W1
// wordings.
func TestQuestionsOfPretrain(t *testing.T) {
	w := defaultWorld()
	whole := map[string]bool{}
	for row := range mustRows(t, "pretrain") {
		whole[row.Text] = true
	}
	length := func(share string) (texts, total int, asked []Row) {
		for row := range mustRows(t, "pretrain?questions="+share) {
			total += len(row.all())
			if row.Text == "" {
				total += turnLength
				asked = append(asked, row)
				continue
			}
			texts++
			if !whole[row.Text] || strings.Contains(row.Text, "A: ") || strings.Contains(row.Text, "Answer: ") {
				t.Fatalf("%q", row.Text)
			}
		}
		return texts, total, asked
	}
	texts, plain, none := length("0")
	left, total, some := length("0.05")
	if len(none) != 0 || texts >= len(pretrainRows()) {
		t.Errorf("%d questions and %d of %d texts without questions", len(none), texts, len(pretrainRows()))
	}
	if share := 1 - float64(left)/float64(texts); share < 0.045 || share > 0.055 {
		t.Errorf("%.3f of the texts are replaced", share)
	}
	if ratio := float64(total) / float64(plain); ratio < 0.99 || ratio > 1.02 {
		t.Errorf("%.3f of the length", ratio)
	}
	subjects := w.byName()
	for _, row := range some {
		if subjects[row.Subject].Third != Asked || row.Level == "W2" {
			t.Fatalf("%+v", row)
		}
	}
}

// Fewer drugs are the first of more, and what is asked about them is told.
func TestFewerDrugs(t *testing.T) {
	for _, n := range []int{7, 24, 200} {
		list, all := Generate(Config{Seed: DefaultSeed, Drugs: n}).drugs(), Generate(Config{Seed: DefaultSeed, Drugs: mostDrugs}).drugs()
		names := map[string]bool{}
		for i, s := range list {
			if s.Name != all[i].Name || !slices.Equal(s.Facts, all[i].Facts) {
				t.Fatalf("%d drugs: the %dth is %+v, of more it is %+v", n, i, s, all[i])
			}
			names[s.Name] = true
		}
		if len(names) != n || len(of(list, Pool)) != n/2 {
			t.Errorf("%d drugs, %d of them in the pool", len(names), len(of(list, Pool)))
		}
		for _, name := range []string{"near", "near-heldout", "cpt-recall", "far-heldout", "near-reversed-heldout", "cpt-questions"} {
			for row := range mustRows(t, fmt.Sprintf("%s?drugs=%d", name, n)) {
				if !names[row.Subject] {
					t.Fatalf("%s asks about %s", name, row.Subject)
				}
			}
		}
	}
}

func TestRowsOfOneLevel(t *testing.T) {
	for name, want := range map[string]int{
		"near-heldout?level=W1": 240, "near-heldout?level=W2&rows=9": 9, "far-heldout?wording=unseen": 480,
		"cpt-recall?wording=seen": Drugs * 5, "heldout?level=W2": heldOutOther / 2, "near-heldout?level=W0&wording=unseen": 0, "skill?task=reverse": skillRows, "tasks-heldout?task=order": 40,
	} {
		if n := rowCount(t, name); n != want {
			t.Errorf("%s: %d rows, want %d", name, n, want)
		}
	}
}

func TestPerFact(t *testing.T) {
	w := defaultWorld()
	for name, want := range map[string]float64{
		"pretrain": 208, "pretrain?questions=0.05": 197.6, "cpt": 12, "cpt?paraphrases=1&draw=4": 12, "cpt-heldout": 1, "cpt?rows=468": 6,
		"cpt-questions": 8, "near": 8, "far": 8, "chat": 8, "recall": 1, "cpt-recall": 2, "store": 1, "store?rows=200": 1,
		"edit": 8, "edit?told=2": 2, "skill": 0, "preference?noise=0.2": 4, "noisy?noise=0": 9.3, "noisy?noise=0.4": 5.6,
	} {
		got, err := w.PerFact(name)
		if err != nil || got < want*0.99 || got > want*1.01 {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	if _, err := w.PerFact("chess"); err == nil {
		t.Error("an unknown corpus has facts")
	}
}
