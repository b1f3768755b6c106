// Package examples holds recipes that the command embeds, so that they can be
// used by name on a machine without the source.
package examples

import "embed"

// Recipes are the files *.yaml of this folder.
//
//go:embed *.yaml
var Recipes embed.FS
