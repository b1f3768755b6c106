// Package inspect shows what training will see: rows of batches token by token,
// in the terminal or as a page of HTML, what became of all rows, and the tokens and
// targets of each as JSON lines.
package inspect

import (
	"fmt"

	"gotune/data"
	"gotune/data/chat"
	"gotune/data/rows"
)

// A Decoder turns ids into text. *tokenizer.Tokenizer is one.
type Decoder interface {
	Decode(ids []int32, skipSpecial bool) string
}

// A Page is what is shown of a dataset.
type Page struct {
	Template *chat.Template // of conversations
	Report   data.Report
	Findings []data.Finding // of the data, the held-out data, and of both
	HeldOut  *data.Report   // nil without
	Lengths  []Bin
	Rows     []Row
	Packed   bool
	All      int // rows that there are
	From     int // number of the first one shown
	Most     int // tokens that a row may have
}

// A Row is a row of a batch: segments, and padding after them.
type Row struct {
	Number   int // in the order of the file, packed ones in that of their first segment
	Length   int // with padding
	Tokens   int
	Targets  int
	Pad      int
	PadID    int32
	Segments []Segment
}

// A Segment is a row of data, or a piece of a text, inside of a row of a batch.
type Segment struct {
	Number  int // in the row
	At      rows.Location
	Targets int
	Tokens  []Token
}

// A Token is one token as training meets it.
type Token struct {
	ID       int32
	Text     string // visible; "⋯" where the token before shows the character that this one ends
	Position int    // in the segment; no token attends to another segment
	Target   bool
	Weight   float32 // in the loss, of a target
}

// New lays the rows from … from+n−1 of an epoch in the order of the file out and
// reads them back from the batches, so what is shown is what a model gets.
func New(d *data.Dataset, decoder Decoder, template *chat.Template, packing bool, from, n int) (*Page, error) {
	batches, err := d.Batches(data.BatchConfig{BatchSize: 1, AccumulationSteps: 1, Packing: packing})
	if err != nil {
		return nil, err
	}
	p := &Page{Template: template, Report: d.Report(), Packed: packing, All: batches.Rows(), From: from, Most: d.MaxLength()}
	p.Findings = append(p.Findings, p.Report.Findings...)
	lengths := make([]int, d.Len())
	for i := range lengths {
		lengths[i] = len(d.Example(i).IDs)
	}
	p.Lengths = Histogram(lengths, 12)
	plan := batches.Plan(0)
	var b data.Batch
	for i := from; i < from+n && i < batches.Rows(); i++ {
		plan.Step(i).Fill(&b, 0)
		p.Rows = append(p.Rows, rowOf(&b, i, decoder))
	}
	return p, nil
}

// Compare adds what is found about held-out data, and about rows that are in both.
func (p *Page) Compare(training, heldOut *data.Dataset) {
	r := heldOut.Report()
	p.HeldOut = &r
	for _, f := range r.Findings {
		f.Text = "held-out data: " + f.Text
		p.Findings = append(p.Findings, f)
	}
	p.Findings = append(p.Findings, data.Overlaps(heldOut, training)...)
}

// rowOf reads the only row of a batch.
func rowOf(b *data.Batch, number int, decoder Decoder) Row {
	r := Row{Number: number, Length: b.Length, Tokens: b.Tokens, Targets: b.TargetTokens, Pad: b.Length - b.Tokens}
	if r.Pad > 0 {
		r.PadID = b.IDs[b.Length-1]
	}
	for n, s := range b.Segments {
		from, to := s.Start, s.Start+s.Length
		segment := Segment{Number: n, At: s.At}
		for i, text := range texts(decoder, b.IDs[from:to]) {
			t := Token{ID: b.IDs[from+i], Text: text, Position: int(b.Positions[from+i])}
			// The target of a token is the one after it.
			if i > 0 && b.Targets[from+i-1] != data.Ignore {
				t.Target, t.Weight = true, b.Weights[from+i-1]
				segment.Targets++
			}
			segment.Tokens = append(segment.Tokens, t)
		}
		r.Segments = append(r.Segments, segment)
	}
	return r
}

// A Bin counts the rows of Low to High tokens.
type Bin struct{ Low, High, Count int }

// Histogram puts lengths into at most n bins of the same width, from the shortest
// to the longest.
func Histogram(lengths []int, n int) []Bin {
	if len(lengths) == 0 {
		return nil
	}
	low, high := lengths[0], lengths[0]
	for _, l := range lengths {
		low, high = min(low, l), max(high, l)
	}
	width := (high - low + n) / n
	bins := make([]Bin, (high-low)/width+1)
	for i := range bins {
		bins[i] = Bin{Low: low + i*width, High: low + (i+1)*width - 1}
	}
	for _, l := range lengths {
		bins[(l-low)/width].Count++
	}
	return bins
}

// String writes the range of a bin, as in 12–15.
func (b Bin) String() string {
	if b.Low == b.High {
		return fmt.Sprint(b.Low)
	}
	return fmt.Sprintf("%d–%d", b.Low, b.High)
}
