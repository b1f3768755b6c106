package study

import (
	"context"
	"fmt"
	"slices"

	"gotune/train"
)

// ofPlans are measures of what a run will take, worked out from its recipe: nothing is
// trained for them but the few steps of step_seconds. With workers a component is that
// of one of them. Stage 1 of ZeRO shares the optimizer's averages evenly between them,
// stage 2 the gradients too and stage 3 the weights and the adapter too (Rajbhandari et
// al. 2020, arXiv:1910.02054, section 5); activations are each worker's own.
var ofPlans = []Measure{
	{Family: "plan", Name: "bytes", Unit: "bytes", Better: "lower", plan: func(p train.Plan, m MetricSpec) float64 { return m.bytes(p) },
		Definition: "weights, adapter, gradients, optimizer and activations"},
	{Family: "plan", Name: "weights", Unit: "bytes", Better: "lower", plan: func(p train.Plan, m MetricSpec) float64 { return m.shared(3, p.Memory.Weights+p.Memory.Adapter) },
		Definition: "weights of the model and of the adapter"},
	{Family: "plan", Name: "gradients", Unit: "bytes", Better: "lower", plan: func(p train.Plan, m MetricSpec) float64 { return m.shared(2, p.Memory.Gradients) },
		Definition: "gradients of what is trained"},
	{Family: "plan", Name: "optimizer", Unit: "bytes", Better: "lower", plan: func(p train.Plan, m MetricSpec) float64 { return m.shared(1, p.Memory.Optimizer) },
		Definition: "averages of the optimizer"},
	{Family: "plan", Name: "activations", Unit: "bytes", Better: "lower", plan: func(p train.Plan, _ MetricSpec) float64 { return float64(p.Memory.Activations) },
		Definition: "activations of the largest micro-batch, with their gradients"},
	{Family: "plan", Name: "saved_share", Unit: "share", Better: "higher", plan: savedShare,
		Definition: "share of bytes that a worker does not keep because the workers share them"},
	{Family: "plan", Name: "trainable", Unit: "values", plan: func(p train.Plan, _ MetricSpec) float64 { return float64(p.Trainable) },
		Definition: "values that are trained"},
	{Family: "plan", Name: stepSeconds, Unit: "s", Better: "lower", plan: func(p train.Plan, _ MetricSpec) float64 { return p.Stages[0].StepSeconds },
		Definition: "time of an optimizer step, measured over up to four steps on one thread"},
}

const stepSeconds = "step_seconds"

// shared is what a worker keeps of a component that is shared from a stage of ZeRO on.
func (m MetricSpec) shared(from int, bytes int64) float64 {
	if m.Zero >= from && m.Workers > 1 {
		return float64(bytes) / float64(m.Workers)
	}
	return float64(bytes)
}

func (m MetricSpec) bytes(p train.Plan) float64 {
	return m.shared(3, p.Memory.Weights+p.Memory.Adapter) + m.shared(2, p.Memory.Gradients) + m.shared(1, p.Memory.Optimizer) + float64(p.Memory.Activations)
}

func savedShare(p train.Plan, m MetricSpec) float64 {
	alone := m
	alone.Workers = 1
	return 1 - m.bytes(p)/alone.bytes(p)
}

// planned reports whether all that is asked of a run can be told without it.
func (n *node) planned() bool {
	return len(n.metrics) > 0 && !slices.ContainsFunc(n.metrics, func(m MetricSpec) bool { return m.Measure.Family != "plan" })
}

// probed are the bytes that measuring steps takes; 0 where nothing is measured.
func (n *node) probed(ctx context.Context) (most int64, err error) {
	for _, m := range n.metrics {
		if m.Measure.Name != stepSeconds {
			continue
		}
		c := n.planConfig(false)
		if m.Shape != "" {
			c.Shape = m.Shape
		}
		plan, err := train.MakePlan(ctx, c)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", m.Name, err)
		}
		most = max(most, plan.Total-plan.Memory.Inputs)
	}
	return most, nil
}

// A planKey says what was planned.
type planKey struct {
	shape string
	probe bool
}

// plans are the metrics that are told of the recipe.
func (n *node) plans(ctx context.Context) (map[string]measured, error) {
	values := make(map[string]measured)
	known := make(map[planKey]train.Plan)
	for _, m := range n.metrics {
		if m.Measure.Family != "plan" {
			continue
		}
		key := planKey{m.Shape, m.Measure.Name == stepSeconds}
		plan, ok := known[key]
		if !ok {
			c := n.planConfig(key.probe)
			if m.Shape != "" {
				c.Shape = m.Shape
			}
			var err error
			if plan, err = train.MakePlan(ctx, c); err != nil {
				return nil, fmt.Errorf("metric %s: %w", m.Name, err)
			}
			known[key] = plan
		}
		values[m.Name] = measured{Value: m.Measure.plan(plan, m)}
	}
	return values, nil
}
