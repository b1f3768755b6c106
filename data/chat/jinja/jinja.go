// Package jinja renders chat templates: the part of Jinja that they use, with the
// values of Python, as Jinja's ImmutableSandboxedEnvironment does it with
// trim_blocks, lstrip_blocks, loop controls and transformers' additions (tojson
// without HTML escapes, raise_exception, strftime_now, and generation tags, whose
// extent is reported).
//
// A template cannot load anything, change its arguments, run longer than its
// [Limits] allow, or write more. What is not supported is an error that names it.
//
// References: the template designer documentation of Jinja 3.1, and
// transformers.utils.chat_template_utils.
package jinja

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Template is parsed once and rendered many times, also concurrently.
type Template struct{ body []statement }

// maxSource bounds a template; the longest of known models are below 32 KiB.
const maxSource = 1 << 20

// Parse reads a template of at most 1 MiB. Errors are of type *Error.
func Parse(source string) (*Template, error) {
	if len(source) > maxSource {
		return nil, errorAt(1, "the template is longer than %d bytes", maxSource)
	}
	body, err := parse(source)
	if err != nil {
		return nil, err
	}
	return &Template{body}, nil
}

// Render writes the template with some variables. It returns the text, and the
// bytes of it that generation tags wrote.
func (t *Template) Render(vars map[string]Value, limits Limits) (out string, generated []Span, err error) {
	defer func() {
		switch wrong := recover().(type) {
		case nil:
		case overgrown:
			err = wrong
		default:
			panic(wrong)
		}
	}()
	r := &run{limits: limits, out: new(strings.Builder), scope: &scope{vars: make(map[string]Value, len(vars))}}
	for name, v := range vars {
		r.scope.vars[name] = v
	}
	if err := r.all(t.body); err != nil {
		return "", nil, err
	}
	return r.out.String(), r.marked, nil
}

// Raised is the error of raise_exception: the template's own judgement.
type Raised struct{ Message string }

func (e *Raised) Error() string { return e.Message }

// globals are the functions that a template can call.
var globals = map[string]func(r *run, args arguments) (Value, error){
	"range":     globalRange,
	"namespace": globalNamespace,
	"dict":      globalDict,
	"raise_exception": func(_ *run, args arguments) (Value, error) {
		return nil, &Raised{text(args.get(0, "message", Str("")))}
	},
	"strftime_now": func(_ *run, args arguments) (Value, error) {
		return strftime(now(), text(args.get(0, "format", Str(""))))
	},
}

// now is the time that templates see.
var now = time.Now

// maxRange is the largest range, as in Jinja's sandbox.
const maxRange = 100_000

func globalRange(r *run, args arguments) (Value, error) {
	bounds := [3]int{0, 0, 1}
	if len(args.list) == 0 || len(args.list) > 3 {
		return nil, fmt.Errorf("range takes one to three integers")
	}
	for i, v := range args.list {
		n, err := whole(v)
		if err != nil {
			return nil, err
		}
		bounds[i] = n
	}
	if len(args.list) == 1 {
		bounds[0], bounds[1] = 0, bounds[0]
	}
	from, to, step := bounds[0], bounds[1], bounds[2]
	if step == 0 {
		return nil, errors.New("the step of range is 0")
	}
	l := &List{}
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if len(l.Items) == maxRange {
			return nil, fmt.Errorf("range of more than %d numbers", maxRange)
		}
		l.Items = append(l.Items, Int(i))
	}
	return l, r.makesItems(len(l.Items))
}

func globalDict(_ *run, args arguments) (Value, error) {
	d := NewDict()
	for _, v := range args.list {
		if other, ok := v.(*Dict); ok {
			for _, k := range other.keys {
				d.Set(k, other.values[k])
			}
			continue
		}
		return nil, fmt.Errorf("dict of %s", v.kind())
	}
	if args.named != nil {
		for _, name := range args.named.keys {
			d.Set(name, args.named.values[name])
		}
	}
	return d, nil
}

func globalNamespace(r *run, args arguments) (Value, error) {
	d, err := globalDict(r, args)
	if err != nil {
		return nil, err
	}
	return &namespace{d.(*Dict)}, nil
}
