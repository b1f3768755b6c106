package main

import (
	"encoding/csv"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
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
		case *[]int:
			flags.IntSliceVar(p, name, *p, help)
		case *map[string]int:
			flags.Var(&patterns[int]{into: p, parse: strconv.Atoi}, name, help)
		case *map[string]float64:
			flags.Var(&patterns[float64]{into: p, parse: parseFloat}, name, help)
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

// patterns gives layers that match a pattern a number, as PATTERN=NUMBER between
// commas, or the flag several times.
type patterns[T int | float64] struct {
	into  *map[string]T
	parse func(text string) (T, error)
	given bool
}

func (p *patterns[T]) Set(text string) error {
	list, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return err
	}
	if !p.given {
		*p.into, p.given = make(map[string]T), true
	}
	for _, entry := range list {
		at := strings.LastIndexByte(entry, '=')
		if at < 1 {
			return fmt.Errorf("%q is not PATTERN=NUMBER, such as down_proj=4", entry)
		}
		if (*p.into)[entry[:at]], err = p.parse(entry[at+1:]); err != nil {
			return err
		}
	}
	return nil
}

func (p *patterns[T]) String() string {
	if p.into == nil {
		return ""
	}
	var list []string
	for _, key := range slices.Sorted(maps.Keys(*p.into)) {
		list = append(list, fmt.Sprintf("%s=%v", key, (*p.into)[key]))
	}
	return strings.Join(list, ",")
}

func (p *patterns[T]) Type() string { return "patterns" }

func parseFloat(text string) (float64, error) { return strconv.ParseFloat(text, 64) }
