package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gotune/data/rows"
	"gotune/study"
	"gotune/train"
)

func newAblate() *cobra.Command {
	var f *labFlags
	var vary, metrics []string
	var name string
	keys := train.DefaultRecipe()
	c := &cobra.Command{
		Use:   "ablate [FILE]",
		Short: "Compare recipes over seeds: a study file, or a grid by flags",
		Long: `ablate runs a study, or without a file a grid of values on your model and data: every
point of the grid on the same seeds, compared with the first point seed by seed. The
flags of train say what all points share. Without --eval-data a tenth of the rows is
held out.

` + runLong,
		Example: `  gotune ablate my-study.yaml
  gotune ablate --vary lora_rank=2,4,8,16 --vary learning_rate=1e-4,3e-4 --seeds 5 --data rows.jsonl --model DIR
  gotune ablate --vary full=true,false --metric exact_match --metric seconds --budget 30m`,
		Args: between(0, 1, "at most the file of a study"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				s, err := fromFile(c.Flags(), args[0])
				if err != nil {
					return err
				}
				return f.run(c, s)
			}
			if len(vary) == 0 {
				return usagef("name the file of a study, or what differs by --vary, such as --vary lora_rank=2,4,8")
			}
			if err := f.check(); err != nil {
				return err
			}
			if f.o.Output == "" {
				f.o.Output = filepath.Join("runs", name)
			}
			a := study.Ablation{ID: name, Seeds: 5, Metrics: metrics}
			for _, v := range vary {
				key, values, ok := strings.Cut(v, "=")
				if !ok {
					return usagef("--vary is %q; it is KEY=VALUE,VALUE, such as lora_rank=2,4,8", v)
				}
				a.Vary = append(a.Vary, strings.ReplaceAll(key, "-", "_")+"="+values)
			}
			s, err := ablation(c, a, &keys, f.o.Output)
			if err != nil {
				return err
			}
			return f.run(c, s)
		},
	}
	c.Flags().StringArrayVar(&vary, "vary", nil, "key of a recipe with the values to try, as KEY=VALUE,VALUE; several make a grid")
	c.Flags().StringArrayVar(&metrics, "metric", nil, "what is measured, the first decides; gotune study metrics lists all. Else loss, and of questions exact_match")
	c.Flags().StringVar(&name, "name", "ablation", "name of the ablation")
	f = newLabFlags(c)
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	bindKeys(all, "train", &keys)
	all.VisitAll(func(flag *pflag.Flag) {
		if c.Flags().Lookup(flag.Name) == nil && flag.Name != "seed" && flag.Name != "threads" {
			c.Flags().AddFlag(flag)
		}
	})
	c.Flags().SortFlags = false
	return c
}

// fromFile reads a study; flags that say what an ablation without a file is are refused.
func fromFile(flags *pflag.FlagSet, path string) (*study.Study, error) {
	var wrong error
	flags.Visit(func(flag *pflag.Flag) {
		switch flag.Name {
		case "output", "jobs", "max-memory", "budget", "search", "quick", "seeds", "first-seed", "retry":
		default:
			wrong = usagef("--%s cannot be given with a file: the study says what is run", flag.Name)
		}
	})
	if wrong != nil {
		return nil, wrong
	}
	s, err := study.Load(path)
	if err != nil {
		return nil, usageError{err}
	}
	return s, nil
}

// ablation makes a study of flags.
func ablation(c *cobra.Command, a study.Ablation, keys *train.Recipe, lab string) (*study.Study, error) {
	flags := c.Flags()
	if len(keys.Data) == 0 {
		keys.Data = train.Paths("world:chat")
		if len(keys.EvalData) == 0 {
			keys.EvalData = train.Paths("world:heldout")
		}
	}
	var paths []string
	for _, d := range keys.EvalData {
		paths = append(paths, d.Path)
	}
	a.Judged, a.Columns, a.Format = paths, keys.Columns, keys.DataFormat
	if len(paths) == 0 {
		columns, err := rows.ParseColumns(keys.Columns)
		if err != nil {
			return nil, usagef("--columns: %w", err)
		}
		for _, d := range keys.Data {
			paths = append(paths, d.Path)
		}
		a.Judged = paths // what is wrong is said before anything is written
		if _, err := parseAblation(flags, a, keys); err != nil {
			return nil, err
		}
		dir := filepath.Join(lab, "studies", a.ID, "data")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		trained, held, asked, err := study.HoldOut(c.Context(), rows.Config{Paths: paths, Format: keys.DataFormat, Columns: columns}, dir)
		if err != nil {
			return nil, err
		}
		keys.Data, keys.Columns, keys.DataFormat = train.Paths(trained), "", ""
		a.Judged, a.Asked, a.Columns, a.Format = []string{held}, asked, "", ""
	} else {
		src, err := rows.Open(c.Context(), rows.Config{Paths: paths[:1]})
		a.Asked = err == nil && len(src.Files()) > 0 && src.Files()[0].Form != rows.Text
	}
	return parseAblation(flags, a, keys)
}

// parseAblation makes the study of an ablation whose points share some keys.
func parseAblation(flags *pflag.FlagSet, a study.Ablation, keys *train.Recipe) (*study.Study, error) {
	v, plain := reflect.ValueOf(*keys), reflect.ValueOf(train.DefaultRecipe())
	for _, f := range train.Keys() {
		is := v.FieldByIndex(f.Index)
		if !flags.Changed(kebab(train.Key(f))) && reflect.DeepEqual(is.Interface(), plain.FieldByIndex(f.Index).Interface()) {
			continue
		}
		switch train.Key(f) {
		case "output", "max_memory", "eval_data": // curves add the held-out data that they need
			continue
		}
		a.Shared = append(a.Shared, yaml.MapItem{Key: train.Key(f), Value: is.Interface()})
	}
	raw, err := a.YAML()
	if err != nil {
		return nil, usageError{err}
	}
	s, err := study.Parse("of the flags", raw)
	if err != nil {
		return nil, usageError{err}
	}
	return s, nil
}
