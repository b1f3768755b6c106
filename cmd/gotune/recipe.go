package main

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"gotune/examples"
	"gotune/train"
)

func newRecipe() *cobra.Command {
	c := &cobra.Command{
		Use:   "recipe",
		Short: "Check, show and begin recipes",
		Long: `A recipe is a YAML file that says everything about a run. Its keys are the flags of
train and pretrain with _ for -, and stages, a list of trainings that follow each
other.`,
		Example: `  gotune recipe init > my.yaml
  gotune recipe check my.yaml
  gotune recipe show my.yaml --learning-rate 1e-4`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newRecipeCheck(), newRecipeShow(), newRecipeInit(), newRecipeSchema())
	return c
}

func newRecipeCheck() *cobra.Command {
	var withoutData bool
	var f *runFlags
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a recipe and the data it names",
		Long: `check reads the recipe, the tokenizer and all data, as train does before it begins,
and says how many steps each stage takes and how often each corpus is seen.`,
		Args: exactly(1, "the file of a recipe"),
		RunE: func(c *cobra.Command, args []string) error {
			f.config = args[0]
			r, err := f.resolve(c.Flags(), "")
			if err != nil {
				return err
			}
			if err := r.Validate(); err != nil {
				return usagef("recipe %s: %w", args[0], err)
			}
			out := c.OutOrStdout()
			if withoutData {
				fmt.Fprintf(out, "%s: the keys are right\n", args[0])
				return nil
			}
			p, err := train.Inspect(c.Context(), r)
			if err != nil {
				return fmt.Errorf("recipe %s: %w", args[0], err)
			}
			for _, s := range p.Stages {
				name := s.Name
				if name == "" {
					name = "one stage"
				}
				fmt.Fprintf(out, "%s: %d steps, %d rows of %d tokens, %.0f %% targets\n", name, s.Steps, s.Report.Kept, s.Report.Tokens, 100*s.Report.TargetShare())
				for _, e := range s.Corpora {
					fmt.Fprintf(out, "  %s: %d rows, each seen %.3g times\n", e.Path, e.Rows, e.Times)
				}
				for _, f := range s.Report.Findings {
					fmt.Fprintf(out, "  note: %s\n", f.Text)
				}
			}
			return nil
		},
	}
	f = newRunFlags(c, "train")
	c.Flags().BoolVar(&withoutData, "keys-only", false, "look at the keys alone and read no data")
	return c
}

func newRecipeShow() *cobra.Command {
	var f *runFlags
	c := &cobra.Command{
		Use:   "show FILE",
		Short: "Print a recipe with all defaults and flags",
		Args:  exactly(1, "the file of a recipe"),
		RunE: func(c *cobra.Command, args []string) error {
			f.config = args[0]
			r, err := f.resolve(c.Flags(), "")
			if err != nil {
				return err
			}
			raw, err := r.YAML()
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(raw)
			return err
		},
	}
	f = newRunFlags(c, "train")
	return c
}

func newRecipeInit() *cobra.Command {
	var stages bool
	c := &cobra.Command{
		Use:   "init [NAME]",
		Short: "Print a recipe to begin with",
		Long: `init prints a recipe to begin with, or one by its name: the routes r1 to r5 from the
embedded base to a model that knows a domain, and smollm2-135m and qwen2.5-0.5b, which
tune a model folder of that kind on questions and answers.`,
		Example: `  gotune recipe init > my.yaml
  gotune recipe init r3 > r3.yaml
  gotune recipe init smollm2-135m > gsm8k.yaml`,
		Args: between(0, 1, "at most the name of a recipe"),
		RunE: func(c *cobra.Command, args []string) error {
			name := "start.yaml"
			switch {
			case len(args) > 0 && stages:
				return usagef("--stages and a name are two recipes; name one")
			case len(args) > 0:
				var err error
				if name, err = namedRecipe(args[0]); err != nil {
					return err
				}
			case stages:
				name = "start-stages.yaml"
			}
			raw, err := examples.Recipes.ReadFile(name)
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(raw)
			return err
		},
	}
	c.Flags().BoolVar(&stages, "stages", false, "a recipe of several stages")
	return c
}

// namedRecipe returns the file of a recipe that comes with the program.
func namedRecipe(name string) (string, error) {
	var names []string
	for _, pattern := range []string{"recipes/*.yaml", "gsm8k/*.yaml"} {
		files, err := fs.Glob(examples.Recipes, pattern)
		if err != nil {
			return "", err
		}
		for _, file := range files {
			names = append(names, strings.TrimSuffix(path.Base(file), ".yaml"))
			if names[len(names)-1] == name {
				return file, nil
			}
		}
	}
	return "", usagef("there is no recipe %q, only %s", name, strings.Join(names, ", "))
}

func newRecipeSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of recipes, for editors",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			raw, err := train.Schema()
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(raw)
			return err
		},
	}
}
