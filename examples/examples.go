// Package examples holds recipes and studies that the command embeds, so that they can be
// used by name on a machine without the source.
package examples

import "embed"

// Recipes are the files *.yaml of this folder, and of its folders recipes and gsm8k.
//
//go:embed *.yaml recipes/*.yaml gsm8k/*.yaml
var Recipes embed.FS

// Claims are the studies of folder claims, one a file: rules of thumb about tuning, each
// put to the test in a world small enough for two cores.
//
//go:embed claims/*.yaml
var Claims embed.FS
