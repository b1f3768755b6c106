package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gotune/data/world"
)

const worldHelp = `world writes every corpus of the toy world as a file of JSON lines. All commands
know the same corpora without files, by names such as world:chat:

  pretrain, pretrain-heldout      what the embedded base has read, and text like it
  recall                          statements of its facts, cut before the value
  chat, heldout                   questions and tasks to tune with; held-out questions
  tasks-heldout                   held-out tasks
  noisy                           20,000 questions and tasks, a share answered badly
  cpt, cpt-heldout, cpt-recall    documents on drugs, which the base has never read of;
                                  the same in other statements; these cut
  near, near-heldout              questions about the drugs, answered as in chat
  far, far-heldout                the same, answered by a strict record
  chat-far, chat-far-heldout      the questions of chat and heldout, answered so
  preference, preference-heldout  a chosen and a rejected answer, with true rewards
  store                           5,000 items with random codes of 32 bits each
  cpt-questions                   the drugs' facts told by questions and answers alone
  reversed, reversed-heldout      who has these two values: of the facts of pretrain
  near-reversed,                  the same about each half of the drugs
  near-reversed-heldout
  edit, edit-paraphrase           30 facts of people with other values; asked otherwise
  edit-neighbours, edit-locality  what is to stay: of the same people, and of others
  forms, forms-heldout            questions that say which lines are wanted in which order
  skill, skill-heldout            what pretrain never shows: reverse, descend, add

A name takes options, as in "world:cpt?draw=7&paraphrases=3":

  rows=N, seed=N   of all: the first N rows; another world
  draw=N           of cpt, near, far, store and edit: other drugs, items and facts
  drugs=N          of cpt, near and far: so many drugs, 2 to 480, in place of 96; half
                   of them are for near, half for near-heldout
  paraphrases=N    of cpt: each fact is told in N statements, 1 to 12; 12 times in all
  told=N           of edit: each fact in N statements, 1 to 8
  fact=N           of edit and edit-paraphrase: the Nth of the 30 alone
  insert=true      of edit: facts of drugs are inserted; those of people stay
  marker=true      of far and chat-far: the question says that a record is wanted
  noise=X          of noisy and preference: the share of bad answers, or swapped pairs
  questions=X      of pretrain: without its questions, and a share X of its text replaced
                   by questions and answers in the form of chat
  level=W1         of held-out questions: the rows of one level. W0 is tuned, W1 in
                   pretrain on others, W2 a new combination of known words
  wording=unseen   of held-out questions and cpt-recall: seen or unseen in tuning
  task=add         of skill and tasks-heldout: the rows of one task`

func newWorld() *cobra.Command {
	var out string
	var cfg world.Config
	c := &cobra.Command{
		Use:   "world",
		Short: "Write the toy world's corpora as JSON lines",
		Long:  worldHelp,
		Example: `  gotune world --out DIR
  gotune world --out DIR --draw 7
  gotune data "world:cpt?draw=7&rows=5"`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return usagef("--out is missing: name the folder to write to")
			}
			w := world.Generate(cfg)
			if err := w.Write(c.Context(), out); err != nil {
				return err
			}
			for _, name := range w.Names() {
				fmt.Fprintf(c.OutOrStdout(), "%s/%s.jsonl\n", out, name)
			}
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder to write to")
	c.Flags().Uint64Var(&cfg.Seed, "seed", world.DefaultSeed, "names the world; the embedded base knows that of the default")
	c.Flags().Uint64Var(&cfg.Draw, "draw", 0, "draws other drugs and items, which come into the same world")
	return c
}
