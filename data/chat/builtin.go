package chat

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed builtin/*.jinja
var builtin embed.FS

// Names lists the built-in templates.
func Names() []string {
	files, err := builtin.ReadDir("builtin")
	if err != nil {
		panic(err) // they are part of the program
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".jinja"))
	}
	return names
}

// Named returns a built-in template: chatml, or that of a family of models. A
// template that begins with BOS or ends turns with EOS takes them from specials.
func Named(name string, specials map[string]string) (*Template, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("there is no built-in chat template %q, but %s", name, strings.Join(Names(), ", "))
	}
	source, err := builtin.ReadFile("builtin/" + name + ".jinja")
	if err != nil {
		return nil, fmt.Errorf("built-in chat template %s: %w", name, err)
	}
	return Parse(name, string(source), specials)
}
