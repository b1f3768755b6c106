package study

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"gotune/internal/yamlnode"
	"gotune/train"
)

// A node is a run of the plan. Runs of the same content are one node, whatever arms,
// or studies, they are of.
type node struct {
	key     string
	arm     *Arm
	seed    uint64
	recipe  train.Recipe // begins with the base of the prepared run
	from    *node        // the prepared run it begins with, or nil
	metrics []MetricSpec // that are measured of it
	size    size

	state  state
	err    error
	reused bool // it was finished before
	locked bool // another process was at work on it
	values map[string]measured
	facts  facts
}

// A state is how far a node is.
type state int

const (
	waiting state = iota
	running
	finished
	failed
	skipped // it did not fit into the budget
)

// A size is what a run takes.
type size struct {
	steps      int
	stageSteps []int
	tokens     float64 // of all steps, with padding
	bytes      int64   // beside the program and its data
	available  int64   // that there were when this was worked out; 0 where that is not known
}

// A planner makes nodes and knows those that there are.
type planner struct {
	study  *Study
	hashes *hasher
	nodes  map[string]*node

	known *Known
}

func newPlanner(s *Study, known *Known) *planner {
	return &planner{study: s, hashes: known.hashes, nodes: make(map[string]*node), known: known}
}

// add returns the run of an arm with a seed. With a share below 1 it has that share of
// the steps, and a full schedule in them.
func (p *planner) add(ctx context.Context, a *Arm, values map[string]float64, seed uint64, share float64, metrics []MetricSpec) (*node, error) {
	r, err := p.study.recipe(a, values, seed, metrics)
	if err != nil {
		return nil, err
	}
	n := &node{arm: a, seed: seed, recipe: r}
	from := ""
	if a.From != "" {
		if n.from, err = p.add(ctx, p.study.prepared(a.From), nil, seed, 1, nil); err != nil {
			return nil, err
		}
		n.recipe.Model, n.recipe.Adapter = n.from.recipe.Model, ""
		from = n.from.key + " " + firstStage(r).PreviousAdapter
		if n.recipe.PreviousRun != "" {
			n.recipe.PreviousRun = n.from.key
		}
	}
	if share < 1 {
		size, err := p.sizeOf(ctx, n)
		if err != nil {
			return nil, err
		}
		shorten(&n.recipe, size.stageSteps, share)
	}
	if n.key, err = p.hashes.keyOf(n.recipe, from); err != nil {
		return nil, yamlnode.At(a.node, "%s: %w", a.Name, err)
	}
	if known := p.nodes[n.key]; known != nil {
		n = known
	} else {
		p.nodes[n.key] = n
	}
	for _, m := range metrics {
		m = m.at(a, seed)
		if slices.ContainsFunc(n.metrics, func(k MetricSpec) bool { return k.Name == m.Name && k.Spec() == m.Spec() }) {
			continue
		}
		n.metrics = append(n.metrics, m)
		if n.state == finished {
			n.state = waiting // it is measured again, as where a search has measured less of it
		}
	}
	return n, nil
}

// shorten gives each stage a share of its steps.
func shorten(r *train.Recipe, steps []int, share float64) {
	stages := []*train.Stage{&r.Stage}
	if len(r.Stages) > 0 {
		stages = nil
		r.Stages = slices.Clone(r.Stages)
		for i := range r.Stages {
			stages = append(stages, &r.Stages[i])
		}
	}
	for i, s := range stages {
		s.MaxSteps = max(1, int(math.Ceil(share*float64(steps[i]))))
	}
}

// A sizing is a size that is being worked out once.
type sizing struct {
	once sync.Once
	size size
	err  error
}

// notOfSize are keys that change neither the steps of a run nor its memory.
var notOfSize = []string{
	"seed", "learning_rate", "schedule", "min_lr_ratio", "warmup_steps", "warmup_ratio", "warmup_epochs", "weight_decay", "adam_beta1",
	"adam_beta2", "adam_epsilon", "lora_alpha", "use_rslora", "loraplus_lr_ratio", "layer_decay", "max_grad_norm", "param_groups", "decay_ratio", "decay_type",
}

// sizeOf works out the size of a run. Those that differ in their seed, or in numbers
// that do not matter here, are alike and worked out once.
func (p *planner) sizeOf(ctx context.Context, n *node) (size, error) {
	if s, ok := p.known.size(n.key); ok {
		return s, nil
	}
	all := flat(n.recipe)
	seed := fmt.Sprint(n.seed)
	var name strings.Builder
	for _, key := range sortedKeys(all) {
		_, last, staged := strings.Cut(key, ".")
		if !staged {
			last = key
		}
		if !slices.Contains(notOfSize, last) {
			fmt.Fprintf(&name, "%s=%s\n", key, strings.ReplaceAll(all[key], "="+seed, "="+placeholder))
		}
	}
	s := p.known.sizing(name.String())
	s.once.Do(func() { s.size, s.err = planRun(ctx, n) })
	if s.err != nil {
		return s.size, yamlnode.At(n.arm.node, "%s: %w", n.arm.Name, s.err)
	}
	p.known.store(n.key, s.size)
	return s.size, nil
}

// planRun asks train what a run takes.
func planRun(ctx context.Context, n *node) (s size, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a fault of the program: %v", p)
		}
	}()
	if n.planned() {
		bytes, err := n.probed(ctx)
		return size{stageSteps: make([]int, max(1, len(n.recipe.Stages))), bytes: bytes}, err
	}
	plan, err := train.MakePlan(ctx, n.planConfig(false))
	if err != nil {
		return size{}, err
	}
	s = size{steps: plan.Steps, bytes: plan.Total - plan.Memory.Inputs, available: plan.Available}
	for _, stage := range plan.Stages {
		s.tokens += stage.Tokens
		s.stageSteps = append(s.stageSteps, stage.Steps)
	}
	return s, nil
}

// planConfig is what train is asked; where the run begins with a model that is yet to
// be made, with that model's shape.
func (n *node) planConfig(probe bool) train.PlanConfig {
	c := train.PlanConfig{Recipe: n.recipe, Probe: probe}
	if c.Recipe.PreviousRun != "" {
		c.Recipe.PreviousRun, c.Recipe.PreviousOptimizer = "", "fresh"
		if c.Recipe.Stages = slices.Clone(c.Recipe.Stages); c.Recipe.Stages != nil {
			c.Recipe.Stages[0].PreviousOptimizer = "fresh"
		}
	}
	for b := n.from; b != nil; b = b.from {
		if b.recipe.Pretraining() {
			c.Shape = b.recipe.Shape
		}
	}
	return c
}

// An Outline says what a study will run.
type Outline struct {
	Seeds    int
	Arms     []ArmOutline
	Prepared []ArmOutline
	Unique   int     // runs, shared ones counted once
	Tokens   float64 // of these
	Seconds  float64 // of one job; 0 if not probed
	Bytes    int64   // of the run that needs most

	// Runs are the tokens of each run, by its key. Studies whose runs have the same key
	// share them.
	Runs map[string]float64
}

// An ArmOutline says what an arm will run.
type ArmOutline struct {
	Name   string
	Runs   int // with those of the search for values
	Steps  int // of each run of a test
	Tokens float64
}

// Plan works out what a study will run, and checks the models and the data that it
// names. Nothing is trained but the few steps of a probe.
func (s *Study) Plan(ctx context.Context, quick, probe bool) (Outline, error) {
	if quick {
		s = s.quickly()
	}
	if len(s.Arms) == 0 {
		return Outline{}, nil
	}
	p := newPlanner(s, OpenKnown(""))
	o, err := p.outline(ctx, quick, probe)
	if err != nil {
		return o, yamlnode.Errorf("study", s.name, err)
	}
	return o, nil
}

func (p *planner) outline(ctx context.Context, quick, probe bool) (Outline, error) {
	s := p.study
	seeds := s.TestSeeds(quick)
	o := Outline{Seeds: len(seeds), Runs: make(map[string]float64)}
	regretted := s.onTuningSeeds(slices.Concat(s.Checks, s.Tests))
	var first *node
	for i := range s.Arms {
		a := &s.Arms[i]
		var runs []*node
		for _, seed := range seeds {
			n, err := p.add(ctx, a, nil, seed, 1, s.Metrics)
			if err != nil {
				return o, err
			}
			runs = append(runs, n)
		}
		size, err := p.sizeOf(ctx, runs[0])
		if err != nil {
			return o, err
		}
		tried, measured := s.tried(a), regretted[a.Name]
		switch {
		case len(tried) > 0:
			measured = append(s.with(*s.metric(s.TuneBy)), measured...)
		case measured != nil && a.Tuned == a.Name: // else the runs are those of the search
			tried = []map[string]float64{nil}
		}
		for _, values := range tried {
			for _, seed := range s.Seeds.Tuning {
				n, err := p.add(ctx, a, values, seed, 1, measured)
				if err != nil {
					return o, err
				}
				runs = append(runs, n)
			}
		}
		o.Arms = append(o.Arms, ArmOutline{Name: a.Name, Runs: len(runs), Steps: size.steps, Tokens: size.tokens})
		if first == nil || size.bytes > o.Bytes {
			first = runs[0]
		}
		o.Bytes = max(o.Bytes, size.bytes)
	}
	for _, key := range sortedKeys(p.nodes) {
		n := p.nodes[key]
		var err error
		if n.size, err = p.sizeOf(ctx, n); err != nil {
			return o, err
		}
		o.Unique++
		o.Tokens += n.size.tokens
		o.Runs[key] = n.size.tokens
	}
	if least := o.Arms[0].Tokens; s.Budget.Tokens > 0 && s.Budget.Tokens < least {
		return o, yamlnode.At(s.Budget.node, "the budget is %.3g tokens, and a run of %s takes %.3g: not one fits", s.Budget.Tokens, o.Arms[0].Name, least)
	}
	if !probe || o.Tokens == 0 {
		return o, nil
	}
	rate, err := p.probe(ctx, first)
	if err != nil {
		return o, err
	}
	o.Seconds = o.Tokens / rate
	if s.Budget.Time > 0 && s.Budget.Time.Seconds() < o.Arms[0].Tokens/rate {
		return o, yamlnode.At(s.Budget.node, "the budget is %s, and a run of %s takes %.0f s: not one fits", s.Budget.Time, o.Arms[0].Name, o.Arms[0].Tokens/rate)
	}
	return o, nil
}

// probe measures tokens a second by a few steps.
func (p *planner) probe(ctx context.Context, n *node) (float64, error) {
	plan, err := train.MakePlan(ctx, n.planConfig(true))
	if err != nil {
		return 0, yamlnode.At(n.arm.node, "%s: %w", n.arm.Name, err)
	}
	tokens := 0.0
	for _, stage := range plan.Stages {
		tokens += stage.Tokens
	}
	return tokens / plan.Seconds, nil
}

// tried are the values that an arm chooses from; none where it chooses nothing.
func (s *Study) tried(a *Arm) []map[string]float64 {
	if len(s.Tune) == 0 || a.Tuned != a.Name {
		return nil
	}
	grid := []map[string]float64{{}}
	for _, axis := range s.Tune {
		var next []map[string]float64
		for _, values := range grid {
			for _, x := range axis.Values {
				one := map[string]float64{axis.Key: x}
				for k, v := range values {
					one[k] = v
				}
				next = append(next, one)
			}
		}
		grid = next
	}
	return grid
}
