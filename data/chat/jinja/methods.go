package jinja

import (
	"errors"
	"fmt"
	"slices"
)

// method returns a bound method of a text, a dictionary or a list, or nil.
// Methods that would change a value are there to be refused.
func method(x Value, name string) Value {
	bind := func(f func(r *run, args arguments) (Value, error)) Value { return &function{name, f} }
	switch v := x.(type) {
	case Str:
		if f, ok := textMethods[name]; ok {
			return bind(func(r *run, args arguments) (Value, error) { return f(r, string(v), args) })
		}
	case *Dict:
		if f, ok := dictMethods[name]; ok {
			return bind(func(_ *run, args arguments) (Value, error) { return f(v, args) })
		}
		if slices.Contains([]string{"clear", "pop", "popitem", "setdefault", "update"}, name) {
			return bind(refuse(name))
		}
	case *List:
		switch name {
		case "count":
			return bind(func(_ *run, args arguments) (Value, error) {
				n := 0
				for _, item := range v.Items {
					if equal(item, args.get(0, "value", None{})) {
						n++
					}
				}
				return Int(n), nil
			})
		case "index":
			return bind(func(_ *run, args arguments) (Value, error) {
				i := slices.IndexFunc(v.Items, func(item Value) bool { return equal(item, args.get(0, "value", None{})) })
				if i < 0 {
					return nil, errors.New("index: the value is not in the list")
				}
				return Int(i), nil
			})
		case "copy":
			return bind(func(*run, arguments) (Value, error) { return v, nil })
		case "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort":
			return bind(refuse(name))
		}
	}
	return nil
}

func refuse(name string) func(*run, arguments) (Value, error) {
	return func(*run, arguments) (Value, error) {
		return nil, fmt.Errorf("%s would change a value, which templates may not do", name)
	}
}

var dictMethods = map[string]func(d *Dict, args arguments) (Value, error){
	"items":  func(d *Dict, _ arguments) (Value, error) { return pairs(d), nil },
	"keys":   func(d *Dict, _ arguments) (Value, error) { return &List{Items: d.keys}, nil },
	"copy":   func(d *Dict, _ arguments) (Value, error) { return d, nil },
	"values": dictValues,
	"get": func(d *Dict, args arguments) (Value, error) {
		if v, ok := d.Get(args.get(0, "key", None{})); ok {
			return v, nil
		}
		return args.get(1, "default", None{}), nil
	},
}

func dictValues(d *Dict, _ arguments) (Value, error) {
	l := &List{}
	for _, k := range d.keys {
		l.Items = append(l.Items, d.values[k])
	}
	return l, nil
}

// attribute returns what templates can ask of loop.
func (l *loop) attribute(name string) Value {
	n := len(l.items)
	switch name {
	case "index":
		return Int(l.at + 1)
	case "index0":
		return Int(l.at)
	case "revindex":
		return Int(n - l.at)
	case "revindex0":
		return Int(n - l.at - 1)
	case "first":
		return Bool(l.at == 0)
	case "last":
		return Bool(l.at == n-1)
	case "length":
		return Int(n)
	case "depth":
		return Int(l.depth)
	case "depth0":
		return Int(l.depth - 1)
	case "previtem":
		if l.at > 0 {
			return l.items[l.at-1]
		}
	case "nextitem":
		if l.at < n-1 {
			return l.items[l.at+1]
		}
	case "cycle":
		return &function{name, func(_ *run, args arguments) (Value, error) {
			if len(args.list) == 0 {
				return nil, errors.New("cycle needs values")
			}
			return args.list[l.at%len(args.list)], nil
		}}
	case "changed":
		return &function{name, func(_ *run, args arguments) (Value, error) {
			same := l.last != nil && slices.EqualFunc(l.last, args.list, equal)
			l.last = append([]Value{}, args.list...)
			return Bool(!same), nil
		}}
	}
	return Undefined{"loop." + name}
}
