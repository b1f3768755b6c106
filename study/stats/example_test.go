package stats_test

import (
	"fmt"
	"log"
	"math"

	"gotune/study/stats"
)

// Exact match of two arms over four seeds: is the first better by 5 points or more?
func Example() {
	full := []float64{0.81, 0.78, 0.84, 0.80}
	lora := []float64{0.70, 0.69, 0.71, 0.72}
	var differences []float64
	for seed := range full {
		d, err := stats.Weighted([]float64{1, -1}, []float64{full[seed], lora[seed]})
		if err != nil {
			log.Fatal(err)
		}
		differences = append(differences, d)
	}
	effect, err := stats.Of(differences)
	if err != nil {
		log.Fatal(err)
	}
	low, high := effect.Interval(0.95)
	fmt.Printf("%.3f [%.3f, %.3f]\n", effect.Mean, low, high)

	better := stats.Rule{Expect: stats.Above, Margin: 0.05}.Decide(effect)
	fmt.Printf("full is better: %s, p = %.3f\n", better.Outcome, better.P)
	worse := stats.Rule{Expect: stats.Below, Margin: 0.05}.Decide(effect)
	fmt.Printf("lora is better: %s, p = %.3f\n", worse.Outcome, worse.P)
	// Output:
	// 0.103 [0.067, 0.138]
	// full is better: supported, p = 0.003
	// lora is better: contradicted, p = 1.000
}

// How many seeds a study needs to tell whether two arms are equal to within 5 points,
// if they are and seeds deviate by 8, and to find one 10 points better.
func ExampleRule_Needs() {
	fmt.Println(stats.Rule{Expect: stats.Equal, Margin: 0.05}.Needs(0, 0.08, stats.Power))
	fmt.Println(stats.Rule{Expect: stats.Above, Margin: 0.05}.Needs(0.10, 0.08, stats.Power))
	// Output:
	// 24
	// 8
}

// The best learning rate at three batch sizes, each from a grid, and how it grows.
func ExampleExponent() {
	rates := []float64{1e-4, 2e-4, 4e-4, 8e-4}
	losses := [][]float64{ // by batch size
		{2.0, 1.9, 2.0, 2.4},
		{2.1, 1.9, 1.9, 2.1},
		{2.4, 2.0, 1.9, 2.0},
	}
	var optima []float64
	for _, l := range losses {
		o, err := stats.Peak(rates, l, stats.Lower)
		if err != nil {
			log.Fatal(err)
		}
		optima = append(optima, o.At)
		fmt.Printf("%.2e at loss %.3f, edge %v\n", o.At, o.Value, o.Edge)
	}
	k, err := stats.Exponent([]float64{8, 16, 32}, optima)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("rate ∝ batch^%.2f\n", k)
	// Output:
	// 2.00e-04 at loss 1.900, edge false
	// 2.83e-04 at loss 1.875, edge false
	// 4.00e-04 at loss 1.900, edge false
	// rate ∝ batch^0.50
}

// The effect of doubling the rank, as weights of the arms.
func ExampleTrend() {
	w, err := stats.Trend([]float64{2, 4, 8, 16}, math.Log2)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f\n", w)
	// Output: [-0.3 -0.1 0.1 0.3]
}

// Three tests of a study, by their p-values.
func ExampleHolm() {
	fmt.Printf("%.3f\n", stats.Holm([]float64{0.04, 0.001, 0.03}))
	fmt.Printf("%.3f\n", stats.BenjaminiHochberg([]float64{0.04, 0.001, 0.03}))
	// Output:
	// [0.060 0.003 0.060]
	// [0.040 0.003 0.040]
}
