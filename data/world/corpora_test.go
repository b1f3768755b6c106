package world

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

// A naming is where a text names a subject: the name, and the sentence that it
// stands in.
type naming struct{ name, sentence string }

// namings finds every name of a person or thing in text, of this world or not.
func namings(text string) []naming {
	var out []naming
	for start := 0; start < len(text); {
		end := len(text)
		if i := strings.IndexAny(text[start:], ".?\n"); i >= 0 {
			end = start + i + 1
		}
		sentence := strings.TrimSpace(text[start:end])
		words := strings.FieldsFunc(sentence, func(c rune) bool { return !unicode.IsLetter(c) })
		for i := 1; i < len(words); i++ {
			if lastNames[words[i]] && firstNames[words[i-1]] {
				out = append(out, naming{words[i-1] + " " + words[i], sentence})
			}
		}
		start = end
	}
	return out
}

var (
	firstNames = set(givenNames, thingLooks)
	lastNames  = set(familyNames, thingNouns)
)

func set(lists ...[]string) map[string]bool {
	m := map[string]bool{}
	for _, word := range slices.Concat(lists...) {
		m[word] = true
	}
	return m
}

func TestNamings(t *testing.T) {
	got := namings("Pip slept. Where does Mira Adler live? Yes.\nTell me the humming kettle's month.\nMira saw Mira Adler\n")
	want := []naming{
		{"Mira Adler", "Where does Mira Adler live?"},
		{"humming kettle", "Tell me the humming kettle's month."},
		{"Mira Adler", "Mira saw Mira Adler"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// byName returns the subjects by name.
func (w *World) byName() map[string]*Subject {
	m := map[string]*Subject{}
	for _, s := range w.Subjects {
		m[s.Name] = s
	}
	return m
}

// No question on a subject that the held-out corpus may ask about stands in
// any training text, in any wording: each sentence that names such a subject
// is one of its statements, letter for letter.
func TestNoQuestionOnAHeldOutSubjectIsTrained(t *testing.T) {
	w := defaultWorld()
	subjects := w.byName()
	told := map[string]bool{}
	for _, f := range facts(w.of(Never)) {
		for i := range f.subject.Kind.attributes()[f.attribute].statements {
			told[f.subject.statement(f.attribute, i)] = true
		}
	}
	for _, name := range []string{"pretrain", "pretrain-heldout", "chat", "chat-far", "noisy", "preference", "cpt", "near", "far", "store",
		"cpt-questions", "reversed", "near-reversed", "forms", "skill"} {
		for row := range mustRows(t, name) {
			for _, n := range namings(row.all()) {
				s := subjects[n.name]
				if s == nil {
					t.Fatalf("%s: %q names nobody of this world", name, n.name)
				}
				if s.Third == Never && !told[n.sentence] {
					t.Fatalf("%s: %q says more of a held-out subject than its facts", name, n.sentence)
				}
			}
		}
	}
}

// asked returns how often each wording, and each subject, is asked in a corpus
// of messages, and checks the answers.
func asked(t *testing.T, w *World, name string) (levels, thirds map[string]int) {
	t.Helper()
	subjects := w.byName()
	levels, thirds = map[string]int{}, map[string]int{}
	for row := range mustRows(t, name) {
		if len(row.Messages) != 2 || row.Messages[0].Role != "user" || row.Messages[1].Role != "assistant" {
			t.Fatalf("%s: messages %v", name, row.Messages)
		}
		if row.Subject == "" {
			levels[row.Task]++
			continue
		}
		s := subjects[row.Subject]
		i := slices.IndexFunc(s.Kind.attributes(), func(a attribute) bool { return a.name == row.Attribute })
		pattern := strings.Replace(row.Messages[0].Content, s.mention(), "{n}", 1)
		a := s.Kind.attributes()[i]
		if !slices.Contains(a.wordings(W0, W1, W2), wording{levelOf(row.Level), pattern}) {
			t.Fatalf("%s: %q is no wording of %s at level %s", name, pattern, a.name, row.Level)
		}
		if (row.Wording == "seen") != (row.Level == "W0") {
			t.Fatalf("%s: level %s is called %s", name, row.Level, row.Wording)
		}
		if row.Messages[1].Content != (fact{s, i}).answer() {
			t.Fatalf("%s: %q answered by %q", name, row.Messages[0].Content, row.Messages[1].Content)
		}
		levels[row.Level]++
		thirds[s.Third.String()]++
	}
	return levels, thirds
}

func levelOf(name string) Level {
	return Level(slices.Index([]string{"W0", "W1", "W2"}, name))
}

func TestChatAsksThePoolInTunedWordings(t *testing.T) {
	levels, thirds := asked(t, defaultWorld(), "chat")
	if levels["W0"] != 8*(160*5+40*3) || levels["W1"]+levels["W2"] != 0 {
		t.Errorf("wordings: %v", levels)
	}
	if len(thirds) != 1 || thirds["pool"] == 0 {
		t.Errorf("thirds asked about: %v", thirds)
	}
	share := 0
	for _, task := range tasks {
		if levels[task.name] < 100 {
			t.Errorf("%d rows of %s", levels[task.name], task.name)
		}
		share += levels[task.name]
	}
	if share*5 > levels["W0"] {
		t.Errorf("%d tasks beside %d questions", share, levels["W0"])
	}
}

func TestHeldOutAsksTheRest(t *testing.T) {
	levels, thirds := asked(t, defaultWorld(), "heldout")
	if levels["W0"] != heldOutSeen || levels["W1"] != heldOutOther/2 || levels["W2"] != heldOutOther/2 || len(levels) != 3 {
		t.Errorf("wordings: %v", levels)
	}
	if len(thirds) != 1 || thirds["never"] == 0 {
		t.Errorf("thirds asked about: %v", thirds)
	}
}

// The pre-training text asks about the first third alone, in every wording of
// W0 and W1 and none of W2; it tells every fact hundreds of times; a fifth of
// it is stories and drills; and it holds no mark of a chat.
func TestPretrain(t *testing.T) {
	w := defaultWorld()
	subjects := w.byName()
	questions := map[string]wording{}
	for _, a := range slices.Concat(personAttributes, thingAttributes) {
		for _, q := range a.wordings(W0, W1, W2) {
			questions[q.pattern] = q
		}
	}
	wordings, thirds, exposures := map[string]int{}, map[Third]int{}, map[string]int{}
	var total, factual int
	for row := range mustRows(t, "pretrain") {
		if strings.Contains(row.Text, "<|") {
			t.Fatalf("a mark in %q", row.Text)
		}
		total += len(row.Text)
		names := namings(row.Text)
		if len(names) > 0 {
			factual += len(row.Text)
		}
		for _, n := range names {
			s := subjects[n.name]
			sentence := strings.TrimPrefix(strings.TrimPrefix(n.sentence, "Question: "), "Q: ")
			q, ok := questions[strings.Replace(sentence, s.mention(), "{n}", 1)]
			if !ok {
				exposures[s.Name]++
				continue
			}
			wordings[q.pattern]++
			thirds[s.Third]++
			if q.level == W2 {
				t.Fatalf("%q is asked in pre-training", sentence)
			}
		}
	}
	if len(thirds) != 1 || thirds[Asked] == 0 {
		t.Errorf("thirds asked about: %v", thirds)
	}
	for _, q := range questions {
		if (wordings[q.pattern] == 0) != (q.level == W2) {
			t.Errorf("%s %q is asked %d times", q.level, q.pattern, wordings[q.pattern])
		}
	}
	for _, s := range w.Subjects {
		if n := exposures[s.Name] / len(s.Facts); n < 200 {
			t.Errorf("each fact of %s is told %d times", s.Name, n)
		}
	}
	if other := float64(total-factual) / float64(total); other < 0.15 || other > 0.25 {
		t.Errorf("%.0f %% of the text is stories and drills, want about a fifth", 100*other)
	}
}

// Every part of a W2 wording is known from below: each word, each frame and
// each phrase occurs in a wording of W0 or W1 of the same attribute, or in a
// statement.
func TestW2IsMadeOfKnownParts(t *testing.T) {
	for _, c := range cells[W2] {
		known := slices.Concat(cells[W0], cells[W1])
		frame := slices.ContainsFunc(known, func(k [2]int) bool { return k[0] == c[0] })
		phrase := slices.ContainsFunc(known, func(k [2]int) bool { return k[1] == c[1] })
		if !frame || !phrase || slices.Contains(known, c) {
			t.Errorf("cell %v: frame known %t, phrase known %t", c, frame, phrase)
		}
	}
	for _, a := range slices.Concat(personAttributes, thingAttributes, drugAttributes) {
		words := map[string]bool{}
		for _, q := range a.wordings(W0, W1) {
			for _, word := range wordsOf(strings.ToLower(q.pattern)) {
				words[word] = true
			}
		}
		for _, s := range a.statements {
			for _, word := range wordsOf(strings.ToLower(s)) {
				words[word] = true
			}
		}
		for _, q := range a.wordings(W2) {
			for _, word := range wordsOf(strings.ToLower(q.pattern)) {
				if !words[word] {
					t.Errorf("%s: the word %q of %q is new for this attribute", a.name, word, q.pattern)
				}
			}
		}
	}
}

// Each recall prompt is a statement cut before its value, one for every fact.
func TestRecall(t *testing.T) {
	w := defaultWorld()
	subjects := w.byName()
	n := 0
	for row := range mustRows(t, "recall") {
		n++
		s := subjects[row.Subject]
		i := slices.IndexFunc(s.Kind.attributes(), func(a attribute) bool { return a.name == row.Attribute })
		found := false
		for j := range s.Kind.attributes()[i].statements {
			found = found || s.statement(i, j) == row.Prompt+row.Completion
		}
		if !found || !strings.HasPrefix(row.Completion, " "+s.Facts[i]) {
			t.Fatalf("%q + %q is no statement of %s", row.Prompt, row.Completion, row.Subject)
		}
	}
	if n != People*5+Things*3 {
		t.Errorf("%d rows", n)
	}
}
