// Command precision compares runs that differ in how the base is stored and how
// products are made, and draws docs/precision.svg:
//
//	go run ./docs/_precision FOLDER
//
// FOLDER holds the runs that curves.sh makes. For each it prints the mean and the
// largest absolute difference of the loss of a step from that of the float32 run, and
// the mean loss of the last 20 steps. On the left of the picture are the losses by
// step, on the right their differences from float32.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// ways are the runs in the order of the table; the first is what others are held against.
var ways = []struct{ folder, name, color string }{
	{"fp32-fp32", "float32", "black"},
	{"bf16-fp32", "base in bf16", "#56b4e9"},
	{"fp32-bf16", "products in bf16", "#0072b2"},
	{"int8-fp32", "base in int8", "#009e73"},
	{"nf4-fp32", "base in nf4", "#d55e00"},
	{"nf4-bf16", "base in nf4, products in bf16", "#cc79a7"},
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: precision FOLDER")
	}
	var curves [][]float64
	for _, w := range ways {
		losses, err := read(filepath.Join(os.Args[1], w.folder, "metrics.jsonl"))
		if err != nil {
			log.Fatal(err)
		}
		if len(curves) > 0 && len(losses) != len(curves[0]) {
			log.Fatalf("%s has %d steps, %s has %d", w.folder, len(losses), ways[0].folder, len(curves[0]))
		}
		curves = append(curves, losses)
	}
	fmt.Printf("%-30s %12s %12s %16s\n", "", "mean |Δ|", "largest |Δ|", "last 20 steps")
	for i, w := range ways {
		sum, most, last := 0.0, 0.0, 0.0
		n := len(curves[i])
		for step, loss := range curves[i] {
			d := math.Abs(loss - curves[0][step])
			sum, most = sum+d, max(most, d)
			if step >= n-20 {
				last += loss / 20
			}
		}
		fmt.Printf("%-30s %12.5f %12.5f %16.5f\n", w.name, sum/float64(n), most, last)
	}
	if err := os.WriteFile(filepath.Join("docs", "precision.svg"), draw(curves), 0o644); err != nil {
		log.Fatal(err)
	}
}

// read returns the losses of the steps.
func read(path string) ([]float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []float64
	for s := bufio.NewScanner(f); s.Scan(); {
		var l struct {
			Event string
			Loss  float64
		}
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			return nil, err
		}
		if l.Event == "step" {
			all = append(all, l.Loss)
		}
	}
	return all, nil
}

const width, height, top = 380.0, 240.0, 40.0

// panel draws curves into a frame whose lower left corner is at x, between two values.
func panel(b *bytes.Buffer, left float64, title string, low, high float64, curves [][]float64) {
	fmt.Fprintf(b, `<text x="%.0f" y="22">%s</text>`+"\n", left, title)
	y := func(v float64) float64 { return top + height*(high-v)/(high-low) }
	steps := len(curves[0])
	for i := range 5 {
		v := low + (high-low)*float64(i)/4
		fmt.Fprintf(b, `<path d="M%.1f %.1fh%.1f" stroke="#dddddd"/><text x="%.1f" y="%.1f" text-anchor="end" fill="#777777">%.3g</text>`+"\n", left, y(v), width, left-6, y(v)+4, v)
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle" fill="#777777">%d</text>`+"\n", left+width*float64(i)/4, top+height+18, steps*i/4)
	}
	for i, c := range curves {
		if c == nil {
			continue
		}
		var points []string
		for step, v := range c {
			points = append(points, fmt.Sprintf("%.1f,%.1f", left+width*float64(step)/float64(steps-1), y(v)))
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.2"/>`+"\n", strings.Join(points, " "), ways[i].color)
	}
}

func draw(curves [][]float64) []byte {
	top, most := 0.0, 0.0
	differences := make([][]float64, len(curves))
	for i, c := range curves {
		for step, loss := range c {
			top = max(top, loss)
			if i > 0 {
				differences[i] = append(differences[i], loss-curves[0][step])
				most = max(most, math.Abs(loss-curves[0][step]))
			}
		}
	}
	differences[0] = make([]float64, len(curves[0]))
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 350" font-family="sans-serif" font-size="13" role="img" aria-label="Losses by step for each precision, and their differences from float32">`+"\n")
	fmt.Fprintf(&b, `<rect width="960" height="350" fill="white"/>`+"\n")
	panel(&b, 60, "Loss in nats a token, by optimizer step", 0, top, curves)
	panel(&b, 550, "Its difference from float32", -most, most, differences)
	at := 60.0
	for _, w := range ways {
		fmt.Fprintf(&b, `<text x="%.0f" y="335" fill="%s">%s</text>`+"\n", at, w.color, w.name)
		at += 30 + 6.6*float64(len(w.name))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
