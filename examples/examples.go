// Package examples holds recipes that the command embeds, so that they can be
// used by name on a machine without the source.
package examples

import "embed"

// Recipes are the files *.yaml of this folder, and of its folder recipes.
//
//go:embed *.yaml recipes/*.yaml
var Recipes embed.FS
