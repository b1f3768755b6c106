package train

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// A property is a part of a JSON Schema, as far as recipes need it.
type property struct {
	Schema               string               `json:"$schema,omitempty"`
	Title                string               `json:"title,omitempty"`
	Description          string               `json:"description,omitempty"`
	Type                 string               `json:"type,omitempty"`
	Enum                 []string             `json:"enum,omitempty"`
	Pattern              string               `json:"pattern,omitempty"`
	Minimum              *float64             `json:"minimum,omitempty"`
	Maximum              *float64             `json:"maximum,omitempty"`
	Default              json.RawMessage      `json:"default,omitempty"`
	Items                *property            `json:"items,omitempty"`
	AnyOf                []*property          `json:"anyOf,omitempty"`
	Properties           map[string]*property `json:"properties,omitempty"`
	PatternProperties    map[string]*property `json:"patternProperties,omitempty"`
	Required             []string             `json:"required,omitempty"`
	AdditionalProperties *bool                `json:"additionalProperties,omitempty"`
}

// Schema returns the JSON Schema (draft 2020-12) of recipes, for editors. It is
// made from the structs that read them.
func Schema() ([]byte, error) {
	s := mapping(reflect.TypeFor[Recipe]())
	s.Schema, s.Title = "https://json-schema.org/draft/2020-12/schema", "Recipe of gotune"
	raw, err := json.MarshalIndent(s, "", "  ")
	return append(raw, '\n'), err
}

// patterns describe strings that are no choice of names.
var patterns = map[string]string{
	"gradient_checkpointing": `^(auto|none|blocks(:[1-9][0-9]*)?)$`,
	"max_memory":             `^([0-9.]+ ?([KMGT]i?B|B)?)?$`,
}

// mapping describes a struct whose fields are keys.
func mapping(t reflect.Type) *property {
	p := &property{Type: "object", Properties: make(map[string]*property), AdditionalProperties: new(bool)}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			continue
		}
		q := value(f.Type)
		q.Description = f.Tag.Get("help")
		if q.Type == "string" {
			q.Enum = choices()[Key(f)]
		}
		q.Pattern = patterns[Key(f)]
		if text, ok := f.Tag.Lookup("range"); ok {
			low, high, _ := strings.Cut(text, ",")
			q.Minimum, q.Maximum = limit(low), limit(high)
		}
		if text, ok := f.Tag.Lookup("default"); ok {
			q.Default = defaultOf(f.Type, text)
		}
		p.Properties[Key(f)] = q
	}
	return p
}

// value describes what stands behind a key.
func value(t reflect.Type) *property {
	switch t.Kind() {
	case reflect.Bool:
		return &property{Type: "boolean"}
	case reflect.Int:
		return &property{Type: "integer"}
	case reflect.Uint64:
		return &property{Type: "integer", Minimum: new(float64)}
	case reflect.Float64:
		return &property{Type: "number"}
	case reflect.Pointer:
		return value(t.Elem())
	case reflect.Slice:
		return &property{Type: "array", Items: value(t.Elem())}
	case reflect.Map:
		return &property{Type: "object", PatternProperties: map[string]*property{"": value(t.Elem())}}
	case reflect.Struct:
		m := mapping(t)
		if t != reflect.TypeFor[Dataset]() {
			return m
		}
		m.Required = []string{"path"}
		return &property{AnyOf: []*property{{Type: "string"}, m}}
	}
	return &property{Type: "string"}
}

func limit(text string) *float64 {
	x, _ := strconv.ParseFloat(text, 64) // a tag of ours
	return &x
}

func defaultOf(t reflect.Type, text string) json.RawMessage {
	switch t.Kind() {
	case reflect.String:
		return json.RawMessage(strconv.Quote(text))
	case reflect.Slice:
		raw, _ := json.Marshal(strings.Split(text, ",")) // strings can be written
		return raw
	}
	return json.RawMessage(text)
}
