package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gotune/train"
)

// bindRecipe makes a flag of every key of the recipe that belongs to a command.
// The flags write to into.
func bindRecipe(c *cobra.Command, command string, into *train.Recipe) {
	bindKeys(c.Flags(), command, into)
}

func bindKeys(flags *pflag.FlagSet, command string, into *train.Recipe) {
	v := reflect.ValueOf(into).Elem()
	for _, f := range train.Keys() {
		if !slices.Contains(strings.Split(f.Tag.Get("of"), ","), command) {
			continue
		}
		name, help := flagName(f), f.Tag.Get("help")
		switch p := v.FieldByIndex(f.Index).Addr().Interface().(type) {
		case *string:
			flags.StringVar(p, name, *p, help)
		case *[]string:
			flags.StringSliceVar(p, name, *p, help)
		case *train.Datasets:
			flags.Var(&paths{into: p}, name, help)
		case *bool:
			flags.BoolVar(p, name, *p, help)
		case *int:
			flags.IntVar(p, name, *p, help)
		case *uint64:
			flags.Uint64Var(p, name, *p, help)
		case *float64:
			flags.Float64Var(p, name, *p, help)
		default:
			panic(fmt.Sprintf("recipe key %s has a type without a flag", name)) // a fault of the program
		}
	}
	flags.SortFlags = false
}

// flagName is the key of a field in kebab-case.
func flagName(f reflect.StructField) string { return kebab(train.Key(f)) }

func kebab(key string) string { return strings.ReplaceAll(key, "_", "-") }

// paths is a list of datasets as a flag: paths between commas, or the flag
// several times.
type paths struct {
	into  *train.Datasets
	given bool
}

func (p *paths) Set(list string) error {
	if !p.given {
		*p.into, p.given = nil, true
	}
	*p.into = append(*p.into, train.Paths(strings.Split(list, ",")...)...)
	return nil
}

func (p *paths) String() string {
	if p.into == nil {
		return ""
	}
	return p.into.String()
}

func (p *paths) Type() string { return "paths" }
