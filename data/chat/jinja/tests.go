package jinja

import (
	"errors"
	"strings"
	"unicode"
)

// tests are those behind is.
var tests map[string]func(v Value, args arguments) (bool, error)

func init() { // the table refers to itself
	tests = map[string]func(v Value, args arguments) (bool, error){
		"defined":   func(v Value, _ arguments) (bool, error) { return defined(v) == nil, nil },
		"undefined": func(v Value, _ arguments) (bool, error) { return defined(v) != nil, nil },
		"none":      func(v Value, _ arguments) (bool, error) { return v == None{}, nil },
		"boolean":   func(v Value, _ arguments) (bool, error) { _, ok := v.(Bool); return ok, nil },
		"true":      func(v Value, _ arguments) (bool, error) { return v == Bool(true), nil },
		"false":     func(v Value, _ arguments) (bool, error) { return v == Bool(false), nil },
		"integer":   func(v Value, _ arguments) (bool, error) { _, ok := v.(Int); return ok, nil },
		"float":     func(v Value, _ arguments) (bool, error) { _, ok := v.(Float); return ok, nil },
		"number":    func(v Value, _ arguments) (bool, error) { _, ok := asFloat(v); return ok, nil },
		"string":    func(v Value, _ arguments) (bool, error) { _, ok := v.(Str); return ok, nil },
		"mapping":   func(v Value, _ arguments) (bool, error) { _, ok := v.(*Dict); return ok, nil },
		"iterable":  func(v Value, _ arguments) (bool, error) { _, err := items(v); return err == nil, nil },
		"sequence": func(v Value, _ arguments) (bool, error) {
			_, err := length(v)
			return err == nil, nil
		},
		"callable": func(v Value, _ arguments) (bool, error) { _, ok := v.(*function); return ok, nil },
		"sameas":   func(v Value, args arguments) (bool, error) { return v == args.get(0, "other", nil), nil },
		"in":       func(v Value, args arguments) (bool, error) { return contains(args.get(0, "seq", &List{}), v) },
		"even":     func(v Value, _ arguments) (bool, error) { n, err := whole(v); return n%2 == 0, err },
		"odd":      func(v Value, _ arguments) (bool, error) { n, err := whole(v); return n%2 != 0, err },
		"divisibleby": func(v Value, args arguments) (bool, error) {
			n, err := whole(v)
			m, err2 := whole(args.get(0, "num", Int(0)))
			if m == 0 {
				return false, errors.Join(err, err2, errors.New("division by zero"))
			}
			return n%m == 0, errors.Join(err, err2)
		},
		"lower": func(v Value, _ arguments) (bool, error) {
			s := text(v)
			return strings.ToLower(s) == s && strings.ContainsFunc(s, unicode.IsLetter), nil
		},
		"upper": func(v Value, _ arguments) (bool, error) {
			s := text(v)
			return strings.ToUpper(s) == s && strings.ContainsFunc(s, unicode.IsLetter), nil
		},
		"filter": func(v Value, _ arguments) (bool, error) { _, ok := filters[text(v)]; return ok, nil },
		"test":   func(v Value, _ arguments) (bool, error) { return isTest(v), nil },
		"eq":     comparison("=="), "equalto": comparison("=="), "ne": comparison("!="),
		"lt": comparison("<"), "lessthan": comparison("<"), "le": comparison("<="),
		"gt": comparison(">"), "greaterthan": comparison(">"), "ge": comparison(">="),
	}
}

func isTest(name Value) bool { _, ok := tests[text(name)]; return ok }

func comparison(op string) func(Value, arguments) (bool, error) {
	return func(v Value, args arguments) (bool, error) {
		return compared(op, v, args.get(0, "other", Undefined{"what it is compared with"}))
	}
}

func whole(v Value) (int, error) {
	n, ok := asInt(v)
	if !ok {
		return 0, errors.New(v.kind() + " is no integer")
	}
	return n, nil
}
