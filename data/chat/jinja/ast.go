package jinja

// The nodes of a template. Statements write and assign; expressions give values.

type statement interface{ run(r *run) error }

type (
	textNode   struct{ text string }
	outputNode struct {
		line int
		x    expression
	}
	ifNode struct {
		tests  []expression
		bodies [][]statement // one more than tests where there is an else
	}
	forNode struct {
		line         int
		targets      []string
		over, only   expression // only is the filter behind if, or nil
		recursive    bool
		body, orElse []statement
	}
	setNode struct {
		line    int
		targets []string   // several names unpack a list
		object  string     // of ns.attribute, else ""
		x       expression // nil where body is assigned
		body    []statement
		filters []filterUse
	}
	macroNode struct {
		line     int
		name     string
		params   []string
		defaults []expression // of the last parameters
		body     []statement
	}
	callNode struct {
		line   int
		call   *callExpr
		caller *macroNode
	}
	filterNode struct {
		filters []filterUse
		body    []statement
	}
	withNode struct {
		names  []string
		values []expression
		body   []statement
	}
	generationNode struct{ body []statement }
	breakNode      struct{}
	continueNode   struct{}
)

type expression interface {
	eval(r *run) (Value, error)
}

type (
	literal  struct{ v Value }
	nameExpr struct {
		line int
		name string
	}
	listExpr struct {
		items []expression
		tuple bool
	}
	dictExpr struct{ keys, values []expression }
	attrExpr struct {
		line int
		x    expression
		name string
	}
	itemExpr struct {
		line int
		x, i expression
	}
	sliceExpr struct {
		line           int
		x              expression
		from, to, step expression // nil where left out
	}
	callExpr struct {
		line  int
		f     expression
		args  []expression
		names []string // of the keyword arguments, which are the last of args
	}
	filterExpr struct {
		line int
		x    expression
		use  filterUse
	}
	testExpr struct {
		line int
		x    expression
		use  filterUse
		not  bool
	}
	unaryExpr struct {
		line int
		op   string
		x    expression
	}
	binaryExpr struct {
		line int
		op   string
		x, y expression
	}
	compareExpr struct {
		line int
		x    expression
		ops  []string
		ys   []expression
	}
	ternary struct{ test, yes, no expression } // no is nil where left out
)

// filterUse is a filter or a test with its arguments.
type filterUse struct {
	name  string
	args  []expression
	names []string
}
