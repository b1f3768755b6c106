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
// The flags write to into; changedKeys tells which were given.
func bindRecipe(c *cobra.Command, command string, into *train.Recipe) {
	flags := c.Flags()
	v := reflect.ValueOf(into).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !slices.Contains(strings.Split(f.Tag.Get("of"), ","), command) {
			continue
		}
		name, help := flagName(f), f.Tag.Get("help")
		switch p := v.Field(i).Addr().Interface().(type) {
		case *string:
			flags.StringVar(p, name, *p, help)
		case *[]string:
			flags.StringSliceVar(p, name, *p, help)
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
func flagName(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return strings.ReplaceAll(key, "_", "-")
}

// override copies the fields whose flags were given from one recipe to another.
func override(flags *pflag.FlagSet, to, from *train.Recipe) {
	dst, src := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for i := range dst.NumField() {
		if flags.Changed(flagName(dst.Type().Field(i))) {
			dst.Field(i).Set(src.Field(i))
		}
	}
}
