package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gotune/examples"
	"gotune/train"
)

// runFlags are the flags of the commands that do a recipe: train and pretrain.
type runFlags struct {
	config, resume, format string
	recipe                 train.Recipe // with what was given by flag
}

func newRunFlags(c *cobra.Command, command string) *runFlags {
	f := &runFlags{recipe: train.DefaultRecipe()}
	c.Flags().StringVar(&f.config, "config", "", "recipe in YAML; flags override its keys")
	c.Flags().StringVar(&f.resume, "resume", "", "run folder to go on with, from its newest checkpoint")
	c.Flags().StringVar(&f.format, "log-format", "text", "text for people, json for programs")
	bindRecipe(c, command, &f.recipe)
	return f
}

// run does the recipe, or goes on with a run. Without a recipe file and without
// data the embedded recipe of the name preset is the file. The recipe is shown to
// check before anything is done.
func (f *runFlags) run(c *cobra.Command, preset string, check func(*train.Recipe) error) error {
	o, err := newObserver(c, f.format)
	if err != nil {
		return err
	}
	if f.resume != "" {
		return f.goOn(c, o)
	}
	r, err := f.resolve(c.Flags(), preset)
	if err != nil {
		return err
	}
	if err := check(&r); err != nil {
		return err
	}
	_, err = train.Run(c.Context(), r, o)
	return err
}

// resolve puts defaults, the recipe file and flags together.
func (f *runFlags) resolve(flags *pflag.FlagSet, preset string) (train.Recipe, error) {
	r := train.DefaultRecipe()
	switch {
	case f.config != "":
		if err := r.ReadRecipe(f.config); err != nil {
			return r, usageError{err}
		}
	case preset != "" && !flags.Changed("data"):
		raw, err := examples.Recipes.ReadFile(preset)
		if err != nil {
			return r, err
		}
		if err := r.Parse(preset, raw); err != nil {
			return r, err
		}
	}
	override(flags, &r, &f.recipe)
	return r, nil
}

// goOn resumes a run. The recipe of the run stands, so no flag that would change
// it is taken.
func (f *runFlags) goOn(c *cobra.Command, o train.Observer) error {
	var wrong error
	c.Flags().Visit(func(flag *pflag.Flag) {
		if !slices.Contains([]string{"resume", "threads", "log-format"}, flag.Name) {
			wrong = usagef("--%s cannot be given with --resume: the recipe of the run stands", flag.Name)
		}
	})
	if wrong != nil {
		return wrong
	}
	_, err := train.Resume(c.Context(), f.resume, f.recipe.Threads, o)
	return err
}
