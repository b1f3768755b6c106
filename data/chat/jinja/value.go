package jinja

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A Value is what an expression gives: one of the types below, which are those of
// Python that templates meet.
type Value interface{ kind() string }

type (
	// None is Python's None.
	None struct{}
	// Undefined is what a name stands for that nothing was assigned to. It prints as
	// nothing, is false and empty, and anything else done with it is an error.
	Undefined struct{ Name string }
	// Bool is True or False.
	Bool bool
	// Int is an integer; results beyond 64 bits are errors.
	Int int64
	// Float is a floating-point number.
	Float float64
	// Str is a text.
	Str string
	// List is a list or a tuple. Templates cannot change it.
	List struct {
		Items []Value
		Tuple bool
	}
	// Dict is a dictionary that keeps the order of its keys.
	Dict struct {
		keys   []Value
		values map[Value]Value
	}
	// namespace is what namespace() makes: the one value that set can change.
	namespace struct{ vars *Dict }
	// function can be called.
	function struct {
		name string
		call func(r *run, args arguments) (Value, error)
	}
	// loop is the variable of that name in a for.
	loop struct {
		items []Value
		at    int
		depth int
		again func(r *run, items Value) (Value, error) // of a recursive loop
		last  []Value                                  // of changed
	}
)

func (None) kind() string       { return "NoneType" }
func (Undefined) kind() string  { return "Undefined" }
func (Bool) kind() string       { return "bool" }
func (Int) kind() string        { return "int" }
func (Float) kind() string      { return "float" }
func (Str) kind() string        { return "str" }
func (*List) kind() string      { return "list" }
func (*Dict) kind() string      { return "dict" }
func (*namespace) kind() string { return "Namespace" }
func (*function) kind() string  { return "function" }
func (*loop) kind() string      { return "LoopContext" }

// NewDict returns an empty dictionary.
func NewDict() *Dict { return &Dict{values: make(map[Value]Value)} }

// Set gives a key a value. Keys are None, Bool, Int, Float or Str.
func (d *Dict) Set(key, value Value) {
	key = hashed(key)
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[key] = value
}

// Get returns the value of a key.
func (d *Dict) Get(key Value) (Value, bool) {
	if !hashable(key) {
		return nil, false
	}
	v, ok := d.values[hashed(key)]
	return v, ok
}

// hashed makes keys that Python holds equal the same: 1, 1.0 and True.
func hashed(key Value) Value {
	switch k := key.(type) {
	case Bool:
		if k {
			return Int(1)
		}
		return Int(0)
	case Float:
		if f := float64(k); f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return Int(f)
		}
	}
	return key
}

func hashable(v Value) bool {
	switch v.(type) {
	case None, Bool, Int, Float, Str:
		return true
	}
	return false
}

// Strings makes a list of texts.
func Strings(texts ...string) *List {
	l := &List{}
	for _, t := range texts {
		l.Items = append(l.Items, Str(t))
	}
	return l
}

// truth is bool(v).
func truth(v Value) bool {
	switch v := v.(type) {
	case None, Undefined:
		return false
	case Bool:
		return bool(v)
	case Int:
		return v != 0
	case Float:
		return v != 0
	case Str:
		return v != ""
	case *List:
		return len(v.Items) > 0
	case *Dict:
		return len(v.keys) > 0
	}
	return true
}

// text is str(v), as {{ v }} writes it.
func text(v Value) string {
	switch v := v.(type) {
	case Str:
		return string(v)
	case Undefined:
		return ""
	}
	return repr(v)
}

// repr is repr(v).
func repr(v Value) string {
	var b strings.Builder
	writeRepr(&b, v, 0)
	return b.String()
}

// An overgrown value is one whose parts are nested too deeply, or so often one in
// another that they are too many to be gone through. Writing and comparing values
// panic with it, and Render returns it as an error.
type overgrown string

func (o overgrown) Error() string { return string(o) }

// shallow panics where a value is nested too deeply.
func shallow(depth int) {
	if depth > maxDepth {
		panic(overgrown(fmt.Sprintf("a value is nested more than %d levels deep", maxDepth)))
	}
}

func writeRepr(b *strings.Builder, v Value, depth int) {
	shallow(depth)
	if b.Len() > DefaultLimits.Output {
		panic(overgrown(fmt.Sprintf("the text of a value has more than %d bytes", DefaultLimits.Output)))
	}
	switch v := v.(type) {
	case None:
		b.WriteString("None")
	case Undefined:
		b.WriteString("Undefined")
	case Bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case Int:
		b.WriteString(strconv.FormatInt(int64(v), 10))
	case Float:
		b.WriteString(floatText(float64(v)))
	case Str:
		b.WriteString(quote(string(v)))
	case *List:
		open, end := "[", "]"
		if v.Tuple {
			open, end = "(", ")"
			if len(v.Items) == 1 {
				end = ",)"
			}
		}
		b.WriteString(open)
		for i, item := range v.Items {
			if i > 0 {
				b.WriteString(", ")
			}
			writeRepr(b, item, depth+1)
		}
		b.WriteString(end)
	case *Dict:
		b.WriteString("{")
		for i, k := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			writeRepr(b, k, depth+1)
			b.WriteString(": ")
			writeRepr(b, v.values[k], depth+1)
		}
		b.WriteString("}")
	case *namespace:
		b.WriteString("<Namespace ")
		writeRepr(b, v.vars, depth+1)
		b.WriteString(">")
	case *function:
		fmt.Fprintf(b, "<function %s>", v.name)
	default:
		fmt.Fprintf(b, "<%s>", v.kind())
	}
}

// floatText is repr of a float: the shortest digits that read back, with an
// exponent outside 1e-4 … 1e16.
func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quote is repr of a text.
func quote(s string) string {
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.WriteRune(q)
	for _, r := range s {
		switch {
		case r == q || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteRune(q)
	return b.String()
}

// equal is a == b.
func equal(a, b Value) bool { return new(comparing).equal(a, b) }

// comparing counts what is gone through to compare two values.
type comparing struct{ values, depth int }

// maxCompared bounds the parts of two values that are compared.
const maxCompared = 1 << 22

func (c *comparing) equal(a, b Value) bool {
	if c.values++; c.values > maxCompared {
		panic(overgrown(fmt.Sprintf("values with more than %d others nested in them are not compared", maxCompared)))
	}
	shallow(c.depth)
	c.depth++
	defer func() { c.depth-- }()
	if x, ok := asFloat(a); ok {
		y, ok := asFloat(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case None:
		_, ok := b.(None)
		return ok
	case Undefined:
		_, ok := b.(Undefined)
		return ok
	case Str:
		s, ok := b.(Str)
		return ok && a == s
	case *List:
		l, ok := b.(*List)
		return ok && a.Tuple == l.Tuple && slices.EqualFunc(a.Items, l.Items, c.equal)
	case *Dict:
		d, ok := b.(*Dict)
		if !ok || len(a.keys) != len(d.keys) {
			return false
		}
		for k, v := range a.values {
			if w, ok := d.values[k]; !ok || !c.equal(v, w) {
				return false
			}
		}
		return true
	}
	return a == b
}

// asFloat reads a number; Python's booleans are numbers too.
func asFloat(v Value) (float64, bool) {
	switch v := v.(type) {
	case Bool:
		if v {
			return 1, true
		}
		return 0, true
	case Int:
		return float64(v), true
	case Float:
		return float64(v), true
	}
	return 0, false
}

// asInt reads an integer.
func asInt(v Value) (int, bool) {
	switch v := v.(type) {
	case Bool:
		if v {
			return 1, true
		}
		return 0, true
	case Int:
		return int(v), true
	}
	return 0, false
}

// compare is the order of two values, where they have one.
func compare(a, b Value) (int, error) {
	x, okX := asFloat(a)
	y, okY := asFloat(b)
	if okX && okY {
		switch {
		case x < y:
			return -1, nil
		case x > y:
			return 1, nil
		}
		return 0, nil
	}
	switch a := a.(type) {
	case Str:
		if b, ok := b.(Str); ok {
			return strings.Compare(string(a), string(b)), nil
		}
	case *List:
		if b, ok := b.(*List); ok {
			for i := range min(len(a.Items), len(b.Items)) {
				if equal(a.Items[i], b.Items[i]) {
					continue
				}
				return compare(a.Items[i], b.Items[i])
			}
			return len(a.Items) - len(b.Items), nil
		}
	}
	return 0, fmt.Errorf("'<' is not supported between %s and %s", a.kind(), b.kind())
}

// items lists what a for goes through: the elements of a list, the keys of a
// dictionary, the characters of a text.
func items(v Value) ([]Value, error) {
	switch v := v.(type) {
	case *List:
		return v.Items, nil
	case *Dict:
		return v.keys, nil
	case Str:
		var chars []Value
		for _, r := range string(v) {
			chars = append(chars, Str(r))
		}
		return chars, nil
	case Undefined:
		return nil, nil
	}
	return nil, fmt.Errorf("%s cannot be iterated", v.kind())
}

// length is len(v).
func length(v Value) (int, error) {
	switch v := v.(type) {
	case Str:
		return len([]rune(string(v))), nil
	case *List:
		return len(v.Items), nil
	case *Dict:
		return len(v.keys), nil
	case Undefined:
		return 0, nil
	}
	return 0, fmt.Errorf("%s has no length", v.kind())
}

// contains is item in v.
func contains(v, item Value) (bool, error) {
	switch v := v.(type) {
	case Str:
		s, ok := item.(Str)
		if !ok {
			return false, fmt.Errorf("'in' a text needs a text, not %s", item.kind())
		}
		return strings.Contains(string(v), string(s)), nil
	case *Dict:
		_, ok := v.Get(item)
		return ok, nil
	}
	list, err := items(v)
	return slices.ContainsFunc(list, func(x Value) bool { return equal(x, item) }), err
}

// MapTexts returns a value with f applied to every text in it, but not to the keys
// of dictionaries.
func MapTexts(v Value, f func(string) string) Value {
	switch v := v.(type) {
	case Str:
		return Str(f(string(v)))
	case *List:
		l := &List{Items: make([]Value, len(v.Items)), Tuple: v.Tuple}
		for i, item := range v.Items {
			l.Items[i] = MapTexts(item, f)
		}
		return l
	case *Dict:
		d := NewDict()
		for _, k := range v.keys {
			d.Set(k, MapTexts(v.values[k], f))
		}
		return d
	}
	return v
}
