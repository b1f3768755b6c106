package prompt

import (
	"fmt"
	"io/fs"
	"math"
	"slices"

	"gotune/model"
)

// Learned says what the table of an adapter's files holds: [V, C] of prompt tuning, [V, 2·L·W]
// of prefix tuning, where W is the width of the keys of a layer.
type Learned struct {
	Config
	Base   string // as the file names it
	Width  int    // of an embedding, or of the keys and of the values of a layer
	Tokens []float64
	// Keys and Values are those of each layer, of prefix tuning.
	Keys, Values []float64
	// Broken says that the table holds values that are no numbers. Norms are 0 where they
	// are.
	Broken bool
}

// Analyse measures an adapter in PEFT's files: the root of the sum of the squared values of each
// virtual token (Learned.Tokens), and of the keys and the values of each layer. It needs no
// model, so it does not see whether the adapter fits one. The name is for messages.
func Analyse(src fs.FS, name string) (Learned, error) {
	l, err := analyse(src)
	if err != nil {
		return l, fmt.Errorf("adapter %s: %w", name, err)
	}
	return l, nil
}

func analyse(src fs.FS) (Learned, error) {
	f, err := parse(src)
	if err != nil {
		return Learned{}, fmt.Errorf("%s: %w", configFile, err)
	}
	l := Learned{Config: f.config(), Base: f.BaseModel, Width: f.TokenDim}
	parts := 1
	if f.Type == PrefixTuning {
		parts = 2 * f.Layers
	}
	if f.TokenDim < 1 || parts < 1 || f.TokenDim > math.MaxInt32 || parts > math.MaxInt32 {
		return l, fmt.Errorf("%s: token_dim is %d and num_layers %d; both are at least 1", configFile, f.TokenDim, f.Layers)
	}
	whole := model.Parameter{Name: tableName, Shape: []int{f.Virtual, parts * f.TokenDim}}
	tensors, err := read(src, weightsFile, map[string]model.Parameter{tableKey: whole})
	if err != nil {
		return l, err
	}
	norm := func(squares float64) float64 {
		if math.IsNaN(squares) || math.IsInf(squares, 0) {
			l.Broken = true
			return 0
		}
		return math.Sqrt(squares)
	}
	sums := make([]float64, parts)
	for row := range slices.Chunk(tensors[tableKey].Data, parts*f.TokenDim) {
		sum := 0.0
		for i, v := range row {
			square := float64(v) * float64(v)
			sum += square
			sums[i/f.TokenDim] += square
		}
		l.Tokens = append(l.Tokens, norm(sum))
	}
	for i := 0; i+1 < parts; i += 2 {
		l.Keys, l.Values = append(l.Keys, norm(sums[i])), append(l.Values, norm(sums[i+1]))
	}
	return l, nil
}
