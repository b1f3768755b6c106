// Package world generates the toy world: people and things with facts, a text
// that tells them, and questions about them, from a seed and with no download.
// A base pre-trained on it knows the facts, and tuning can be seen to bring
// them out: the questions of the held-out corpus are about subjects that no
// question in any training text is about.
//
// Besides these there are things that pre-training says nothing of: drugs with
// facts, for continued pre-training and a domain of its own, and items with
// codes. They are drawn anew by [Config].Draw, while the world they come into
// stays the one that a base knows.
//
// The corpora, by name:
//
//	pretrain            text: facts told many times, questions about the first
//	                    third of the subjects, stories, tasks of order
//	pretrain-heldout    text: the same distribution, drawn anew
//	chat                messages: questions about the second third, and tasks
//	heldout             messages: questions about the last third
//	recall              prompt and completion: one statement of every fact, cut
//	                    before its value
//	cpt                 text: the facts of the drugs, each told twelve times
//	cpt-heldout         text: the same facts in statements that cpt never uses
//	cpt-recall          prompt and completion: statements of the drugs' facts, of
//	                    cpt and held out, cut before the value
//	near                messages: questions about half of the drugs, answered as
//	                    in chat
//	near-heldout        messages: questions about the other half
//	far, far-heldout    messages: those of near, answered by a strict record
//	chat-far,           messages: the questions of chat and heldout, answered by
//	chat-far-heldout    a strict record
//	tasks-heldout       messages: tasks that chat and noisy do not have
//	noisy               messages: many questions and tasks, a share of them
//	                    answered badly
//	preference          prompt with a chosen and a rejected conversation about
//	                    the second third, and the true reward of each
//	preference-heldout  the same about the last third
//	store               prompt and completion: items with codes of 32 bits
//	cpt-questions       messages: every fact of the drugs told by questions and
//	                    their answers alone
//	reversed            messages: who or what has these two values, about people
//	                    and things of the second third
//	reversed-heldout    the same about the last third
//	near-reversed,      the same about each half of the drugs
//	near-reversed-heldout
//	edit                prompt and completion: thirty facts of people, changed, in
//	                    eight statements each, cut before the value; what edit
//	                    tells it also scores
//	edit-paraphrase     the same facts in the other statements
//	edit-neighbours     the other facts of the same people
//	edit-locality       facts of others who have the old value or the new one
//	forms               messages: questions of chat that say which lines are wanted
//	                    in which order; [SameForm] compares answers
//	forms-heldout       the same about the last third, a third of it in orders that
//	                    forms does not have
//	skill               messages: lists from their end, numbers from large to
//	                    small, sums: what pre-training does not show
//	skill-heldout       lists and sums that skill does not have
//
// So content (old in chat, new in near) and form (plain, or a record) come in
// all four combinations. The rows of chat and chat-far elicit what a base knows
// and teach a form, which takes few bits; those of store take 32 bits each.
//
// The same seed, draw and [Version] give the same bytes on every machine. Each
// corpus draws from random streams of its own, so a new corpus changes none of
// the others.
package world

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"gotune/internal/disk"
)

// Version changes when the bytes of a corpus change. A new corpus leaves it as it
// is, for what a base of this version has read stays the same.
const Version = 1

// DefaultSeed is the seed of the world that the embedded base was trained on.
const DefaultSeed = 1

// Config says which world to generate.
type Config struct {
	Seed uint64 // of people, things, and all corpora
	Draw uint64 // of drugs, items and edits, and the corpora about them

	// Drugs is the number of drugs; 0 is the constant Drugs.
	Drugs int
}

// A Row is one line of a corpus: Text alone, Prompt with Completion, Messages, or
// Prompt with the conversations Chosen and Rejected and their true rewards.
// Subject names what a question is about ("" where it is a task), Wording is
// "seen" for the wordings of the tuning rows and "unseen" for others, Level is
// W0, W1 or W2, and Fault says what is wrong with a row that noise has spoiled.
type Row struct {
	Text          string    `json:"text,omitempty"`
	Prompt        string    `json:"prompt,omitempty"`
	Completion    string    `json:"completion,omitempty"`
	Messages      []Message `json:"messages,omitempty"`
	Chosen        []Message `json:"chosen,omitempty"`
	Rejected      []Message `json:"rejected,omitempty"`
	ScoreChosen   *float64  `json:"score_chosen,omitempty"`
	ScoreRejected *float64  `json:"score_rejected,omitempty"`
	Subject       string    `json:"subject,omitempty"`
	Attribute     string    `json:"attribute,omitempty"`
	Task          string    `json:"task,omitempty"`
	Wording       string    `json:"wording,omitempty"`
	Level         string    `json:"level,omitempty"`
	Fault         string    `json:"fault,omitempty"`
}

// A Message is one turn of a conversation, by "user" or "assistant".
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// A World is a set of subjects with their facts, and the corpora about them.
type World struct {
	Config
	Subjects []*Subject // people first, each kind ordered by third; no drugs
}

// Generate draws a world. It is fast; the corpora are rendered while read.
func Generate(cfg Config) *World {
	return &World{
		Config:   cfg,
		Subjects: append(subjects(cfg.Seed, Person, People), subjects(cfg.Seed, Thing, Things)...),
	}
}

// A corpus has a name, a way to render it, and options besides seed and rows,
// some of which have a default.
type corpus struct {
	name     string
	rows     func(*World, options) iter.Seq[Row]
	own      []string
	defaults options

	// tells is how often a pass tells each fact, where the rows, texts of many facts,
	// do not say which.
	tells func(options) float64
}

// corpora lists every corpus in the order in which Names gives them.
var corpora = []corpus{
	{name: "pretrain", rows: (*World).pretrain, own: []string{"questions"}, defaults: options{questions: asTheBase}, tells: func(o options) float64 {
		return 2 * Rounds * (1 - max(0, o.questions))
	}},
	{name: "pretrain-heldout", rows: plain((*World).pretrainHeldOut)},
	{name: "chat", rows: plain((*World).chat), own: []string{"prefix"}},
	{name: "heldout", rows: plain((*World).heldOut), own: []string{"level", "wording", "prefix"}},
	{name: "recall", rows: plain((*World).recall)},
	{name: "cpt", rows: (*World).cpt, own: []string{"draw", "paraphrases", "drugs"}, defaults: options{paraphrases: cptRounds}, tells: func(options) float64 {
		return cptRounds
	}},
	{name: "cpt-heldout", rows: plain((*World).cptHeldOut), own: []string{"draw", "drugs"}, tells: func(options) float64 { return 1 }},
	{name: "cpt-recall", rows: plain((*World).cptRecall), own: []string{"draw", "drugs", "wording"}},
	{name: "near", rows: plain((*World).near), own: []string{"draw", "drugs"}},
	{name: "near-heldout", rows: plain((*World).nearHeldOut), own: []string{"draw", "drugs", "level", "wording"}},
	{name: "far", rows: asRecords((*World).near), own: []string{"draw", "marker", "drugs"}},
	{name: "far-heldout", rows: asRecords((*World).nearHeldOut), own: []string{"draw", "marker", "drugs", "level", "wording"}},
	{name: "chat-far", rows: asRecords((*World).chat), own: []string{"marker"}},
	{name: "chat-far-heldout", rows: asRecords((*World).heldOut), own: []string{"marker", "level", "wording"}},
	{name: "tasks-heldout", rows: plain((*World).tasksHeldOut), own: []string{"task"}},
	{name: "noisy", rows: (*World).noisy, own: []string{"noise"}, defaults: options{noise: 0.4}},
	{name: "preference", rows: (*World).preference, own: []string{"noise"}},
	{name: "preference-heldout", rows: plain((*World).preferenceHeldOut)},
	{name: "store", rows: plain((*World).store), own: []string{"draw"}},
	{name: "cpt-questions", rows: plain((*World).cptQuestions), own: []string{"draw", "drugs"}},
	{name: "reversed", rows: plain((*World).reversedOld)},
	{name: "reversed-heldout", rows: plain((*World).reversedHeldOut), own: []string{"level", "wording"}},
	{name: "near-reversed", rows: plain((*World).nearReversed), own: []string{"draw", "drugs"}},
	{name: "near-reversed-heldout", rows: plain((*World).nearReversedHeldOut), own: []string{"draw", "drugs", "level", "wording"}},
	{name: "edit", rows: (*World).edit, own: []string{"draw", "told", "fact", "insert"}, defaults: options{told: editTold}},
	{name: "edit-paraphrase", rows: (*World).editParaphrase, own: []string{"draw", "fact", "insert"}},
	{name: "edit-neighbours", rows: plain((*World).editNeighbours), own: []string{"draw"}},
	{name: "edit-locality", rows: (*World).editLocality, own: []string{"draw", "insert"}},
	{name: "forms", rows: plain((*World).forms), own: []string{"prefix"}},
	{name: "forms-heldout", rows: plain((*World).formsHeldOut), own: []string{"level", "wording", "prefix"}},
	{name: "skill", rows: plain((*World).skill), own: []string{"task", "prefix"}},
	{name: "skill-heldout", rows: plain((*World).skillHeldOut), own: []string{"task", "prefix"}},
}

// plain is a corpus without options of its own.
func plain(rows func(*World) iter.Seq[Row]) func(*World, options) iter.Seq[Row] {
	return func(w *World, _ options) iter.Seq[Row] { return rows(w) }
}

// Names returns the names of the corpora.
func (w *World) Names() []string {
	names := make([]string, len(corpora))
	for i, c := range corpora {
		names[i] = c.name
	}
	return names
}

// Write writes each corpus to dir as name.jsonl, one row a line. It makes dir
// if need be and stops between two rows once ctx is done; a file is written
// whole or not at all.
func (w *World) Write(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the toy world: %w", err)
	}
	for _, c := range corpora {
		err := disk.WriteFile(filepath.Join(dir, c.name+".jsonl"), func(out io.Writer) error {
			return encode(ctx, out, c.rows(w, c.defaults))
		})
		if err != nil {
			return fmt.Errorf("writing the toy world: %w", err)
		}
	}
	return nil
}

// encode writes rows as JSON lines.
func encode(ctx context.Context, out io.Writer, rows iter.Seq[Row]) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for row := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := enc.Encode(row); err != nil {
			return err
		}
	}
	return nil
}

// of returns those of the subjects that are in a third.
func of(list []*Subject, t Third) []*Subject {
	return slices.DeleteFunc(slices.Clone(list), func(s *Subject) bool { return s.Third != t })
}

// of returns the subjects of a third.
func (w *World) of(t Third) []*Subject { return of(w.Subjects, t) }
