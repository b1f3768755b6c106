package report

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gotune/study"
)

// of makes an arm with a value of each metric for seeds 1, 2, ….
func of(name string, metrics map[string][]float64) study.ArmResult {
	a := study.ArmResult{Name: name, Differs: map[string]string{}, Attributes: map[string]float64{}}
	for m, values := range metrics {
		for i, v := range values {
			if i == len(a.Runs) {
				a.Runs = append(a.Runs, study.RunResult{Seed: uint64(i + 1), Status: "finished", Metrics: map[string]float64{}})
			}
			a.Runs[i].Metrics[m] = v
		}
	}
	return a
}

// The regret of an arm is paired by seed: seeds that are hard for all arms do not widen
// its interval. By hand: of three differences 1, 2, 3 the mean is 2, the standard error
// 1/√3, and Student's t with two degrees of freedom 4.302653.
func TestRanking(t *testing.T) {
	arms := []study.ArmResult{
		of("worse", map[string][]float64{"m": {9, 18, 47}}),
		of("best", map[string][]float64{"m": {10, 20, 50}}),
		of("unknown", nil),
	}
	all := ranking(arms, study.Metric{Name: "m", Better: "higher"})
	if len(all) != 2 || all[0].arm.Name != "best" || all[1].arm.Name != "worse" {
		t.Fatalf("the order is %v", all)
	}
	half := 4.302653 / math.Sqrt(3)
	for i, want := range []spread{{-2, -2 - half, -2 + half, 3}, {2, 2 - half, 2 + half, 3}} {
		got := all[i].regret
		if got.n != want.n || math.Abs(got.mid-want.mid) > 1e-9 || math.Abs(got.low-want.low) > 1e-5 || math.Abs(got.high-want.high) > 1e-5 {
			t.Errorf("%s: regret %v, want %v", all[i].arm.Name, got, want)
		}
	}
	if all = ranking(arms, study.Metric{Name: "m", Better: "lower"}); all[0].arm.Name != "worse" {
		t.Error("where lower is better the other arm is best")
	}
	if ranking(arms, study.Metric{Name: "m"}) != nil {
		t.Error("where neither side is better there is no best")
	}
}

// An arm is on the front unless another is at least as good in both and better in one.
func TestPareto(t *testing.T) {
	arm := func(name string, recall, seconds float64) study.ArmResult {
		return of(name, map[string][]float64{"recall": {recall}, "seconds": {seconds}})
	}
	pic := pareto("x", []study.ArmResult{arm("fast", 0.5, 1), arm("good", 0.9, 5), arm("slow", 0.9, 6), arm("bad", 0.4, 2), arm("twin", 0.5, 1)},
		study.Metric{Name: "recall", Better: "higher"}, study.Metric{Name: "seconds", Better: "lower"})
	var front []string
	for _, r := range pic.Rows {
		if r[3].Shown == "yes" {
			front = append(front, r[0].Shown)
		}
	}
	if want := []string{"fast", "good", "twin"}; !slices.Equal(front, want) {
		t.Errorf("the front is %v, want %v", front, want)
	}
}

// There is a heat map for each setting of what is not on its axes, and none where most
// cells are missing.
func TestGrids(t *testing.T) {
	var arms []study.ArmResult
	for _, rank := range []float64{2, 8, 32} {
		for _, rate := range []float64{1e-4, 1e-3} {
			for _, method := range []string{"full", "lora"} {
				a := of(fmt.Sprint(rank, rate, method), map[string][]float64{"m": {rank * rate}})
				a.Attributes = map[string]float64{"rank": rank, "rate": rate}
				a.Differs = map[string]string{"rank": fmt.Sprint(rank), "rate": fmt.Sprint(rate), "method": method}
				if method == "full" || rank == 2 { // lora lacks four of its six cells
					arms = append(arms, a)
				}
			}
		}
	}
	all, settings := grids(arms, "m")
	if diff := cmp.Diff([]string{"method=full"}, settings); diff != "" {
		t.Fatal(diff)
	}
	if g := all[0]; g.x != "rank" || g.y != "rate" || len(g.cells) != 6 || g.cells[[2]int{1, 1}].mid != 8e-3 {
		t.Errorf("the map is %+v", g)
	}
}

// A curve's band reaches from the lowest to the highest seed, and a long run is joined to
// points of equally many steps.
func TestBands(t *testing.T) {
	var low, high curve
	for step := range 10 * maxPoints {
		low.add(float64(step), 1)
		high.add(float64(step), 3)
	}
	low.end()
	high.end()
	a := armCurves{runs: []curve{low, high}}
	points := a.bands()
	if len(low.steps) < maxPoints || len(low.steps) > 2*maxPoints || len(points) != maxColumns {
		t.Fatalf("%d points of a run, %d of the band", len(low.steps), len(points))
	}
	for i, p := range points {
		if p.mean != 2 || p.low != 1 || p.high != 3 {
			t.Fatalf("point %d is %v", i, p)
		}
		if i > 0 && math.Abs(p.step-points[i-1].step-100) > 20 {
			t.Errorf("point %d is at %g, the one before at %g", i, p.step, points[i-1].step)
		}
	}
}
