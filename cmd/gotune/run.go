package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gotune/examples"
	"gotune/train"
)

// runFlags are the flags of the commands that do a recipe: train and pretrain.
type runFlags struct {
	config, resume, format string
	stages                 []string     // NAME.key=value
	recipe                 train.Recipe // with what was given by flag
}

func newRunFlags(c *cobra.Command, command string) *runFlags {
	f := &runFlags{recipe: train.DefaultRecipe()}
	c.Flags().StringVar(&f.config, "config", "", "recipe in YAML; flags override its keys")
	c.Flags().StringVar(&f.resume, "resume", "", "run folder to go on with, from its newest checkpoint")
	c.Flags().StringVar(&f.format, "log-format", "text", "text for people, json for programs")
	if command == "train" {
		c.Flags().StringArrayVar(&f.stages, "stage", nil, "set a key of one stage of the recipe, as NAME.key=value; can be given several times")
	}
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
		if err := r.ReadFile(f.config); err != nil {
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
	r.Override(&f.recipe, func(key string) bool { return flags.Changed(kebab(key)) })
	for _, text := range f.stages {
		if err := setStage(&r, text); err != nil {
			return r, err
		}
	}
	return r, checkAdapterFlags(flags, &r)
}

// checkAdapterFlags refuses flags that an adapter has values of its own for, or that
// there is no adapter for. The same keys in a file may stand: a recipe of one kind of
// tuning is then done as the other by a flag alone.
func checkAdapterFlags(flags *pflag.FlagSet, r *train.Recipe) error {
	for _, f := range train.Keys() {
		name, kinds := flagName(f), train.PEFTTypesOf(f)
		switch {
		case kinds == nil || !flags.Changed(name):
		case r.WithoutAdapter():
			return usagef("--%s cannot be given with full, which trains all weights and has no adapter: leave one of them out", name)
		case r.Adapter != "" && name != "loraplus-lr-ratio":
			return usagef("--%s cannot be given with --adapter: the adapter in %s has its own; leave the flag out", name, r.Adapter)
		case r.Adapter == "" && len(r.Stages) == 0 && !slices.Contains(kinds, r.PEFTType) && slices.Contains(train.PEFTTypes(), r.PEFTType):
			return usagef("--%s cannot be given with peft_type %s: it belongs to %s", name, r.PEFTType, strings.Join(kinds, " and "))
		}
	}
	return nil
}

// setStage sets a key of one stage.
func setStage(r *train.Recipe, text string) error {
	name, rest, ok := strings.Cut(text, ".")
	key, value, ok2 := strings.Cut(rest, "=")
	if !ok || !ok2 {
		return usagef("--stage is %q; it is NAME.key=value, such as --stage sft.learning_rate=1e-4", text)
	}
	var names []string
	for i := range r.Stages {
		if r.Stages[i].Name == name {
			if err := r.Stages[i].Set(key, value); err != nil {
				return usagef("--stage %s: %w", text, err)
			}
			return nil
		}
		names = append(names, r.Stages[i].Name)
	}
	if names == nil {
		return usagef("--stage %s: the recipe has no stages", text)
	}
	return usagef("--stage %s: there is no stage %q, only %s", text, name, strings.Join(names, ", "))
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
