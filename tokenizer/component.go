package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A component is an object of tokenizer.json with the key type, and where it stands
// in the file, for messages.
type component struct {
	at   string // such as normalizer.normalizers[1]
	Type string
	raw  json.RawMessage
}

// components reads what stands under a key, and what stands in it if it is a
// Sequence, under the key inner. null is none.
func components(at string, raw json.RawMessage, inner string) ([]component, error) {
	if absent(raw) {
		return nil, nil
	}
	var c struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	if c.Type != "Sequence" {
		return []component{{at, c.Type, raw}}, nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(keys[inner], &parts); err != nil {
		return nil, fmt.Errorf("%s: a Sequence without a list %q", at, inner)
	}
	var all []component
	for i, part := range parts {
		more, err := components(fmt.Sprintf("%s.%s[%d]", at, inner, i), part, inner)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// read reads a component's own keys.
func (c component) read(into any) error {
	if err := json.Unmarshal(c.raw, into); err != nil {
		return c.errorf("%w", err)
	}
	return nil
}

func (c component) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", c.at, c.Type, fmt.Errorf(format, args...))
}

// find looks a component up among those that are known.
func find[F any](c component, known map[string]F) (F, error) {
	f, ok := known[c.Type]
	if !ok {
		list := append(slices.Sorted(maps.Keys(known)), "Sequence")
		return f, fmt.Errorf("%s: type %q is not supported (supported: %s)", c.at, c.Type, strings.Join(list, ", "))
	}
	return f, nil
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
