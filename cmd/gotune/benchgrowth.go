package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"gotune/internal/disk"
	"gotune/schedule/draw"
	"gotune/train"
)

// An axis is a size that grows while the others stay.
type axis struct {
	name, label string
	values      []int
	set         func(c *train.BenchConfig, v int)
}

// growthAxes are the sizes that --growth lets grow. With length the number of
// tokens stays the same: what grows is attention.
func growthAxes(c train.BenchConfig) []axis {
	const tokens = 2048
	var threads []int
	for n := 1; n <= runtime.GOMAXPROCS(0); n *= 2 {
		threads = append(threads, n)
	}
	rank := min(c.Config.HiddenSize, c.Config.KVHeads*c.Config.HeadDim)
	return []axis{
		{"length", "tokens of a row, 2,048 in all", []int{128, 256, 512, 1024, 2048}, func(c *train.BenchConfig, v int) {
			c.Rows, c.Length = tokens/v, v
			c.Config.MaxPositions = max(c.Config.MaxPositions, v)
		}},
		{"rows", fmt.Sprintf("rows of %d tokens", c.Length), []int{1, 2, 4, 8, 16}, func(c *train.BenchConfig, v int) { c.Rows = v }},
		{"rank", "rank of the adapter", upTo(rank, 1, 2, 4, 8, 16, 32, 64, 128), func(c *train.BenchConfig, v int) { c.Full, c.LoRA.Rank = false, v }},
		{"layers", "layers", []int{1, 2, 3, 4, 6}, func(c *train.BenchConfig, v int) { c.Config.Layers = v }},
		{"threads", "threads", threads, func(c *train.BenchConfig, v int) { c.Threads = v }},
	}
}

func upTo(most int, values ...int) []int {
	for len(values) > 0 && values[len(values)-1] > most {
		values = values[:len(values)-1]
	}
	return values
}

// A growthPoint is a line of gotune bench --growth.
type growthPoint struct {
	Axis            string  `json:"axis"`
	Value           int     `json:"value"`
	StepSeconds     float64 `json:"step_seconds"`
	AttentionShare  float64 `json:"attention_share"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	GFLOPS          float64 `json:"gflops"`
	PlannedMiB      float64 `json:"planned_mib"`
}

// benchGrowth measures along all axes, prints the points and draws a figure each.
// Seconds are those of the fastest step.
func (f *benchFlags) benchGrowth(ctx context.Context, w, progress io.Writer) error {
	var all []growthPoint
	if !f.json {
		fmt.Fprintln(w, "axis,value,step_seconds,attention_share,tokens_per_second,gflops,planned_mib")
	}
	for _, a := range growthAxes(f.BenchConfig) {
		var points []growthPoint
		for _, v := range a.values {
			p, err := growthAt(ctx, f.BenchConfig, a, v)
			if err != nil {
				return fmt.Errorf("%s %d: %w", a.name, v, err)
			}
			points = append(points, p)
			if f.json {
				fmt.Fprintf(progress, "%s %d: %.4f s\n", a.name, v, p.StepSeconds)
			} else {
				fmt.Fprintf(w, "%s,%d,%.6f,%.4f,%.1f,%.1f,%.0f\n", p.Axis, p.Value, p.StepSeconds, p.AttentionShare, p.TokensPerSecond, p.GFLOPS, p.PlannedMiB)
			}
		}
		all = append(all, points...)
		if f.svg == "" {
			continue
		}
		if err := os.MkdirAll(f.svg, 0o755); err != nil {
			return err
		}
		if err := disk.WriteFile(filepath.Join(f.svg, a.name+".svg"), growthPlot(a, points).SVG); err != nil {
			return err
		}
	}
	if f.json {
		return json.NewEncoder(w).Encode(all)
	}
	return nil
}

func growthAt(ctx context.Context, c train.BenchConfig, a axis, v int) (growthPoint, error) {
	c.Profile = true
	a.set(&c, v)
	r, err := train.Bench(ctx, c)
	if err != nil {
		return growthPoint{}, err
	}
	p := growthPoint{Axis: a.name, Value: v, StepSeconds: r.Profile.StepSeconds, AttentionShare: r.Profile.Attention, PlannedMiB: r.PlannedMiB}
	p.TokensPerSecond = float64(c.Rows*c.Length) / p.StepSeconds
	p.GFLOPS = r.GFLOPS * r.StepSeconds / p.StepSeconds
	return p, nil
}

func growthPlot(a axis, points []growthPoint) draw.Plot {
	step, attention := draw.Line{Label: "step"}, draw.Line{Label: "attention"}
	for _, p := range points {
		step.Points = append(step.Points, draw.Point{X: float64(p.Value), Y: 1000 * p.StepSeconds})
		attention.Points = append(attention.Points, draw.Point{X: float64(p.Value), Y: 1000 * p.StepSeconds * p.AttentionShare})
	}
	return draw.Plot{Title: "Time of a step by " + a.name, X: a.label, Y: "ms", Lines: []draw.Line{step, attention}}
}

// roofline shows the operators with products below what arithmetic and memory
// allow, which is read at bandwidth GB/s: GFLOP/s over operations a byte.
func roofline(r train.BenchResult, bandwidth float64) draw.Plot {
	const lowest, highest = 1.0, 1000.0
	peak := r.PeakGFLOPS
	roof := draw.Line{Label: fmt.Sprintf("%.0f GFLOP/s, %.0f GB/s", peak, bandwidth), Points: []draw.Point{
		{X: lowest, Y: min(peak, lowest*bandwidth)}, {X: max(lowest, min(highest, peak/bandwidth)), Y: peak}, {X: highest, Y: peak}}}
	dots := draw.Line{Dots: true}
	for _, u := range r.Profile.Operators {
		if flops, bytes := u.GFLOPS*u.Products, u.GBs*u.Seconds; flops > 0 && bytes > 0 {
			dots.Points = append(dots.Points, draw.Point{X: flops / bytes, Y: flops / u.Seconds, Label: u.Name})
		}
	}
	return draw.Plot{Title: "Operators below the roof", X: "operations a byte of inputs and outputs", Y: "GFLOP/s", Log: true, Lines: []draw.Line{roof, dots}}
}
