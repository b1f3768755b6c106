package jinja

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// golden.json is written by testdata/golden.py, with transformers.
func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Messages, Tools json.RawMessage
		Cases           []struct {
			Name, Source, Want, Error string
			Generated                 []string
		}
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	vars := map[string]Value{"add_generation_prompt": Bool(true), "bos_token": Str("<s>"), "eos_token": Str("</s>")}
	for name, raw := range map[string]json.RawMessage{"messages": golden.Messages, "tools": golden.Tools} {
		if vars[name], err = FromJSON(raw); err != nil {
			t.Fatal(err)
		}
	}
	if len(golden.Cases) < 60 {
		t.Fatalf("%d cases", len(golden.Cases))
	}
	for _, c := range golden.Cases {
		t.Run(c.Name, func(t *testing.T) {
			var got string
			var spans []Span
			template, err := Parse(c.Source)
			if err == nil {
				got, spans, err = template.Render(vars, DefaultLimits)
			}
			if c.Error != "" {
				if err == nil {
					t.Fatalf("%q is rendered as %q; Jinja: %s", c.Source, got, c.Error)
				}
				return
			}
			if err != nil || got != c.Want {
				t.Fatalf("%s\ngives %q, %v\nwant  %q", c.Source, got, err, c.Want)
			}
			var generated []string
			for _, s := range spans {
				generated = append(generated, got[s.Start:s.End])
			}
			if !slices.Equal(generated, c.Generated) {
				t.Errorf("generated %q, want %q", generated, c.Generated)
			}
		})
	}
}

// nested puts a value into another a thousand times, which begins as 1.
func nested(value string) string {
	return "{% if ns is not defined %}{% set ns = namespace(x=1) %}{% endif %}{% for a in range(1000) %}{% set ns.x = " + value + " %}{% endfor %}"
}

// multiplied holds 2⁶⁰ times the same value in few lists.
const multiplied = "{% if ns is not defined %}{% set ns = namespace(x=1) %}{% endif %}{% for a in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"

// A template comes with a model from elsewhere. What it may use is bounded.
func TestHostile(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"steps":             {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "steps"},
		"range":             {"{{ range(100000000) | list | length }}", "range of more than"},
		"output":            {"{% for a in range(9999) %}{{ 'x' * 100000 }}{% endfor %}", "bytes"},
		"a long text":       {"{{ ('x' * 60000000) | length }}{{ ('x' * 60000000 * 60000000) | length }}", "bytes"},
		"doubling":          {"{% set ns = namespace(s='x') %}{% for a in range(200) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "bytes"},
		"doubling lists":    {"{% set ns = namespace(s=[1]) %}{% for a in range(200) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "steps"},
		"replace":           {"{{ ('x' * 1000000) | replace('x', 'y' * 1000000) }}", "bytes"},
		"center":            {"{{ 'x'.center(100000000000) }}", "bytes"},
		"format":            {"{{ '%99999d' % 1 }}", "width"},
		"recursion":         {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "levels deep"},
		"nesting":           {"{{ " + strings.Repeat("(", 10000) + "1" + strings.Repeat(")", 10000) + " }}", "levels deep"},
		"nested tags":       {strings.Repeat("{% if 1 %}", 10000), "levels deep"},
		"power":             {"{{ 9 ** 9 ** 9 }}", "too large"},
		"overflow":          {"{{ 9223372036854775807 + 1 }}", "too large"},
		"loading":           {"{% import '/etc/passwd' as x %}", "loads nothing"},
		"writing":           {"{{ messages.append(1) }}", "change"},
		"unknown tag":       {"{% nosuch %}", `the tag "nosuch" is not supported`},
		"unknown filter":    {"\n\n{{ 1 | nosuch }}", `line 3: there is no filter "nosuch"`},
		"no end":            {"{{ 'a", "does not end"},
		"division":          {"{{ 1 % 0 }}", "division by zero"},
		"strftime":          {"{{ strftime_now('%Q') }}", "%Q"},
		"undefined":         {"{{ a.b.c }}", `"a" is undefined`},
		"raise":             {"{{ raise_exception('no ' ~ 'way') }}", "no way"},
		"an escape":         {`{{ '\U99999999' }}`, "escape"},
		"an odd slice":      {"{{ [1][::0] }}", "step of a slice"},
		"a list of lists":   {"{% for a, b in [1] %}{% endfor %}", "cannot be iterated"},
		"a long step":       {"{{ 'abcd'[1::9223372036854775807] ~ [1, 2, 3][::-9223372036854775807] | length ~ 1 // 0 }}", "division by zero"},
		"a wide fill":       {"{{ 'x'.center(4611686018427387904, '😀') }}", "bytes"},
		"long texts again":  {"{% for a in range(99999) %}{% set x = 'x' * 1000000 %}{% endfor %}", "steps"},
		"long ranges again": {"{% for a in range(99999) %}{% set x = range(99999) %}{% endfor %}", "steps"},
		"a long source":     {strings.Repeat("{# #}", 1<<20), "longer than"},

		// Values that hold themselves, or the same value very many times.
		"a namespace in itself": {"{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}", "nested"},
		"deep lists":            {nested("[ns.x]") + "{{ ns.x }}", "nested"},
		"deep dictionaries":     {nested("{'a': ns.x}") + "{{ ns.x | tojson }}", "nested"},
		"deep lists compared":   {nested("[ns.x]") + "{% set x = ns.x %}{% set ns.x = 1 %}" + nested("[ns.x]") + "{{ x == ns.x }}", "nested"},
		"deep lists ordered":    {nested("[ns.x]") + "{% set x = ns.x %}{% set ns.x = 2 %}" + nested("[ns.x]") + "{{ x < ns.x }}", "nested"},
		"many of one":           {multiplied + "{{ ns.x }}", "bytes"},
		"many of one as JSON":   {multiplied + "{{ ns.x | tojson }}", "bytes"},
		"many of one compared":  {multiplied + "{% set x = ns.x %}{% set ns.x = 1 %}" + multiplied + "{{ x == ns.x }}", "nested"},
	} {
		t.Run(name, func(t *testing.T) {
			template, err := Parse(c.source)
			if err == nil {
				list := &List{}
				_, _, err = template.Render(map[string]Value{"messages": list}, Limits{Output: 1 << 20, Steps: 100_000})
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if raised := (*Raised)(nil); errors.As(err, &raised) != (name == "raise") {
				t.Errorf("raised: %v", raised)
			}
		})
	}
}

func ExampleTemplate_Render() {
	template, err := Parse("{% for m in messages %}\n<{{ m.role }}> {{ m.content | trim }}\n{% endfor %}\n")
	if err != nil {
		panic(err)
	}
	messages, err := FromJSON([]byte(`[{"role": "user", "content": " Hello! "}]`))
	if err != nil {
		panic(err)
	}
	text, _, err := template.Render(map[string]Value{"messages": messages}, DefaultLimits)
	fmt.Printf("%q %v\n", text, err)
	// Output: "<user> Hello!\n" <nil>
}

func FuzzParse(f *testing.F) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		f.Fatal(err)
	}
	var golden struct{ Cases []struct{ Source string } }
	if err := json.Unmarshal(raw, &golden); err != nil {
		f.Fatal(err)
	}
	for _, c := range golden.Cases {
		f.Add(c.Source)
	}
	messages, err := FromJSON([]byte(`[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		template, err := Parse(source)
		if err != nil {
			return
		}
		limits := Limits{Output: 1 << 12, Steps: 2000}
		text, spans, err := template.Render(map[string]Value{"messages": messages}, limits)
		if err == nil && len(text) > limits.Output {
			t.Errorf("%d bytes are written", len(text))
		}
		for _, s := range spans {
			_ = text[s.Start:s.End]
		}
	})
}
