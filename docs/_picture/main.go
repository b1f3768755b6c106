// Command picture draws docs/main-job.svg from a run folder of the main job:
//
//	go run ./docs/_picture RUN docs/main-job.svg
//
// On the left is the training loss by step with the held-out loss on the way, on
// the right the share of held-out questions answered exactly, before and after.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
)

// line is a line of metrics.jsonl.
type line struct {
	Event  string
	When   string
	Step   int
	Loss   float64
	Exact  *float64 `json:"exact_match"`
	Unseen *float64 `json:"exact_match_unseen_wording"`
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: picture RUN OUT.svg")
	}
	lines, err := read(filepath.Join(os.Args[1], "metrics.jsonl"))
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[2], draw(lines), 0o644); err != nil {
		log.Fatal(err)
	}
}

func read(path string) ([]line, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []line
	for s := bufio.NewScanner(f); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

const (
	left, top, width, height = 60.0, 40.0, 420.0, 230.0
	barsLeft, barWidth       = 560.0, 50.0
	blue, orange, gray       = "#0072b2", "#d55e00", "#777777"
)

func draw(lines []line) []byte {
	var b bytes.Buffer
	steps, most := 1, 0.0
	for _, l := range lines {
		steps, most = max(steps, l.Step), max(most, l.Loss)
	}
	x := func(step int) float64 { return left + width*float64(step)/float64(steps) }
	y := func(loss float64) float64 { return top + height*(1-loss/most) }
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 330" font-family="sans-serif" font-size="13" role="img" aria-label="Loss by step, and exact match before and after tuning">`+"\n")
	fmt.Fprintf(&b, `<rect width="860" height="330" fill="white"/>`+"\n")
	text := func(x, y float64, anchor, color, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, color, s)
	}
	text(left, 22, "start", "black", "Loss in nats a token, by optimizer step")
	for i := range 5 {
		v := most * float64(i) / 4
		fmt.Fprintf(&b, `<path d="M%.1f %.1fh%.1f" stroke="#dddddd"/>`+"\n", left, y(v), width)
		text(left-6, y(v)+4, "end", gray, fmt.Sprintf("%.1f", v))
		text(x(steps*i/4), top+height+18, "middle", gray, fmt.Sprint(steps*i/4))
	}
	var training []string
	for _, l := range lines {
		switch l.Event {
		case "step":
			training = append(training, fmt.Sprintf("%.1f,%.1f", x(l.Step), y(l.Loss)))
		case "eval":
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x(l.Step), y(l.Loss), orange)
		}
	}
	fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", strings.Join(training, " "), blue)
	text(left+width-10, top+16, "end", blue, "training")
	text(left+width-10, top+34, "end", orange, "held out")
	bars(&b, lines, text)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// bars shows exact match before and after, for all questions and for those in
// unseen wordings.
func bars(b *bytes.Buffer, lines []line, text func(x, y float64, anchor, color, s string)) {
	text(barsLeft-20, 22, "start", "black", "Held-out questions answered exactly")
	at := barsLeft
	for i, name := range []string{"all wordings", "unseen wordings"} {
		for _, l := range lines {
			v := l.Exact
			if i == 1 {
				v = l.Unseen
			}
			if l.Event != "eval" || l.When == "during" || v == nil {
				continue
			}
			color := gray
			if l.When == "after" {
				color = blue
			}
			h := height * *v
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", at, top+height-h, barWidth, h, color)
			text(at+barWidth/2, top+height-h-6, "middle", "black", fmt.Sprintf("%.0f %%", 100**v))
			text(at+barWidth/2, top+height+18, "middle", gray, l.When)
			at += barWidth + 10
		}
		text(at-barWidth-15, top+height+38, "middle", "black", name)
		at += 30
	}
}
